/**
 * A secp256k1 key as it is on disk: AES-256-GCM under a key of its own purpose, derived from the keyfile's file key. Address and name are
 * sealed with it, so that no file can be passed off as another's. Its seal says which file key it is under: a key of another keyfile
 * is none that was tampered with.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  hkdfSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import type { Hex } from '../../contracts/hex.ts';
import { option, record, text } from '../../wit/codec.ts';
import { Secret } from '../identity/secret.ts';

export const SECRET_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const SEAL_ID_CHARS = 16;
const CIPHER = 'aes-256-gcm';
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

const file = record({
  version: text,
  /** Of the file key. */
  seal: text,
  address: text,
  name: option(text),
  /** Base64: nonce, ciphertext, tag. */
  sealed: text,
});
const VERSION = 'hyperloom-wallet/1';

/** What is known of a key without opening it. */
export interface KeyLabel {
  /** Lower case. */
  readonly address: Hex;
  readonly name: string | undefined;
}

export interface SealedKey extends KeyLabel {
  readonly seal: string;
  readonly sealed: Uint8Array;
}

/** Seals and opens; derived keys stay in here. */
export class Sealer {
  /** Tells file keys apart, and says nothing about them. */
  readonly id: string;
  readonly #key: Secret<Uint8Array>;
  readonly #mac: Secret<Uint8Array>;

  constructor(fileKey: Secret<KeyObject>) {
    const derived = (purpose: string): Uint8Array =>
      new Uint8Array(hkdfSync('sha256', fileKey.reveal(), '', `hyperloom signer ${purpose}`, 32));
    this.#key = new Secret(derived('keys'));
    this.#mac = new Secret(derived('budgets'));
    this.id = Buffer.from(derived('identity')).toString('hex').slice(0, SEAL_ID_CHARS);
  }

  seal(label: KeyLabel, secret: Uint8Array): SealedKey {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(CIPHER, this.#key.reveal(), nonce);
    cipher.setAAD(bound(label));
    const sealed = Buffer.concat([nonce, cipher.update(secret), cipher.final()]);
    return { ...label, seal: this.id, sealed: Buffer.concat([sealed, cipher.getAuthTag()]) };
  }

  /** The caller overwrites it. Undefined: not what was sealed, or under another file key. */
  open(key: SealedKey): Uint8Array | undefined {
    if (key.sealed.length !== NONCE_BYTES + SECRET_BYTES + TAG_BYTES) return undefined;
    const at = key.sealed.length - TAG_BYTES;
    try {
      const decipher = createDecipheriv(
        CIPHER,
        this.#key.reveal(),
        key.sealed.subarray(0, NONCE_BYTES),
      );
      decipher.setAAD(bound(key));
      decipher.setAuthTag(key.sealed.subarray(at));
      const secret = decipher.update(key.sealed.subarray(NONCE_BYTES, at));
      try {
        decipher.final();
        // A buffer of its own: what is sent to another thread goes with all of its memory.
        return Uint8Array.from(secret);
      } finally {
        secret.fill(0);
      }
    } catch {
      return undefined;
    }
  }

  /** Hex; by it this node knows what it wrote itself. */
  mac(bytes: Uint8Array): string {
    return createHmac('sha256', this.#mac.reveal()).update(bytes).digest('hex');
  }
}

export function encodeSealedKey({ seal, address, name, sealed }: SealedKey): Uint8Array {
  const text = Buffer.from(sealed).toString('base64');
  return file.encode({ version: VERSION, seal, address, name, sealed: text });
}

/** Undefined: no file of this version. */
export function decodeSealedKey(bytes: Uint8Array): SealedKey | undefined {
  const decoded = file.decode(bytes);
  if (!decoded.ok || decoded.value.version !== VERSION) return undefined;
  const { seal, address, name, sealed } = decoded.value;
  if (!isAddress(address) || !BASE64.test(sealed)) return undefined;
  return { seal, address, name, sealed: Buffer.from(sealed, 'base64') };
}

function isAddress(value: string): value is Hex {
  return /^0x[0-9a-f]{40}$/.test(value);
}

function bound({ address, name }: KeyLabel): Uint8Array {
  return Buffer.from(JSON.stringify([VERSION, address, name ?? null]));
}
