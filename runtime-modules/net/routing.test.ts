/** Indirect nodes, their routers, and what routers let through (networking.md §8; findings F29). */
import { expect, test } from 'vitest';
import { DH_BYTES } from './noise.ts';
import { encodeRoutingRequest } from './routing.ts';
import { publicHex, testKey, type NetNode } from './testing/nodes.ts';
import { RawPeer } from './testing/raw.ts';
import { World } from './testing/world.ts';

const ROUTED = ['alice.os', 'bob.os'] as const;

/** Two indirect nodes, their routers, all connected. */
async function routedWorld(
  world: World,
  options: { readonly routers?: number; readonly wire?: 'reference'; readonly listen?: 'ws' } = {},
): Promise<{ alice: NetNode; bob: NetNode; routers: NetNode[] }> {
  const names = Array.from({ length: options.routers ?? 1 }, (_, index) => `r${index}.os`);
  const wire = options.wire === undefined ? {} : { wire: options.wire };
  const listen = options.listen === undefined ? {} : { listen: [options.listen] };
  const made = await world.acquainted(
    ...names.map((name) => ({ name, passthroughsMax: 8, ...wire, ...listen })),
    ...ROUTED.map((name) => ({ name, routers: names, ...wire })),
  );
  await world.clock.advance(5_000);
  return { alice: made[made.length - 2]!, bob: made[made.length - 1]!, routers: made.slice(0, -2) };
}

test.each([
  [undefined, undefined],
  ['reference', undefined],
  ['reference', 'ws'],
  [undefined, 'ws'],
] as const)(
  'N21 N26 two indirect nodes talk through a router, which is asked by both (wire %s, %s)',
  async (wire, listen) => {
    await using world = new World();
    const { alice, bob, routers } = await routedWorld(world, {
      ...(wire === undefined ? {} : { wire }),
      ...(listen === undefined ? {} : { listen }),
    });
    const [router] = routers;
    for (const name of ROUTED) expect(router!.module.net.links.get(name)!.wantsRouting).toBe(true);
    expect(await world.until(alice.ask('bob.os', 'through'))).toBe('ack');
    expect(bob.lines).toEqual(['alice.os: through']);
    // Bob answered as responder, on a socket that the router only copies.
    const [link] = bob.module.net.links.get('alice.os')!.links;
    expect(link!.role).toBe('responder');
    expect(router!.module.net.passthroughs.pairs().active).toMatchObject([
      { source: 'bob.os', target: 'alice.os' },
    ]);
    expect(await world.until(bob.ask('alice.os', 'back'))).toBe('ack');
    expect(router!.lines).toEqual([]);
  },
);

test('two indirect nodes that call each other at the same moment both get through', async () => {
  await using world = new World();
  const { alice, bob } = await routedWorld(world);
  const both = Promise.all([alice.ask('bob.os', 'one'), bob.ask('alice.os', 'two')]);
  expect(await world.until(both)).toEqual(['ack', 'ack']);
  expect([bob.lines, alice.lines]).toEqual([['alice.os: one'], ['bob.os: two']]);
});

test('F29 when a router dies, the next message goes through another one within 10 s', async () => {
  await using world = new World();
  const { alice, bob, routers } = await routedWorld(world, { routers: 3 });
  expect(await world.until(alice.ask('bob.os', 'one'))).toBe('ack');
  const used = routers.findIndex(({ module }) => module.net.passthroughs.pairs().active.length > 0);
  world.network.kill(world.ip(used + 1));
  // A message that was on its way at that moment is lost, as everywhere.
  await world.clock.advance(100);
  expect(await world.until(alice.ask('bob.os', 'two'), 10_000)).toBe('ack');
  expect(bob.lines).toEqual(['alice.os: one', 'alice.os: two']);
});

test('F29 a router that falls silent is noticed, and another one is used, within 10 s', async () => {
  await using world = new World();
  const { alice, routers } = await routedWorld(world, { routers: 2 });
  expect(await world.until(alice.ask('bob.os', 'one'))).toBe('ack');
  const used = routers.findIndex(({ module }) => module.net.passthroughs.pairs().active.length > 0);
  for (const index of [3, 4]) world.network.partition(world.ip(used + 1), world.ip(index));
  void alice.ask('bob.os', 'lost');
  await world.clock.advance(9_000);
  expect(await world.until(alice.ask('bob.os', 'two'), 10_000)).toBe('ack');
});

test('N41 a node that has an address now is dialled directly at the next connection', async () => {
  await using world = new World();
  const { alice } = await routedWorld(world);
  const [carol] = await world.acquainted({ name: 'carol.os' });
  const known = carol!.update;
  alice.module.net.update({ ...known, ips: [], ports: new Map(), routers: ['r0.os'] });
  const through = (): string =>
    alice.module.net.links.get('carol.os')!.links[0]!.connection.remoteIp;
  expect(await world.until(alice.ask('carol.os', 'x'))).toBe('ack');
  expect(through()).toBe(world.ip(1));
  alice.module.net.update(known);
  expect(await world.until(alice.ask('carol.os', 'x'))).toBe('ack');
  expect(through()).toBe(world.ip(1));
  alice.module.net.links.get('carol.os')!.reconnect('for the test');
  expect(await world.until(alice.ask('carol.os', 'x'))).toBe('ack');
  expect(through()).toBe(world.ip(4));
});

test('N22 a router dials a direct target itself', async () => {
  await using world = new World();
  const { alice, routers } = await routedWorld(world);
  const [carol] = await world.acquainted({ name: 'carol.os' });
  const { update } = carol!;
  alice.module.net.update({ ...update, ips: [], ports: new Map(), routers: ['r0.os'] });
  routers[0]!.module.net.update(update);
  expect(await world.until(alice.ask('carol.os', 'relayed'))).toBe('ack');
  expect(carol!.lines).toEqual(['alice.os: relayed']);
  expect(routers[0]!.module.net.passthroughs.pairs().active.length).toBe(1);
});

test('N18 N19 N20 N23 routing requests that are refused, each with its reason', async () => {
  await using world = new World();
  const { alice, routers } = await routedWorld(world);
  const [plain] = await world.acquainted({ name: 'plain.os' });
  const raw = async (to: NetNode, index: number, unit: Uint8Array): Promise<RawPeer> => {
    const at = { ip: world.ip(index), port: to.update.ports.get('tcp')! };
    const peer = await world.until(RawPeer.dial(world.transports('10.7.0.1')[0]!, at));
    peer.connection.send([unit]);
    await world.clock.advance(200);
    return peer;
  };
  const us = { name: 'alice.os', networkingKey: testKey('alice.os') };
  const router = routers[0]!;
  router.meet(alice, plain!);
  const reasons: [string, NetNode, number, Uint8Array][] = [
    [
      'routing request, and we are no router',
      plain!,
      4,
      encodeRoutingRequest(us, 'bob.os', 'plain.os'),
    ],
    ['malformed routing request', router, 1, Buffer.alloc(DH_BYTES + 1)],
    [
      'routing request is not signed by its source',
      router,
      1,
      encodeRoutingRequest(us, 'bob.os', 'r9.os'),
    ],
    [
      'routing request of an unknown node',
      router,
      1,
      encodeRoutingRequest({ ...us, name: 'x.os' }, 'bob.os', 'r0.os'),
    ],
    [
      'routing request to an unknown node',
      router,
      1,
      encodeRoutingRequest(us, 'nobody.os', 'r0.os'),
    ],
    [
      'routing request of a node to itself',
      router,
      1,
      encodeRoutingRequest(us, 'alice.os', 'r0.os'),
    ],
  ];
  for (const [reason, node, index, unit] of reasons) {
    expect((await raw(node, index, unit)).ended, reason).toBeDefined();
    expect(node.module.net.refusals.of(reason), reason).toBe(1);
  }
  // A target that is indirect and never asked this router.
  router.module.net.update({
    name: 'mute.os',
    public_key: 'ab',
    ips: [],
    ports: new Map(),
    routers: ['r0.os'],
  });
  const mute = await raw(router, 1, encodeRoutingRequest(us, 'mute.os', 'r0.os'));
  expect(mute.ended).toBeDefined();
  expect(router.module.net.refusals.of('relay to a node that we do not route for')).toBe(1);
});

test('F29 a router outside of a development network relays nothing to private addresses, and dials only so many at once', async () => {
  const us = { name: 'alice.os', networkingKey: testKey('alice.os') };
  for (const development of [false, true]) {
    await using world = new World();
    const [router] = await world.acquainted({ name: 'r.os', passthroughsMax: 2, development });
    const { net } = router!.module;
    const known = { public_key: publicHex(testKey('alice.os')), routers: [] };
    net.update({ ...known, name: 'alice.os', ips: [], ports: new Map() });
    // Nobody answers there, and nothing is refused either.
    net.update({ ...known, name: 'inner.os', ips: ['10.66.0.1'], ports: new Map([['tcp', 22]]) });
    world.network.partition(world.ip(1), '10.66.0.1');
    const at = { ip: world.ip(1), port: router!.update.ports.get('tcp')! };
    const peers: RawPeer[] = [];
    for (let index = 0; index < 3; index++) {
      const raw = await world.until(RawPeer.dial(world.transports('10.7.0.1')[0]!, at));
      raw.connection.send([encodeRoutingRequest(us, 'inner.os', 'r.os')]);
      peers.push(raw);
      await world.clock.advance(100);
    }
    const ended = peers.map((raw) => raw.ended !== undefined);
    expect(ended).toEqual(development ? [false, false, true] : [true, true, true]);
    const reason = 'relay: address is loopback, private or link-local';
    expect(net.refusals.of(reason)).toBe(development ? 0 : 3);
    await world.clock.advance(6_000);
    expect(peers.every((raw) => raw.ended !== undefined)).toBe(true);
  }
});

test('N25 at the limit the oldest relayed pair goes', async () => {
  await using world = new World();
  const names = ['a.os', 'b.os', 'c.os'];
  const made = await world.acquainted(
    { name: 'r.os', passthroughsMax: 1 },
    ...names.map((name) => ({ name, routers: ['r.os'] })),
  );
  const [router, a, , c] = made;
  await world.clock.advance(5_000);
  expect(await world.until(a!.ask('b.os', 'x'))).toBe('ack');
  await world.clock.advance(10);
  expect(await world.until(c!.ask('b.os', 'x'))).toBe('ack');
  const { active } = router!.module.net.passthroughs.pairs();
  expect(active.map(({ source, target }) => [source, target].toSorted())).toEqual([
    ['b.os', 'c.os'],
  ]);
  expect(router!.module.net.refusals.of('relay ended to make room')).toBeGreaterThan(0);
});

test('a relayed wait that nobody answers ends, and a Rejected ends it at once', async () => {
  await using world = new World();
  const { routers } = await routedWorld(world);
  const router = routers[0]!;
  const at = { ip: world.ip(1), port: router.update.ports.get('tcp')! };
  world.network.partition(world.ip(1), world.ip(3));
  const key = publicHex(testKey('alice.os'));
  expect(router.module.net.pki.identity('alice.os')?.networking_key).toBe(key);
  const us = { name: 'alice.os', networkingKey: testKey('alice.os') };
  const wait = async (): Promise<RawPeer> => {
    const raw = await world.until(RawPeer.dial(world.transports('10.7.0.1')[0]!, at));
    raw.connection.send([encodeRoutingRequest(us, 'bob.os', 'r0.os')]);
    await world.clock.advance(100);
    return raw;
  };
  const first = await wait();
  expect(router.module.net.passthroughs.pairs().waiting.length).toBe(1);
  await world.clock.advance(31_000);
  expect(first.ended).toBeDefined();
  router.module.net.passthroughs.rejected('alice.os', 'bob.os');
  expect(router.module.net.passthroughs.pairs().waiting).toEqual([]);
});
