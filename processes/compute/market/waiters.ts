/** Who waits for something to happen to a job, or to one of a node. */
import { type Process, sleep } from '../../lib/index.ts';

/** Between two calls of `look`, in milliseconds. */
export const LOOK_MS = 1_000;

export class Waiters {
  readonly #process: Process<unknown>;
  readonly #now: () => number;
  readonly #waiting = new Map<string, Set<(woken: boolean) => void>>();
  /** Those without a timer of their own, with the time at which they give up. */
  readonly #patient = new Map<() => void, number>();

  constructor(process: Process<unknown>, now: () => number) {
    this.#process = process;
    this.#now = now;
  }

  wake(id: string): void {
    const all = this.#waiting.get(id);
    this.#waiting.delete(id);
    for (const wake of all ?? []) wake(true);
  }

  wait(id: string, ms: number): Promise<boolean> {
    const over = new AbortController();
    return this.#wait(
      id,
      (end) => void sleep(this.#process, ms, { signal: over.signal }).then(end, nothing),
      () => over.abort(),
    );
  }

  /** As `wait`, or up to a second less: a timer for each would cost as much as what they wait for. */
  waitAbout(id: string, ms: number): Promise<boolean> {
    return this.#wait(
      id,
      (end) => this.#patient.set(end, this.#now() + ms),
      (end) => this.#patient.delete(end),
    );
  }

  /** Those whose time is over before the next look go on. */
  look(): void {
    const until = this.#now() + LOOK_MS;
    for (const [end, givesUpAt] of this.#patient) if (givesUpAt <= until) end();
  }

  #wait(
    id: string,
    begin: (end: () => void) => void,
    ended: (end: () => void) => void,
  ): Promise<boolean> {
    return new Promise((resolve) => {
      const wake = (woken: boolean): void => {
        ended(end);
        const all = this.#waiting.get(id);
        all?.delete(wake);
        if (all?.size === 0) this.#waiting.delete(id);
        resolve(woken);
      };
      const end = (): void => wake(false);
      const all = this.#waiting.get(id) ?? new Set();
      all.add(wake);
      this.#waiting.set(id, all);
      begin(end);
    });
  }
}

function nothing(): void {}
