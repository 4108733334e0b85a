/** `hyperloom backup`: a home into one encrypted file, while its node runs or not. */
import { lstat, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join, resolve, sep } from 'node:path';
import { HomeError, openHome } from '../identity/home.ts';
import { ArchiveWriter, type Total } from './archive.ts';
import { BackupError } from './backup-error.ts';
import { connectControl, CONTROL } from './control.ts';
import { addTree, syncFolder } from './home-tree.ts';
import { SealedWriter, type SealOptions } from './sealed.ts';
import { STAGING } from './staging.ts';

/** Of one machine and moment, or made again by itself. */
const LEFT_OUT: ReadonlySet<string> = new Set(['.lock', CONTROL, STAGING, 'cache']);

/** Where modules keep databases that were found damaged, within their folder. */
const ASIDE = '.damaged';

export interface Saved extends Total {
  /** Whether a node was running on the home. */
  readonly running: boolean;
  /** Paths that are no file, folder or link. */
  readonly leftOut: readonly string[];
}

/**
 * Writes `file`, which must not exist, in one step. A home that no node uses is locked meanwhile.
 * @throws BackupError, HomeError, and the host's errors
 */
export async function saveHome(
  home: string,
  file: string,
  password: string,
  options: SealOptions = {},
): Promise<Saved> {
  await checkPlaces(home, file);
  const partial = `${file}.partial`;
  // What an earlier try left; nobody else's, or its name would be odd.
  await rm(partial, { force: true });
  try {
    await using handle = await open(partial, 'wx', 0o600);
    const sealed = await SealedWriter.start(handle, password, options);
    const writer = new ArchiveWriter(sealed);
    const leftOut: string[] = [];
    const running = await addHome(writer, home, (path) => leftOut.push(path));
    const total = await writer.finish();
    await sealed.finish();
    await rename(partial, file);
    await syncFolder(dirname(file));
    return { ...total, running, leftOut };
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
}

async function checkPlaces(home: string, file: string): Promise<void> {
  const names = await readdir(home).catch((cause: unknown) => {
    throw new BackupError('not-a-home', `${home} cannot be read, so there is nothing to back up`, {
      cause,
    });
  });
  if (!names.includes('.hyperloom'))
    throw new BackupError('not-a-home', `${home} is no hyperloom home (it has no .hyperloom)`);
  if (resolve(file).startsWith(resolve(home) + sep))
    throw new BackupError('exists', `${file} lies in the home itself; choose a place outside it`);
  if (await exists(file))
    throw new BackupError('exists', `${file} exists already; choose another name, or delete it`);
}

async function addHome(
  writer: ArchiveWriter,
  home: string,
  leftOut: (path: string) => void,
): Promise<boolean> {
  const locked = await lockUnlessRunning(home);
  if (locked !== undefined) {
    await using _lock = locked;
    await addTree(writer, home, '', { skip: (name) => LEFT_OUT.has(name), leftOut });
    return false;
  }
  await using node = await connectControl(home);
  const parts = new Set(node.folders);
  for (const path of parts) await writer.add({ kind: 'folder', path, mode: 0o700 });
  for await (const { prefix, folder } of node.parts()) {
    if (prefix.includes('/')) await writer.add({ kind: 'folder', path: prefix, mode: 0o755 });
    await addTree(writer, folder, prefix, { leftOut });
  }
  // What was found damaged and moved aside stays as it is.
  for (const folder of parts) {
    const skip = (name: string): boolean => name !== ASIDE;
    if (await exists(join(home, folder)))
      await addTree(writer, join(home, folder), folder, { skip, leftOut, lenient: true });
  }
  // The rest is small, and each of its files is replaced as a whole or only grows.
  const skip = (name: string): boolean => LEFT_OUT.has(name) || parts.has(name);
  await addTree(writer, home, '', { skip, leftOut, lenient: true });
  return true;
}

const exists = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => true,
    () => false,
  );

async function lockUnlessRunning(home: string): Promise<AsyncDisposable | undefined> {
  try {
    return await openHome(home);
  } catch (error) {
    if (error instanceof HomeError && error.code === 'in-use') return undefined;
    throw error;
  }
}

/** The password in a file: its first line. @throws BackupError */
export async function passwordFrom(path: string): Promise<string> {
  let text: string;
  try {
    await using handle = await open(path);
    text = await handle.readFile('utf8');
  } catch (cause) {
    throw new BackupError('no-password', `${path} cannot be read: ${(cause as Error).message}`, {
      cause,
    });
  }
  const password = text.split(/\r?\n/, 1)[0] ?? '';
  if (password === '') throw new BackupError('no-password', `${path} holds no password`);
  return password;
}
