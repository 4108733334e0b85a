/** Nodes that find each other on a chain they share, as real ones do: names, keys and addresses come from there and from nowhere else. */
import { once } from 'node:events';
import { mkdtemp } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { FakeNetwork } from '../support/fake-network.ts';
import type { RunningNode } from '../support/running-node.ts';
import { removeHome } from '../support/remove-home.ts';

const BOOTS_MS_MAX = 240_000;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hyperloom-fake-network-'));
});
afterAll(() => removeHome(folder));

/** The key that `node` knows of another, once it is not `before`. */
async function keyOf(node: RunningNode, other: string, before?: string): Promise<string> {
  const shown = /127\.0\.0\.1, .*?([0-9a-f]{64})|no node called/;
  const known = (key: string | undefined): boolean => key !== undefined && key !== before;
  return (await node.retype(`peer ${other}`, shown, ([, key]) => known(key)))[1]!;
}

/** Until a hello is answered: a node may not have read of the other yet, or not be connected to its routers. */
async function reaches(node: RunningNode, other: string): Promise<void> {
  const ended = /response from|is offline|timed out/;
  await node.retype(`hi ${other} hello`, ended, ([how]) => how === 'response from');
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  return port;
}

test(
  'N49 F26 what the chain says of a node is picked up while others talk to it: a new key, and new ports',
  async () => {
    await using network = await FakeNetwork.start(folder);
    const alice = await network.boot('alice.os');
    const bob = await network.boot('bob.os');
    const before = await keyOf(alice, 'bob.os');
    await keyOf(bob, 'alice.os');
    await alice.type('send:chat:sys bob.os "who are you?"', /sent to bob\.os/);
    await bob.until(/alice\.os: .*who are you/);
    // The owner of the name gives it other keys: a home that was lost, say.
    await bob.end('SIGKILL');
    await alice.type('send:chat:sys bob.os "still there?"', /bob\.os could not be reached/);
    const again = await network.boot('bob.os', { home: 'another', more: ['--tcp-port', '0'] });
    const key = await keyOf(alice, 'bob.os', before);
    expect(key).not.toBe(before);
    const [, shown] = await alice.type('peer bob.os', /127\.0\.0\.1, (.*?) +[0-9a-f]{64}/);
    expect(shown).toMatch(/^ws \d+$/);
    await keyOf(again, 'alice.os');
    await alice.type('hi bob.os hello', /response from bob\.os: ack/);
    await again.until(/alice\.os: /);
    // What was kept for bob has reached him, under his new key.
    await again.type('history:chat:sys alice.os', /alice\.os: .*still there\?/);
    const state = /still there\?"? \((\w+)\)/;
    await alice.retype('history:chat:sys bob.os', state, ([, is]) => is === 'delivered');
  },
  BOOTS_MS_MAX,
);

test(
  'N21 N26 F29 registered nodes without an address of their own talk through the routers that the chain names; one dies, and they talk on',
  async () => {
    await using network = await FakeNetwork.start(folder);
    const names = ['router-a.os', 'router-b.os'];
    const routers = await Promise.all(
      names.map(async (name) => {
        const port = String(await freePort());
        const how = ['--direct', '--ip', '127.0.0.1', '--tcp-port', port, '--ws-port', '0'];
        return network.register(name, how, ['--max-passthroughs', '8']);
      }),
    );
    const how = ['--routers', names.join(',')];
    const [alice, bob] = await Promise.all([
      network.register('alice-indirect.os', how),
      network.register('bob-indirect.os', how),
    ]);
    await reaches(alice, 'bob-indirect.os');
    await alice.type('peers', /bob-indirect\.os +through router-a\.os, router-b\.os/);
    await bob.until(/alice-indirect\.os: hello/);
    const relays = async (router: RunningNode): Promise<boolean> => {
      const shown = await router.type('net-diagnostics', /active passthroughs|entries in the PKI/);
      return shown[0] === 'active passthroughs';
    };
    const used = (await relays(routers[0]!)) ? 0 : 1;
    expect(await relays(routers[used]!)).toBe(true);
    await routers[used]!.end('SIGKILL');
    await reaches(alice, 'bob-indirect.os');
    expect(await relays(routers[1 - used]!)).toBe(true);
  },
  BOOTS_MS_MAX,
);
