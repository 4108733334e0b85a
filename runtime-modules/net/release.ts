/**
 * Memory of long buffers, given back at once. What a link seals and opens is garbage a moment later, at three times the bytes that it carries; left
 * to the collector it is looked for in the whole heap every few tens of MiB, and new memory is cold each time: a blob took twice as long.
 */

/** Up to this `Buffer` hands out parts of memory that others have parts of, too. */
const SHARED_BYTES_MAX = Buffer.poolSize >>> 1;

/** These bytes are nobody's any more: every view of them is empty from now on. Nothing happens to short ones, or parts of something. */
export function release(bytes: Uint8Array): void {
  if (bytes.length === bytes.buffer.byteLength) releaseAround(bytes);
}

/** Whether memory of these bytes is worth giving back. */
export function isLong({ length }: Uint8Array): boolean {
  return length > SHARED_BYTES_MAX;
}

/** The same, for a long part of something that nobody has another part of. */
export function releaseAround(bytes: Uint8Array): void {
  const { buffer } = bytes;
  if (isLong(bytes) && buffer instanceof ArrayBuffer) buffer.transfer(0);
}
