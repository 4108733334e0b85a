/** Files that only the node's owner can read, replaced in one step. */
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;
/** What a crash left of a file being written; nothing else is called so. */
const FRESH = '.new';
const ASIDE = '.damaged';

export async function makePrivateFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: FOLDER_MODE });
}

/** Resolves when it is on disk. Two of one path must not overlap. @throws as the file system does; what was there is there still */
export async function replacePrivateFile(path: string, bytes: Uint8Array): Promise<void> {
  const fresh = path + FRESH;
  await rm(fresh, { force: true });
  try {
    await using file = await open(fresh, 'wx', FILE_MODE);
    await file.writeFile(bytes);
    await file.sync();
  } catch (error) {
    await rm(fresh, { force: true }).catch(() => undefined);
    throw error;
  }
  await rename(fresh, path);
  await syncFolder(dirname(path));
}

/** Resolves when it is gone from the disk. */
export async function removePrivateFile(path: string): Promise<void> {
  await rm(path, { force: true });
  await syncFolder(dirname(path));
}

/** Moves a file into `.damaged` beside it. @returns where it is now */
export async function moveAside(path: string, at: Date): Promise<string> {
  const folder = join(dirname(path), ASIDE);
  await makePrivateFolder(folder);
  const kept = join(folder, `${basename(path)}.${at.toISOString().replace(/[-:]|\.\d+/g, '')}`);
  await rename(path, kept);
  return kept;
}

async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path);
  await folder.sync();
}
