/** Copies of databases while they are in use. */
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { PackageId } from '../../wit/types.ts';
import type { BackupParticipant } from '../shared/backup.ts';
import { databasesOf, packagesIn } from '../shared/database-place.ts';
import { errorCode } from '../shared/io-error.ts';
import { copyLevel } from '../shared/level-copy.ts';
import type { PackageGates } from '../shared/package-gates.ts';
import type { Database } from './database.ts';
import type { Handles } from './handles.ts';

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

/** The databases of a package, for a backup of the whole home; its requests wait meanwhile. */
export class KvBackup implements BackupParticipant {
  readonly folder = 'kv';
  readonly #root: string;
  readonly #gates: PackageGates;
  readonly #handles: Handles;
  readonly #partial: () => string;

  constructor(root: string, gates: PackageGates, handles: Handles, partial: () => string) {
    this.#root = root;
    this.#gates = gates;
    this.#handles = handles;
    this.#partial = partial;
  }

  packages(): Promise<readonly PackageId[]> {
    return packagesIn(this.#root);
  }

  hold<T>(of: PackageId, work: () => Promise<T>): Promise<T> {
    return this.#gates.hold(of, work);
  }

  async copy(of: PackageId, into: string, signal: AbortSignal): Promise<void> {
    for (const [db, folder] of await databasesOf(this.#root, of)) {
      signal.throwIfAborted();
      await this.#handles.use(folder, (database) =>
        replaceBackup(database, join(into, db), this.#partial),
      );
    }
  }
}
