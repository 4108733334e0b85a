/**
 * API keys of the model service (compute-market.md §12.4): what clients of OpenAI's interface call a key. Only a key's hash is kept, and
 * what it may do; whoever reads the table can use none.
 */
import { bytesToHex } from '@noble/hashes/utils.js';
import { sha256 } from '../../../wit/jobs/sha256.ts';

/** Bytes of randomness in a key: 43 characters. */
const SECRET_BYTES = 32;
const KEY = /^hnk_[a-z]{2,8}_[A-Za-z0-9_-]{43}$/;
/** Characters of a key that may be shown, so that its owner knows it again. */
const SHOWN_CHARS = 8;

export interface ApiKey {
  /** SHA-256 of the whole key, hex. */
  readonly hash: string;
  /** The first characters behind `hnk_<env>_`. */
  readonly shown: string;
  /** Whose ledger it draws on. */
  readonly owner: string;
  /** Models and endpoints (`chat`, `completions`, `embeddings`) that it opens; empty: all. */
  readonly models: readonly string[];
  readonly endpoints: readonly string[];
  /** Requests and tokens a minute; 0: no limit of its own. */
  readonly rpm: number;
  readonly tpm: number;
  /** Millionths of HYPER a day (UTC); 0: what the ledger has. */
  readonly dailyBudget: bigint;
  /** The job whose vouchers pay for it; undefined: the owner's ledger. */
  readonly session: string | undefined;
  /** Milliseconds since 1970; undefined: never. */
  readonly createdAt: number;
  readonly expiresAt: number | undefined;
  readonly revokedAt: number | undefined;
}

/** A new key: shown once, to whoever asked for it. @param env such as `live` or `test` */
export function newKey(env: string, random: (bytes: Uint8Array) => Uint8Array): string {
  return `hnk_${env}_${base64url(random(new Uint8Array(SECRET_BYTES)))}`;
}

/** What is kept of a key; undefined for text that is none. */
export function keptOf(key: string): { readonly hash: string; readonly shown: string } | undefined {
  if (!KEY.test(key)) return undefined;
  const hash = bytesToHex(sha256(new TextEncoder().encode(key)));
  const secret = key.slice(key.indexOf('_', 4) + 1);
  return { hash, shown: secret.slice(0, SHOWN_CHARS) };
}

/** The key in an `Authorization` header. */
export function bearerOf(header: string | undefined): string | undefined {
  return /^Bearer +(\S+)$/i.exec(header ?? '')?.[1];
}

/** Why a key does not open this now; undefined if it does. */
export type KeyRefusal = 'revoked' | 'expired' | 'model' | 'endpoint';

/** @param now milliseconds since 1970 */
export function keyRefusal(
  key: ApiKey,
  asked: { readonly model: string; readonly endpoint: string },
  now: number,
): KeyRefusal | undefined {
  if (key.revokedAt !== undefined) return 'revoked';
  if (key.expiresAt !== undefined && now >= key.expiresAt) return 'expired';
  if (key.models.length > 0 && !key.models.includes(asked.model)) return 'model';
  if (key.endpoints.length > 0 && !key.endpoints.includes(asked.endpoint)) return 'endpoint';
  return undefined;
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

function base64url(bytes: Uint8Array): string {
  let text = '';
  let held = 0;
  let bits = 0;
  for (const byte of bytes) {
    held = (held << 8) | byte;
    bits += 8;
    while (bits >= 6) {
      bits -= 6;
      text += ALPHABET[(held >> bits) & 63];
      held &= (1 << bits) - 1;
    }
  }
  return bits === 0 ? text : text + ALPHABET[(held << (6 - bits)) & 63];
}
