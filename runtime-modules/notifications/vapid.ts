/** The keys by which push services know this node, and the tokens it shows them (RFC 8292; ES256 of RFC 7518). */
import { createECDH, createPrivateKey, sign, type KeyObject } from 'node:crypto';
import { record, text } from '../../wit/codec.ts';
import type { Result } from '../../wit/types.ts';
import { TOKEN_S } from './limits.ts';

const CURVE = 'prime256v1';

/** As the reference stores them (§11): base64url, the private key as 32 bytes. */
const storedKeys = record({ public_key: text, private_key: text });

/** Whom a push service may write to about us. */
const CONTACT = 'mailto:admin@hyperware.ai';

export class VapidKeys {
  /** Base64url without padding of the uncompressed point: 87 characters. */
  readonly publicKey: string;
  readonly #private: KeyObject;
  readonly #stored: Uint8Array;

  private constructor(publicKey: Uint8Array, privateKey: Uint8Array) {
    this.publicKey = base64url(publicKey);
    this.#private = createPrivateKey({
      format: 'jwk',
      key: {
        kty: 'EC',
        crv: 'P-256',
        x: base64url(publicKey.subarray(1, 33)),
        y: base64url(publicKey.subarray(33)),
        d: base64url(privateKey),
      },
    });
    this.#stored = storedKeys.encode({
      public_key: this.publicKey,
      private_key: base64url(privateKey),
    });
  }

  static generate(): VapidKeys {
    const key = createECDH(CURVE);
    key.generateKeys();
    return new VapidKeys(key.getPublicKey(), padded(key.getPrivateKey()));
  }

  /** From what `stored` gave; an error says what is wrong, without the key. */
  static read(bytes: Uint8Array): Result<VapidKeys, string> {
    const decoded = storedKeys.decode(bytes);
    if (!decoded.ok) return { ok: false, error: 'the stored keys cannot be read' };
    const privateKey = Buffer.from(decoded.value.private_key, 'base64url');
    try {
      const key = createECDH(CURVE);
      key.setPrivateKey(privateKey);
      if (base64url(key.getPublicKey()) === decoded.value.public_key)
        return { ok: true, value: new VapidKeys(key.getPublicKey(), padded(privateKey)) };
    } catch {
      // Not a private key: the same answer.
    }
    return { ok: false, error: 'the stored keys are damaged' };
  }

  /** For the store. A secret. */
  stored(): Uint8Array {
    return this.#stored;
  }

  /**
   * The value of the Authorization field for a push service.
   * @param endpoint of the subscription
   * @param nowS seconds since 1970
   */
  authorization(endpoint: URL, nowS: number): string {
    const header = { typ: 'JWT', alg: 'ES256' };
    const claims = { aud: endpoint.origin, exp: Math.floor(nowS) + TOKEN_S, sub: CONTACT };
    const signed = [header, claims]
      .map((part) => base64url(Buffer.from(JSON.stringify(part))))
      .join('.');
    const signature = sign('sha256', Buffer.from(signed), {
      key: this.#private,
      dsaEncoding: 'ieee-p1363',
    });
    return `vapid t=${signed}.${base64url(signature)}, k=${this.publicKey}`;
  }

  toJSON(): string {
    return 'VapidKeys';
  }
}

function base64url(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url');
}

/** Small numbers come out shorter. */
function padded(privateKey: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.alloc(32 - privateKey.length), privateKey]);
}
