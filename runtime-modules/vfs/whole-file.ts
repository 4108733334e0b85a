/**
 * Reading a file as a whole, opened for that alone. Two trips to the pool of threads: it is opened where it should be and looked at
 * afterwards, and nobody waits for it to close.
 */
import { close, constants, fstatSync, open, read } from 'node:fs';
import { ioFailure } from '../shared/io-error.ts';
import { READ_BYTES_MAX, SLICE_BYTES } from './limits.ts';
import type { Places } from './place.ts';
import { SAFE_FLAGS } from './read.ts';

/** The content. The caller owns it. @throws as the file system does; EISDIR, EINVAL for what is no file; EFBIG for too much */
export async function readWhole(
  places: Places,
  segments: readonly string[],
  signal: AbortSignal,
): Promise<Uint8Array> {
  const descriptor = (await openUnlinked(places, segments)) ?? (await openLinked(places, segments));
  try {
    return await content(descriptor, signal);
  } finally {
    forget(descriptor);
  }
}

/** Undefined: it is not there, or behind a link. */
async function openUnlinked(
  places: Places,
  segments: readonly string[],
): Promise<number | undefined> {
  const path = places.unlinked(segments);
  const descriptor = path === undefined ? undefined : await opened(path).catch(() => undefined);
  if (path === undefined || descriptor === undefined) return undefined;
  if (places.isAt(descriptor, path)) return descriptor;
  forget(descriptor);
  return undefined;
}

async function openLinked(places: Places, segments: readonly string[]): Promise<number> {
  const descriptor = await opened(await places.findExisting(segments));
  try {
    places.assertOpened(descriptor, segments);
    return descriptor;
  } catch (error) {
    forget(descriptor);
    throw error;
  }
}

async function content(descriptor: number, signal: AbortSignal): Promise<Uint8Array> {
  // Of an open file the host knows this without asking the disk.
  const stats = fstatSync(descriptor);
  if (stats.isDirectory()) throw ioFailure('EISDIR');
  if (!stats.isFile()) throw ioFailure('EINVAL');
  if (stats.size > READ_BYTES_MAX) throw ioFailure('EFBIG');
  // Not zeroed: filling 256 MiB would hold the thread, and only what was read is handed out.
  const buffer = Buffer.allocUnsafeSlow(stats.size);
  let filled = 0;
  while (filled < buffer.length) {
    signal.throwIfAborted();
    const slice = Math.min(SLICE_BYTES, buffer.length - filled);
    const got = await readSlice(descriptor, buffer, filled, slice);
    if (got === 0) break;
    filled += got;
  }
  return new Uint8Array(buffer.buffer, buffer.byteOffset, filled);
}

function opened(path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    open(path, constants.O_RDONLY | SAFE_FLAGS, (error, descriptor) =>
      error === null ? resolve(descriptor) : reject(error),
    );
  });
}

function readSlice(
  descriptor: number,
  buffer: Buffer,
  at: number,
  length: number,
): Promise<number> {
  return new Promise((resolve, reject) => {
    read(descriptor, buffer, at, length, at, (error, bytes) =>
      error === null ? resolve(bytes) : reject(error),
    );
  });
}

/** It was only read: what could go wrong with closing it concerns nobody. */
function forget(descriptor: number): void {
  close(descriptor, () => undefined);
}
