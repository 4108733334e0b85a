/** Directories and the things that move them. */
import type { Dirent, Stats } from 'node:fs';
import { copyFile, lstat, mkdir, opendir, rename, rmdir, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { FileType } from '../../wit/vfs-api.ts';
import { ioFailure } from '../shared/io-error.ts';
import { READ_DIR_ENTRIES_MAX } from './limits.ts';
import type { Place, Places } from './place.ts';
import { replaceFile } from './write.ts';

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

export async function removeFile(disk: string): Promise<void> {
  const stats = await lstat(disk);
  // Some hosts say EPERM here; guests see what Linux says.
  if (stats.isDirectory()) throw ioFailure('EISDIR');
  await unlink(disk);
}

export async function removeDir(disk: string): Promise<void> {
  const stats = await lstat(disk);
  if (!stats.isDirectory()) throw ioFailure('ENOTDIR');
  await rmdir(disk);
}

/** Links below are removed, not followed. */
export async function removeDirAll(disk: string, signal: AbortSignal): Promise<void> {
  const stats = await lstat(disk);
  if (stats.isSymbolicLink()) return unlink(disk);
  if (!stats.isDirectory()) throw ioFailure('ENOTDIR');
  await removeTree(disk, signal);
}

/** A batch at a time: the host's own recursive removal held the thread for 1 s on 100,000 files. */
async function removeTree(disk: string, signal: AbortSignal): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    const some = await firstEntries(disk);
    if (some.length === 0) break;
    await Promise.all(
      some.filter((each) => !each.isDirectory()).map((each) => unlink(join(disk, each.name))),
    );
    for (const each of some)
      if (each.isDirectory()) await removeTree(join(disk, each.name), signal);
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

/** Replaces the target in one step. @throws EISDIR, EINVAL when the source is no regular file */
export async function copy(places: Places, from: string, to: Place): Promise<void> {
  const stats = await stat(from);
  if (stats.isDirectory()) throw ioFailure('EISDIR');
  if (!stats.isFile()) throw ioFailure('EINVAL');
  await replaceFile(places, to, (partial) => copyFile(from, partial));
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
