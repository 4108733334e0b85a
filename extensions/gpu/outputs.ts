/**
 * Takes what a program left in its output folder (compute-market.md §9.2): regular files with one name each, nothing behind a link, no
 * more than the spec allows; hashed while they are copied, so that nothing that still runs can change them afterwards.
 */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, lstat, open, opendir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { OutputFile } from '../../wit/jobs/result.ts';
import { clashingPath, matchesPattern, pathProblem } from '../../wit/jobs/paths.ts';
import type { JobSpec } from '../../wit/jobs/spec.ts';
import type { JobFolder } from './job-folder.ts';

/** Files of one result, whatever a spec asks for. */
export const OUTPUT_FILES_MAX = 20_000;
/** Files of a result whose spec names no number. */
const FILES_DEFAULT = 1_000;
/** Entries looked at, folders among them, and how deep they may be. */
const ENTRIES_MAX = 200_000;
const DEPTH_MAX = 64;
const COPY_BYTES = 1024 * 1024;

/** The outputs are none that can be taken; it is the program's doing. */
export class OutputRefused extends Error {
  override readonly name = 'OutputRefused';
}

/** @param left  whether there may be any. @throws OutputRefused; I/O errors; the signal's reason */
export async function collectOutputs(
  folder: JobFolder,
  spec: JobSpec,
  signal: AbortSignal,
  left = true,
): Promise<readonly OutputFile[]> {
  const { paths: patterns = ['**'], required = [], maxFiles = FILES_DEFAULT } = spec.outputs ?? {};
  const filesMax = Math.min(maxFiles, OUTPUT_FILES_MAX);
  const found = left ? await filesBelow(folder.outputs, signal) : [];
  const wanted = found.filter((path) => matchesPattern(path, patterns) || required.includes(path));
  if (wanted.length > filesMax)
    throw new OutputRefused(`${wanted.length} files, and the job may leave ${filesMax}`);
  const clash = clashingPath(wanted);
  if (clash !== undefined) throw new OutputRefused(`two files are called ${shown(clash)}`);
  if (wanted.length > 0) await folder.createFor('artifacts');
  let bytesLeft = spec.limits.outMiB * 1024 * 1024;
  const files: OutputFile[] = [];
  for (const path of wanted.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))) {
    const file = await take(folder, path, bytesLeft, signal);
    bytesLeft -= file.size;
    files.push(file);
  }
  const missing = required.find((path) => !files.some((file) => file.path === path));
  if (missing !== undefined) throw new OutputRefused(`there is no ${shown(missing)}`);
  return files;
}

async function filesBelow(root: string, signal: AbortSignal): Promise<readonly string[]> {
  const files: string[] = [];
  const folders: { readonly path: string; readonly depth: number }[] = [{ path: '', depth: 0 }];
  let entries = 0;
  for (const { path: folder, depth } of folders) {
    signal.throwIfAborted();
    for await (const { name } of await opendir(join(root, folder))) {
      const path = folder === '' ? name : `${folder}/${name}`;
      if ((entries += 1) > ENTRIES_MAX) throw new OutputRefused('too many files and folders');
      const problem = pathProblem(path);
      if (problem !== undefined) throw new OutputRefused(`a path ${shown(path)} ${problem}`);
      const found = await lstat(join(root, path));
      if (found.isDirectory()) {
        if (depth >= DEPTH_MAX) throw new OutputRefused(`${shown(path)} is too deep`);
        folders.push({ path, depth: depth + 1 });
      } else if (!found.isFile()) {
        throw new OutputRefused(`${shown(path)} is no regular file`);
      } else if (found.nlink > 1) {
        throw new OutputRefused(`${shown(path)} has more than one name`);
      } else files.push(path);
    }
  }
  return files;
}

async function take(
  folder: JobFolder,
  path: string,
  bytesMax: number,
  signal: AbortSignal,
): Promise<OutputFile> {
  const source = join(folder.outputs, path);
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const file = await open(source, flags).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ELOOP') throw error;
    throw new OutputRefused(`${shown(path)} is a link`);
  });
  await using opened = file;
  const stats = await opened.stat();
  if (!stats.isFile() || stats.nlink > 1)
    throw new OutputRefused(`${shown(path)} is no regular file`);
  const part = folder.artifact('part');
  await using target = await open(part, 'w', 0o600);
  const { size, sha256 } = await copy(opened, target, { path, bytesMax, signal });
  await rename(part, folder.artifact(sha256));
  return { path, size, sha256 };
}

async function copy(
  from: FileHandle,
  to: FileHandle,
  { path, bytesMax, signal }: { path: string; bytesMax: number; signal: AbortSignal },
): Promise<{ readonly size: number; readonly sha256: string }> {
  const hash = createHash('sha256');
  const buffer = Buffer.allocUnsafe(COPY_BYTES);
  let size = 0;
  for (;;) {
    signal.throwIfAborted();
    const { bytesRead } = await from.read(buffer, 0, COPY_BYTES, size);
    if (bytesRead === 0) break;
    size += bytesRead;
    if (size > bytesMax)
      throw new OutputRefused(`with ${shown(path)} the outputs are larger than the job may leave`);
    const part = buffer.subarray(0, bytesRead);
    hash.update(part);
    await to.write(part);
  }
  return { size, sha256: hash.digest('hex') };
}

/** A name that the program chose, for people. */
function shown(path: string): string {
  return JSON.stringify(path.slice(0, 120));
}
