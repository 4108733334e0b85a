/** Authenticated peers that say what they may not, and messages that are too long or too many (networking.md §4.1, §6; findings F23, F24). */
import { expect, test } from 'vitest';
import { type GuestCode, remoteRequest } from '../../kernel/testing.ts';
import type { KernelMessage } from '../../wit/types.ts';
import { ALL_FEATURES, type Features, REFERENCE } from './handshake.ts';
import { CAPABILITIES_MAX, INBOX_BYTES_MAX, MESSAGE_BYTES_MAX, MESSAGE_MS_MAX } from './limits.ts';
import { type NetNode, publicHex, testKey } from './testing/nodes.ts';
import { RawPeer } from './testing/raw.ts';
import { World } from './testing/world.ts';
import { encodeMessage } from './wire.ts';

const HI = remoteRequest('raw.os@a:b:c', 'alice.os@net:distro:sys', { body: Buffer.from('hi') });

/** A connection of `raw.os`, which the test plays. */
async function rawTo(
  world: World,
  node: NetNode,
  kind: 'tcp' | 'ws',
  offered: Features,
): Promise<RawPeer> {
  const update = { name: 'raw.os', public_key: publicHex(testKey('raw.os')), ips: [], routers: [] };
  node.module.net.update({ ...update, ports: new Map() });
  const transport = world.transports('10.7.0.1').find((each) => each.kind === kind)!;
  const at = { ip: world.ip(1), port: node.update.ports.get(kind)! };
  const raw = await world.until(RawPeer.dial(transport, at));
  raw.greet('raw.os', node, { offered });
  await world.clock.advance(100);
  return raw;
}

const cap = { issuer: HI.source, params: '"x"' };
const many = (count: number): KernelMessage => ({
  ...remoteRequest('raw.os@a:b:c', 'alice.os@net:distro:sys', {
    body: Buffer.from('hi'),
    capabilities: Array.from({ length: count }, () => cap),
  }),
  signatures: [],
});

const REFUSED: [string, string, Uint8Array | KernelMessage][] = [
  [
    'N17 a source on a third node',
    'speaks for another node',
    { ...HI, source: { ...HI.source, node: 'bob.os' } },
  ],
  [
    'N17 a source on the receiver',
    'speaks for another node',
    { ...HI, source: { ...HI.source, node: 'alice.os' } },
  ],
  [
    'N17 a source on "our"',
    'speaks for another node',
    { ...HI, source: { ...HI.source, node: 'our' } },
  ],
  [
    'N17 a capital in the process id',
    'unsafe process name',
    remoteRequest('raw.os@A:b:c', 'alice.os@net:distro:sys', {}),
  ],
  [
    'N17 a path in the process id',
    'unsafe process name',
    remoteRequest('raw.os@a/../b:b:c', 'alice.os@net:distro:sys', {}),
  ],
  ['N3 too many capabilities', 'undecodable message', many(CAPABILITIES_MAX + 1)],
  ['N4 another shape', 'undecodable message', Buffer.from('9601', 'hex')],
  ['N3 arrays in arrays', 'undecodable message', Buffer.alloc(300, 0x93)],
];

test.each(REFUSED)('%s: the peer is cut off for %s', async (_, reason, said) => {
  for (const kind of ['tcp', 'ws'] as const) {
    for (const offered of [REFERENCE, ALL_FEATURES]) {
      await using world = new World();
      const [alice] = await world.acquainted({ name: 'alice.os', listen: ['tcp', 'ws'] });
      const raw = await rawTo(world, alice!, kind, offered);
      raw.tell(HI);
      await world.clock.advance(100);
      expect(alice!.lines).toEqual(['raw.os: hi']);
      if (said instanceof Uint8Array) raw.say(said);
      else raw.tell(said);
      await world.clock.advance(100);
      expect(raw.ended).toBeDefined();
      expect(alice!.module.net.refusals.of(reason)).toBe(1);
      expect(alice!.lines.length).toBe(1);
    }
  }
});

test('as many capabilities as may be are taken', async () => {
  await using world = new World();
  const [alice] = await world.acquainted({ name: 'alice.os' });
  const raw = await rawTo(world, alice!, 'tcp', REFERENCE);
  raw.tell(many(CAPABILITIES_MAX));
  await world.clock.advance(100);
  expect(alice!.lines).toEqual(['raw.os: hi']);
});

test('a message that has begun and does not end holds its memory for two minutes, and then the link is over', async () => {
  for (const offered of [REFERENCE, ALL_FEATURES]) {
    await using world = new World();
    const [alice] = await world.acquainted({ name: 'alice.os' });
    const raw = await rawTo(world, alice!, 'tcp', offered);
    const begun = Buffer.alloc(8);
    begun.writeUInt32BE(1_000, 4);
    const clear = offered === REFERENCE;
    raw.connection.send(raw.session!.send.sealPieces([begun]), clear ? 1_000 : undefined);
    await world.clock.advance(MESSAGE_MS_MAX - 1_000);
    expect(raw.ended).toBeUndefined();
    await world.clock.advance(3_000);
    expect(raw.ended).toBeDefined();
    expect(alice!.module.net.refusals.of('message not finished in time')).toBe(1);
  }
});

test('a message for another node is dropped, and the link lives on', async () => {
  await using world = new World();
  const [alice] = await world.acquainted({ name: 'alice.os' });
  const raw = await rawTo(world, alice!, 'tcp', REFERENCE);
  raw.tell({ ...HI, target: { ...HI.target, node: 'bob.os' } });
  raw.tell({ ...HI, target: { ...HI.target, node: 'our' } });
  await world.clock.advance(100);
  expect([alice!.lines, raw.ended]).toEqual([['raw.os: hi'], undefined]);
});

test('N13 replayed, reordered, changed and truncated ciphertext ends the connection', async () => {
  for (const spoil of ['replay', 'reorder', 'change', 'cut'] as const) {
    await using world = new World();
    const [alice] = await world.acquainted({ name: 'alice.os' });
    const raw = await rawTo(world, alice!, 'tcp', ALL_FEATURES);
    const encoded = encodeMessage(HI, { bin: true });
    const chunk = (number: number): Buffer => {
      const head = Buffer.alloc(8);
      head.writeUInt32BE(number);
      head.writeUInt32BE(encoded.length, 4);
      return raw.session!.send.seal(Buffer.concat([head, encoded]));
    };
    const [one, two] = [chunk(0), chunk(1)];
    const changed = Buffer.from(two);
    changed[20] = changed[20]! ^ 1;
    const said = {
      replay: [one, one],
      reorder: [two, one],
      change: [one, changed],
      cut: [one, two.subarray(0, 60)],
    }[spoil];
    for (const frame of said) raw.connection.send([frame]);
    await world.clock.advance(100);
    expect(raw.ended, spoil).toBeDefined();
    expect(alice!.module.net.refusals.of('cannot be decrypted'), spoil).toBe(1);
    expect(alice!.lines.length, spoil).toBe(spoil === 'reorder' ? 0 : 1);
  }
});

test('N14 N15 F24 what a reference node cannot take is refused to its sender, at once, and the link lives on', async () => {
  await using world = new World();
  const [alice, bob] = await world.acquainted(
    { name: 'alice.os' },
    { name: 'bob.os', wire: 'reference' },
  );
  expect(await world.until(alice!.ask('bob.os', 'x'))).toBe('ack');
  const before = alice!.module.net.links.get('bob.os')!.links[0];
  // Bytes above 127 take two.
  const long = Buffer.alloc(MESSAGE_BYTES_MAX / 2, 0xff);
  expect(await world.until(alice!.ask('bob.os', long), 100)).toBe('timeout');
  expect(await world.until(alice!.ask('bob.os', Buffer.alloc(MESSAGE_BYTES_MAX)), 100)).toBe(
    'timeout',
  );
  expect(alice!.lines[0]).toMatch(/^did not send a message of 10\.0 MiB to bob\.os/);
  expect(await world.until(alice!.ask('bob.os', Buffer.alloc(10_400_000, 1)))).toBe('ack');
  expect(alice!.module.net.links.get('bob.os')!.links[0]).toBe(before);
  expect(bob!.lines.length).toBe(2);
});

test('F23 F24 a short message does not wait for a blob of 64 MiB between two hyperloom nodes', async () => {
  await using world = new World({ latencyMs: 1 });
  const [alice, bob] = await world.acquainted({ name: 'alice.os' }, { name: 'bob.os' });
  const order: string[] = [];
  for (const id of ['large:test:sys', 'small:test:sys'])
    await bob!.node.start(
      id,
      async (guest) => {
        const { body } = await guest.request();
        order.push(`${id.split(':')[0]} ${body.length}`);
      },
      { holds: [bob!.node.network()] },
    );
  await alice!.node.start(
    'sender:test:sys',
    async (guest) => {
      const bytes = new Uint8Array(64 * 1024 * 1024);
      await guest.send('bob.os@large:test:sys', {}, { blob: { mime: undefined, bytes } });
      await guest.send('bob.os@small:test:sys', { body: Buffer.alloc(64) });
    },
    { holds: [alice!.node.network()] },
  );
  for (let turns = 0; order.length < 2 && turns < 10_000; turns++) await world.clock.advance(5);
  expect(order).toEqual(['small 64', 'large 0']);
}, 60_000);

test('F24 a message of 64 B goes before all but 256 KiB of the blobs that were on their way before it', async () => {
  await using world = new World({ latencyMs: 1 });
  const [alice, bob] = await world.acquainted({ name: 'alice.os' }, { name: 'bob.os' });
  const asked = [1, 2, 3].map((index) => `large-${index}:test:sys`);
  for (const id of [...asked, 'small:test:sys'])
    await bob!.node.start(id, async (guest) => void (await guest.request()), {
      holds: [bob!.node.network()],
    });
  expect(await world.until(alice!.ask('bob.os', 'hello'))).toBe('ack');
  // Chunks of blobs that arrive at bob between the small message's sending and its arrival.
  let since: number | undefined;
  let waited: number | undefined;
  world.network.tamper = (frame, from) => {
    if (from !== world.ip(1) || since === undefined || waited !== undefined) return [frame];
    if (frame.length > 1_000) since += frame.length;
    else waited = since;
    return [frame];
  };
  await alice!.node.start(
    'sender:test:sys',
    async (guest) => {
      for (const id of asked) {
        const bytes = new Uint8Array(8 * 1024 * 1024);
        await guest.send(`bob.os@${id}`, {}, { blob: { mime: undefined, bytes } });
      }
    },
    { holds: [alice!.node.network()] },
  );
  await world.clock.advance(20);
  const { links } = alice!.module.net.links.get('bob.os')!;
  // What the socket has taken is before it, too.
  since = links[0]!.connection.bufferedBytes;
  expect(since).toBeGreaterThan(0);
  await alice!.node.start(
    'short:test:sys',
    async (guest) => guest.send('bob.os@small:test:sys', { body: Buffer.alloc(64) }),
    { holds: [alice!.node.network()] },
  );
  for (let turns = 0; waited === undefined && turns < 1_000; turns++) await world.clock.advance(5);
  expect(waited).toBeLessThanOrEqual(256 * 1024);
}, 60_000);

test.each([
  ['tcp', REFERENCE],
  ['tcp', ALL_FEATURES],
  ['ws', REFERENCE],
] as const)(
  'a peer that sends faster than its receiver reads, and heeds no sign, waits on its own side of the socket (%s %#)',
  async (kind, offered) => {
    await using world = new World();
    const [alice] = await world.acquainted({ name: 'alice.os', listen: ['tcp', 'ws'] });
    let open = (): void => undefined;
    const opened = new Promise<void>((resolve) => (open = resolve));
    let read = 0;
    await alice!.node.start(
      'slow:test:sys',
      async (guest) => {
        await opened;
        for (;;) {
          await guest.request();
          read++;
        }
      },
      { holds: [alice!.node.network()] },
    );
    const raw = await rawTo(world, alice!, kind, offered);
    const TOTAL = 150;
    const body = new Uint8Array(INBOX_BYTES_MAX / 4);
    const request = remoteRequest('raw.os@a:b:c', 'alice.os@slow:test:sys', { body });
    const encoded = encodeMessage(request, { bin: offered === ALL_FEATURES });
    for (let count = 0; count < TOTAL; count++) raw.say(encoded);
    await world.clock.advance(2_000);
    const { links } = alice!.module.net.links.get('raw.os')!;
    // 64 MiB of the mailbox, 4 MiB of the inbox, and what had begun: the rest is not read.
    expect(links[0]!.received).toBeGreaterThan(60);
    expect(links[0]!.received).toBeLessThan(75);
    const stuck = links[0]!.received;
    await world.clock.advance(500);
    expect(links[0]!.received).toBe(stuck);
    expect(raw.ended).toBeUndefined();
    open();
    for (let turns = 0; read < TOTAL && turns < 3_000; turns++) await world.clock.advance(10);
    expect(read).toBe(TOTAL);
  },
  60_000,
);

test('per peer: one that takes nothing makes those wait that talk to it, and nobody who talks to another', async () => {
  await using world = new World();
  const [alice, , carol] = await world.acquainted(
    { name: 'alice.os' },
    { name: 'bob.os' },
    { name: 'carol.os' },
  );
  for (const name of ['bob.os', 'carol.os'])
    expect(await world.until(alice!.ask(name, 'hello'))).toBe('ack');
  world.network.partition(world.ip(1), world.ip(2));
  let sent = 0;
  const ends: string[] = [];
  const fast: GuestCode = async (guest) => {
    for (;;) {
      await guest.send('bob.os@none:test:sys', { body: new Uint8Array(1024 * 1024) });
      sent++;
    }
  };
  for (const name of ['fast-1:test:sys', 'fast-2:test:sys'])
    await alice!.node.start(name, fast, { holds: [alice!.node.network()] });
  await world.clock.advance(1_000);
  // Each pair of processes may keep 16 MiB, and what is on the cable; then its sender waits.
  expect(sent).toBeGreaterThan(16);
  expect(sent).toBeLessThan(48);
  for (let index = 0; index < 8; index++)
    ends.push(await world.until(alice!.ask('carol.os', `${index}`), 200));
  expect(new Set(ends)).toEqual(new Set(['ack']));
  expect(carol!.lines.length).toBe(9);
  expect(alice!.module.net.links.waitingBytes).toBeLessThan(48 * 1024 * 1024);
}, 60_000);

test('a process that does not read slows its sender, and nobody else', async () => {
  await using world = new World();
  const [alice, bob] = await world.acquainted({ name: 'alice.os' }, { name: 'bob.os' });
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  let read = 0;
  await bob!.node.start(
    'slow:test:sys',
    async (guest) => {
      await opened;
      for (;;) {
        await guest.request();
        read++;
      }
    },
    { holds: [bob!.node.network()] },
  );
  let sent = 0;
  const TOTAL = 180;
  const body = new Uint8Array(INBOX_BYTES_MAX / 4);
  await alice!.node.start(
    'fast:test:sys',
    async (guest) => {
      for (; sent < TOTAL; sent++) await guest.send('bob.os@slow:test:sys', { body });
    },
    { holds: [alice!.node.network()] },
  );
  await world.clock.advance(2_000);
  // What a mailbox, an inbox and an outbox hold, and no more.
  expect(sent).toBeLessThan(TOTAL);
  const stuck = sent;
  await world.clock.advance(500);
  expect(sent).toBe(stuck);
  expect(bob!.module.net.links.get('alice.os')!.isConnected).toBe(true);
  open();
  for (let turns = 0; read < TOTAL && turns < 3_000; turns++) await world.clock.advance(10);
  expect(read).toBe(TOTAL);
}, 60_000);
