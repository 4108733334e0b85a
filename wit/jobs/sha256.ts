/** SHA-256, natively in guests whose engine can (`native-sha256.ts`). */
import { sha256 as interpreted } from '@noble/hashes/sha2.js';
import { concatBytes } from '@noble/hashes/utils.js';
import { nativeSha256 } from './native-sha256.ts';

/** 32 bytes: the hash of the parts, one behind another. */
export function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = parts.length === 1 ? parts[0]! : concatBytes(...parts);
  return (nativeSha256() ?? interpreted)(whole);
}
