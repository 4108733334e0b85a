/** Directories and the things that move them. */
import type { Dirent, Stats } from 'node:fs';
import { lstat, mkdir, opendir, rename, rmdir, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { FileType } from '../../wit/vfs-api.ts';
import { errorCode, ioFailure } from '../shared/io-error.ts';
import { READ_DIR_ENTRIES_MAX } from './limits.ts';
import type { Place } from './place.ts';

/** Entries fetched from the host at a time. */
const DIR_BATCH = 256;

export interface Listed {
  readonly name: string;
  readonly type: FileType;
}

/** The children of a directory, in no order; links are not followed. */
export async function* listDir(disk: string, signal: AbortSignal): AsyncGenerator<Listed> {
  let count = 0;
  for await (const entry of await opendir(disk, { bufferSize: DIR_BATCH })) {
    signal.throwIfAborted();
    count += 1;
    if (count > READ_DIR_ENTRIES_MAX) throw ioFailure('EOVERFLOW');
    yield { name: entry.name, type: await listedType(disk, entry) };
  }
}

/** Follows links, so that the type is never Symlink (M35). `disk` is resolved already. */
export async function metadata(disk: string): Promise<{ type: FileType; length: number }> {
  const stats = await stat(disk);
  return { type: typeOf(stats), length: stats.size };
}

/** @throws EEXIST, ENOENT when the parent is missing */
export async function createDir({ disk, missing }: Place): Promise<void> {
  if (missing === 0) throw ioFailure('EEXIST');
  await mkdir(disk);
}

/** With parents; an existing directory is fine. */
export async function createDirAll({ disk, missing }: Place): Promise<void> {
  if (missing === 0 && !(await stat(disk)).isDirectory()) throw ioFailure('EEXIST');
  await mkdir(disk, { recursive: true });
}

/** @returns bytes that are free now */
export async function removeFile(disk: string): Promise<number> {
  const stats = await lstat(disk);
  // Some hosts say EPERM here; guests see what Linux says.
  if (stats.isDirectory()) throw ioFailure('EISDIR');
  await unlink(disk);
  return fileBytes(stats);
}

export async function removeDir(disk: string): Promise<void> {
  const stats = await lstat(disk);
  if (!stats.isDirectory()) throw ioFailure('ENOTDIR');
  await rmdir(disk);
}

/** Links below are removed, not followed. `removed` is told of bytes as they become free, also when it fails halfway. */
export async function removeDirAll(
  disk: string,
  removed: (bytes: number) => void,
  signal: AbortSignal,
): Promise<void> {
  const stats = await lstat(disk);
  if (stats.isSymbolicLink()) return unlink(disk);
  if (!stats.isDirectory()) throw ioFailure('ENOTDIR');
  await removeTree(disk, removed, signal);
}

/** A batch at a time: the host's own recursive removal held the thread for 1 s on 100,000 files. */
async function removeTree(
  disk: string,
  removed: (bytes: number) => void,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    const some = await firstEntries(disk);
    if (some.length === 0) break;
    await Promise.all(
      some
        .filter((each) => !each.isDirectory())
        .map(async (each) => {
          const path = join(disk, each.name);
          const bytes = fileBytes(await lstat(path));
          await unlink(path);
          removed(bytes);
        }),
    );
    for (const each of some)
      if (each.isDirectory()) await removeTree(join(disk, each.name), removed, signal);
  }
  await rmdir(disk);
}

/** Up to `DIR_BATCH` entries. Opened anew each time, because what a listing shows while entries go is not defined. */
async function firstEntries(disk: string): Promise<Dirent[]> {
  await using dir = await opendir(disk, { bufferSize: DIR_BATCH });
  const entries: Dirent[] = [];
  for (let entry = await dir.read(); entry !== null; entry = await dir.read()) {
    entries.push(entry);
    if (entries.length === DIR_BATCH) break;
  }
  return entries;
}

/** As rename(2): replaces a file, and an empty directory by a directory. */
export const move = (from: string, to: string): Promise<void> => rename(from, to);

/** Bytes of the file at `disk`; 0 for anything else, or nothing. */
export async function sizeAt(disk: string): Promise<number> {
  const stats = await lstat(disk).catch(ignoreMissing);
  return stats === undefined ? 0 : fileBytes(stats);
}

/** @throws EISDIR, EINVAL when it is no regular file */
export async function copiedBytes(disk: string): Promise<number> {
  const stats = await stat(disk);
  if (stats.isDirectory()) throw ioFailure('EISDIR');
  if (!stats.isFile()) throw ioFailure('EINVAL');
  return stats.size;
}

function fileBytes(stats: Stats): number {
  return stats.isFile() ? stats.size : 0;
}

function ignoreMissing(error: unknown): undefined {
  if (errorCode(error) !== 'ENOENT') throw error;
}

async function listedType(folder: string, entry: Dirent): Promise<FileType> {
  const type = typeOf(entry);
  if (type !== 'Other') return type;
  // Some file systems do not tell types in listings.
  try {
    return typeOf(await lstat(join(folder, entry.name)));
  } catch {
    return 'Other';
  }
}

function typeOf(stats: Stats | Dirent): FileType {
  if (stats.isFile()) return 'File';
  if (stats.isDirectory()) return 'Directory';
  return stats.isSymbolicLink() ? 'Symlink' : 'Other';
}
