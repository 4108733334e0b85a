/**
 * `<home>/.keys`, the keyfile of a registered node (networking.md §13.3): replaced in one step, readable by its owner only. What it
 * replaces is kept beside it unless the new one holds the same keys: a file key that is gone takes with it what was sealed under it.
 */
import { link, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Result } from '../../wit/types.ts';
import type { Keyfile } from './keyfile.ts';
import { decodeKeyfile, encodeKeyfile } from './keyfile-format.ts';

export const KEYS_FILE = '.keys';

/** Undefined: the home has none. The error is a sentence. */
export async function readKeys(home: string): Promise<Result<Keyfile | undefined, string>> {
  const path = join(home, KEYS_FILE);
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return { ok: true, value: undefined };
    return { ok: false, error: `${path} cannot be read: ${message}` };
  }
  const keyfile = decodeKeyfile(bytes);
  return keyfile.ok
    ? keyfile
    : { ok: false, error: `${path} ${keyfile.error}. Put a copy back, or import your keyfile.` };
}

/**
 * Resolves when it is on disk.
 * @param aside  name of the copy that is kept of a keyfile with other keys; see `asideName`
 */
export async function writeKeys(home: string, keyfile: Keyfile, aside?: string): Promise<void> {
  const path = join(home, KEYS_FILE);
  const fresh = `${path}.new`;
  // Left behind by a crash, perhaps with other permissions.
  await rm(fresh, { force: true });
  const file = await open(fresh, 'wx', 0o600);
  try {
    await file.writeFile(encodeKeyfile(keyfile));
    await file.sync();
  } finally {
    await file.close();
  }
  if (aside !== undefined) {
    await link(path, join(home, aside)).catch((error: unknown) => {
      // Nothing there to keep, or kept already.
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT' && code !== 'EEXIST') throw error;
    });
  }
  await rename(fresh, path);
  const folder = await open(home);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** `.keys.replaced-20260102T030405Z`. */
export function asideName(at: Date): string {
  return `${KEYS_FILE}.replaced-${at.toISOString().replace(/[-:]|\.\d+/g, '')}`;
}
