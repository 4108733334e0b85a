/**
 * Which guest runs next on this hart (findings.md F5). Guests never resume each other: whatever wakes one only queues it here. The
 * queue runs one at a time, and after `TURN_MS` of guest time it lets the event loop turn, however little fuel was burnt. A guest
 * that stops says so, and the next one is woken there and then: a microtask between two guests would cost 0.1 us.
 *
 * Two classes: `ready` guests were waiting for something that came; `preempted` ones still had work when their slice ended. One
 * preempted guest runs after each round of the ready ones, so a message waits for one slice at most and a hog is never starved.
 */
// The global of the same name is looked up at each use (60 ns).
import { performance } from 'node:perf_hooks';

/** What the queue runs. */
export interface Runnable {
  /** Arranges for the guest to go on in a microtask; it tells `left` when it stops. Runs none of its code. */
  run(): void;
  /** The slice that `run` began has ended. */
  ranFor(ms: number): void;
}

/** Guest time between two turns of the event loop, in milliseconds. */
export const TURN_MS = 2;
/** A slice of a guest that never suspends by itself, in milliseconds, while others wait. */
export const SLICE_MS = 0.5;

export class RunQueue {
  readonly #ready = new Fifo();
  readonly #preempted = new Fifo();
  /** Ready guests that still run before the next preempted one. */
  #roundLeft = 0;
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
    return this.#ready.size > 0 || this.#preempted.size > 0;
  }

  /** The guest suspends or has ended: its slice is over. Called on its stack, so another's code may not run in here. */
  left(guest: Runnable): void {
    if (this.#current === guest) this.#step();
  }

  #wake(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    soon(this.#step);
  }

  /** Ends a slice and begins the next one. */
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
    const next = this.#next();
    if (next === undefined) throw new Error('a queue that is not empty has nobody to run');
    this.#current = next;
    this.#sliceStart = now;
    next.run();
  };

  /** The event loop has turned: no guest is on the stack, not even one that did not say so. */
  readonly #turn = (): void => {
    this.#turnOpen = false;
    if (this.#pumping) this.#step();
  };

  #next(): Runnable | undefined {
    if (this.#roundLeft === 0) {
      this.#roundLeft = this.#ready.size;
      const preempted = this.#preempted.shift();
      if (preempted !== undefined) return preempted;
    }
    if (this.#roundLeft > 0) this.#roundLeft -= 1;
    return this.#ready.shift();
  }
}

/** First in, first out, in a ring: no array is emptied and grown again for every message (0.2 us). */
class Fifo {
  #items: (Runnable | undefined)[] = Array.from({ length: 16 });
  #head = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  push(guest: Runnable): void {
    if (this.#size === this.#items.length) this.#double();
    this.#items[(this.#head + this.#size) & (this.#items.length - 1)] = guest;
    this.#size += 1;
  }

  shift(): Runnable | undefined {
    if (this.#size === 0) return undefined;
    const guest = this.#items[this.#head];
    this.#items[this.#head] = undefined;
    this.#head = (this.#head + 1) & (this.#items.length - 1);
    this.#size -= 1;
    return guest;
  }

  /** The length stays a power of two. */
  #double(): void {
    const items = [...this.#items.slice(this.#head), ...this.#items.slice(0, this.#head)];
    this.#items = [...items, ...Array.from<undefined>({ length: items.length })];
    this.#head = 0;
  }
}

const resolved = Promise.resolve();

/** As queueMicrotask, which in Node makes an async resource each time: 0.15 us more. */
function soon(step: () => void): void {
  void resolved.then(step);
}
