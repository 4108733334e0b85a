/** Reading at the cursor of an open file, and moving it (runtime-modules.md §2.1, §2.7). */
import type { VfsAction } from '../../wit/vfs-api.ts';
import { earlyEof, ioFailure } from '../shared/io-error.ts';
import type { OpenFile } from './open-files.ts';
import { readRange, sizeOf } from './read.ts';

/** Largest offset a file can have. */
const OFFSET_MAX = 2n ** 63n - 1n;

/** From the cursor to the end. */
export async function bytesLeft(file: OpenFile): Promise<number> {
  const left = BigInt(await sizeOf(file.handle)) - file.cursor;
  return left > 0n ? Number(left) : 0;
}

/** From the cursor, which moves on: exactly `exact` bytes, or all there are. @throws IoFailure early eof */
export async function readOn(
  file: OpenFile,
  exact: bigint | undefined,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const left = await bytesLeft(file);
  // Compared with what is there before any memory is taken: `exact` may be 2^60 (M61).
  if (exact !== undefined && exact > BigInt(left)) {
    file.cursor += BigInt(left);
    throw earlyEof();
  }
  const length = exact === undefined ? left : Number(exact);
  const bytes = await readRange(file.handle, file.cursor, length, signal);
  file.cursor += BigInt(bytes.length);
  return bytes;
}

/** Where a Seek leads. @throws IoFailure EINVAL before the start and beyond what a file can have */
export async function seekTarget(
  file: OpenFile,
  seek: Extract<VfsAction, { kind: 'Seek' }>['value'],
): Promise<bigint> {
  const start =
    seek.kind === 'Start'
      ? 0n
      : seek.kind === 'Current'
        ? file.cursor
        : BigInt(await sizeOf(file.handle));
  const offset = start + BigInt(seek.value);
  if (offset < 0n || offset > OFFSET_MAX) throw ioFailure('EINVAL');
  return offset;
}
