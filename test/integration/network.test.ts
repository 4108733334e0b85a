/** Two development nodes of this machine, each in a process of its own, that find each other by a shared folder. */
import { mkdtemp, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { RunningNode } from '../support/running-node.ts';
import { removeHome } from '../support/remove-home.ts';

/** Three boots, the first of which may build the bundled packages. */
const BOOTS_MS_MAX = 240_000;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hyperloom-network-'));
});
afterAll(() => removeHome(folder));

async function start(name: string, ...flags: readonly string[]): Promise<RunningNode> {
  const node = RunningNode.spawn([
    ...[join(folder, name), '--fake-node-name', name, '--port', '0'],
    ...['--dev-network', join(folder, 'network'), ...flags],
  ]);
  await node.until(/ is up after /);
  return node;
}

/** It may take a second until a node has heard of another one. */
async function hears(node: RunningNode, other: string): Promise<void> {
  for (;;) {
    const [shown] = await node.type(`peer ${other}`, /127\.0\.0\.1, tcp|no node called/);
    if (shown.startsWith('127')) return;
  }
}

test(
  'N49 two development nodes exchange hi and ack, chat, and notice that one is gone and back',
  async () => {
    await using alice = await start('alice.dev');
    {
      await using bob = await start('bob.dev', '--wire', 'reference');
      await alice.until(/other nodes reach it at tcp 127\.0\.0\.1 \d+, ws/);
      await hears(bob, 'alice.dev');
      await hears(alice, 'bob.dev');
      await bob.type('hi alice.dev hello', /response from alice\.dev: ack/);
      await alice.until(/bob\.dev: hello/);
      await alice.type('hi bob.dev hello', /response from bob\.dev: ack/);
      await alice.type('peers', /bob\.dev +127\.0\.0\.1, tcp \d+, ws \d+ +[0-9a-f]{64}/);
      await alice.type('send:chat:sys bob.dev "hello, bob"', /sent to bob\.dev/);
      await bob.until(/alice\.dev: .*hello, bob/);
      await bob.type('send:chat:sys alice.dev well', /sent to alice\.dev/);
      await alice.until(/bob\.dev: well/);
      await alice.type('net-diagnostics', /we have connections with 1 peers \(32 max\):/);
      expect((await bob.end('SIGTERM')).code).toBe(0);
    }
    expect(await readdir(join(folder, 'network'))).toEqual(['alice.dev.json']);
    await alice.type('hi bob.dev hello', /bob\.dev is offline or does not exist/);
    await alice.type('send:chat:sys bob.dev lost', /bob\.dev could not be reached \(offline\)/);
    await alice.type('history:chat:sys bob.dev', /alice\.dev: lost \(sent\)/);
    await using again = await start('bob.dev');
    await hears(again, 'alice.dev');
    // F28: kept at the sender, tried again, once in the store of the other side, which has restarted.
    await alice.until(/to bob\.dev: lost: delivered/);
    // Perhaps long before, while it was asked about the other.
    await expect.poll(() => again.output).toMatch(/alice\.dev: lost/);
    const [heard] = await again.type('history:chat:sys alice.dev', /alice\.dev: lost(?! \()/);
    expect(heard).not.toMatch(/lost[^]*lost/);
    await again.type('hi alice.dev back', /response from alice\.dev: ack/);
    await alice.type('hi our me', /alice\.dev: me[^]*response from our: ack/);
  },
  BOOTS_MS_MAX,
);
