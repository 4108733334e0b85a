/**
 * Memory of long buffers, given back at once. What a link seals and opens is garbage a moment later, at three times the bytes that it carries; left
 * to the collector it is looked for in the whole heap every few tens of MiB, and new memory is cold each time: a blob took twice as long.
 */

/** Shorter ones are copied, or share memory with others. */
const RELEASED_BYTES_MIN = 16_384;

/** These bytes are nobody's any more: every view of them is empty from now on. Nothing happens when they share their memory. */
export function release(bytes: Uint8Array): void {
  const { buffer, length } = bytes;
  if (length < RELEASED_BYTES_MIN || length !== buffer.byteLength) return;
  if (buffer instanceof ArrayBuffer) buffer.transfer(0);
}
