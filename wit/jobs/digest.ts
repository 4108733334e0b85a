/** Hashes with a tag, so that a hash of one kind never stands for another (compute-market.md §0): SHA-256 and HMAC. Runs in guests. */
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 as hasher } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { sha256 } from './sha256.ts';

const utf8 = new TextEncoder();

/** SHA-256 of some bytes or of a text's UTF-8, as 64 lower-case hex digits. */
export function sha256Hex(content: Uint8Array | string): string {
  return bytesToHex(sha256(bytesOf(content)));
}

/** SHA-256 of the tag, a zero byte, and the parts one behind another. */
export function taggedHash(tag: string, ...parts: readonly Uint8Array[]): Uint8Array {
  return sha256(utf8.encode(`${tag}\0`), ...parts);
}

/** HMAC-SHA-256, 32 bytes. */
export function hmacSha256(key: Uint8Array, message: Uint8Array | string): Uint8Array {
  return hmac(hasher, key, bytesOf(message));
}

function bytesOf(content: Uint8Array | string): Uint8Array {
  return typeof content === 'string' ? utf8.encode(content) : content;
}
