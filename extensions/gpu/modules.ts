/** Programs that were fetched lately, in memory: the next job is often of the same one, and need not ask the node for it. */
import { readFile, writeFile } from 'node:fs/promises';
import type { Wanted } from './transfers-in.ts';

/** Bytes of one that is kept, and of all. */
const MODULE_BYTES_MAX = 16 * 1024 * 1024;
const BYTES_MAX = 64 * 1024 * 1024;

export class Modules {
  /** By hash, the one used last at the end. */
  readonly #kept = new Map<string, Uint8Array>();
  #bytes = 0;

  /** Puts it where it is wanted. @param fetch  gets it there from the node, verified */
  async get({ sha256, size, path }: Wanted, fetch: () => Promise<void>): Promise<void> {
    const kept = this.#kept.get(sha256);
    if (kept?.length === size) {
      this.#kept.delete(sha256);
      this.#kept.set(sha256, kept);
      await writeFile(path, kept, { mode: 0o600 });
      return;
    }
    await fetch();
    if (size <= MODULE_BYTES_MAX) this.#keep(sha256, await readFile(path));
  }

  #keep(sha256: string, bytes: Uint8Array): void {
    if (this.#kept.has(sha256)) return;
    this.#kept.set(sha256, bytes);
    this.#bytes += bytes.length;
    for (const [oldest, { length }] of this.#kept) {
      if (this.#bytes <= BYTES_MAX) return;
      this.#kept.delete(oldest);
      this.#bytes -= length;
    }
  }
}
