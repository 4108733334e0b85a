/** The bodies of requests to a node that is being set up, and of what it answers (networking.md §14). */
import { bool, list, option, record, text, u64 } from '../../../wit/codec.ts';

export const bootInfo = record({
  password_hash: text,
  username: text,
  reset: bool,
  direct: bool,
  owner: text,
  signature: text,
  timestamp: u64,
  chain_id: u64,
  custom_routers: option(list(text)),
  custom_cache_sources: option(list(text)),
  custom_base_l2_access_providers: option(list(text)),
});

export const importInfo = record({
  password_hash: text,
  keyfile: text,
  custom_cache_sources: option(list(text)),
  custom_base_l2_access_providers: option(list(text)),
});

export const loginInfo = record({
  password_hash: text,
  subdomain: option(text),
  custom_cache_sources: option(list(text)),
  custom_base_l2_access_providers: option(list(text)),
});

/** 32 bytes of hex, as a password is sent. */
export function isPasswordHash(hash: string): boolean {
  return /^0x[0-9a-f]{64}$/i.test(hash);
}

/** The bytes of a keyfile as its owner keeps it: base64 text, however it is broken into lines; undefined for other text. */
export function keyfileBytes(base64: string): Uint8Array | undefined {
  const digits = base64.replace(/\s+/g, '');
  if (digits === '' || digits.length % 4 !== 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(digits))
    return undefined;
  return Uint8Array.from(Buffer.from(digits, 'base64'));
}
