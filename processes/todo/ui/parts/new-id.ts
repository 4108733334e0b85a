/** Names for pages and items. Not `crypto.randomUUID`, which browsers offer over TLS and to this machine only. */

const BYTES = 12;

export function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(BYTES));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
