/** Files that only their owner reads, whole or not there at all after a power cut. */
import { type FileHandle, open, readFile, rename, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Replaces the file; it is on disk when this resolves. */
export async function writeDurable(path: string, content: string | Uint8Array): Promise<void> {
  const fresh = `${path}.new`;
  const file = await open(fresh, 'w', 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(fresh, path);
  await syncFolder(dirname(path));
}

/** Writes all of it from there on. */
export async function writeAt(
  file: FileHandle,
  content: Uint8Array,
  position: number,
): Promise<void> {
  for (let at = 0; at < content.length;)
    at += (await file.write(content, at, content.length - at, position + at)).bytesWritten;
}

/** What is in the file; undefined when there is none. @throws Error when others may read it */
export async function readPrivate(path: string): Promise<string | undefined> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (found === undefined) return undefined;
  if (process.platform !== 'win32' && (found.mode & 0o077) !== 0) {
    throw new Error(`${path} can be read by others: chmod 600 ${path}`);
  }
  return readFile(path, 'utf8');
}

/** The names in it are on disk when this resolves. */
export async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
