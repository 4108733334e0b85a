/** Time for thousands of timers, in whole milliseconds, that moves when told to; everything due at one instant runs, then promises settle. */
import type { Clock } from '../../shared/clock.ts';

interface Timer {
  readonly atMs: number;
  readonly sequence: number;
  action: (() => void) | undefined;
}

export class SimulatedClock implements Clock {
  /** A binary heap, the next one first. */
  readonly #heap: Timer[] = [];
  #nowMs = 0;
  #sequence = 0;

  nowMs(): number {
    return this.#nowMs;
  }

  schedule(action: () => void, delayMs: number): object {
    const atMs = this.#nowMs + Math.ceil(Math.max(0, delayMs));
    const timer: Timer = { atMs, sequence: this.#sequence++, action };
    this.#heap.push(timer);
    this.#up(this.#heap.length - 1);
    return timer;
  }

  cancel(handle: object): void {
    // Proof: handles are what `schedule` returned.
    (handle as Timer).action = undefined;
  }

  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    await settle();
    for (let next = this.#heap[0]; next !== undefined && next.atMs <= endMs; next = this.#heap[0]) {
      const atMs = next.atMs;
      const last = this.#sequence;
      this.#nowMs = Math.max(this.#nowMs, atMs);
      let ran = false;
      // What is scheduled for this instant meanwhile comes after the promises.
      while (this.#heap[0]?.atMs === atMs && this.#heap[0].sequence < last) {
        const { action } = this.#pop();
        ran ||= action !== undefined;
        action?.();
      }
      if (ran) await settle();
    }
    this.#nowMs = endMs;
  }

  #pop(): Timer {
    const [first] = this.#heap;
    const last = this.#heap.pop();
    if (first === undefined || last === undefined) throw new Error('no timer is left');
    if (first !== last) {
      this.#heap[0] = last;
      this.#down(0);
    }
    return first;
  }

  #before(a: number, b: number): boolean {
    const [left, right] = [this.#heap[a]!, this.#heap[b]!];
    return left.atMs < right.atMs || (left.atMs === right.atMs && left.sequence < right.sequence);
  }

  #swap(a: number, b: number): void {
    const held = this.#heap[a]!;
    this.#heap[a] = this.#heap[b]!;
    this.#heap[b] = held;
  }

  #up(from: number): void {
    for (let at = from; at > 0;) {
      const parent = (at - 1) >> 1;
      if (!this.#before(at, parent)) return;
      this.#swap(at, parent);
      at = parent;
    }
  }

  #down(from: number): void {
    for (let at = from; ;) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2])
        if (child < this.#heap.length && this.#before(child, least)) least = child;
      if (least === at) return;
      this.#swap(at, least);
      at = least;
    }
  }
}

/** The clock of a machine that is wrong: `offsetMs` ahead, and going `rate` times as fast as the world's. */
export class SkewedClock implements Clock {
  readonly #world: Clock;
  readonly #offsetMs: number;
  readonly #rate: number;

  constructor(
    world: Clock,
    { offsetMs, rate }: { readonly offsetMs: number; readonly rate: number },
  ) {
    this.#world = world;
    this.#offsetMs = offsetMs;
    this.#rate = rate;
  }

  nowMs(): number {
    return this.#offsetMs + this.#world.nowMs() * this.#rate;
  }

  schedule(action: () => void, delayMs: number): object {
    return this.#world.schedule(action, delayMs / this.#rate);
  }

  cancel(handle: object): void {
    this.#world.cancel(handle);
  }
}

function settle(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}
