/** Copies of databases while they are in use. */
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { DatabaseFolder } from '../shared/database-place.ts';
import { IoFailure, ioFailure } from '../shared/io-error.ts';
import type { Outcome } from './child-slot.ts';
import type { Handles } from './handles.ts';
import { COMMIT_MS_MAX } from './limits.ts';
import { FrameWriter, Kind } from './protocol.ts';

export interface CopyNeeds {
  readonly handles: Handles;
  readonly partial: () => string;
}

/** Replaces the file `path` by a compact copy of a database. */
export async function replaceBackup(
  { handles, partial }: CopyNeeds,
  from: DatabaseFolder,
  path: string,
): Promise<Outcome> {
  // Made elsewhere: beside it, any name could be another database's.
  const fresh = partial();
  await mkdir(dirname(fresh), { recursive: true });
  await mkdir(dirname(path), { recursive: true });
  const outcome = await handles.ask(from, {
    kind: Kind.backup,
    frame: (number) => new FrameWriter().u32(number).text(fresh),
    sql: undefined,
    readOnly: false,
    limitMs: COMMIT_MS_MAX,
    signal: undefined,
  });
  if (outcome.kind === 'ok') await rename(fresh, path);
  else await rm(fresh, { force: true });
  return outcome;
}

/** The same, where a failure is the end of what it was for. @throws IoFailure */
export async function copyDatabase(
  needs: CopyNeeds,
  db: string,
  from: DatabaseFolder,
  path: string,
): Promise<void> {
  const outcome = await replaceBackup(needs, from, path);
  if (outcome.kind === 'ok') return;
  if (outcome.kind === 'io') throw ioFailure(outcome.text);
  throw new IoFailure(outcome.kind === 'sql' ? `${db}: ${outcome.text}` : `${db} is damaged`);
}
