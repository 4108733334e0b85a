/**
 * One open LevelDB. A write is answered when it is on disk: writes that come while one is being synced (135 us, findings F19) share
 * the next sync, so what was acknowledged survives kill -9 and a power cut. A Get sees every write asked for before it, and none
 * asked for after it.
 */
import { Level } from 'level';
import { storeFailure } from './failure.ts';
import {
  BATCH_BYTES_MAX,
  CACHE_BYTES,
  FILES_PER_HANDLE_MAX,
  SCAN_BYTES_MAX,
  WRITE_BUFFER_BYTES,
} from './limits.ts';

export type Store = Level<Uint8Array, Uint8Array>;

export type Operation =
  | { readonly type: 'put'; readonly key: Uint8Array; readonly value: Uint8Array }
  | { readonly type: 'del'; readonly key: Uint8Array };

export interface Page {
  readonly entries: readonly (readonly [key: Uint8Array, value: Uint8Array])[];
  /** More follows after this key. */
  readonly cursor: Uint8Array | undefined;
}

interface Waiting {
  readonly operations: readonly Operation[];
  readonly bytes: number;
  readonly done: PromiseWithResolvers<void>;
}

interface Wanted {
  readonly key: Uint8Array;
  readonly done: PromiseWithResolvers<Uint8Array | undefined>;
}

interface Pending {
  readonly waiting: Waiting;
  readonly operation: Operation;
}

export class Database {
  readonly store: Store;
  /** A write failed: LevelDB takes no more of them until it is opened again. */
  broken = false;
  #failure: Error | undefined;
  #waiting: Waiting[] = [];
  #writing: Promise<void> | undefined;
  /** The last write asked for, by key, until it is on disk. */
  readonly #pending = new Map<string, Pending>();
  /** Gets that go out at the end of this turn. */
  #wanted: Wanted[] = [];
  /** Gets under way, by key: a later write of the key waits for them. */
  readonly #reading = new Map<string, Promise<unknown>>();

  private constructor(store: Store) {
    this.store = store;
  }

  /** Opens the folder, creating it. @throws IoFailure, StoreFailure */
  static async open(path: string): Promise<Database> {
    const store: Store = new Level(path, {
      keyEncoding: 'view',
      valueEncoding: 'view',
      cacheSize: CACHE_BYTES,
      writeBufferSize: WRITE_BUFFER_BYTES,
      maxOpenFiles: FILES_PER_HANDLE_MAX,
    });
    try {
      await store.open();
    } catch (error) {
      throw storeFailure(error);
    }
    return new Database(store);
  }

  /** The value, or undefined. @throws IoFailure, StoreFailure */
  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    const name = nameOf(key);
    const write = this.#pending.get(name);
    if (write !== undefined) {
      // What a crash could still take back is shown to nobody; and not from disk, where a later write of the batch may be.
      if (await succeeds(write.waiting.done.promise)) {
        return write.operation.type === 'put' ? write.operation.value : undefined;
      }
    }
    const reading = this.#fetch(key);
    this.#reading.set(name, reading);
    try {
      return await reading;
    } catch (error) {
      throw storeFailure(error);
    } finally {
      if (this.#reading.get(name) === reading) this.#reading.delete(name);
    }
  }

  /** Applies the operations in order, all or none; resolves when they are on disk. @throws IoFailure, StoreFailure */
  write(operations: readonly Operation[]): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    let bytes = 0;
    for (const operation of operations) bytes += bytesOf(operation);
    const waiting = { operations, bytes, done: Promise.withResolvers<void>() };
    for (const operation of operations) {
      this.#pending.set(nameOf(operation.key), { waiting, operation });
    }
    this.#waiting.push(waiting);
    this.#writing ??= this.#writeAll();
    return waiting.done.promise;
  }

  /** At most `limit` entries whose keys start with `prefix` and follow `after`. */
  async scan(
    prefix: Uint8Array,
    after: Uint8Array | undefined,
    limit: number,
    signal: AbortSignal,
  ): Promise<Page> {
    await this.#writing;
    const end = successor(prefix);
    const range = {
      ...(after !== undefined && Buffer.compare(after, prefix) >= 0
        ? { gt: after }
        : { gte: prefix }),
      ...(end === undefined ? {} : { lt: end }),
    };
    const entries: (readonly [Uint8Array, Uint8Array])[] = [];
    let bytes = 0;
    const found = this.store.iterator({ ...range, limit: limit + 1, signal });
    try {
      for (;;) {
        const next = await found.next();
        if (next === undefined) return { entries, cursor: undefined };
        if (entries.length === limit || bytes > SCAN_BYTES_MAX)
          return { entries, cursor: entries.at(-1)?.[0] };
        entries.push(next);
        bytes += next[0].length + next[1].length;
      }
    } catch (error) {
      throw signal.aborted ? error : storeFailure(error);
    } finally {
      await found.close();
    }
  }

  /** Resolves when every write asked for so far has ended. */
  async settled(): Promise<void> {
    await this.#writing;
  }

  async close(): Promise<void> {
    await this.#writing;
    await this.store.close();
  }

  /** Gets of one turn of the event loop share one trip to LevelDB's threads. */
  #fetch(key: Uint8Array): Promise<Uint8Array | undefined> {
    const done = Promise.withResolvers<Uint8Array | undefined>();
    this.#wanted.push({ key, done });
    if (this.#wanted.length === 1) setImmediate(() => void this.#fetchWanted());
    return done.promise;
  }

  /** Never rejects: each get hears of it. */
  async #fetchWanted(): Promise<void> {
    const wanted = this.#wanted;
    this.#wanted = [];
    try {
      const values = await this.store.getMany(wanted.map(({ key }) => key));
      for (const [index, { done }] of wanted.entries()) done.resolve(values[index]);
    } catch (error) {
      for (const { done } of wanted) done.reject(error);
    }
  }

  /** Never rejects: each write hears of its own batch. */
  async #writeAll(): Promise<void> {
    // Requests of one turn of the event loop go out together.
    await new Promise(setImmediate);
    while (this.#waiting.length > 0) {
      const batch = this.#nextBatch();
      const operations = batch.flatMap((each) => each.operations);
      try {
        await this.#readers(operations);
        // `level` wants an array of its own to change.
        await this.store.batch([...operations], { sync: true });
        for (const each of batch) this.#finish(each);
        for (const { done } of batch) done.resolve();
      } catch (error) {
        this.broken = true;
        this.#failure = storeFailure(error);
        // The log ends in half a record now: LevelDB would take what follows, and drop it when it is opened again.
        batch.push(...this.#waiting.splice(0));
        for (const each of batch) this.#finish(each);
        for (const { done } of batch) done.reject(this.#failure);
      }
    }
    this.#writing = undefined;
  }

  async #readers(operations: readonly Operation[]): Promise<void> {
    if (this.#reading.size === 0) return;
    const reads = operations.flatMap(({ key }) => this.#reading.get(nameOf(key)) ?? []);
    await Promise.allSettled(reads);
  }

  #nextBatch(): Waiting[] {
    let bytes = 0;
    let count = 0;
    for (const each of this.#waiting) {
      bytes += each.bytes;
      if (count > 0 && bytes > BATCH_BYTES_MAX) break;
      count += 1;
    }
    return this.#waiting.splice(0, count);
  }

  #finish(waiting: Waiting): void {
    for (const { key } of waiting.operations) {
      const name = nameOf(key);
      if (this.#pending.get(name)?.waiting === waiting) this.#pending.delete(name);
    }
  }
}

/** What an operation holds of memory, in bytes. */
export function bytesOf(operation: Operation): number {
  return operation.key.length + (operation.type === 'put' ? operation.value.length : 0);
}

async function succeeds(promise: Promise<unknown>): Promise<boolean> {
  try {
    await promise;
    return true;
  } catch {
    return false;
  }
}

/** One string for each key. */
function nameOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1');
}

/** The first key after all that start with `prefix`; undefined when there is none such. */
function successor(prefix: Uint8Array): Uint8Array | undefined {
  let length = prefix.length;
  while (length > 0 && prefix[length - 1] === 0xff) length -= 1;
  if (length === 0) return undefined;
  const next = prefix.slice(0, length);
  next[length - 1] = (next[length - 1] ?? 0) + 1;
  return next;
}
