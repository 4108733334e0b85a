/** The Noise handshake against the vectors of networking.md §18.3 and the public ones of the pattern, and against an oracle. */
import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { x25519 } from '@noble/curves/ed25519.js';
import { blake2s } from '@noble/hashes/blake2.js';
import { hkdf } from '@noble/hashes/hkdf.js';
import { expect, test } from 'vitest';
import {
  CipherState,
  DH_BYTES,
  generateKeyPair,
  keyPairOf,
  NoiseXX,
  type KeyPair,
} from './noise.ts';

const hex = (text: string): Uint8Array => Uint8Array.fromHex(text);
function pairOf(privateHex: string): KeyPair {
  return keyPairOf(
    createPrivateKey({
      key: Buffer.from(privateHex, 'hex'),
      format: 'raw-private',
      asymmetricKeyType: 'x25519',
    }),
  );
}
const INITIATOR = { s: pairOf('11'.repeat(32)), e: pairOf('12'.repeat(32)) };
const RESPONDER = { s: pairOf('21'.repeat(32)), e: pairOf('22'.repeat(32)) };

test('F25 key pairs are those of an independent implementation', () => {
  for (const [pair, seed] of [
    [INITIATOR.s, '11'],
    [RESPONDER.e, '22'],
  ] as const)
    expect(pair.publicBytes.toHex()).toBe(x25519.getPublicKey(hex(seed.repeat(32))).toHex());
});

interface PublicVector {
  readonly init_prologue: string;
  readonly init_static: string;
  readonly init_ephemeral: string;
  readonly resp_static: string;
  readonly resp_ephemeral: string;
  readonly messages: readonly { readonly payload: string; readonly ciphertext: string }[];
}
const published = JSON.parse(
  readFileSync(new URL('../../test/vectors/net/noise-xx.json', import.meta.url), 'utf8'),
) as PublicVector[];

test.each(published)(
  'N5 the published vector with prologue $init_prologue, both roles',
  (vector) => {
    const prologue = hex(vector.init_prologue);
    const a = new NoiseXX('initiator', {
      s: pairOf(vector.init_static),
      e: pairOf(vector.init_ephemeral),
      prologue,
    });
    const b = new NoiseXX('responder', {
      s: pairOf(vector.resp_static),
      e: pairOf(vector.resp_ephemeral),
      prologue,
    });
    for (const [index, { payload, ciphertext }] of vector.messages.slice(0, 3).entries()) {
      const [from, to] = index % 2 === 0 ? [a, b] : [b, a];
      expect(Buffer.from(from.write(hex(payload))).toString('hex')).toBe(ciphertext);
      expect(Buffer.from(to.read(hex(ciphertext))!).toString('hex')).toBe(payload);
    }
    const [left, right] = [a.split(), b.split()];
    for (const [index, { payload, ciphertext }] of vector.messages.slice(3).entries()) {
      const [from, to] = index % 2 === 0 ? [right, left] : [left, right];
      expect(from.send.seal(hex(payload)).toString('hex')).toBe(ciphertext);
      expect(to.receive.open(hex(ciphertext))?.toString('hex')).toBe(payload);
    }
  },
);

test('N5 messages, payloads and both ciphers agree, and a hash of an independent implementation agrees too', () => {
  const a = new NoiseXX('initiator', INITIATOR);
  const b = new NoiseXX('responder', RESPONDER);
  const one = a.write();
  expect(one.toHex()).toBe(INITIATOR.e.publicBytes.toHex());
  expect(b.read(one)?.length).toBe(0);
  const two = b.write(Buffer.from('from b'));
  expect(Buffer.from(a.read(two)!).toString()).toBe('from b');
  expect(a.remoteStatic).toEqual(RESPONDER.s.publicBytes);
  const three = a.write(Buffer.from('from a'));
  expect(Buffer.from(b.read(three)!).toString()).toBe('from a');
  const [left, right] = [a.split(), b.split()];
  for (let index = 0; index < 3; index++) {
    const sealed = left.send.seal(Buffer.from(`message ${index}`));
    expect(right.receive.open(sealed)?.toString()).toBe(`message ${index}`);
    expect(left.receive.open(right.send.seal(Buffer.of(index)))).toEqual(Buffer.of(index));
  }
  // The chaining key after `ee`, derived with the oracle's primitives, opens the responder's static key.
  const protocol = blake2s(Buffer.from('Noise_XX_25519_ChaChaPoly_BLAKE2s'));
  const shared = x25519.getSharedSecret(hex('12'.repeat(32)), RESPONDER.e.publicBytes);
  const key = hkdf(blake2s, shared, protocol, undefined, 64).subarray(32);
  let hash = blake2s(protocol);
  for (const mixed of [INITIATOR.e.publicBytes, new Uint8Array(), RESPONDER.e.publicBytes])
    hash = blake2s(Buffer.concat([hash, mixed]));
  const opened = new CipherState(key).open(two.subarray(DH_BYTES, DH_BYTES + 48), hash);
  expect(opened).toEqual(RESPONDER.s.publicBytes);
});

test('truncated, lengthened, changed and reflected messages are refused, whatever the byte', () => {
  const fresh = (): [NoiseXX, NoiseXX, Uint8Array] => {
    const a = new NoiseXX('initiator', INITIATOR);
    const b = new NoiseXX('responder', RESPONDER);
    b.read(a.write());
    return [a, b, b.write(Buffer.from('payload'))];
  };
  const [, , message] = fresh();
  for (let at = 0; at < message.length; at += 7) {
    const [a] = fresh();
    const changed = Uint8Array.from(message);
    changed[at] = (changed[at] ?? 0) ^ 1;
    expect(a.read(changed), `byte ${at}`).toBeUndefined();
    const [other] = fresh();
    expect(other.read(message.subarray(0, at)), `cut at ${at}`).toBeUndefined();
  }
  const [a] = fresh();
  expect(a.read(Buffer.concat([message, Buffer.of(0)]))).toBeUndefined();
  const [mirror] = fresh();
  expect(mirror.read(INITIATOR.e.publicBytes)).toBeUndefined();
});

test('points of small order are refused', () => {
  const low = [
    '00'.repeat(32),
    `01${'00'.repeat(31)}`,
    'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  ];
  for (const point of low) {
    const b = new NoiseXX('responder', RESPONDER);
    b.read(hex(point));
    expect(() => b.write()).toThrow();
  }
});

test('a handshake out of turn is a bug, not an answer', () => {
  const a = new NoiseXX('initiator', { s: generateKeyPair(), e: generateKeyPair() });
  expect(() => a.read(new Uint8Array(96))).toThrow(/cannot read/);
  const b = new NoiseXX('responder', { s: generateKeyPair(), e: generateKeyPair() });
  expect(() => b.split()).toThrow(/before its end/);
});

test('a replayed, dropped or reordered ciphertext does not open', () => {
  const key = Buffer.alloc(32, 7);
  const [out, back] = [new CipherState(key), new CipherState(key)];
  const sealed = [1, 2, 3].map((byte) => out.seal(Buffer.of(byte)));
  expect(back.open(sealed[0]!)).toEqual(Buffer.of(1));
  expect(back.open(sealed[0]!)).toBeUndefined();
  expect(new CipherState(key).open(sealed[1]!)).toBeUndefined();
  expect(new CipherState(key).open(Buffer.alloc(15))).toBeUndefined();
});
