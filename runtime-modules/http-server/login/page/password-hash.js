/**
 * What is sent in place of a password (networking.md §13.1); `identity/password.ts` is its twin on the node. In JavaScript, because few
 * browsers have Argon2 and none offers it over plain HTTP.
 */
import { argon2idAsync } from './noble/argon2.js';

/** `0x` and 64 hex digits. Gives the page its turn every 10 ms. */
export async function hashPassword(password, nodeName) {
  const { length } = nodeName;
  const salt = length >= 8 ? nodeName : nodeName.repeat(1 + Math.floor(8 / length));
  const key = await argon2idAsync(password, salt, { m: 19_456, t: 2, p: 1, dkLen: 32 });
  return `0x${Array.from(key, (byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}
