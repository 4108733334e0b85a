/** Nodes that talk to each other over real sockets of this machine (networking.md §7, §10, §11). */
import { createHash, randomBytes } from 'node:crypto';
import { afterEach, expect, test } from 'vitest';
import type { GuestCode } from '../../kernel/testing.ts';
import { encodeNetAction } from '../../wit/net-api.ts';
import { acquainted, NET, NetNode, type NetNodeOptions } from './testing/nodes.ts';

/** Around what is copied, what fills a chunk, and what shares memory. */
const LENGTHS = [
  ...[1, 250, 300, 4_000, 16_300, 16_384, 20_000, 32_700, 33_000, 43_000, 65_000, 65_519, 65_600],
  ...[87_000, 131_000, 200_000, 700_000, 1_000_000, 3_000_000],
];

function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

const open: NetNode[] = [];
afterEach(async () => {
  for (const node of open.splice(0)) await node[Symbol.asyncDispose]();
});
async function nodes(...options: readonly NetNodeOptions[]): Promise<NetNode[]> {
  const made = await acquainted(...options);
  open.push(...made);
  return made;
}

test.each(['tcp', 'ws'] as const)(
  'N38 N49 hi over %s is shown and answered with ack',
  async (kind) => {
    const [alice, bob] = await nodes(
      { name: 'alice.os', listen: [kind] },
      { name: 'bob.os', listen: [kind] },
    );
    expect(await alice!.ask('bob.os', 'hello')).toBe('ack');
    expect(await bob!.ask('alice.os', 'hello to you')).toBe('ack');
    expect(bob!.lines).toEqual(['alice.os: hello']);
    expect(alice!.lines).toEqual(['bob.os: hello to you']);
  },
);

test.each(['tcp', 'ws'] as const)(
  'nodes reach each other at IPv6 addresses over %s',
  async (kind) => {
    const [alice] = await nodes(
      { name: 'alice.os', listen: [kind], ip: '::1' },
      { name: 'bob.os', listen: [kind], ip: '::1' },
    );
    expect(await alice!.ask('bob.os', 'hello')).toBe('ack');
    const [link] = alice!.module.net.links.get('bob.os')!.links;
    expect(link!.connection.remoteIp).toBe('::1');
  },
);

test.each([
  ['reference', 'hl/1'],
  ['hl/1', 'reference'],
  ['reference', 'reference'],
  ['hl/1', 'hl/1'],
] as const)('F23 %s and %s understand each other, over either transport', async (one, two) => {
  for (const kind of ['tcp', 'ws'] as const) {
    const [alice] = await nodes(
      { name: 'alice.os', wire: one, listen: [kind] },
      { name: 'bob.os', wire: two, listen: [kind] },
    );
    expect(await alice!.ask('bob.os', 'x'.repeat(200_000))).toBe('ack');
    const [link] = alice!.module.net.links.get('bob.os')!.links;
    expect(link!.session.features.mux).toBe(one === 'hl/1' && two === 'hl/1');
  }
});

test.each([
  ['tcp', 'hl/1'],
  ['tcp', 'reference'],
  ['ws', 'hl/1'],
  ['ws', 'reference'],
] as const)(
  'F23 blobs of any length over %s, %s, arrive unchanged and stay so, many at a time',
  async (kind, wire) => {
    const [alice, bob] = await nodes(
      { name: 'alice.os', wire, listen: [kind] },
      { name: 'bob.os', wire, listen: [kind] },
    );
    const kept: { hash: string; bytes: Uint8Array }[] = [];
    const holds = [bob!.node.network()];
    const keep: GuestCode = async (guest) => {
      for (;;) {
        const delivery = await guest.receive();
        const bytes = guest.host.getBlob()?.bytes ?? new Uint8Array();
        kept.push({ hash: hashOf(bytes), bytes });
        if (delivery.kind === 'message')
          await guest.respond(hashOf(bytes), {}, guest.host.getBlob());
      }
    };
    await bob!.node.start('keep:test:sys', keep, { holds, public: true });
    const asked = LENGTHS.map(async (length, index) => {
      const bytes = randomBytes(length);
      const { promise, resolve } = Promise.withResolvers<string>();
      const hash = hashOf(bytes);
      await alice!.node.start(
        `ask-${index}:test:sys`,
        async (guest) => {
          const blob = { mime: undefined, bytes };
          const answer = await guest.sendAndAwait('bob.os@keep:test:sys', {}, blob);
          const back = hashOf(guest.host.getBlob()?.bytes ?? new Uint8Array());
          resolve(answer.ok && back === hash ? hash : `${length}: ${JSON.stringify(answer)}`);
        },
        { holds: [alice!.node.network()] },
      );
      expect(await promise).toBe(hash);
      // What was sent is the sender's still.
      expect(hashOf(bytes)).toBe(hash);
    });
    await Promise.all(asked);
    expect(kept.map(({ bytes }) => bytes.length).toSorted((a, b) => a - b)).toEqual(
      LENGTHS.toSorted((a, b) => a - b),
    );
    for (const { hash, bytes } of kept) expect(hashOf(bytes)).toBe(hash);
  },
);

test('N27 N28 F29 a name nobody knows is offline, a dead port too, and WebSocket is tried after TCP', async () => {
  const [alice, bob] = await nodes({ name: 'alice.os' }, { name: 'bob.os', listen: ['ws'] });
  expect(await alice!.ask('carol.os', 'hello')).toBe('offline');
  alice!.module.net.update({ ...bob!.update, name: 'dave.os', ports: new Map([['tcp', 1]]) });
  expect(await alice!.ask('dave.os', 'hello')).toBe('offline');
  const ports = new Map([['tcp', 1], ...bob!.update.ports]);
  alice!.module.net.update({ ...bob!.update, ports });
  expect(await alice!.ask('bob.os', 'hello')).toBe('ack');
  expect(await alice!.diagnostics()).toMatch(/ECONNREFUSED/);
});

test('N40 a process that may not message net gets a timeout, and its owner a line; one that may is answered', async () => {
  const [alice] = await nodes({ name: 'alice.os' });
  const { node } = alice!;
  const asked = Promise.withResolvers<string>();
  const allowed = Promise.withResolvers<string>();
  const ask =
    (done: (outcome: string) => void): GuestCode =>
    async (guest) => {
      const body = encodeNetAction({ kind: 'GetPeers' });
      const awaited = await guest.sendAndAwait(`alice.os@${NET}`, { body, expectsResponse: 1 });
      done(awaited.ok ? 'answered' : awaited.error.kind);
    };
  await node.start('stranger:pkg:sys', ask(asked.resolve));
  await node.start('friend:pkg:sys', ask(allowed.resolve), { holds: [NET], public: true });
  expect(await asked.promise).toBe('timeout');
  expect(await allowed.promise).toBe('answered');
  expect(alice!.lines.join()).toContain('no messaging capability for alice.os@net:distro:sys');
});
