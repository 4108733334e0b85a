/** The databases of kv or sqlite in a backup of the whole home; a package's requests wait while its databases are copied. */
import type { BackupParticipant } from './backup.ts';
import { databasesOf, packagesIn, type DatabaseFolder } from './database-place.ts';
import type { PackageGates } from './package-gates.ts';

export interface DatabaseBackupOptions {
  /** The module's folder in the home. */
  readonly folder: string;
  /** The same as a path. */
  readonly root: string;
  readonly gates: PackageGates;
  /** Puts a copy of a database into the empty or missing folder `into`. */
  readonly copy: (from: DatabaseFolder, db: string, into: string) => Promise<void>;
}

export function databaseBackup(options: DatabaseBackupOptions): BackupParticipant {
  const { folder, root, gates, copy } = options;
  return {
    folder,
    packages: () => packagesIn(root),
    hold: (of, work) => gates.hold(of, work),
    async copy(of, into, signal) {
      for (const [db, from] of await databasesOf(root, of)) {
        signal.throwIfAborted();
        await copy({ folder: from, package: of }, db, into);
      }
    },
  };
}
