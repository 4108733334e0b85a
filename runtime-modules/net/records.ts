/**
 * How development nodes of one machine find each other without a chain: each keeps a record of itself, an HnsUpdate as JSON, in a folder they
 * share, and reads those of the others. Whoever can write to the folder is believed, so it is for development only, and its owner's alone.
 */
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { hnsUpdate, type HnsUpdate } from '../../wit/eth-api.ts';
import type { Clock } from '../shared/clock.ts';
import { isNodeName } from './pki.ts';

/** Between two looks at the folder, in ms. */
const LOOK_MS = 1_000;
/** A record longer than this is none. */
export const RECORD_BYTES_MAX = 16_384;
/** Records looked at; a folder with more is no folder of records. */
export const RECORDS_MAX = 1_000;
const SUFFIX = '.json';

export interface RecordsNeeds {
  readonly clock: Clock;
  /** A node that is new, or is reached another way now. */
  readonly learnt: (update: HnsUpdate) => void;
}

export class DevelopmentRecords implements AsyncDisposable {
  readonly #folder: string;
  readonly #own: HnsUpdate;
  readonly #needs: RecordsNeeds;
  readonly #seen = new Map<string, string>();
  #timer: object | undefined;
  #looking: Promise<void> = Promise.resolve();
  #closed = false;

  private constructor(folder: string, own: HnsUpdate, needs: RecordsNeeds) {
    this.#folder = folder;
    this.#own = own;
    this.#needs = needs;
  }

  /** Puts the own record down and has read those of the others. @throws Error of the host when the folder cannot be used */
  static async open(
    folder: string,
    own: HnsUpdate,
    needs: RecordsNeeds,
  ): Promise<DevelopmentRecords> {
    const records = new DevelopmentRecords(folder, own, needs);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await records.#write();
    await records.#look();
    records.#arm();
    return records;
  }

  /** Takes the own record away. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#timer !== undefined) this.#needs.clock.cancel(this.#timer);
    await this.#looking;
    await rm(this.#path(this.#own.name), { force: true }).catch(() => undefined);
  }

  async #write(): Promise<void> {
    const path = this.#path(this.#own.name);
    // Whole or not at all: others read at any time.
    const file = await open(`${path}.${process.pid}`, 'w', 0o600);
    try {
      await file.writeFile(hnsUpdate.encode(this.#own));
    } finally {
      await file.close();
    }
    await rename(`${path}.${process.pid}`, path);
  }

  #arm(): void {
    if (this.#closed) return;
    this.#timer = this.#needs.clock.schedule(() => {
      this.#looking = this.#look().finally(() => this.#arm());
    }, LOOK_MS);
  }

  async #look(): Promise<void> {
    const files = await readdir(this.#folder).catch(() => []);
    for (const file of files.filter((name) => name.endsWith(SUFFIX)).slice(0, RECORDS_MAX)) {
      const name = file.slice(0, -SUFFIX.length);
      if (name === this.#own.name || !isNodeName(name) || this.#closed) continue;
      // One that cannot be read may be the next time.
      await this.#read(name).catch(() => undefined);
    }
  }

  async #read(name: string): Promise<void> {
    const path = this.#path(name);
    const { size, mtimeMs, ino } = await stat(path);
    const version = `${size} ${mtimeMs} ${ino}`;
    if (this.#seen.get(name) === version) return;
    this.#seen.set(name, version);
    if (size > RECORD_BYTES_MAX) return;
    const decoded = hnsUpdate.decode(await readFile(path));
    if (decoded.ok && decoded.value.name === name && !this.#closed)
      this.#needs.learnt(decoded.value);
  }

  #path(name: string): string {
    return join(this.#folder, `${name}${SUFFIX}`);
  }
}
