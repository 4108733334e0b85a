/** One timer for all that look at their clocks now and then: a thousand idle connections wake the node once a second, not a thousand times. */
import type { Clock } from '../shared/clock.ts';

export class Beat {
  readonly #clock: Clock;
  readonly #everyMs: number;
  readonly #looks = new Set<() => void>();
  #timer: object | undefined;

  constructor(clock: Clock, everyMs: number) {
    this.#clock = clock;
    this.#everyMs = everyMs;
  }

  /** Calls `look` with every beat, first within one, until what is returned is called. */
  every(look: () => void): () => void {
    this.#looks.add(look);
    this.#timer ??= this.#next();
    return () => {
      this.#looks.delete(look);
      if (this.#looks.size > 0 || this.#timer === undefined) return;
      this.#clock.cancel(this.#timer);
      this.#timer = undefined;
    };
  }

  #next(): object {
    return this.#clock.schedule(() => {
      this.#timer = this.#next();
      // What is removed meanwhile is not called, and what comes meanwhile is with the next one.
      for (const look of [...this.#looks]) if (this.#looks.has(look)) look();
    }, this.#everyMs);
  }
}
