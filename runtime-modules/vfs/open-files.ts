/**
 * Open handles and cursors: one of each per path for the whole node (runtime-modules.md §2.7). Handles are a cache, cursors are what
 * guests see. A handle that is dropped while in use closes when its user is done.
 */
import type { FileHandle } from 'node:fs/promises';
import type { PackageId } from '../../wit/types.ts';
import type { HandleBudget } from '../shared/handle-slots.ts';
import { CURSORS_MAX, HANDLES_DEFAULT, HANDLES_MAX } from './limits.ts';

/** An open file during one operation. */
export interface OpenFile {
  readonly handle: FileHandle;
  /** Bytes from the start; may lie past the end. */
  cursor: bigint;
}

interface Entry extends OpenFile {
  users: number;
  dropped: boolean;
}

export class OpenFiles {
  readonly #entries = new Map<string, Entry>();
  /** Of files that are not open, and not 0. */
  readonly #cursors = new Map<string, bigint>();
  readonly #closing = new Set<Promise<void>>();
  readonly #onLimitHit: () => void;
  readonly #budget: HandleBudget | undefined;
  #limit = HANDLES_DEFAULT;
  /** Changes when a tree of paths got another meaning; a handle opened across that moment is not kept. */
  #generation = 0;

  constructor(onLimitHit: () => void, budget?: HandleBudget) {
    this.#onLimitHit = onLimitHit;
    this.#budget = budget;
  }

  get openCount(): number {
    return this.#entries.size;
  }

  /** Handles to keep at most. When more are open, the surplus closes and counts as a hit. */
  setLimit(limit: number): void {
    this.#limit = Math.min(HANDLES_MAX, Math.max(1, limit));
    // Not when just as many are open: two modules would take each other's descriptors for ever.
    if (this.#entries.size <= this.#limit) return;
    this.#onLimitHit();
    this.#evict(this.#entries.size - this.#limit);
  }

  /**
   * Runs `work` on the file at `path`, opening it if need be. Calls for equal paths must not overlap.
   * `path` is the normalised text of a path.
   */
  async use<T>(
    path: string,
    open: () => Promise<FileHandle>,
    work: (file: OpenFile) => Promise<T>,
  ): Promise<T> {
    const entry = await this.#acquire(path, open);
    try {
      return await work(entry);
    } finally {
      entry.users -= 1;
      if (entry.dropped && entry.users === 0) this.#close(entry);
    }
  }

  /** Forgets handle and cursor: the next use starts at 0. */
  reset(path: string): void {
    this.#drop(path);
    this.#cursors.delete(path);
  }

  /** The file at `path` is another one now; the cursor stays. */
  replaced(path: string): void {
    const cursor = this.#entries.get(path)?.cursor;
    this.#drop(path);
    if (cursor !== undefined) this.#remember(path, cursor);
  }

  /** Forgets everything at and below `path`. Call it after moving or removing a tree. */
  resetTree(path: string): void {
    this.#generation += 1;
    const below = `${path}/`;
    for (const each of [...this.#entries.keys(), ...this.#cursors.keys()])
      if (each === path || each.startsWith(below)) this.reset(each);
  }

  /** Closes everything that is not in use and waits for it. */
  async close(): Promise<void> {
    for (const path of this.#entries.keys()) this.#drop(path);
    await Promise.all(this.#closing);
  }

  async #acquire(path: string, open: () => Promise<FileHandle>): Promise<Entry> {
    for (;;) {
      const known = this.#entries.get(path);
      if (known !== undefined) {
        // Moved to the end: entries are in order of last use.
        this.#entries.delete(path);
        this.#entries.set(path, known);
        known.users += 1;
        return known;
      }
      if (this.#entries.size >= this.#limit) {
        this.#onLimitHit();
        this.#evict(Math.max(1, Math.ceil(this.#entries.size / 2)));
      }
      this.#makeRoom(packageAt(path));
      const generation = this.#generation;
      const handle = await open();
      const entry = { handle, cursor: this.#cursors.get(path) ?? 0n, users: 1, dropped: false };
      if (generation !== this.#generation) {
        this.#close(entry);
        continue;
      }
      this.#cursors.delete(path);
      this.#entries.set(path, entry);
      this.#budget?.addHandles(packageAt(path), 1);
      return entry;
    }
  }

  /** A package at its quota loses the handle it used longest ago, so that it cannot push out those of others. */
  #makeRoom(pkg: PackageId): void {
    const budget = this.#budget;
    if (budget === undefined || budget.handles(pkg) < budget.quota(pkg).handles) return;
    this.#evict(1, pkg);
  }

  /** Closes the `count` least recently used handles that nobody uses, and remembers their cursors. */
  #evict(count: number, only?: PackageId): void {
    let left = count;
    for (const [path, entry] of this.#entries) {
      if (left <= 0) return;
      if (entry.users > 0 || (only !== undefined && packageAt(path) !== only)) continue;
      this.#drop(path);
      this.#remember(path, entry.cursor);
      left -= 1;
    }
  }

  #remember(path: string, cursor: bigint): void {
    if (cursor === 0n) return;
    this.#cursors.delete(path);
    this.#cursors.set(path, cursor);
    for (const oldest of this.#cursors.keys()) {
      if (this.#cursors.size <= CURSORS_MAX) return;
      this.#cursors.delete(oldest);
    }
  }

  #drop(path: string): void {
    const entry = this.#entries.get(path);
    if (entry === undefined) return;
    this.#entries.delete(path);
    this.#budget?.addHandles(packageAt(path), -1);
    entry.dropped = true;
    if (entry.users === 0) this.#close(entry);
  }

  #close(entry: Entry): void {
    // Data that could not be written was reported by the write itself; a failing close says nothing new.
    const closing: Promise<void> = entry.handle
      .close()
      .catch(() => undefined)
      .finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }
}

/** The package of a normalised path: its first segment. */
function packageAt(path: string): PackageId {
  return path.slice(0, path.indexOf('/')) as PackageId;
}
