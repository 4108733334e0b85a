/** Nodes that talk to each other over real sockets of this machine (networking.md §7, §10, §11). */
import { afterEach, expect, test } from 'vitest';
import type { GuestCode } from '../../kernel/testing.ts';
import { encodeNetAction } from '../../wit/net-api.ts';
import { acquainted, NET, NetNode, type NetNodeOptions } from './testing/nodes.ts';

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
