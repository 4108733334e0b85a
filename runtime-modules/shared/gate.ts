/**
 * Many at once, or one alone, first come first served: what came before an exclusive use ends before it starts, what comes after
 * waits for its end.
 */
export class Gate {
  /** The end of the last exclusive use that is not over. */
  #entry: Promise<void> | undefined;
  /** Shared uses that wait, or whose wait has just ended: nobody may overtake them. */
  #waiting = 0;
  #inside = 0;
  #users = 0;
  #emptied: PromiseWithResolvers<void> | undefined;

  /** Nobody is inside or waits to be. */
  get idle(): boolean {
    return this.#users === 0;
  }

  /** Starts in the order of the calls, at once if it may; `work`s may overlap. */
  async shared<T>(work: () => Promise<T>): Promise<T> {
    this.#users += 1;
    try {
      if (this.#entry !== undefined || this.#waiting > 0) {
        this.#waiting += 1;
        await this.#entry;
        this.#waiting -= 1;
      }
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
      if (this.#entry === promise) this.#entry = undefined;
      resolve();
    }
  }
}
