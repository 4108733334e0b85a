/** Limits of net that no other test crosses, each at its edge and over it (docs/limits.md). */
import { expect, test } from 'vitest';
import { SUSPENDED_SENDER_S } from '../../kernel/limits.ts';
import { remoteRequest } from '../../kernel/testing.ts';
import { HELLO_CHARS_MAX } from './limits.ts';
import { helloLine } from './hello.ts';
import {
  HANDSHAKE_MS_MAX,
  HANDSHAKE_UNIT_BYTES_MAX,
  HANDSHAKES_MAX,
  HANDSHAKES_PER_ADDRESS_MAX,
  LANE_MESSAGES_MAX,
  MEETINGS_MAX,
  NAME_CHARS_MAX,
  PASSTHROUGH_IDLE_MS_MAX,
  WAITING_SENDERS_MAX,
} from './limits.ts';
import { Pki } from './pki.ts';
import { decodeRoutingRequest, encodeRoutingRequest } from './routing.ts';
import { publicHex, testKey } from './testing/nodes.ts';
import { RawPeer } from './testing/raw.ts';
import { World } from './testing/world.ts';

const indirect = (name: string) => ({
  name,
  public_key: publicHex(testKey(name)),
  ips: [],
  ports: new Map<string, number>(),
  routers: ['r.os'],
});

test('the length of a name', () => {
  const pki = new Pki();
  expect(pki.update(indirect('a'.repeat(NAME_CHARS_MAX)))).toBe('new');
  expect(pki.update(indirect('a'.repeat(NAME_CHARS_MAX + 1)))).toBe('refused');
  expect(pki.size).toBe(1);
});

test('the length of a hello that is shown', () => {
  const shown = (length: number): string => helloLine('bob.os', Buffer.alloc(length, 'x'));
  expect(shown(HELLO_CHARS_MAX)).toBe(`bob.os: ${'x'.repeat(HELLO_CHARS_MAX)}`);
  expect(shown(HELLO_CHARS_MAX + 1)).toBe(`bob.os: ${'x'.repeat(HELLO_CHARS_MAX)}…`);
});

test('the length of a routing request, whatever follows its end', () => {
  const us = { name: 'alice.os', networkingKey: testKey('alice.os') };
  const request = encodeRoutingRequest(us, 'bob.os', 'r.os');
  const padded = (length: number): Uint8Array =>
    Buffer.concat([request, Buffer.alloc(length - request.length)]);
  expect(decodeRoutingRequest(padded(HANDSHAKE_UNIT_BYTES_MAX))?.target).toBe('bob.os');
  expect(decodeRoutingRequest(padded(HANDSHAKE_UNIT_BYTES_MAX + 1))).toBeUndefined();
});

test('handshakes at once, from all addresses; afterwards there is room again', async () => {
  await using world = new World();
  const [alice] = await world.acquainted({ name: 'alice.os' });
  const at = { ip: world.ip(1), port: alice!.update.ports.get('tcp')! };
  const dial = (from: number): Promise<RawPeer> =>
    RawPeer.dial(world.transports(`10.9.0.${from}`)[0]!, at);
  const from = (count: number): number => Math.floor(count / HANDSHAKES_PER_ADDRESS_MAX);
  const dials = Array.from({ length: HANDSHAKES_MAX }, (_, count) => dial(from(count)));
  const silent = await world.until(Promise.all(dials));
  const over = await world.until(dial(200));
  await world.clock.advance(50);
  const { refusals } = alice!.module.net;
  expect(silent.filter(({ ended }) => ended !== undefined).length).toBe(0);
  expect(over.ended).toBeDefined();
  expect(refusals.of('too many handshakes at once')).toBe(1);
  await world.clock.advance(HANDSHAKE_MS_MAX);
  const later = await world.until(dial(200));
  await world.clock.advance(50);
  expect(later.ended).toBeUndefined();
}, 60_000);

test('senders that wait for room with one peer: one more fails at once, those after their time, and what was waiting with them arrives', async () => {
  await using world = new World();
  const [alice, bob] = await world.acquainted({ name: 'alice.os' }, { name: 'bob.os' });
  expect(await world.until(alice!.ask('bob.os', 'x'))).toBe('ack');
  world.network.partition(world.ip(1), world.ip(2));
  const { transport, net } = alice!.module;
  const full: Promise<void>[] = [];
  let atOnce = 0;
  const body = new Uint8Array(60_000);
  const send = (): void => {
    const sent = transport.send(remoteRequest('alice.os@a:b:c', 'bob.os@none:b:c', { body }));
    if (sent === undefined) atOnce++;
    else full.push(sent);
  };
  while (full.length === 0) send();
  expect(atOnce).toBeLessThanOrEqual(LANE_MESSAGES_MAX);
  while (full.length < WAITING_SENDERS_MAX) send();
  const before = atOnce;
  send();
  // Answered, and not kept.
  expect([full.length, atOnce]).toEqual([WAITING_SENDERS_MAX, before + 1]);
  expect(net.refusals.of('no room for a message in time')).toBe(0);
  await world.clock.advance(SUSPENDED_SENDER_S * 1_000);
  await Promise.all(full);
  expect(net.refusals.of('no room for a message in time')).toBe(WAITING_SENDERS_MAX);
  world.network.heal(world.ip(1), world.ip(2));
  expect(await world.until(alice!.ask('bob.os', 'after'))).toBe('ack');
  expect(bob!.lines.length).toBe(2);
}, 60_000);

test('nodes that we are on our way to meet', async () => {
  await using world = new World();
  const [, alice] = await world.acquainted(
    { name: 'r.os', passthroughsMax: 8 },
    { name: 'alice.os', routers: ['r.os'] },
  );
  await world.clock.advance(5_000);
  world.network.partition(world.ip(1), world.ip(2));
  const { net } = alice!.module;
  for (let count = 0; count <= MEETINGS_MAX; count++) {
    net.update(indirect(`n${count}.os`));
    expect(net.refusals.of('connection request while others are met')).toBe(0);
    net.meet('r.os', `n${count}.os`);
  }
  expect(net.refusals.of('connection request while others are met')).toBe(1);
  net.meet('r.os', 'n0.os');
  expect(net.refusals.of('connection request while others are met')).toBe(2);
  await world.clock.advance(HANDSHAKE_MS_MAX + 1_000);
  net.meet('r.os', 'n0.os');
  expect(net.refusals.of('connection request while others are met')).toBe(2);
});

test('the time that a relayed pair may be silent', async () => {
  await using world = new World();
  const [router] = await world.acquainted({ name: 'r.os', passthroughsMax: 2 });
  const { net } = router!.module;
  const at = { ip: world.ip(1), port: router!.update.ports.get('tcp')! };
  const dial = (): Promise<RawPeer> =>
    world.until(RawPeer.dial(world.transports('10.7.0.1')[0]!, at));
  for (const name of ['a.os', 'b.os']) net.update(indirect(name));
  // Somebody whom it routes for.
  const asked = await dial();
  asked.greet('a.os', router!, { proxyRequest: true });
  await world.clock.advance(50);
  const request = (name: string, target: string): Uint8Array =>
    encodeRoutingRequest({ name, networkingKey: testKey(name) }, target, 'r.os');
  const [b, a] = [await dial(), await dial()];
  b.connection.send([request('b.os', 'a.os')]);
  await world.clock.advance(50);
  a.connection.send([request('a.os', 'b.os')]);
  await world.clock.advance(50);
  expect(net.passthroughs.pairs().active.length).toBe(1);
  await world.clock.advance(PASSTHROUGH_IDLE_MS_MAX - 1_000);
  b.connection.send([Buffer.from('still here')]);
  await world.clock.advance(PASSTHROUGH_IDLE_MS_MAX - 1_000);
  expect(net.passthroughs.pairs().active.length).toBe(1);
  await world.clock.advance(2_000);
  expect(net.passthroughs.pairs().active.length).toBe(0);
  expect([a.ended, b.ended]).not.toContain(undefined);
}, 60_000);
