/** What logging in needs of a node's identity. A development node's and a registered one's both fit. */
import type { KeyObject } from 'node:crypto';
import type { Secret } from './secret.ts';

export interface LoginIdentity {
  /** The node's name, such as `alice.os`. */
  readonly name: string;
  /** A made-up node: any password opens it (M164), so it takes logins from this machine only (F21). */
  readonly development: boolean;
  /** Signs session tokens (HS256). The same after a restart, so that sessions survive one. Any length (M157, F32). */
  readonly sessionSecret: Secret<KeyObject>;
  /**
   * Whether the keyfile opens with this hash, a text such as `password.ts` makes (M149, M150). Costs a key derivation, one at a time
   * and off the thread: limit how often it can be caused, before calling it (F33).
   */
  unlock(passwordHash: string): Promise<boolean>;
  /** The keyfile as it is on disk, still encrypted, JSON (networking.md §13.3). The caller owns the bytes. */
  encryptedKeyfile(): Promise<Uint8Array>;
}
