/**
 * Which guest runs next on this hart (findings.md F5). Guests never resume each other: whatever wakes one only queues it here. The
 * queue runs one at a time, and after `TURN_MS` of guest time it lets the event loop turn, however little fuel was burnt.
 *
 * Two classes: `ready` guests were waiting for something that came; `preempted` ones still had work when their slice ended. One
 * preempted guest runs after each round of the ready ones, so a message waits for one slice at most and a hog is never starved.
 */

/** What the queue runs. `run` returns at the guest's next suspension, or arranges to have resumed it by the next microtask. */
export interface Runnable {
  run(): void;
  /** The slice that `run` began has ended. */
  ranFor(ms: number): void;
}

/** Guest time between two turns of the event loop, in milliseconds. */
export const TURN_MS = 2;
/** A slice of a guest that never suspends by itself, in milliseconds, while others wait. */
export const SLICE_MS = 0.5;

export class RunQueue {
  #ready: Runnable[] = [];
  #round: Runnable[] = [];
  #roundNext = 0;
  readonly #preempted: Runnable[] = [];
  #current: Runnable | undefined;
  #pumping = false;
  #turnOpen = false;
  #turnStart = 0;
  #sliceStart = 0;

  /** Queues a guest for which something came. */
  ready(guest: Runnable): void {
    this.#ready.push(guest);
    this.#wake();
  }

  /** Queues a guest whose slice ended. */
  preempt(guest: Runnable): void {
    this.#preempted.push(guest);
    this.#wake();
  }

  /** Whether the running guest should give way now. */
  get sliceIsOver(): boolean {
    const ran = performance.now() - this.#sliceStart;
    return ran >= TURN_MS || (ran >= SLICE_MS && this.#waiting());
  }

  #waiting(): boolean {
    return (
      this.#ready.length > 0 || this.#roundNext < this.#round.length || this.#preempted.length > 0
    );
  }

  #wake(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    soon(this.#step);
  }

  /** Runs one guest; comes back in the microtask after the guest's. */
  readonly #step = (): void => {
    const now = performance.now();
    if (this.#current !== undefined) {
      this.#current.ranFor(now - this.#sliceStart);
      this.#current = undefined;
    }
    if (!this.#waiting()) {
      this.#pumping = false;
      return;
    }
    if (!this.#turnOpen) {
      this.#turnOpen = true;
      this.#turnStart = now;
      setImmediate(this.#turn);
    } else if (now - this.#turnStart >= TURN_MS) return; // #turn goes on
    this.#current = this.#next();
    this.#sliceStart = now;
    this.#current.run();
    soon(this.#step);
  };

  /** The event loop has turned. */
  readonly #turn = (): void => {
    this.#turnOpen = false;
    if (this.#pumping && this.#current === undefined) this.#step();
  };

  #next(): Runnable {
    const one = this.#round[this.#roundNext];
    if (one !== undefined) {
      this.#roundNext += 1;
      return one;
    }
    const preempted = this.#preempted.shift();
    [this.#round, this.#ready] = [this.#ready, this.#round];
    this.#ready.length = 0;
    this.#roundNext = 0;
    return preempted ?? this.#next();
  }
}

const resolved = Promise.resolve();

/** As queueMicrotask, which in Node makes an async resource each time: 0.15 us more. */
function soon(step: () => void): void {
  void resolved.then(step);
}
