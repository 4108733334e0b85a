/**
 * Databases by folder, at most `HANDLES_MAX` of them open, and fewer as fd-manager says: the one used longest ago is closed for the next, and opened again on
 * demand. Uses of one database overlap; removing it is alone.
 */
import { mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { PackageId } from '../../wit/types.ts';
import type { DatabaseFolder } from '../shared/database-place.ts';
import { Gate } from '../shared/gate.ts';
import { type HandleBudget, HandleSlots } from '../shared/handle-slots.ts';
import { makeFolder } from '../shared/make-folder.ts';
import { Database, type Operation } from './database.ts';
import { storeFailure, StoreFailure } from './failure.ts';
import { HANDLES_DEFAULT } from './limits.ts';

export interface HandlesOptions {
  readonly openMax: number;
  readonly budget?: HandleBudget | undefined;
  /** More could have stayed open, had fd-manager's limit been higher. */
  readonly onLimitHit: () => void;
  /** Where a damaged database's folder goes, given its place. */
  readonly asideFor: (folder: string) => string;
  /** A fresh path for what is being deleted. */
  readonly partial: () => string;
  /** A damaged database was moved aside; its place holds an empty one. */
  readonly onDamage: (folder: string, movedTo: string) => void;
}

interface Handle {
  readonly folder: string;
  readonly owner: PackageId;
  readonly gate: Gate;
  /** Work that has it or waits for it, the opening included. */
  users: number;
  database: Database | undefined;
  /** Everybody waits for the same promise, so that nobody overtakes. Undefined when closed. */
  opened: Promise<Database> | undefined;
}

/** What LevelDB needs to open beside a table. */
const ROOM_BYTES = 256 * 1024;

export class Handles {
  readonly #options: HandlesOptions;
  /** In the order of their last use. */
  readonly #handles = new Map<string, Handle>();
  readonly #slots: HandleSlots;

  constructor(options: HandlesOptions) {
    this.#options = options;
    this.#slots = new HandleSlots({
      openMax: options.openMax,
      openDefault: HANDLES_DEFAULT,
      onLimitHit: options.onLimitHit,
      evict: (only) => this.#evictIdle(only),
      budget: options.budget,
    });
  }

  /** Databases open now. */
  get open(): number {
    return this.#slots.open;
  }

  /** Databases to keep open at most, if that is less than the module's own limit. */
  setLimit(limit: number): void {
    this.#slots.setLimit(limit);
  }

  /** Uses the database of a folder, creating it. Work on one folder starts in the order of the calls. */
  use<T>(at: DatabaseFolder, work: (database: Database) => Promise<T>): Promise<T> {
    return this.#with(at, (handle) =>
      handle.gate.shared(async () => work(await this.#opened(handle))),
    );
  }

  /**
   * Writes to the database of a folder, in order with `use`. One that failed to write is opened again first (database.ts); until then,
   * and when there is no room for that, it can still be read.
   */
  write(at: DatabaseFolder, operations: readonly Operation[]): Promise<void> {
    return this.#with(at, (handle) => {
      if (handle.database?.broken !== true)
        return handle.gate.shared(async () => (await this.#opened(handle)).write(operations));
      return handle.gate.exclusive(async () => {
        if (handle.database?.broken === true) {
          await this.#assertRoom(handle);
          await this.#close(handle);
        }
        await (await this.#opened(handle)).write(operations);
      });
    });
  }

  /** Closes a database, deletes its folder and makes an empty one. @throws ENOENT when there is no such folder */
  remove(at: DatabaseFolder): Promise<void> {
    return this.#with(at, (handle) =>
      handle.gate.exclusive(async () => {
        await this.#close(handle);
        // Renamed first: a crash on the way leaves the database or none, not half of one.
        const doomed = this.#options.partial();
        await mkdir(dirname(doomed), { recursive: true });
        await rename(at.folder, doomed);
        await rm(doomed, { recursive: true, force: true });
        await this.#opened(handle);
      }),
    );
  }

  async close(): Promise<void> {
    await Promise.all(
      [...this.#handles.values()].map((handle) => handle.gate.exclusive(() => this.#close(handle))),
    );
  }

  async #with<T>(
    { folder, package: owner }: DatabaseFolder,
    work: (handle: Handle) => Promise<T>,
  ): Promise<T> {
    let handle = this.#handles.get(folder);
    if (handle === undefined) {
      handle = {
        folder,
        owner,
        gate: new Gate(),
        users: 0,
        database: undefined,
        opened: undefined,
      };
    }
    // Last in the map: used last.
    this.#handles.delete(folder);
    this.#handles.set(folder, handle);
    handle.users += 1;
    try {
      return await work(handle);
    } finally {
      handle.users -= 1;
      if (handle.users === 0) this.#released(handle);
    }
  }

  #released(handle: Handle): void {
    if (this.#slots.isShort) this.#evict(handle);
    else if (handle.database === undefined) this.#handles.delete(handle.folder);
  }

  #opened(handle: Handle): Promise<Database> {
    return (handle.opened ??= this.#openNow(handle));
  }

  async #openNow(handle: Handle): Promise<Database> {
    let room = false;
    try {
      await this.#slots.take(handle.owner);
      room = true;
      makeFolder(handle.folder);
      handle.database = await this.#openOrReplace(handle.folder);
      return handle.database;
    } catch (error) {
      handle.opened = undefined;
      if (room) this.#slots.free(handle.owner);
      throw storeFailure(error);
    }
  }

  async #openOrReplace(folder: string): Promise<Database> {
    try {
      return await Database.open(folder);
    } catch (error) {
      if (!(error instanceof StoreFailure) || !error.damaged) throw error;
      const aside = this.#options.asideFor(folder);
      await mkdir(dirname(aside), { recursive: true });
      await rename(folder, aside);
      await mkdir(folder, { recursive: true });
      const database = await Database.open(folder);
      this.#options.onDamage(folder, aside);
      return database;
    }
  }

  /** The one used longest ago that nobody uses. */
  #evictIdle(only: PackageId | undefined): boolean {
    for (const handle of this.#handles.values()) {
      if (only !== undefined && handle.owner !== only) continue;
      if (handle.users > 0 || !handle.gate.idle || handle.database === undefined) continue;
      this.#evict(handle);
      return true;
    }
    return false;
  }

  /** Opening turns the log into a table: a disk that has no room for one would leave us without the database. @throws ENOSPC */
  async #assertRoom({ folder }: Handle): Promise<void> {
    const names = (await readdir(folder)).filter((name) => name.endsWith('.log'));
    const logs = await Promise.all(
      names.map(async (name) => (await stat(join(folder, name))).size),
    );
    const probe = this.#options.partial();
    await mkdir(dirname(probe), { recursive: true });
    try {
      await writeFile(probe, Buffer.alloc(logs.reduce((sum, size) => sum + size, ROOM_BYTES)), {
        flush: true,
      });
    } finally {
      await rm(probe, { force: true });
    }
  }

  #evict(handle: Handle): void {
    // A close that fails leaves nothing to do: the place is free all the same.
    void handle.gate.exclusive(() => this.#close(handle)).catch(() => undefined);
  }

  async #close(handle: Handle): Promise<void> {
    const { database } = handle;
    if (database === undefined) return;
    handle.database = undefined;
    handle.opened = undefined;
    try {
      await database.close();
    } finally {
      this.#slots.free(handle.owner);
      if (handle.users === 0) this.#handles.delete(handle.folder);
    }
  }
}
