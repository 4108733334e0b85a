/** Copies of databases while they are in use. */
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { PackageId } from '../../wit/types.ts';
import type { BackupParticipant } from '../shared/backup.ts';
import { databasesOf, packagesIn } from '../shared/database-place.ts';
import { IoFailure, ioFailure } from '../shared/io-error.ts';
import type { PackageGates } from '../shared/package-gates.ts';
import type { Outcome } from './child-slot.ts';
import type { Handles } from './handles.ts';
import { COMMIT_MS_MAX } from './limits.ts';
import { FrameWriter, Kind } from './protocol.ts';

export interface CopyNeeds {
  readonly handles: Handles;
  readonly owner: PackageId;
  readonly partial: () => string;
}

/** Replaces the file `path` by a compact copy of the database in `folder`. */
export async function replaceBackup(
  { handles, owner, partial }: CopyNeeds,
  folder: string,
  path: string,
): Promise<Outcome> {
  // Made elsewhere: beside it, any name could be another database's.
  const fresh = partial();
  await mkdir(dirname(fresh), { recursive: true });
  await mkdir(dirname(path), { recursive: true });
  const outcome = await handles.ask(folder, owner, {
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

/** The databases of a package, for a backup of the whole home; its requests wait meanwhile. */
export class SqliteBackup implements BackupParticipant {
  readonly folder = 'sqlite';
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
    const needs = { handles: this.#handles, owner: of, partial: this.#partial };
    for (const [db, folder] of await databasesOf(this.#root, of)) {
      signal.throwIfAborted();
      const outcome = await replaceBackup(needs, folder, join(into, db, `${db}.db`));
      if (outcome.kind === 'ok') continue;
      if (outcome.kind === 'io') throw ioFailure(outcome.text);
      throw new IoFailure(outcome.kind === 'sql' ? `${db}: ${outcome.text}` : `${db} is damaged`);
    }
  }
}
