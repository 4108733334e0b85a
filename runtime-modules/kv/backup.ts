/** A second database with the entries of the first, as of one instant. */
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Level } from 'level';
import { BACKUP_ENTRIES_PER_BATCH } from './limits.ts';
import type { Store } from './database.ts';

/** Replaces the folder `path` by a copy of `store`; a crash on the way leaves the old copy, or the new. */
export async function backupTo(store: Store, path: string): Promise<void> {
  const fresh = `${path}.new`;
  const old = `${path}.old`;
  await mkdir(dirname(path), { recursive: true });
  await rm(fresh, { recursive: true, force: true });
  const copy: Store = new Level(fresh, { keyEncoding: 'view', valueEncoding: 'view' });
  // The iterator reads a snapshot taken here; what is written while it runs is not in the copy.
  const entries = store.iterator();
  try {
    await copy.open();
    for (;;) {
      const some = await entries.nextv(BACKUP_ENTRIES_PER_BATCH);
      if (some.length === 0) break;
      await copy.batch(
        some.map(([key, value]) => ({ type: 'put' as const, key, value })),
        { sync: true },
      );
    }
  } finally {
    await entries.close();
    await copy.close();
  }
  await rm(old, { recursive: true, force: true });
  await rename(path, old).catch((error: unknown) => {
    if (!(error instanceof Error) || !('code' in error) || error.code !== 'ENOENT') throw error;
  });
  await rename(fresh, path);
  await rm(old, { recursive: true, force: true });
}
