/** Delivery between nodes: order, ends of requests, lifetimes, several links (networking.md §7, §9, §10; findings F28, F29). */
import { expect, test } from 'vitest';
import { remoteRequest } from '../../kernel/testing.ts';
import { encodeNetAction } from '../../wit/net-api.ts';
import { BACKOFF_MS_MAX, CONNECTION_MS_MAX, HELLOS_MAX, PEERS_MAX_DEFAULT } from './limits.ts';
import { testKey, publicHex } from './testing/nodes.ts';
import { RawPeer } from './testing/raw.ts';
import { World } from './testing/world.ts';

const ECHO = 'echo:test:sys';

test('N30 messages sent before, while and after connecting arrive in order', async () => {
  await using world = new World({ jitterMs: 30, loss: 0.1, seed: 3 });
  const [alice, bob] = await world.acquainted({ name: 'alice.os' }, { name: 'bob.os' });
  const seen: string[] = [];
  await bob!.node.start(
    ECHO,
    async (guest) => {
      for (;;) seen.push((await guest.request()).body);
    },
    { holds: [bob!.node.network()] },
  );
  await alice!.node.start(
    'sender:test:sys',
    async (guest) => {
      for (let index = 0; index < 200; index++) {
        const body = Buffer.from(`${index} `.padEnd(index % 7 === 0 ? 100_000 : 8, '.'));
        await guest.send(`bob.os@${ECHO}`, { body });
      }
    },
    { holds: [alice!.node.network()] },
  );
  for (let waits = 0; seen.length < 200 && waits < 1_000; waits++) await world.clock.advance(100);
  expect(seen.map((body) => Number(body.split(' ')[0]))).toEqual(
    Array.from({ length: 200 }, (_, index) => index),
  );
});

test('N27 N29 F28 every request to a node that cannot be reached ends once, as offline, and soon', async () => {
  await using world = new World();
  const [alice] = await world.acquainted({ name: 'alice.os' });
  const ghost = { name: 'ghost.os', public_key: publicHex(testKey('ghost.os')), ports: new Map() };
  const [net] = [alice!.module.net];
  net.update({ ...ghost, ips: ['10.9.9.9'], ports: new Map([['tcp', 1]]), routers: [] });
  expect(await world.until(alice!.ask('nobody.os', 'x'))).toBe('offline');
  const several = Promise.all(['a', 'b', 'c'].map((body) => alice!.ask('ghost.os', body)));
  expect(await world.until(several)).toEqual(['offline', 'offline', 'offline']);
  // A node that is reached through others, none of which is there.
  net.update({ ...ghost, name: 'lost.os', ips: [], routers: ['ghost.os', 'alice.os', 'who.os'] });
  expect(await world.until(alice!.ask('lost.os', 'x'), 10_000)).toBe('offline');
  // One that offers no way at all: the reference lets its messages vanish.
  net.update({ ...ghost, name: 'mute.os', ips: ['10.0.0.9'], routers: [] });
  expect(await world.until(alice!.ask('mute.os', 'x'))).toBe('offline');
});

test('a failed dial is not repeated at once, but soon, and at once after news of the node', async () => {
  await using world = new World();
  const [alice, bob] = await world.acquainted({ name: 'alice.os' }, { name: 'bob.os' });
  alice!.module.net.update({ ...bob!.update, ports: new Map([['tcp', 1]]) });
  expect(await world.until(alice!.ask('bob.os', 'x'))).toBe('offline');
  expect(await world.until(alice!.ask('bob.os', 'x'), 20)).toBe('offline');
  expect(alice!.module.net.refusals.of('tried again too soon after a failure')).toBe(1);
  alice!.meet(bob!);
  expect(await world.until(alice!.ask('bob.os', 'x'))).toBe('ack');
  await world.clock.advance(BACKOFF_MS_MAX);
  expect(alice!.module.net.links.all().length).toBe(1);
});

test('N33 a connection ends after half an hour, and the next message makes another one', async () => {
  await using world = new World();
  const [alice, bob] = await world.acquainted({ name: 'alice.os' }, { name: 'bob.os' });
  expect(await world.until(alice!.ask('bob.os', 'one'))).toBe('ack');
  await world.clock.advance(CONNECTION_MS_MAX - 5_000);
  expect(alice!.module.net.links.get('bob.os')!.isConnected).toBe(true);
  await world.clock.advance(10_000);
  expect(alice!.module.net.links.get('bob.os')).toBeUndefined();
  expect(bob!.module.net.links.all()).toEqual([]);
  expect(await world.until(alice!.ask('bob.os', 'two'))).toBe('ack');
});

test('N33 N30 nothing is lost or overtaken when a connection in use comes to its end', async () => {
  await using world = new World({ latencyMs: 30 });
  const [alice, bob] = await world.acquainted({ name: 'alice.os' }, { name: 'bob.os' });
  const seen: number[] = [];
  await bob!.node.start(
    ECHO,
    async (guest) => {
      for (;;) seen.push(Number((await guest.request()).body.split(' ')[0]));
    },
    { holds: [bob!.node.network()] },
  );
  expect(await world.until(alice!.ask('bob.os', 'x'))).toBe('ack');
  const link = (): unknown => alice!.module.net.links.get('bob.os')?.links[0];
  const first = link();
  await world.clock.advance(CONNECTION_MS_MAX - 4_000);
  let next = (): void => undefined;
  await alice!.node.start(
    'sender:test:sys',
    async (guest) => {
      for (let index = 0; index < 100; index++) {
        await new Promise<void>((resolve) => (next = resolve));
        const body = Buffer.from(`${index} `.padEnd(index % 3 === 0 ? 400_000 : 8, '.'));
        await guest.send(`bob.os@${ECHO}`, { body });
      }
    },
    { holds: [alice!.node.network()] },
  );
  for (let index = 0; index < 100; index++) {
    next();
    await world.clock.advance(100);
  }
  await world.clock.advance(10_000);
  expect(seen).toEqual(Array.from({ length: 100 }, (_, index) => index));
  expect(link()).not.toBe(first);
});

test('N34 F29 both dial at once: both links are read, both sides send on that of the smaller name, nothing twice', async () => {
  await using world = new World({ latencyMs: 40 });
  const [alice, bob] = await world.acquainted({ name: 'alice.os' }, { name: 'bob.os' });
  const both = Promise.all([alice!.ask('bob.os', 'from alice'), bob!.ask('alice.os', 'from bob')]);
  expect(await world.until(both)).toEqual(['ack', 'ack']);
  expect([bob!.lines, alice!.lines]).toEqual([['alice.os: from alice'], ['bob.os: from bob']]);
  await world.clock.advance(5_000);
  const [ours, theirs] = [alice!, bob!].map(
    (node, index) => node.module.net.links.get(index === 0 ? 'bob.os' : 'alice.os')!.links,
  );
  expect([ours!.length, theirs!.length]).toEqual([2, 2]);
  const before = [...ours!, ...theirs!].map(({ sent }) => sent);
  await world.until(Promise.all([alice!.ask('bob.os', 'x'), bob!.ask('alice.os', 'y')]));
  const after = [...ours!, ...theirs!].map(({ sent }, index) => sent - before[index]!);
  // Alice's own (initiator) link first, then Bob's view: his responder link is the same one.
  expect(after).toEqual([2, 0, 0, 2]);
  expect(bob!.lines.length + alice!.lines.length).toBe(4);
});

test('N34 a second connection that the same node makes replaces its first', async () => {
  await using world = new World();
  const [alice] = await world.acquainted({ name: 'alice.os' });
  const rawKey = { name: 'raw.os', public_key: publicHex(testKey('raw.os')), ips: [], routers: [] };
  alice!.module.net.update({ ...rawKey, ports: new Map() });
  const at = { ip: world.ip(1), port: alice!.update.ports.get('tcp')! };
  const dial = async (): Promise<RawPeer> => {
    const raw = await world.until(RawPeer.dial(world.transports('10.7.0.1')[0]!, at));
    raw.greet('raw.os', alice!);
    await world.clock.advance(100);
    return raw;
  };
  const first = await dial();
  expect(first.ended).toBeUndefined();
  const second = await dial();
  expect([first.ended === undefined, second.ended === undefined]).toEqual([false, true]);
  second.tell(
    remoteRequest('raw.os@a:b:c', 'alice.os@net:distro:sys', { body: Buffer.from('hi') }),
  );
  await world.clock.advance(100);
  expect(alice!.lines).toEqual(['raw.os: hi']);
});

test('F26 N41 a changed key ends the links of that node at once; only the new key opens another', async () => {
  await using world = new World();
  const [alice, bob] = await world.acquainted({ name: 'alice.os' }, { name: 'bob.os' });
  expect(await world.until(alice!.ask('bob.os', 'x'))).toBe('ack');
  const { net } = alice!.module;
  net.update({ ...bob!.update, public_key: `0x${bob!.update.public_key}` });
  expect(net.links.get('bob.os')!.isConnected).toBe(true);
  net.update({ ...bob!.update, public_key: publicHex(testKey('mallory.os')) });
  expect(net.links.get('bob.os')?.isConnected ?? false).toBe(false);
  expect(await world.until(alice!.ask('bob.os', 'x'))).toBe('offline');
  expect(net.refusals.of('tcp: signature does not verify')).toBeGreaterThan(0);
});

test('F29 N38 controls in a hello reach no terminal, and one node is heard so often and no more', async () => {
  await using world = new World();
  const [alice, bob] = await world.acquainted({ name: 'alice.os' }, { name: 'bob.os' });
  expect(await world.until(alice!.ask('bob.os', '\u001b[2Jred\u202E\r\nline'))).toBe('ack');
  expect(bob!.lines[0]).toMatch(/^alice\.os: \uFFFD\[2Jred\uFFFD\uFFFD\uFFFDline$/);
  expect(await world.until(alice!.ask('bob.os', Uint8Array.of(0xff, 0xfe)))).toBe('ack');
  expect(bob!.lines[1]).toBe('alice.os: (2 bytes that are no text)');
  for (let index = 2; index < HELLOS_MAX; index++) await world.until(alice!.ask('bob.os', 'x'));
  void alice!.ask('bob.os', 'one too many');
  await world.clock.advance(1_000);
  expect(bob!.lines.length).toBe(HELLOS_MAX);
  await world.clock.advance(10_000);
  expect(await world.until(alice!.ask('bob.os', 'later'))).toBe('ack');
});

test('the peer silent for longest makes room for another one', async () => {
  await using world = new World();
  const many = Array.from({ length: 4 }, (_, index) => ({ name: `n${index}.os` }));
  const [alice] = await world.acquainted({ name: 'alice.os', peersMax: 3 }, ...many);
  for (const { name } of many) {
    expect(await world.until(alice!.ask(name, 'x'))).toBe('ack');
    await world.clock.advance(10);
  }
  expect(alice!.module.net.links.all().map(({ name }) => name)).toEqual([
    'n1.os',
    'n2.os',
    'n3.os',
  ]);
  expect(await world.until(alice!.ask('n0.os', 'x'))).toBe('ack');
  expect(PEERS_MAX_DEFAULT).toBe(32);
});

test('N31 N32 without the network capability, at either end, there is a timeout and nothing else', async () => {
  await using world = new World();
  const [alice, bob] = await world.acquainted({ name: 'alice.os' }, { name: 'bob.os' });
  await bob!.node.start(ECHO, async (guest) => {
    const { body } = await guest.request();
    await guest.respond(body);
  });
  const outcomes: string[] = [];
  const ask = async (name: string, networked: boolean, target: string): Promise<void> => {
    await alice!.node.start(
      name,
      async (guest) => {
        const awaited = await guest.sendAndAwait(target, { expectsResponse: 3 });
        outcomes.push(
          `${name.split(':')[0]} ${awaited.ok ? 'response' : 'error'} at ${world.clock.nowMs()}`,
        );
      },
      { holds: networked ? [alice!.node.network()] : [] },
    );
    await world.clock.advance(4_000);
  };
  const start = world.clock.nowMs();
  await ask('none:test:sys', false, `bob.os@${ECHO}`);
  await ask('full:test:sys', true, `bob.os@${ECHO}`);
  await ask('lost:test:sys', true, 'bob.os@nobody:test:sys');
  expect(outcomes.length).toBe(3);
  expect(outcomes[0]).toBe(`none error at ${start}`);
  expect(outcomes[1]).toMatch(/^full error at 7\d{3}/);
  expect(outcomes[2]).toMatch(/^lost error at 11\d{3}/);
});

test('N24 N39 updates and connection requests of other nodes change nothing', async () => {
  await using world = new World();
  const [alice, bob] = await world.acquainted({ name: 'alice.os' }, { name: 'bob.os' });
  void alice!.ask(
    'bob.os',
    encodeNetAction({ kind: 'HnsUpdate', value: { ...alice!.update, name: 'evil.os' } }),
  );
  void alice!.ask('bob.os', encodeNetAction({ kind: 'ConnectionRequest', value: 'alice.os' }));
  await world.clock.advance(2_000);
  expect(bob!.module.net.pki.identity('evil.os')).toBeUndefined();
  expect(bob!.module.net.refusals.of('update from another node')).toBe(1);
  expect(bob!.module.net.refusals.of('connection request that is not for us')).toBe(1);
  expect(bob!.lines).toEqual([]);
});
