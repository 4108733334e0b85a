/** Reading files without holding the kernel's thread. */
import { fstatSync } from 'node:fs';
import { constants, open, type FileHandle } from 'node:fs/promises';
import { ioFailure } from '../shared/io-error.ts';
import { READ_BYTES_MAX, SLICE_BYTES } from './limits.ts';

/** Links are resolved before; one that appears in between is not followed. A pipe must not block the pool. */
export const SAFE_FLAGS = (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

export interface Opened {
  readonly handle: FileHandle;
  /** Bytes it had then. */
  readonly size: number;
}

/** Opens a regular file. @throws EISDIR for a directory, EINVAL for anything else */
export async function openFile(disk: string, flags: number): Promise<Opened> {
  const handle = await open(disk, flags | SAFE_FLAGS, 0o666);
  try {
    // Of an open file the host knows this without asking the disk; a trip to the pool of threads costs ten times as much.
    const stats = fstatSync(handle.fd);
    if (stats.isDirectory()) throw ioFailure('EISDIR');
    if (!stats.isFile()) throw ioFailure('EINVAL');
    return { handle, size: stats.size };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

export async function sizeOf(handle: FileHandle): Promise<number> {
  return (await handle.stat()).size;
}

/** `length` bytes from `start`, fewer when the file ends before. The caller owns them. @throws EFBIG above `READ_BYTES_MAX` */
export async function readRange(
  handle: FileHandle,
  start: bigint,
  length: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  if (length > READ_BYTES_MAX) throw ioFailure('EFBIG');
  // Not zeroed: filling 256 MiB would hold the thread, and only what was read is handed out.
  const buffer = Buffer.allocUnsafeSlow(length);
  let filled = 0;
  while (filled < length) {
    signal.throwIfAborted();
    const slice = Math.min(SLICE_BYTES, length - filled);
    const { bytesRead } = await handle.read(buffer, filled, slice, start + BigInt(filled));
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return new Uint8Array(buffer.buffer, buffer.byteOffset, filled);
}
