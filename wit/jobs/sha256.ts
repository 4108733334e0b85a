/** SHA-256 of several parts, one behind another, for trees of hashes in guests. */
import { sha256 as hashOf } from '@noble/hashes/sha2.js';
import { concatBytes } from '@noble/hashes/utils.js';

/** 32 bytes. */
export function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  return hashOf(concatBytes(...parts));
}
