/** Collects what one command changed and writes it as one batch (findings F19). */
import type { KernelStore, StoreChange } from './store.ts';

/** Whose rows a change belongs to, and whether they are on disk at all. */
export class Journal {
  readonly #store: KernelStore;
  #changes: StoreChange[] = [];

  constructor(store: KernelStore) {
    this.#store = store;
  }

  add(change: StoreChange): void {
    this.#changes.push(change);
  }

  /** Writes what was added since the last call; undefined when that is nothing. Rejects when it could not be written. */
  commit(): Promise<void> | undefined {
    if (this.#changes.length === 0) return undefined;
    const changes = this.#changes;
    this.#changes = [];
    return this.#store.commit(changes);
  }
}
