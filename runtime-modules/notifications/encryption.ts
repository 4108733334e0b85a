/** The body of a push message, readable by one browser only (RFC 8291, content encoding aes128gcm of RFC 8188). Pure. */
import { createCipheriv, createECDH, ECDH, hkdfSync } from 'node:crypto';
import type { Result } from '../../wit/types.ts';

/** A browser's keys, as bytes. */
export interface BrowserKeys {
  /** Uncompressed P-256 point, 65 bytes. */
  readonly publicKey: Uint8Array;
  /** 16 bytes. */
  readonly secret: Uint8Array;
}

/** What must be fresh for every message. */
export interface Fresh {
  readonly ephemeral: ECDH;
  /** 16 bytes. */
  readonly salt: Uint8Array;
}

const CURVE = 'prime256v1';
const POINT_BYTES = 65;
const SECRET_BYTES = 16;
const RECORD_BYTES = 4096;
/** After the plaintext of the last record (RFC 8188 §2). */
const LAST_RECORD = 2;

/** The base64url texts of a subscription; an error says which is wrong. */
export function parseBrowserKeys(p256dh: string, auth: string): Result<BrowserKeys, string> {
  const publicKey = Buffer.from(p256dh, 'base64url');
  const secret = Buffer.from(auth, 'base64url');
  if (!isPoint(publicKey)) return { ok: false, error: 'p256dh is no P-256 point of 65 bytes' };
  if (secret.length !== SECRET_BYTES) return { ok: false, error: 'auth is not 16 bytes' };
  return { ok: true, value: { publicKey, secret } };
}

/** A key pair for one message. */
export function ephemeralKey(): ECDH {
  const key = createECDH(CURVE);
  key.generateKeys();
  return key;
}

/** @param plaintext at most PAYLOAD_BYTES_MAX: one record */
export function encryptPush(
  plaintext: Uint8Array,
  browser: BrowserKeys,
  { ephemeral, salt }: Fresh,
): Uint8Array {
  const ownPublic = ephemeral.getPublicKey();
  const shared = ephemeral.computeSecret(browser.publicKey);
  const info = Buffer.concat([Buffer.from('WebPush: info\0'), browser.publicKey, ownPublic]);
  const keyMaterial = derive(shared, { salt: browser.secret, info, length: 32 });
  const contentKey = derive(keyMaterial, {
    salt,
    info: Buffer.from('Content-Encoding: aes128gcm\0'),
    length: 16,
  });
  const nonce = derive(keyMaterial, {
    salt,
    info: Buffer.from('Content-Encoding: nonce\0'),
    length: 12,
  });
  const cipher = createCipheriv('aes-128-gcm', contentKey, nonce);
  const recordSize = Buffer.alloc(4);
  recordSize.writeUInt32BE(RECORD_BYTES);
  return Buffer.concat([
    salt,
    recordSize,
    Buffer.from([ownPublic.length]),
    ownPublic,
    cipher.update(plaintext),
    cipher.update(Buffer.from([LAST_RECORD])),
    cipher.final(),
    cipher.getAuthTag(),
  ]);
}

function derive(
  key: Uint8Array,
  {
    salt,
    info,
    length,
  }: { readonly salt: Uint8Array; readonly info: Uint8Array; readonly length: number },
): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', key, salt, info, length));
}

function isPoint(bytes: Uint8Array): boolean {
  if (bytes.length !== POINT_BYTES || bytes[0] !== 4) return false;
  try {
    // Refuses what is not on the curve.
    ECDH.convertKey(bytes, CURVE);
    return true;
  } catch {
    return false;
  }
}
