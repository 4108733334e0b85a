import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { toHex } from './hex.ts';
import { type HashedFile, outputLeaf, outputsRoot } from './merkle.ts';

const file = (path: string, content: string | Uint8Array): HashedFile => ({
  path,
  bytes: Buffer.from(content).length,
  sha256: createHash('sha256').update(content).digest(),
});

test('F41 the outputs of the reference have their published leaves and root, in whatever order', () => {
  const files = [
    file('result.txt', 'hello\n'),
    file('metrics.json', '{"loss":0.25}'),
    file('model/weights.bin', Uint8Array.of(0, 1, 2, 3)),
  ];
  expect(files.map(outputLeaf).map(toHex)).toEqual([
    '0x01c3f27ff8a4205816310faa5f36855c84bf465bb08db3985c102f83591b7194',
    '0x96b9b1d76848a6e53141f15e45c0a3a497bd90dcbc17811a35cfec59912eccc7',
    '0x7cf7524f30b3eb771f0443f22c4c77673fdbf6a374afb931f9a66495d700cb73',
  ]);
  const root = '0xb7b9ab5295259ff384e9c0002b2eb8d458aa02d7594cd0ae9e4010b441d4dffd';
  expect(toHex(outputsRoot(files))).toBe(root);
  expect(toHex(outputsRoot(files.toReversed()))).toBe(root);
});

test('F41 nothing and one file have roots of their own', () => {
  expect(toHex(outputsRoot([]))).toBe(
    '0x93dd39660312082bd5cea7530d890432790929510bb31aba437aacd84a0be509',
  );
  const one = file('a', 'b');
  expect(outputsRoot([one])).toEqual(outputLeaf(one));
});
