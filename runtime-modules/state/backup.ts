/** A second database with the rows of the first, as of one instant. */
import { rename, rm } from 'node:fs/promises';
import { Level } from 'level';
import type { Database } from './scan.ts';

/** Rows per batch of the copy. */
const ROWS_PER_BATCH = 256;

/** Replaces the folder `path` by a copy of `db`; a crash on the way leaves the old copy, or the new. */
export async function backupTo(db: Database, path: string): Promise<void> {
  const fresh = `${path}.new`;
  const old = `${path}.old`;
  await rm(fresh, { recursive: true, force: true });
  const copy: Database = new Level(fresh, { keyEncoding: 'utf8', valueEncoding: 'view' });
  // The iterator reads a snapshot taken here; commits made while it runs are not in the copy.
  const rows = db.iterator();
  try {
    await copy.open();
    for (;;) {
      const some = await rows.nextv(ROWS_PER_BATCH);
      if (some.length === 0) break;
      await copy.batch(
        some.map(([key, value]) => ({ type: 'put' as const, key, value })),
        { sync: true },
      );
    }
  } finally {
    await rows.close();
    await copy.close();
  }
  await rm(old, { recursive: true, force: true });
  await rename(path, old).catch(ignoreMissing);
  await rename(fresh, path);
  await rm(old, { recursive: true, force: true });
}

function ignoreMissing(error: unknown): void {
  if (!(error instanceof Error) || !('code' in error) || error.code !== 'ENOENT') throw error;
}
