import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeRecords, type LogRecord, STREAM } from '../wit/jobs/log-records.ts';
import { toHex } from './hex.ts';
import { outputsRoot, sha256 } from './merkle.ts';
import {
  type HashedFile,
  logLeaf,
  merkleRoot,
  outputLeaf,
  pathOf,
  rootOfPath,
} from './merkle-tree.ts';

const file = (path: string, content: string | Uint8Array): HashedFile => ({
  path,
  bytes: Buffer.from(content).length,
  sha256: createHash('sha256').update(content).digest(),
});
const leafOf = (one: HashedFile): Uint8Array => outputLeaf(sha256, one);

test('F41 the outputs of the reference have their published leaves and root, in whatever order', () => {
  const files = [
    file('result.txt', 'hello\n'),
    file('metrics.json', '{"loss":0.25}'),
    file('model/weights.bin', Uint8Array.of(0, 1, 2, 3)),
  ];
  expect(files.map(leafOf).map(toHex)).toEqual([
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
  expect(outputsRoot([one])).toEqual(leafOf(one));
});

/** Of the reference (compute-market.md §17). */
const LOG: readonly LogRecord[] = [
  [3, 0, '{"ev":"start"}'] as const,
  [1, 12, 'step 1\n'] as const,
  [2, 15, 'warn: x\n'] as const,
  [1, 40, 'done\n'] as const,
  [3, 41, '{"ev":"exit","code":0}'] as const,
].map(([stream, atMs, text], seq) => ({ seq, stream, atMs, bytes: Buffer.from(text) }));

test('CM21 the log of the reference has its published leaf, root and path', () => {
  const leaves = LOG.map((record) => logLeaf(sha256, encodeRecords([record])));
  const root = '0xef9ddba9b1f8732ad52ccf13d10a140878a3fa21f04890e88bba563b654df3cd';
  expect(toHex(leaves[2]!)).toBe(
    '0x053be13eee19b62edd309b32f1312273fc576988e61792b9de93192041b11546',
  );
  expect(toHex(merkleRoot(sha256, leaves))).toBe(root);
  const path = pathOf(sha256, leaves, 2);
  expect(path.map(toHex)).toEqual([
    '0x67e0a903f94f2f73317e5a7a4836a75a9f90dbcb06ef018971a5e5801bf63879',
    '0x0e641f85693cbd31657a55412df607747c9ded145fec3b3db01130e4c0427d72',
    '0x55cbaff8aa9329fa6f8009f4f026b5163df206fb9e5d6cd7fbf98a76219ff782',
  ]);
  expect(toHex(rootOfPath(sha256, leaves[2]!, { index: 2, count: 5, path })!)).toBe(root);
  const stdout = LOG.filter(({ stream }) => stream === STREAM.stdout).map(({ bytes }) => bytes);
  expect(toHex(sha256(...stdout))).toBe(
    '0x75cca5fb3904ef7f2c7debd2f72f2147b7610a8471d5d1d08c89cf32fab4794a',
  );
});

test('CM21 a path leads to the root for its own leaf at its own place, and nowhere else', () => {
  const leaf = fc.uint8Array({ minLength: 32, maxLength: 32 });
  fc.assert(
    fc.property(fc.uniqueArray(leaf, { minLength: 1, maxLength: 40 }), fc.nat(), (leaves, seed) => {
      const index = seed % leaves.length;
      const count = leaves.length;
      const root = merkleRoot(sha256, leaves);
      const path = pathOf(sha256, leaves, index);
      const right = { index, count, path };
      expect(rootOfPath(sha256, leaves[index]!, right)).toEqual(root);
      const wrong = [
        { ...right, index: index + 1 },
        { ...right, index: -1 },
        { ...right, index: 0.5 },
        { ...right, path: [...path, root] },
        { ...right, path: path.slice(1) },
        { ...right, path: path.map((hash, at) => (at === 0 ? root : hash)) },
      ].filter(({ path: other, index: at }) => at !== index || toText(other) !== toText(path));
      for (const one of wrong) expect(rootOfPath(sha256, leaves[index]!, one)).not.toEqual(root);
      const other = leaves[(index + 1) % count]!;
      if (count > 1) expect(rootOfPath(sha256, other, right)).not.toEqual(root);
    }),
  );
  expect(() => pathOf(sha256, [], 0)).toThrow(RangeError);
});

const toText = (path: readonly Uint8Array[]): string => path.map(toHex).join();
