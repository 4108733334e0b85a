/** `hyperloom restore`: a backup into a home that does not exist yet, whole or not at all. */
import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { readArchive, type Total } from './archive.ts';
import { BackupError } from './backup-error.ts';
import { syncFolder, TreeWriter } from './home-tree.ts';
import { unsealed } from './sealed.ts';

/**
 * Unpacks beside `home`, checks everything, and only then moves it into place.
 * @param check  looks at the unpacked home and rejects when it is not one a node could start on
 * @throws BackupError, and the host's errors; `home` is then as it was
 */
export async function restoreHome(
  file: string,
  home: string,
  password: string,
  check: (unpacked: string) => Promise<void> = () => Promise.resolve(),
): Promise<Total> {
  const goal = resolve(home);
  await refuseUnlessEmpty(goal);
  const unpacked = join(dirname(goal), `.${basename(goal)}.restoring-${randomUUID()}`);
  await mkdir(unpacked, { recursive: true, mode: 0o700 });
  try {
    const total = await unpack(file, unpacked, password);
    await checkMarker(unpacked);
    await check(unpacked);
    // Refuses, too, when something came to lie there meanwhile.
    await refuseUnlessEmpty(goal);
    await rename(unpacked, goal);
    await syncFolder(dirname(goal));
    return total;
  } catch (error) {
    await rm(unpacked, { recursive: true, force: true });
    throw error;
  }
}

async function unpack(file: string, into: string, password: string): Promise<Total> {
  const tree = new TreeWriter(into);
  await using handle = await openBackup(file);
  const total = await readArchive(unsealed(handle, password), (entry, content) =>
    tree.take(entry, content),
  );
  await tree.finish();
  return total;
}

async function openBackup(file: string): ReturnType<typeof open> {
  try {
    return await open(file);
  } catch (cause) {
    throw new BackupError('io', `${file} cannot be opened: ${(cause as Error).message}`, { cause });
  }
}

async function refuseUnlessEmpty(home: string): Promise<void> {
  let names: string[];
  try {
    names = await readdir(home);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw new BackupError('io', `${home} cannot be used: ${(error as Error).message}`, {
      cause: error,
    });
  }
  if (names.length > 0)
    throw new BackupError('not-empty', `${home} is not empty; restore into a new folder`);
}

/** The kernel's own layout number is looked at again when a node starts on it. */
async function checkMarker(unpacked: string): Promise<void> {
  const text = await readFile(join(unpacked, '.hyperloom'), 'utf8').catch(() => undefined);
  if (text === undefined)
    throw new BackupError('damaged', 'the backup holds no hyperloom home (it has no .hyperloom)');
}
