/** Writing files: in place at a cursor, or as a whole so that no crash leaves half a file. */
import { constants, type FileHandle } from 'node:fs/promises';
import { access, chmod, copyFile, open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
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

/**
 * Replaces a file's content, or creates it: `fill` writes a new file, which then takes the place of the old one in one step. What is
 * acknowledged survives a kill -9; SyncAll is what makes it survive a power cut.
 * @param fill creates the file it is given, with that mode
 */
export async function replaceFile(
  places: Places,
  place: Place,
  fill: (partial: string, mode: number) => Promise<void>,
): Promise<void> {
  const mode = place.missing === 0 ? await writableMode(place.disk) : places.fileMode;
  const partial = places.partial();
  try {
    await fill(partial, mode);
    // The process's mask took bits away that the old file had.
    if (mode !== places.fileMode) await chmod(partial, mode);
    await moveInto(partial, place.disk);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
}

/** `replaceFile` with bytes at hand. */
export function writeWhole(
  places: Places,
  place: Place,
  bytes: Uint8Array,
  signal: AbortSignal,
): Promise<void> {
  return replaceFile(places, place, (partial, mode) => writeNew(partial, mode, bytes, signal));
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

async function writableMode(disk: string): Promise<number> {
  const stats = await stat(disk);
  if (stats.isDirectory()) throw ioFailure('EISDIR');
  if (!stats.isFile()) throw ioFailure('EINVAL');
  // Moving a file over this one would not ask.
  await access(disk, constants.W_OK);
  return stats.mode & MODE_BITS;
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
