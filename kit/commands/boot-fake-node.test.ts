/** `kit boot-fake-node` as a developer runs it: whole nodes, on chains of their own. */
import { once } from 'node:events';
import { access, mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { chainAnswersAt } from '../../contracts/chain/find.ts';
import { RunningNode } from '../../test/support/running-node.ts';

const KIT = fileURLToPath(new URL('../../bin/kit.mjs', import.meta.url));
/** Several boots, the first of which may build the bundled packages. */
const BOOTS_MS_MAX = 240_000;

let folder: string;
let chainPort: number;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kit-fake-nodes-'));
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  chainPort = (server.address() as { port: number }).port;
  server.close();
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function kit(...args: readonly string[]): RunningNode {
  return RunningNode.spawn(['boot-fake-node', '-p', '0', '-c', String(chainPort), ...args], KIT);
}

const home = (name: string): string => join(folder, name);
const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

/** It takes a moment until a node has read of another one on the chain. */
async function hears(node: RunningNode, other: string, prefix = ''): Promise<void> {
  for (;;) {
    const [shown] = await node.type(`${prefix}peer ${other}`, /127\.0\.0\.1, tcp|no node called/);
    if (shown.startsWith('127')) return;
  }
}

test(
  'KT29 KT30 KT31 a second command joins the chain of the first; homes go unless kept, the chain with whoever started it',
  async () => {
    const key = (): Promise<string> => readFile(join(home('alice'), '.development-key'), 'utf8');
    let kept: string;
    {
      await using alice = kit('-f', 'alice', '-o', home('alice'), '--persist');
      await alice.until(new RegExp(`started a chain at http://127.0.0.1:${chainPort}`));
      await alice.until(/alice\.os is up/);
      {
        await using bob = kit('--fake-node-name', 'bob', '-o', home('bob'));
        await bob.until(/uses the chain that is at /);
        await bob.until(/nodes that share its chain find it as bob\.os/);
        await hears(bob, 'alice.os');
        await bob.type('hi alice.os hello', /response from alice\.os: ack/);
        await alice.until(/bob\.os: hello/);
        expect(await bob.end('SIGTERM')).toMatchObject({ code: 0 });
      }
      expect(await isThere(home('bob'))).toBe(false);
      expect(await chainAnswersAt(chainPort)).toBe(true);
      kept = await key();
      expect(await alice.end('SIGTERM')).toMatchObject({ code: 0 });
    }
    expect(await chainAnswersAt(chainPort)).toBe(false);
    // What was there before is not deleted either, so it needs no --persist any more.
    await using again = kit('-f', 'alice', '-o', home('alice'));
    await again.until(/alice\.os is up/);
    expect(await again.end('SIGTERM')).toMatchObject({ code: 0 });
    expect(await key()).toBe(kept);
  },
  BOOTS_MS_MAX,
);

test(
  'N49 KT28 several nodes of one command say where they are, reach each other, and end together at Ctrl-C',
  async () => {
    await using network = kit('-f', 'alice,bob', '-o', home('all'));
    const [, alice, bob] = await network.until(
      /alice\.os {3}(http:\S+) {3}tcp .* {3}\S+\n *bob\.os {5}(http:\S+) {3}tcp /,
    );
    for (const url of [alice!, bob!]) expect((await fetch(url)).status).toBeLessThan(500);
    await hears(network, 'bob.os');
    await hears(network, 'alice.os', 'bob.os ');
    // To bob still: the last one named.
    await network.type('hi alice.os hello', /alice\.os +\| .*bob\.os: hello/);
    await network.until(/bob\.os +\| .*response from alice\.os: ack/);
    await network.type('alice.os', /lines go to alice\.os/);
    const lock = await readFile(join(home('all'), 'bob.os', '.lock'), 'utf8');
    process.kill((JSON.parse(lock) as { pid: number }).pid, 'SIGTERM');
    await network.until(/bob\.os has ended with code 0/);
    await network.type('bob.os peers', /bob\.os is not there/);
    await network.type('alice.os hi bob.os x', /bob\.os is offline|bob\.os timed out/);
    expect(await network.end('SIGINT')).toMatchObject({ code: 0 });
    expect(await isThere(home('all'))).toBe(false);
    expect(await chainAnswersAt(chainPort)).toBe(false);
  },
  BOOTS_MS_MAX,
);

test(
  'what kill -9 does to the command, its nodes and its chain do not outlive',
  async () => {
    await using network = kit('--count', '2', '-o', home('all'));
    await network.until(/Ctrl-C ends all/);
    const pids = await Promise.all(
      ['fake.os', 'fake-2.os'].map(async (name) => {
        const lock = await readFile(join(home('all'), name, '.lock'), 'utf8');
        return (JSON.parse(lock) as { pid: number }).pid;
      }),
    );
    const alive = (): boolean =>
      pids.some((pid) => {
        try {
          return process.kill(pid, 0);
        } catch {
          return false;
        }
      });
    expect(alive()).toBe(true);
    network.child.kill('SIGKILL');
    await expect.poll(alive, { timeout: 30_000 }).toBe(false);
    await expect.poll(() => chainAnswersAt(chainPort), { timeout: 30_000 }).toBe(false);
  },
  BOOTS_MS_MAX,
);

test(
  'KT2 a node that cannot start ends the command with its own words, and a flag with a slip in it',
  async () => {
    await using wrong = RunningNode.spawn(['f', '--cuont', '2'], KIT);
    await wrong.until(/there is no flag --cuont/);
    expect(await wrong.exited).toMatchObject({ code: 1 });
    await using bad = kit('--count', '2', '-o', home('all'), '--', '--harts', '0');
    await bad.until(/fake\.os has ended with code 2 before it was up:[^]*--harts must be/);
    expect(await bad.exited).toMatchObject({ code: 1 });
    expect(await chainAnswersAt(chainPort)).toBe(false);
  },
  BOOTS_MS_MAX,
);
