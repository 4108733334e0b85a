/** `signer:distro:sys` in a real node: the owner makes keys at the prompt, and they are there after a reboot. */
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { bootNode } from '../../bin/node.ts';

let home: string;
beforeEach(async () => {
  home = join(await mkdtemp(join(tmpdir(), 'hyperloom-signer-')), 'home');
});
afterEach(() => rm(dirname(home), { recursive: true, force: true }));

/** Boots, types the line, and resolves with what came when it matched. */
async function typed(line: string, pattern: RegExp): Promise<RegExpMatchArray> {
  const output = new PassThrough();
  let text = '';
  output.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const node = await bootNode({
    home,
    fakeNodeName: 'test.dev',
    detached: true,
    logging: false,
    input: new PassThrough(),
    output,
    quit: () => undefined,
  });
  try {
    node.enter(line);
    await expect.poll(() => text).toMatch(pattern);
    return pattern.exec(text)!;
  } finally {
    await node.close();
  }
}

test('F41 the owner makes a key at the prompt, and it is there after a reboot', async () => {
  const [, key = ''] = await typed(
    `m our@signer:distro:sys '{"CreateKey":{"name":"till"}}' -a 5`,
    /"Key":"(0x[0-9a-fA-F]{40})"/,
  );
  expect(await readdir(join(home, '.wallets'))).toEqual([`${key.toLowerCase()}.key`]);
  expect((await stat(join(home, '.wallets'))).mode & 0o777).toBe(0o700);
  await typed(`m our@signer:distro:sys '"ListKeys"' -a 5`, new RegExp(`"Keys":\\["${key}"\\]`));
});
