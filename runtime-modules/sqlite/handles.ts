/** Databases by folder: made, opened, used, closed when too many are open, removed. What they are asked goes to the pool. */
import { mkdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { PackageId } from '../../wit/types.ts';
import type { DatabaseFolder } from '../shared/database-place.ts';
import { Gate } from '../shared/gate.ts';
import { type HandleBudget, HandleSlots } from '../shared/handle-slots.ts';
import type { Handle, Job, Outcome } from './child-slot.ts';
import { HANDLES_DEFAULT } from './limits.ts';
import type { Pool } from './pool.ts';

export interface HandlesOptions {
  readonly openMax: number;
  readonly budget?: HandleBudget | undefined;
  /** More could have stayed open, had fd-manager's limit been higher. */
  readonly onLimitHit: () => void;
  /** Where a damaged database's folder goes. */
  readonly asideFor: (folder: string) => string;
  /** A fresh path for what is being deleted. */
  readonly partial: () => string;
  readonly onDamage: (folder: string, movedTo: string, reason: string) => void;
}

/** A request, without where it goes. */
export type Request = Omit<Job, 'handle' | 'settle'>;

interface Entry {
  readonly folder: string;
  readonly owner: PackageId;
  readonly gate: Gate;
  users: number;
  handle: Handle | undefined;
  /** Everybody waits for the same promise, so that nobody overtakes. Undefined when closed. */
  made: Promise<Handle> | undefined;
}

/** The database's file. */
export function databasePath(folder: string): string {
  return join(folder, `${basename(folder)}.db`);
}

export class Handles {
  readonly #pool: Pool;
  readonly #options: HandlesOptions;
  /** In the order of their last use. */
  readonly #entries = new Map<string, Entry>();
  #numbers = 0;
  readonly #slots: HandleSlots;

  constructor(pool: Pool, options: HandlesOptions) {
    this.#pool = pool;
    this.#options = options;
    this.#slots = new HandleSlots({
      openMax: options.openMax,
      openDefault: HANDLES_DEFAULT,
      onLimitHit: options.onLimitHit,
      evict: (only) => this.#evictIdle(only),
      budget: options.budget,
    });
  }

  /** Databases to keep open at most, if that is less than the module's own limit. */
  setLimit(limit: number): void {
    this.#slots.setLimit(limit);
  }

  /** Asks a database, making it if there is none. Requests on one are asked in the order of the calls. */
  ask(at: DatabaseFolder, request: Request): Promise<Outcome> {
    return this.#with(at, async (entry) => {
      const outcome = await entry.gate.shared(() => this.#ask(entry, request));
      if (outcome.kind === 'damaged')
        await entry.gate.exclusive(() => this.#moveAside(entry, outcome.text));
      return outcome;
    });
  }

  /** What is known of an open database. */
  handle(folder: string): Handle | undefined {
    return this.#entries.get(folder)?.handle;
  }

  /** Deletes a database's folder; the next request makes an empty one. @throws ENOENT when there is none */
  remove(at: DatabaseFolder): Promise<void> {
    return this.#with(at, (entry) => {
      if (entry.handle !== undefined) entry.handle.doomed = true;
      return entry.gate.exclusive(async () => {
        await this.#release(entry);
        // Renamed first: a crash on the way leaves the database or none, not half of one.
        const doomed = this.#options.partial();
        await mkdir(dirname(doomed), { recursive: true });
        await rename(at.folder, doomed);
        await rm(doomed, { recursive: true, force: true });
      });
    });
  }

  async #with<T>(
    { folder, package: owner }: DatabaseFolder,
    work: (entry: Entry) => Promise<T>,
  ): Promise<T> {
    const entry = this.#entries.get(folder) ?? {
      folder,
      owner,
      gate: new Gate(),
      users: 0,
      handle: undefined,
      made: undefined,
    };
    this.#entries.delete(folder);
    this.#entries.set(folder, entry);
    entry.users += 1;
    try {
      return await work(entry);
    } finally {
      entry.users -= 1;
      if (entry.users === 0 && entry.handle === undefined) this.#entries.delete(folder);
      else if (entry.users === 0 && this.#slots.isShort) this.#evictIdle(undefined);
    }
  }

  async #ask(entry: Entry, request: Request): Promise<Outcome> {
    const handle = await (entry.made ??= this.#make(entry));
    return new Promise((settle) => this.#pool.submit({ ...request, handle, settle }));
  }

  async #make(entry: Entry): Promise<Handle> {
    const { folder, owner } = entry;
    await this.#slots.take(owner);
    this.#numbers += 1;
    entry.handle = {
      number: this.#numbers,
      path: databasePath(folder),
      owner,
      slot: undefined,
      opening: false,
      queue: [],
      openIn: new Set(),
      quick: new Set(),
      settings: new Map(),
      doomed: false,
      quarantined: false,
    };
    return entry.handle;
  }

  /** The one used longest ago that nobody uses. Being watched is worth more than a place: a quarantined database would start afresh. */
  #evictIdle(only: PackageId | undefined): boolean {
    const idle = [...this.#entries.values()].filter(
      ({ users, handle, gate, owner }) =>
        users === 0 && handle !== undefined && gate.idle && (only ?? owner) === owner,
    );
    const entry = idle.find(({ handle }) => handle?.quarantined === false) ?? idle[0];
    if (entry === undefined) return false;
    void entry.gate.exclusive(() => this.#release(entry)).catch(() => undefined);
    return true;
  }

  async #release(entry: Entry): Promise<void> {
    const { handle } = entry;
    if (handle === undefined) return;
    entry.handle = undefined;
    entry.made = undefined;
    try {
      await this.#pool.release(handle);
    } finally {
      this.#slots.free(entry.owner);
      if (entry.users === 0) this.#entries.delete(entry.folder);
    }
  }

  async #moveAside(entry: Entry, reason: string): Promise<void> {
    // Several requests may have met the damage; the first of them moves it.
    if (entry.handle === undefined) return;
    await this.#release(entry);
    const aside = this.#options.asideFor(entry.folder);
    await mkdir(dirname(aside), { recursive: true });
    await rename(entry.folder, aside);
    this.#options.onDamage(entry.folder, aside, reason);
  }
}
