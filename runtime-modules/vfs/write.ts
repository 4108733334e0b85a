/** Writing files: in place at a cursor, or as a whole so that no crash leaves half a file. */
import type { Stats } from 'node:fs';
import { constants, type FileHandle } from 'node:fs/promises';
import { access, chmod, copyFile, open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { PackageId } from '../../wit/types.ts';
import type { Book } from '../shared/accounts.ts';
import { errorCode, ioFailure } from '../shared/io-error.ts';
import { SLICE_BYTES } from './limits.ts';
import { MODE_BITS, type Place, type Places } from './place.ts';

/** All bytes at a position. */
export async function writeAt(
  handle: FileHandle,
  bytes: Uint8Array,
  position: bigint,
  signal: AbortSignal,
): Promise<void> {
  const start = Number(position);
  if (!Number.isSafeInteger(start + bytes.length)) throw ioFailure('EFBIG');
  let done = 0;
  while (done < bytes.length) {
    signal.throwIfAborted();
    const slice = Math.min(SLICE_BYTES, bytes.length - done);
    done += (await handle.write(bytes, done, slice, start + done)).bytesWritten;
  }
}

/** A file about to be written as a whole: where, whose, and how long it will be. */
export interface Replacement {
  readonly place: Place;
  readonly package: PackageId;
  readonly bytes: number;
}

/**
 * Replaces a file's content, or creates it: `fill` writes a new file, which then takes the place of the old one in one step. What is
 * acknowledged survives a kill -9. A power cut leaves the old content or the new; SyncAll is what makes the new one certain.
 * @param fill creates the file it is given, with that mode
 * @throws IoFailure EDQUOT before anything is written
 */
export async function replaceFile(
  { places, book }: { readonly places: Places; readonly book: Book },
  { place, package: pkg, bytes }: Replacement,
  fill: (partial: string, mode: number) => Promise<void>,
): Promise<void> {
  const old = place.missing === 0 ? await writableStats(place) : undefined;
  const mode = old === undefined ? places.fileMode : old.mode & MODE_BITS;
  const growth = bytes - (old?.size ?? 0);
  if (growth > 0) await book.reserve(pkg, growth);
  const partial = places.partial();
  try {
    await fill(partial, mode);
    // The process's mask took bits away that the old file had.
    if (mode !== places.fileMode) await chmod(partial, mode);
    // Else a power cut could keep the new name without the new content, and the old is gone.
    if (old !== undefined && old.size > 0) await syncData(partial);
    await moveInto(partial, place.disk);
  } catch (error) {
    await rm(partial, { force: true });
    if (growth > 0) book.add(pkg, -growth);
    throw error;
  }
  if (growth < 0) book.add(pkg, growth);
}

/** Creates a file with these bytes. */
export async function writeNew(
  disk: string,
  mode: number,
  bytes: Uint8Array,
  signal: AbortSignal,
): Promise<void> {
  await using handle = await open(disk, 'wx', mode);
  await writeAt(handle, bytes, 0n, signal);
}

/** Everything written so far to the device, and the name with it. */
export async function sync(handle: FileHandle, disk: string): Promise<void> {
  await handle.sync();
  // The folder holds the name; a file whose name is lost is lost.
  await using folder = await open(dirname(disk), constants.O_RDONLY);
  await folder.sync();
}

async function syncData(disk: string): Promise<void> {
  await using handle = await open(disk, constants.O_RDWR);
  await handle.datasync();
}

async function writableStats({ disk, stats: known }: Place): Promise<Stats> {
  const stats = known ?? (await stat(disk));
  if (stats.isDirectory()) throw ioFailure('EISDIR');
  if (!stats.isFile()) throw ioFailure('EINVAL');
  // Moving a file over this one would not ask.
  await access(disk, constants.W_OK);
  return stats;
}

async function moveInto(partial: string, disk: string): Promise<void> {
  try {
    await rename(partial, disk);
  } catch (error) {
    if (errorCode(error) !== 'EXDEV') throw error;
    // A drive mounted from elsewhere: not in one step, but the only way.
    await copyFile(partial, disk);
    await rm(partial);
  }
}
