/** Byte for byte as the reference: the transcripts of networking.md §18.2 to §18.4, in both roles. */
import { createPrivateKey, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { address } from '../../wit/address.ts';
import { plainResponse } from '../../wit/message.ts';
import type { KernelMessage } from '../../wit/types.ts';
import { Assembler, Cutter } from './frames.ts';
import {
  decodePayload,
  encodePayload,
  InitiatorHandshake,
  REFERENCE,
  ResponderHandshake,
  type Signer,
} from './handshake.ts';
import { CipherState, keyPairOf } from './noise.ts';
import { publicKeyOf } from './pki.ts';
import { decodeRoutingRequest, encodeRoutingRequest, isSigned } from './routing.ts';
import { decodeMessage, encodeMessage, encodeShort } from './wire.ts';

const vectors = JSON.parse(
  readFileSync(new URL('../../test/vectors/net/reference.json', import.meta.url), 'utf8'),
) as Record<string, string>;
const vector = (name: string): Uint8Array => Uint8Array.fromHex(vectors[name] ?? '');

function privateKey(byte: number, asymmetricKeyType: 'ed25519' | 'x25519'): KeyObject {
  return createPrivateKey({
    key: Buffer.alloc(32, byte),
    format: 'raw-private',
    asymmetricKeyType,
  });
}
/** First the static key, then the ephemeral one. */
function keys(...bytes: readonly number[]): Signer['keyPair'] {
  const left = [...bytes];
  return () => keyPairOf(privateKey(left.shift()!, 'x25519'));
}
const alice = (): Signer => ({
  name: 'alice.os',
  networkingKey: privateKey(1, 'ed25519'),
  offered: REFERENCE,
  keyPair: keys(0x11, 0x12),
});
const bob = (): Signer => ({
  name: 'bob.os',
  networkingKey: privateKey(2, 'ed25519'),
  offered: REFERENCE,
  keyPair: keys(0x21, 0x22),
});
const aliceKey = publicKeyOf(`0x${vectors['aliceNetKey']}`)!;
const bobKey = publicKeyOf(vectors['bobNetKey']!)!;
/** Without the 16-bit length of TCP. */
const unit = (name: string): Uint8Array => vector(name).subarray(2);

const HI: KernelMessage = {
  id: 1,
  source: address('alice.os@terminal:terminal:sys'),
  target: address('bob.os@net:distro:sys'),
  rsvp: address('alice.os@terminal:terminal:sys'),
  message: {
    kind: 'request',
    request: {
      inherit: false,
      expectsResponse: 5,
      body: Buffer.from('hello'),
      metadata: undefined,
      capabilities: [],
    },
  },
  blob: undefined,
};
const ACK: KernelMessage = {
  id: 1,
  source: HI.target,
  target: HI.source,
  rsvp: undefined,
  message: { kind: 'response', response: plainResponse(Buffer.from('ack')), context: undefined },
  blob: undefined,
};
const FULL: KernelMessage = {
  id: 0xdead_beef_cafe_baben,
  source: address('alice.os@chat:chat:a.os'),
  target: address('bob.os@chat:chat:a.os'),
  rsvp: undefined,
  message: {
    kind: 'request',
    request: {
      inherit: true,
      expectsResponse: undefined,
      body: Uint8Array.fromHex('007f80ff'),
      metadata: '{}',
      capabilities: [{ issuer: address('alice.os@chat:chat:a.os'), params: '"messaging"' }],
    },
  },
  blob: { mime: 'text/plain', bytes: new TextEncoder().encode('hi') },
  signatures: [Uint8Array.of(1, 200)],
};

test.each([
  ['hi', HI],
  ['ack', ACK],
  ['full', FULL],
])(
  'N1 N2 the kernel message "%s" encodes to the vector and back, its id exactly',
  (name, message) => {
    expect(encodeMessage(message, { bin: false }).toHex()).toBe(vectors[name]);
    const decoded = decodeMessage(vector(name))!;
    expect(decoded.id).toBe(message.id);
    expect(encodeMessage(decoded, { bin: false }).toHex()).toBe(vectors[name]);
    const other = decodeMessage(encodeMessage(message, { bin: true }))!;
    expect(encodeMessage(other, { bin: false }).toHex()).toBe(vectors[name]);
    for (const bin of [true, false])
      expect(Buffer.from(encodeShort(message, { bin })!)).toEqual(
        Buffer.from(encodeMessage(message, { bin })),
      );
  },
);

test('a message is short by its body and blob, and one with long texts leaves nothing behind', () => {
  const bytes = new Uint8Array(4_096);
  const withBlob = (blob: Uint8Array) => ({ ...HI, blob: { mime: undefined, bytes: blob } });
  expect(encodeShort(withBlob(bytes), { bin: true })).toBeUndefined();
  expect(encodeShort(withBlob(bytes.subarray(64)), { bin: true })).toBeDefined();
  const long = { ...FULL, blob: { mime: 'm'.repeat(100_000), bytes: Uint8Array.of(1) } };
  for (const message of [long, HI, long, FULL])
    expect(Buffer.from(encodeShort(message, { bin: false })!)).toEqual(
      Buffer.from(encodeMessage(message, { bin: false })),
    );
});

test('one address is one object, and more of them than are kept are read all the same', () => {
  const from = (node: string) =>
    decodeMessage(encodeMessage({ ...HI, source: address(`${node}@a:b:c`) }, { bin: true }))!
      .source;
  const first = from('first.os');
  expect(from('first.os')).toBe(first);
  for (let index = 0; index < 3_000; index++) expect(from(`${index}.os`).node).toBe(`${index}.os`);
  expect(from('first.os')).not.toBe(first);
  expect(from('first.os')).toEqual(first);
});

test('N5 N9 the handshake is the transcript in both roles, and both ciphers match', () => {
  const initiator = new InitiatorHandshake(
    alice(),
    { name: 'bob.os', key: bobKey },
    { proxyRequest: false },
  );
  const responder = new ResponderHandshake(bob(), (name) =>
    name === 'alice.os' ? aliceKey : undefined,
  );
  expect(Buffer.from(initiator.start()).toString('hex')).toBe(vectors['message1']?.slice(4));
  const two = responder.receive(unit('message1'));
  if (!two.ok) throw new Error(two.error);
  expect(Buffer.from(two.value.reply!).toString('hex')).toBe(vectors['message2']?.slice(4));
  const three = initiator.receive(unit('message2'));
  if (!three.ok) throw new Error(three.error);
  expect(Buffer.from(three.value.reply!).toString('hex')).toBe(vectors['message3']?.slice(4));
  const end = responder.receive(unit('message3'));
  if (!end.ok) throw new Error(end.error);
  const [a, b] = [three.value.session!, end.value.session!];
  expect([a.peer, b.peer, b.proxyRequest]).toEqual(['bob.os', 'alice.os', false]);
  const empty = new Uint8Array();
  expect(a.send.seal(empty)).toEqual(new CipherState(vector('c1')).seal(empty));
  expect(b.send.seal(empty)).toEqual(new CipherState(vector('c2')).seal(empty));
});

test('N1 N9 handshake payloads are the vectors; what follows their four elements is an offer or nothing', () => {
  for (const [name, who, signature] of [
    ['payload2', 'bob.os', 'signatureBob'],
    ['payload3', 'alice.os', 'signatureAlice'],
  ] as const) {
    const payload = decodePayload(vector(name))!;
    expect(payload).toEqual({
      version: 1,
      name: who,
      signature: vector(signature),
      proxyRequest: false,
      offered: REFERENCE,
    });
    expect(Buffer.from(encodePayload(payload)).toString('hex')).toBe(vectors[name]);
    const offer = encodePayload({ ...payload, offered: { bin: true, mux: true } });
    expect(decodePayload(offer)?.offered).toEqual({ bin: true, mux: true });
    // The reference's part of it is what it was.
    expect(offer.subarray(0, vector(name).length)).toEqual(vector(name));
    const rubbish = Buffer.concat([vector(name), Buffer.from([0xc1, 0xff, 0x92])]);
    expect(decodePayload(rubbish)?.offered).toEqual(REFERENCE);
  }
});

test.each([
  ['clear', 'hiTcp', 'c1', HI],
  ['sealed', 'hiWs', 'c1', HI],
  ['clear', 'ackTcp', 'c2', ACK],
] as const)(
  'N11 N13 a %s message is framed as in %s, and read again',
  (framing, name, key, message) => {
    const cutter = new Cutter([encodeMessage(message, { bin: false })], framing);
    const { plain, clearLength } = cutter.next();
    expect(cutter.done).toBe(true);
    const sealed = Buffer.concat(new CipherState(vector(key)).sealPieces(plain));
    const head = Buffer.alloc(clearLength === undefined ? 0 : 6);
    if (clearLength !== undefined) {
      head.writeUInt32BE(clearLength);
      head.writeUInt16BE(sealed.length, 4);
    }
    expect(Buffer.concat([head, sealed]).toString('hex')).toBe(vectors[name]);
    const assembler = new Assembler(framing);
    if (clearLength !== undefined) expect(assembler.length(clearLength)).toBeUndefined();
    const opened = new CipherState(vector(key)).open(vector(name).subarray(head.length))!;
    const whole = assembler.chunk(opened);
    expect(whole.ok && decodeMessage(whole.value!)).toMatchObject({
      id: 1,
      source: message.source,
    });
  },
);

test('N19 a routing request is signed over target, then router', () => {
  const request = encodeRoutingRequest(alice(), 'bob.os', 'router.os');
  expect(request.toHex()).toBe(vectors['routingRequest']);
  const decoded = decodeRoutingRequest(request)!;
  expect(decoded.signature.toHex()).toBe(vectors['routingSignature']);
  expect(isSigned(decoded, 'router.os', aliceKey)).toBe(true);
  expect(isSigned(decoded, 'other.os', aliceKey)).toBe(false);
  expect(isSigned(decoded, 'router.os', bobKey)).toBe(false);
});

test('N4 what is no address makes a message undecodable', () => {
  const good = vectors['hi']!;
  const put = (from: string, to: string): KernelMessage | undefined => {
    const hex = (text: string): string => Buffer.from(text).toString('hex');
    return decodeMessage(Uint8Array.fromHex(good.replace(hex(from), hex(to))));
  };
  expect(put('alice.os@terminal', 'alice.os_terminal')).toBeUndefined();
  expect(put('net:distro:sys', 'net:distro_sys')).toBeUndefined();
  expect(put('net:distro:sys', 'net:dis:o:sys')).toBeUndefined();
  expect(put('bob.os', 'bob.o@')).toBeUndefined();
  expect(put('bob.os', 'rob.os')).toBeDefined();
});
