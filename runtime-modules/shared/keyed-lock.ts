/** Work with equal keys runs one after another, in the order it was asked for. */
export class KeyedLock {
  /** Keys that are taken, and who waits for them. */
  readonly #taken = new Map<string, (() => void)[] | undefined>();

  /**
   * Runs `work` once everything asked for earlier under any of the keys is done; at once if that is so. Keys are taken in sorted
   * order, so two calls cannot block each other.
   */
  async run<T>(keys: readonly string[], work: () => Promise<T>): Promise<T> {
    const sorted = keys.length === 1 ? keys : [...new Set(keys)].toSorted();
    for (const key of sorted) {
      const turn = this.#take(key);
      if (turn !== undefined) await turn;
    }
    try {
      return await work();
    } finally {
      for (const key of sorted) this.#release(key);
    }
  }

  /** Undefined: the key is ours. */
  #take(key: string): Promise<void> | undefined {
    if (!this.#taken.has(key)) {
      this.#taken.set(key, undefined);
      return undefined;
    }
    const waiting = this.#taken.get(key) ?? [];
    this.#taken.set(key, waiting);
    return new Promise((resolve) => waiting.push(resolve));
  }

  /** Hands the key to whoever waits longest; it is not free in between. */
  #release(key: string): void {
    const next = this.#taken.get(key)?.shift();
    if (next === undefined) this.#taken.delete(key);
    else next();
  }
}
