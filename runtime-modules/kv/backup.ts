/** Copies of databases while they are in use. */
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errorCode } from '../shared/io-error.ts';
import { copyLevel } from '../shared/level-copy.ts';
import type { Database } from './database.ts';

/** Replaces the folder `path` by a copy of the database as it is now; a crash on the way leaves the old copy, the new, or none. */
export async function replaceBackup(
  database: Database,
  path: string,
  partial: () => string,
): Promise<void> {
  // Made elsewhere: beside it, any name could be another database's.
  const [fresh, old] = [partial(), partial()];
  await mkdir(dirname(fresh), { recursive: true });
  await mkdir(dirname(path), { recursive: true });
  await database.settled();
  await copyLevel(database.store, fresh, 'view');
  await rename(path, old).catch((error: unknown) => {
    if (errorCode(error) !== 'ENOENT') throw error;
  });
  await rename(fresh, path);
  await rm(old, { recursive: true, force: true });
}
