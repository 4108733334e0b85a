/**
 * Who is at the other end (networking.md §2, §3): the payload that Noise messages 2 and 3 carry, its proof of identity, and the handshake
 * of either role as steps over units. Nothing here waits or knows a socket. After the four elements of the reference our payload offers
 * `["hl/1",[features]]` in the same encrypted bytes, which its decoder ignores (findings F23).
 */
import { sign, verify, type KeyObject } from 'node:crypto';
import { MessagePackReader, MessagePackWriter } from '../../wit/messagepack.ts';
import { bool, bytes, listOf, struct, text, u8 } from '../../wit/messagepack-shapes.ts';
import type { NodeId, Result } from '../../wit/types.ts';
import { HANDSHAKE_UNIT_BYTES_MAX } from './limits.ts';
import { generateKeyPair, type KeyPair, NoiseXX, type Split } from './noise.ts';

export const PROTOCOL_VERSION = 1;
const EXTENSION = 'hl/1';
const SIGNATURE_BYTES = 64;

/** What two hyperloom nodes agree on beyond the reference. `bin`: byte vectors as such. `mux`: chunks of messages interleave. */
export interface Features {
  readonly bin: boolean;
  readonly mux: boolean;
}

export const REFERENCE: Features = { bin: false, mux: false };
export const ALL_FEATURES: Features = { bin: true, mux: true };

export interface HandshakePayload {
  readonly version: number;
  readonly name: NodeId;
  readonly signature: Uint8Array;
  /** Of an initiator: please act as my router. */
  readonly proxyRequest: boolean;
  readonly offered: Features;
}

/** Who we are, to prove it. */
export interface Signer {
  readonly name: NodeId;
  readonly networkingKey: KeyObject;
  readonly offered: Features;
  /** A fresh X25519 key pair; tests give their own. */
  readonly keyPair?: (() => KeyPair) | undefined;
}

/** An authenticated connection's ciphers and terms. */
export interface Session extends Split {
  readonly peer: NodeId;
  /** Whether the peer asked us to be its router. */
  readonly proxyRequest: boolean;
  readonly features: Features;
}

export type HandshakeRefusal =
  | 'malformed handshake'
  | 'cannot be decrypted'
  | 'other protocol version'
  | 'unknown node'
  | 'signature does not verify'
  | 'another node answered'
  | 'claims to be us';

export type HandshakeStep = { readonly reply?: Uint8Array; readonly session?: Session };

/** The networking key that the name has on chain; undefined for a name nobody told us of. */
export type KeyOf = (name: NodeId) => KeyObject | undefined;

/** Only an initiator's `proxyRequest` is true (N9). */
export function encodePayload(payload: HandshakePayload): Uint8Array {
  const writer = new MessagePackWriter(256);
  writer.list(4);
  writer.u64(payload.version);
  writer.text(payload.name);
  writer.byteVector(payload.signature);
  writer.bool(payload.proxyRequest);
  const features = (['bin', 'mux'] as const).filter((name) => payload.offered[name]);
  if (features.length === 0) return writer.finish();
  writer.list(2);
  writer.text(EXTENSION);
  writer.list(features.length);
  for (const feature of features) writer.text(feature);
  return writer.finish();
}

const payloadShape = struct({ version: u8, name: text, signature: bytes, proxy: bool });
const features = listOf(text);

/** Undefined when it is none. What follows the four elements counts only if it is an offer that we understand. */
export function decodePayload(encoded: Uint8Array): HandshakePayload | undefined {
  const reader = new MessagePackReader(encoded);
  const { version, name, signature, proxy } = payloadShape(reader);
  if (reader.failed) return undefined;
  return { version, name, signature, proxyRequest: proxy, offered: decodeOffer(reader) };
}

function decodeOffer(reader: MessagePackReader): Features {
  if (reader.peek() !== 'list' || reader.list() !== 2 || reader.text() !== EXTENSION)
    return REFERENCE;
  const names = features(reader);
  return reader.failed ? REFERENCE : { bin: names.includes('bin'), mux: names.includes('mux') };
}

/** Both must offer it. */
function agreed(a: Features, b: Features): Features {
  return { bin: a.bin && b.bin, mux: a.mux && b.mux };
}

/** We dialled, and know whom. `receive` takes the one unit that answers `start`. */
export class InitiatorHandshake {
  readonly #us: Signer;
  readonly #peer: { readonly name: NodeId; readonly key: KeyObject };
  readonly #proxyRequest: boolean;
  readonly #noise: NoiseXX;
  readonly #s: KeyPair;

  constructor(
    us: Signer,
    peer: { readonly name: NodeId; readonly key: KeyObject },
    { proxyRequest }: { readonly proxyRequest: boolean },
  ) {
    this.#us = us;
    this.#peer = peer;
    this.#proxyRequest = proxyRequest;
    const keyPair = us.keyPair ?? generateKeyPair;
    this.#s = keyPair();
    this.#noise = new NoiseXX('initiator', { s: this.#s, e: keyPair() });
  }

  /** Message 1. */
  start(): Uint8Array {
    return this.#noise.write();
  }

  /** Message 2; everything is checked before there is a message 3 (N8). */
  receive(unit: Uint8Array): Result<HandshakeStep, HandshakeRefusal> {
    const read = readPayload(this.#noise, unit);
    if (!read.ok) return read;
    const payload = read.value;
    const refusal =
      payload.name === this.#peer.name
        ? proves(payload, this.#noise.remoteStatic, this.#peer.key)
        : 'another node answered';
    if (refusal !== undefined) return { ok: false, error: refusal };
    const reply = this.#noise.write(
      encodePayload(payloadOf(this.#us, this.#s, this.#proxyRequest)),
    );
    const session: Session = {
      ...this.#noise.split(),
      peer: this.#peer.name,
      proxyRequest: false,
      features: agreed(this.#us.offered, payload.offered),
    };
    return { ok: true, value: { reply, session } };
  }
}

/** Somebody dialled us. `receive` takes messages 1 and 3. */
export class ResponderHandshake {
  readonly #us: Signer;
  readonly #keyOf: KeyOf;
  readonly #noise: NoiseXX;
  readonly #s: KeyPair;
  #greeted = false;

  constructor(us: Signer, keyOf: KeyOf) {
    this.#us = us;
    this.#keyOf = keyOf;
    const keyPair = us.keyPair ?? generateKeyPair;
    this.#s = keyPair();
    this.#noise = new NoiseXX('responder', { s: this.#s, e: keyPair() });
  }

  receive(unit: Uint8Array): Result<HandshakeStep, HandshakeRefusal> {
    if (!this.#greeted) {
      this.#greeted = true;
      if (this.#noise.read(unit)?.length !== 0) return { ok: false, error: 'malformed handshake' };
      const payload = encodePayload(payloadOf(this.#us, this.#s, false));
      try {
        return { ok: true, value: { reply: this.#noise.write(payload) } };
      } catch {
        // A point of small order; see NoiseXX.read.
        return { ok: false, error: 'malformed handshake' };
      }
    }
    const read = readPayload(this.#noise, unit);
    if (!read.ok) return read;
    const payload = read.value;
    if (payload.name === this.#us.name) return { ok: false, error: 'claims to be us' };
    const key = this.#keyOf(payload.name);
    if (key === undefined) return { ok: false, error: 'unknown node' };
    const refusal = proves(payload, this.#noise.remoteStatic, key);
    if (refusal !== undefined) return { ok: false, error: refusal };
    const session: Session = {
      ...this.#noise.split(),
      peer: payload.name,
      proxyRequest: payload.proxyRequest,
      features: agreed(this.#us.offered, payload.offered),
    };
    return { ok: true, value: { session } };
  }
}

function payloadOf(us: Signer, s: KeyPair, proxyRequest: boolean): HandshakePayload {
  return {
    version: PROTOCOL_VERSION,
    name: us.name,
    // Exactly the 32 bytes of the static key, which is fresh: nothing to replay (§2).
    signature: sign(null, s.publicBytes, us.networkingKey),
    proxyRequest,
    offered: us.offered,
  };
}

function readPayload(noise: NoiseXX, unit: Uint8Array): Result<HandshakePayload, HandshakeRefusal> {
  if (unit.length > HANDSHAKE_UNIT_BYTES_MAX) return { ok: false, error: 'malformed handshake' };
  const opened = noise.read(unit);
  if (opened === undefined) return { ok: false, error: 'cannot be decrypted' };
  const payload = decodePayload(opened);
  return payload === undefined
    ? { ok: false, error: 'malformed handshake' }
    : { ok: true, value: payload };
}

function proves(
  payload: HandshakePayload,
  staticKey: Uint8Array,
  key: KeyObject,
): HandshakeRefusal | undefined {
  if (payload.version !== PROTOCOL_VERSION) return 'other protocol version';
  const holds =
    payload.signature.length === SIGNATURE_BYTES && verify(null, staticKey, key, payload.signature);
  return holds ? undefined : 'signature does not verify';
}
