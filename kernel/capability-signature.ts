/**
 * What a node signs for a capability, and how (kernel.md §3.3): plain Ed25519 over the MessagePack array `[issuer, params]`, the
 * params as they are written. Capabilities are signed only when they leave the node.
 */
import { createPrivateKey, createPublicKey, sign, verify, type KeyObject } from 'node:crypto';
import { formatAddress } from '../wit/address.ts';
import type { Capability } from '../wit/types.ts';

/** DER of an Ed25519 private key up to the 32 bytes of its seed (RFC 8410 §7). */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');
const utf8 = new TextEncoder();

/** The bytes that are signed. */
export function signedBytes(capability: Capability): Uint8Array {
  const issuer = messagePackString(formatAddress(capability.issuer));
  const params = messagePackString(capability.params);
  const bytes = new Uint8Array(1 + issuer.length + params.length);
  bytes[0] = 0x92;
  bytes.set(issuer, 1);
  bytes.set(params, 1 + issuer.length);
  return bytes;
}

function messagePackString(text: string): Uint8Array {
  const content = utf8.encode(text);
  const { length } = content;
  const head =
    length < 32
      ? [0xa0 | length]
      : length < 0x100
        ? [0xd9, length]
        : length < 0x1_0000
          ? [0xda, length >> 8, length & 0xff]
          : [0xdb, length >>> 24, (length >> 16) & 0xff, (length >> 8) & 0xff, length & 0xff];
  const bytes = new Uint8Array(head.length + length);
  bytes.set(head);
  bytes.set(content, head.length);
  return bytes;
}

/** The node's Ed25519 networking key, for signing and checking its own capabilities. */
export class CapabilitySigner {
  readonly #privateKey: KeyObject;
  readonly #publicKey: KeyObject;

  /** `seed`: 32 bytes; copied into a key object, never kept as given. */
  constructor(seed: Uint8Array) {
    if (seed.length !== 32) throw new Error(`an Ed25519 seed has 32 bytes, not ${seed.length}`);
    const der = Buffer.concat([PKCS8_PREFIX, seed]);
    this.#privateKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
    der.fill(0);
    this.#publicKey = createPublicKey(this.#privateKey);
  }

  /** 64 bytes. */
  sign(capability: Capability): Uint8Array {
    return sign(null, signedBytes(capability), this.#privateKey);
  }

  /** Whether this node signed exactly this capability text. */
  verifies(capability: Capability, signature: Uint8Array): boolean {
    return (
      signature.length === 64 && verify(null, signedBytes(capability), this.#publicKey, signature)
    );
  }

  /** The public key, 32 bytes. */
  publicKey(): Uint8Array {
    return this.#publicKey.export({ format: 'der', type: 'spki' }).subarray(-32);
  }
}
