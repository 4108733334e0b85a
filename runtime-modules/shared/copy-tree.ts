/** Copies a folder as it is, again and again: what did not change since the last time is not copied again. */
import type { BigIntStats } from 'node:fs';
import {
  constants,
  copyFile,
  lstat,
  mkdir,
  opendir,
  readlink,
  rm,
  symlink,
} from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from './io-error.ts';

/** A file changed this shortly before it was copied may change again under the same timestamp, in milliseconds. */
const FRESH_MS = 2_000;

/** What a copy holds already: identity of each source file by its relative path. */
export type Copied = Map<string, string>;

export interface CopyTreeOptions {
  /** From an earlier call for the same two folders; filled by this one. */
  readonly copied: Copied;
  readonly signal: AbortSignal;
  /** Files that go away while they are copied are left out, rather than an error: for a copy while others write. */
  readonly lenient?: boolean;
  /** Default: the clock that stamps files. */
  readonly nowMs?: () => number;
}

/**
 * Makes `into` equal to `from`: files, folders and links, as they are. Other kinds are left out. `from` may be missing.
 * @returns bytes of the files that were copied
 */
export async function copyTree(
  from: string,
  into: string,
  options: CopyTreeOptions,
): Promise<number> {
  const seen = new Set<string>();
  const bytes = await copyFolder(from, into, '', { ...options, seen });
  for (const path of options.copied.keys()) {
    if (seen.has(path)) continue;
    // What was a folder may be a file now, with nothing below it.
    await rm(join(into, path), { recursive: true, force: true }).catch(ignoreNoFolder);
    options.copied.delete(path);
  }
  return bytes;
}

function ignoreNoFolder(error: unknown): void {
  if (errorCode(error) !== 'ENOTDIR') throw error;
}

interface Walk extends CopyTreeOptions {
  readonly seen: Set<string>;
}

async function copyFolder(from: string, into: string, path: string, walk: Walk): Promise<number> {
  let bytes = 0;
  let folder;
  try {
    folder = await opendir(join(from, path), { bufferSize: 256 });
  } catch (error) {
    if (errorCode(error) === 'ENOENT' && (path === '' || walk.lenient === true)) return 0;
    throw error;
  }
  for await (const { name } of folder) {
    walk.signal.throwIfAborted();
    const below = path === '' ? name : `${path}/${name}`;
    try {
      bytes += await copyOne(from, into, below, walk);
    } catch (error) {
      if (walk.lenient !== true || errorCode(error) !== 'ENOENT') throw error;
    }
  }
  return bytes;
}

async function copyOne(from: string, into: string, path: string, walk: Walk): Promise<number> {
  const source = join(from, path);
  const target = join(into, path);
  const stats = await lstat(source, { bigint: true });
  const identity = identityOf(stats);
  const before = walk.copied.get(path);
  if (before !== undefined && kindOf(before) !== kindOf(identity))
    await rm(target, { recursive: true, force: true });
  walk.seen.add(path);
  if (stats.isDirectory()) {
    await mkdir(target, { recursive: true, mode: Number(stats.mode & 0o777n) | 0o700 });
    walk.copied.set(path, identity);
    return copyFolder(from, into, path, walk);
  }
  if (before === identity) return 0;
  walk.copied.delete(path);
  if (stats.isSymbolicLink()) {
    await rm(target, { force: true });
    await symlink(await readlink(source), target);
  } else if (stats.isFile()) {
    await copyFile(source, target, constants.COPYFILE_FICLONE);
  } else return 0;
  // Kept for the sweep of what is gone; a fresh file is copied again in any case.
  const isFresh = (walk.nowMs?.() ?? Date.now()) - Number(stats.ctimeMs) < FRESH_MS;
  walk.copied.set(path, isFresh ? `${kindOf(identity)} fresh` : identity);
  return stats.isFile() ? Number(stats.size) : 0;
}

function identityOf(stats: BigIntStats): string {
  const kind = stats.isDirectory()
    ? 'd'
    : stats.isSymbolicLink()
      ? 'l'
      : stats.isFile()
        ? 'f'
        : 'o';
  return `${kind} ${stats.ino} ${stats.size} ${stats.mtimeNs} ${stats.ctimeNs}`;
}

const kindOf = (identity: string): string => identity[0] ?? '';
