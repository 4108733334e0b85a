/**
 * The kernel's store on LevelDB (findings F19; kernel.md §5.3, §6). Every commit is part of one synced batch and resolves when that
 * batch is on disk: a kill -9 or a power cut at any instant loses nothing that was acknowledged. Commits that arrive while a batch
 * is being written are merged into the next one.
 *
 *   open -> ready -> closed          a failed write rejects its commits and is tried again with the next
 *            ready -> broken -> ready          after a failed write LevelDB's log ends in half a record, and what it would append to
 *                                              that, it would drop at its next start: it is opened anew first, once there is room
 */
import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Level } from 'level';
import type { ProcessId } from '../../wit/types.ts';
import type { KernelStore, StoreChange, StoredProcess } from '../../kernel/store.ts';
import { copyLevel } from '../shared/level-copy.ts';
import {
  capabilityRow,
  capabilityRowKey,
  entryRow,
  processKey,
  rowDigest,
  seal,
  stateKey,
  SUMMARY_KEY,
  summaryRow,
  unseal,
} from './rows.ts';
import { addTo, scanAll, xor, type Database, type Scan } from './scan.ts';
import { StoreError } from './store-error.ts';

export { StoreError } from './store-error.ts';

/** A database that did not hold what was written: where it is now, and what was wrong. Must be shown to the owner. */
export interface DamageNotice {
  readonly movedTo: string;
  readonly reason: string;
}

/** Room that opening a database takes: its log, at most 4 MiB, becomes a table, and there is a new manifest. */
const PROBE_BYTES = 6 * 1024 * 1024;

export interface OpenedStore {
  readonly store: LevelStore;
  /** Set when a damaged database was moved aside and `store` starts empty. */
  readonly damage: DamageNotice | undefined;
}

export interface LevelStoreOptions {
  /** What to do with a damaged database; 'refuse' rejects with `StoreError` 'damaged'. Default 'move-aside'. */
  readonly onDamage?: 'move-aside' | 'refuse';
  /** For the name of a database moved aside. Default: now. */
  readonly nowMs?: () => number;
}

/**
 * Opens `<home>/kernel`, creating it. @throws StoreError 'locked' when another node holds it, 'unreadable' when the host refuses.
 */
export async function openLevelStore(
  path: string,
  options: LevelStoreOptions = {},
): Promise<OpenedStore> {
  try {
    return { store: await LevelStore.open(path), damage: undefined };
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== 'damaged') throw error;
    if (options.onDamage === 'refuse') throw error;
    const stamp = new Date(options.nowMs?.() ?? Date.now()).toISOString().replaceAll(':', '-');
    const movedTo = `${path}.damaged-${stamp}`;
    await rename(path, movedTo);
    const damage = { movedTo, reason: error.message };
    return { store: await LevelStore.open(path), damage };
  }
}

/** One row as LevelDB takes it. */
type Operation =
  | { readonly type: 'put'; readonly key: string; readonly value: Uint8Array }
  | { readonly type: 'del'; readonly key: string };

interface Waiting {
  readonly operations: readonly Operation[];
  readonly done: PromiseWithResolvers<void>;
}

export class LevelStore implements KernelStore {
  #db: Database;
  readonly #path: string;
  /** Digest of every row on disk or on its way there, by key. */
  readonly #digests: Map<string, Buffer>;
  /** Rows of capabilities by holder, so that a process can be deleted without a scan. */
  readonly #capabilities: Map<ProcessId, Set<string>>;
  readonly #summary: Buffer;
  /** State rows accepted but not on disk yet; undefined: deleted. `readState` looks here first. */
  readonly #overlay = new Map<string, Uint8Array | undefined>();
  /** What `open` read, for the first `load`. */
  #loaded: readonly StoredProcess[] | undefined;
  /** Rows of batches that failed, by key. They go out with the next batch, so that the disk catches up with the indexes. */
  readonly #owed = new Map<string, Operation>();
  /** A write failed since the database was opened. */
  #broken = false;
  /** While it is opened anew; readers wait. */
  #reopening: Promise<void> | undefined;
  #waiting: Waiting[] = [];
  #writing: Promise<void> | undefined;
  #closed = false;

  private constructor(db: Database, path: string, scan: Scan) {
    this.#db = db;
    this.#path = path;
    this.#digests = scan.digests;
    this.#capabilities = scan.rows;
    this.#summary = scan.summary;
    this.#loaded = scan.processes;
  }

  /** Use `openLevelStore`. @throws StoreError */
  static async open(path: string): Promise<LevelStore> {
    const db = await openDatabase(path);
    try {
      return new LevelStore(db, path, await scanAll(db));
    } catch (error) {
      await db.close();
      if (error instanceof StoreError) throw error;
      throw new StoreError('damaged', `${path} cannot be read: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }

  async load(): Promise<readonly StoredProcess[]> {
    const loaded = this.#loaded;
    this.#loaded = undefined;
    if (loaded !== undefined) return loaded;
    await this.#writing;
    return (await scanAll(this.#db)).processes;
  }

  async readState(id: ProcessId): Promise<Uint8Array | undefined> {
    const key = stateKey(id);
    if (!this.#digests.has(key)) return undefined;
    const row = this.#overlay.get(key) ?? (await this.#read(key, id));
    const content = row === undefined ? undefined : unseal(key, row);
    if (content !== undefined) return content;
    // Deleted while it was read, or the database misses a row it was given.
    if (!this.#digests.has(key)) return undefined;
    throw new StoreError(
      'damaged',
      `the state of ${id} is damaged; restart the node to have it checked`,
    );
  }

  async commit(changes: readonly StoreChange[]): Promise<void> {
    if (this.#closed) throw new StoreError('closed', 'the store is closed');
    if (changes.length === 0) return this.#writing;
    this.#loaded = undefined;
    const operations: Operation[] = [];
    for (const change of changes) this.#decide(change, operations);
    const done = Promise.withResolvers<void>();
    this.#waiting.push({ operations, done });
    this.#writing ??= this.#writeAll();
    return done.promise;
  }

  /** Replaces `<home>/kernel/backup` by a copy of everything committed before the call. */
  backup(): Promise<void> {
    return this.copyTo(`${this.#path}/backup`);
  }

  /** Replaces the folder `path` by a copy of everything committed before the call. */
  async copyTo(path: string): Promise<void> {
    await this.#writing;
    await copyLevel(this.#db, path, 'utf8');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#writing;
    await this.#db.close();
  }

  async #read(key: string, id: ProcessId): Promise<Uint8Array | undefined> {
    await this.#reopening?.catch(() => undefined);
    try {
      return await this.#db.get(key);
    } catch (error) {
      throw new StoreError('damaged', `the state of ${id} cannot be read: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }

  /** Turns a change into rows and keeps the indexes in step; synchronous, so that order is call order. */
  #decide(change: StoreChange, out: Operation[]): void {
    switch (change.kind) {
      case 'put-process':
        return this.#put(processKey(change.id), entryRow.encode(change.entry), out);
      case 'delete-process':
        this.#delete(processKey(change.id), out);
        for (const key of this.#capabilities.get(change.id) ?? []) this.#delete(key, out);
        this.#capabilities.delete(change.id);
        return;
      case 'put-capability': {
        const key = capabilityRowKey(change.holder, change.key);
        addTo(this.#capabilities, change.holder, key);
        const { holder, capability } = change;
        return this.#put(key, capabilityRow.encode({ holder, capability }), out);
      }
      case 'delete-capability': {
        const key = capabilityRowKey(change.holder, change.key);
        this.#capabilities.get(change.holder)?.delete(key);
        return this.#delete(key, out);
      }
      case 'put-state':
        return this.#put(stateKey(change.id), change.bytes, out);
      case 'delete-state':
        return this.#delete(stateKey(change.id), out);
      default:
        change satisfies never;
    }
  }

  #put(key: string, content: Uint8Array, out: Operation[]): void {
    const value = seal(key, content);
    this.#replaceDigest(key, rowDigest(key, value));
    if (key.startsWith('s!')) this.#overlay.set(key, value);
    out.push({ type: 'put', key, value });
  }

  #delete(key: string, out: Operation[]): void {
    this.#replaceDigest(key, undefined);
    if (key.startsWith('s!')) this.#overlay.set(key, undefined);
    out.push({ type: 'del', key });
  }

  #replaceDigest(key: string, digest: Buffer | undefined): void {
    const before = this.#digests.get(key);
    if (before !== undefined) xor(this.#summary, before);
    if (digest === undefined) this.#digests.delete(key);
    else {
      xor(this.#summary, digest);
      this.#digests.set(key, digest);
    }
  }

  /** Writes batch after batch until nothing waits. Never rejects: each commit hears of its own batch. */
  async #writeAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      const operations = [...this.#owed.values(), ...batch.flatMap((each) => each.operations)];
      const rows = this.#digests.size;
      const summary = summaryRow.encode({ rows, digest: this.#summary.toString('hex') });
      try {
        if (this.#broken) await (this.#reopening = this.#reopen(operations));
        await this.#db.batch(
          [...operations, { type: 'put', key: SUMMARY_KEY, value: seal(SUMMARY_KEY, summary) }],
          { sync: true },
        );
        this.#owed.clear();
        this.#forgetOverlay(operations);
        for (const { done } of batch) done.resolve();
      } catch (error) {
        this.#broken = true;
        for (const operation of operations) this.#owed.set(operation.key, operation);
        const failure = new StoreError('write-failed', `writing failed: ${messageOf(error)}`, {
          cause: error,
        });
        for (const { done } of batch) done.reject(failure);
      }
    }
    this.#writing = undefined;
  }

  /** @throws when there is no room yet; the database stays as it is, for reading */
  async #reopen(operations: readonly Operation[]): Promise<void> {
    await probe(this.#path, operations);
    await this.#db.close();
    this.#db = await openDatabase(this.#path);
    this.#broken = false;
  }

  /** What is on disk needs no overlay, unless a later commit wrote the same row again. */
  #forgetOverlay(operations: readonly Operation[]): void {
    for (const operation of operations) {
      const written = operation.type === 'put' ? operation.value : undefined;
      const { key } = operation;
      if (this.#overlay.has(key) && this.#overlay.get(key) === written) this.#overlay.delete(key);
    }
  }
}

async function openDatabase(path: string): Promise<Database> {
  const db: Database = new Level(path, { keyEncoding: 'utf8', valueEncoding: 'view' });
  try {
    await db.open();
    return db;
  } catch (error) {
    throw openError(path, error);
  }
}

/** Writes as much as opening and then the operations will; a database that is closed and cannot be opened is of no use to readers. */
async function probe(path: string, operations: readonly Operation[]): Promise<void> {
  const file = join(path, 'probe.tmp');
  let bytes = PROBE_BYTES;
  for (const each of operations) bytes += each.type === 'put' ? each.value.length : 0;
  try {
    await writeFile(file, Buffer.alloc(bytes, 1), { flush: true });
  } finally {
    await rm(file, { force: true });
  }
}

function openError(path: string, error: unknown): StoreError {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  const options = { cause: error };
  if (code === 'LEVEL_LOCKED')
    return new StoreError(
      'locked',
      `${path} is in use: another node runs on this home. Stop it first.`,
      options,
    );
  const message = messageOf(cause);
  if (code === 'LEVEL_CORRUPTION' || /does not exist|missing files|corrupt|CURRENT/i.test(message))
    return new StoreError('damaged', `${path} is damaged: ${message}`, options);
  return new StoreError('unreadable', `${path} cannot be opened: ${message}`, options);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
