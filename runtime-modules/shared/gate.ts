/**
 * Many at once, or one alone, first come first served: what came before an exclusive use ends before it starts, what comes after
 * waits for its end.
 */
export class Gate {
  #entry: Promise<void> = Promise.resolve();
  #inside = 0;
  #users = 0;
  #emptied: PromiseWithResolvers<void> | undefined;

  /** Nobody is inside or waits to be. */
  get idle(): boolean {
    return this.#users === 0;
  }

  /** Starts in the order of the calls; `work`s may overlap. */
  async shared<T>(work: () => Promise<T>): Promise<T> {
    this.#users += 1;
    try {
      // Awaited even when open, so that a caller cannot overtake one whose wait has just ended.
      await this.#entry;
      this.#inside += 1;
      try {
        return await work();
      } finally {
        this.#inside -= 1;
        if (this.#inside === 0) this.#emptied?.resolve();
      }
    } finally {
      this.#users -= 1;
    }
  }

  async exclusive<T>(work: () => Promise<T>): Promise<T> {
    this.#users += 1;
    const before = this.#entry;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#entry = promise;
    try {
      await before;
      if (this.#inside > 0) {
        this.#emptied = Promise.withResolvers();
        await this.#emptied.promise;
        this.#emptied = undefined;
      }
      return await work();
    } finally {
      this.#users -= 1;
      resolve();
    }
  }
}
