/** A second LevelDB with the entries of the first, as of one instant. */
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Level } from 'level';
import { errorCode } from './io-error.ts';

/** Entries read and written at a time. */
const ENTRIES_PER_BATCH = 256;

/** Replaces the folder `path` by a copy of `source`; a crash on the way leaves the old copy, or the new. */
export async function copyLevel<K>(
  source: Level<K, Uint8Array>,
  path: string,
  keyEncoding: 'utf8' | 'view',
): Promise<void> {
  const fresh = `${path}.new`;
  const old = `${path}.old`;
  await mkdir(dirname(path), { recursive: true });
  await rm(fresh, { recursive: true, force: true });
  const copy = new Level<K, Uint8Array>(fresh, { keyEncoding, valueEncoding: 'view' });
  // The iterator reads a snapshot taken here; what is written while it runs is not in the copy.
  const entries = source.iterator();
  try {
    await copy.open();
    for (;;) {
      const some = await entries.nextv(ENTRIES_PER_BATCH);
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
    if (errorCode(error) !== 'ENOENT') throw error;
  });
  await rename(fresh, path);
  await rm(old, { recursive: true, force: true });
}
