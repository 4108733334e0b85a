/** Who is refused, and why (networking.md §3); connections that never say who they are. */
import { sign } from 'node:crypto';
import { expect, test } from 'vitest';
import {
  ALL_FEATURES,
  encodePayload,
  type Features,
  InitiatorHandshake,
  REFERENCE,
  ResponderHandshake,
  type Signer,
} from './handshake.ts';
import { HANDSHAKE_MS_MAX, HANDSHAKES_PER_ADDRESS_MAX } from './limits.ts';
import { generateKeyPair, NoiseXX } from './noise.ts';
import { publicKeyOf } from './pki.ts';
import { publicHex, testKey } from './testing/nodes.ts';
import { RawPeer } from './testing/raw.ts';
import { World } from './testing/world.ts';

const keyOf = (name: string): ReturnType<typeof publicKeyOf> =>
  name.startsWith('unknown') ? undefined : publicKeyOf(publicHex(testKey(name)));
const signer = (name: string, offered: Features = ALL_FEATURES): Signer => ({
  name,
  networkingKey: testKey(name),
  offered,
});

interface Outcome {
  readonly initiator: string;
  readonly responder: string;
}

/** Runs both sides; what each ended with. */
function shake(a: Signer, b: Signer, dialled = b.name, proxyRequest = false): Outcome {
  const initiator = new InitiatorHandshake(
    a,
    { name: dialled, key: keyOf(dialled)! },
    { proxyRequest },
  );
  const responder = new ResponderHandshake(b, keyOf);
  const two = responder.receive(initiator.start());
  if (!two.ok) return { initiator: 'waits', responder: two.error };
  const three = initiator.receive(two.value.reply!);
  // Nothing is said to a node that has not proved who it is.
  if (!three.ok) return { initiator: three.error, responder: 'waits' };
  const end = responder.receive(three.value.reply!);
  const { features, proxyRequest: proxy } = three.value.session!;
  const said = (peer: string, also: Features, asked: boolean): string =>
    `${peer} ${also.bin} ${also.mux} ${asked}`;
  const from = end.ok ? end.value.session : undefined;
  return {
    initiator: said(dialled, features, proxy),
    responder: end.ok ? said(from!.peer, from!.features, from!.proxyRequest) : end.error,
  };
}

test('N9 F23 only the initiator asks for routing; extensions hold when both offer them', () => {
  const [a, b] = [signer('alice.os'), signer('bob.os')];
  expect(shake(a, b, 'bob.os', true)).toEqual({
    initiator: 'bob.os true true false',
    responder: 'alice.os true true true',
  });
  expect(shake(a, signer('bob.os', REFERENCE))).toEqual({
    initiator: 'bob.os false false false',
    responder: 'alice.os false false false',
  });
  expect(shake(signer('alice.os', { bin: true, mux: false }), b).responder).toBe(
    'alice.os true false false',
  );
});

test('N6 every connection has static keys of its own', () => {
  const statics = new Set<string>();
  const watched: Signer = {
    ...signer('alice.os'),
    keyPair: () => {
      const pair = generateKeyPair();
      statics.add(Buffer.from(pair.publicBytes).toString('hex'));
      return pair;
    },
  };
  shake(watched, signer('bob.os'));
  shake(watched, signer('bob.os'));
  expect(statics.size).toBe(4);
});

test('N7 N8 a name nobody knows, somebody else, a wrong key, another version, ourselves', () => {
  const [a, b] = [signer('alice.os'), signer('bob.os')];
  const impostor = { ...a, networkingKey: testKey('mallory.os') };
  expect(shake(signer('unknown.os'), b).responder).toBe('unknown node');
  expect(shake(impostor, b).responder).toBe('signature does not verify');
  expect(shake(a, { ...b, networkingKey: testKey('mallory.os') }).initiator).toBe(
    'signature does not verify',
  );
  expect(shake(a, signer('carol.os'), 'bob.os').initiator).toBe('another node answered');
  expect(shake(signer('bob.os'), b).responder).toBe('claims to be us');
});

test('N7 what was signed for another connection, or in another version, proves nothing', () => {
  const own = generateKeyPair();
  const of = (version: number, signed: Uint8Array): string => {
    const noise = new NoiseXX('initiator', { s: own, e: generateKeyPair() });
    const responder = new ResponderHandshake(signer('bob.os'), keyOf);
    const two = responder.receive(noise.write());
    if (!two.ok) throw new Error(two.error);
    noise.read(two.value.reply!);
    const payload = {
      version,
      name: 'alice.os',
      signature: sign(null, signed, testKey('alice.os')),
      proxyRequest: false,
      offered: REFERENCE,
    };
    const end = responder.receive(noise.write(encodePayload(payload)));
    return end.ok ? end.value.session!.peer : end.error;
  };
  expect(of(1, own.publicBytes)).toBe('alice.os');
  expect(of(1, generateKeyPair().publicBytes)).toBe('signature does not verify');
  expect(of(0, own.publicBytes)).toBe('other protocol version');
  expect(of(2, own.publicBytes)).toBe('other protocol version');
});

test('N10 who connects and says nothing is gone after five seconds, and only so many may wait', async () => {
  await using world = new World();
  const [alice] = await world.acquainted({ name: 'alice.os' });
  const at = { ip: world.ip(1), port: alice!.update.ports.get('tcp')! };
  const dial = (): Promise<RawPeer> =>
    world.until(RawPeer.dial(world.transports('10.7.0.1')[0]!, at));
  const silent = await dial();
  const halfway = await dial();
  halfway.connection.send([generateKeyPair().publicBytes]);
  await world.clock.advance(HANDSHAKE_MS_MAX - 200);
  expect([silent.ended, halfway.ended]).toEqual([undefined, undefined]);
  expect(halfway.frames.length).toBe(1);
  await world.clock.advance(400);
  expect([silent.ended, halfway.ended]).not.toContain(undefined);
  expect(alice!.module.net.refusals.of('handshake took too long')).toBe(2);
  const flood = [];
  for (let index = 0; index <= HANDSHAKES_PER_ADDRESS_MAX; index++) flood.push(await dial());
  await world.clock.advance(10);
  expect(flood.filter(({ ended }) => ended !== undefined).length).toBe(1);
});

test('N10 a node that accepts and never answers is given up after five seconds', async () => {
  await using world = new World();
  const [alice] = await world.acquainted({ name: 'alice.os' });
  const mute = world.transports('10.8.0.1')[0]!;
  const { port } = await mute.listen({ ip: '10.8.0.1', port: 0 }, () => undefined);
  alice!.module.net.update({
    name: 'mute.os',
    public_key: publicHex(testKey('mute.os')),
    ips: ['10.8.0.1'],
    ports: new Map([['tcp', port]]),
    routers: [],
  });
  expect(await world.until(alice!.ask('mute.os', 'x'), HANDSHAKE_MS_MAX + 100)).toBe('offline');
  expect(world.clock.nowMs()).toBeGreaterThanOrEqual(HANDSHAKE_MS_MAX);
});
