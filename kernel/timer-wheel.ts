/**
 * Every request timeout of the node in one structure: arming and disarming is linking and unlinking a list node.
 * Entries that fall due within the same tick share a bucket; a heap orders the buckets, of which there are at most one for each
 * tick that has something due. Accuracy: never early, at most TIMER_TICK_MS (and the event loop's own delay) late.
 */
import type { U64 } from '../wit/types.ts';
import type { Clock, TimerHandle } from './clock.ts';
import { TIMEOUT_S_MAX, TIMER_SLEEP_MS_MAX, TIMER_TICK_MS } from './limits.ts';

/**
 * Something that can be armed once at a time. It is its own list node, so arming allocates nothing; an interface, because V8 looks a
 * superclass up at each construction (20 ns).
 */
export interface TimerEntry {
  /** Neighbours in a bucket; undefined when not armed. Only the wheel touches them. */
  nextDue: TimerEntry | undefined;
  previousDue: TimerEntry | undefined;
  /** Called once, disarmed, when the time is over. */
  expire(): void;
}

class Bucket implements TimerEntry {
  nextDue: TimerEntry | undefined = this;
  previousDue: TimerEntry | undefined = this;
  readonly tick: number;

  constructor(tick: number) {
    this.tick = tick;
  }

  expire(): void {
    throw new Error('a bucket is never due');
  }
}

export class TimerWheel {
  readonly #clock: Clock;
  readonly #buckets = new Map<number, Bucket>();
  /** Binary min-heap of the ticks in #buckets. */
  readonly #ticks: number[] = [];
  /** The bucket that was armed last, while it is in #buckets. */
  #newest: Bucket | undefined;
  #sleep: TimerHandle | undefined;
  #sleepsUntilTick = Infinity;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Arms an entry that is not armed. 0 seconds expires in the next turn; over TIMEOUT_S_MAX, never. */
  arm(entry: TimerEntry, seconds: U64): void {
    if (seconds > TIMEOUT_S_MAX) return;
    const tick =
      seconds === 0 ? 0 : Math.ceil((this.#clock.nowMs() + Number(seconds) * 1000) / TIMER_TICK_MS);
    const bucket = this.#bucket(tick);
    const last = bucket.previousDue ?? bucket;
    entry.previousDue = last;
    entry.nextDue = bucket;
    last.nextDue = entry;
    bucket.previousDue = entry;
  }

  /** Does nothing when the entry is not armed. */
  disarm(entry: TimerEntry): void {
    const { nextDue, previousDue } = entry;
    if (nextDue === undefined || previousDue === undefined) return;
    previousDue.nextDue = nextDue;
    nextDue.previousDue = previousDue;
    entry.nextDue = undefined;
    entry.previousDue = undefined;
  }

  /** Forgets every entry; none of them expires any more. */
  close(): void {
    if (this.#sleep !== undefined) this.#clock.cancel(this.#sleep);
    this.#sleep = undefined;
    this.#buckets.clear();
    this.#newest = undefined;
    this.#ticks.length = 0;
    this.#sleepsUntilTick = -1;
  }

  #bucket(tick: number): Bucket {
    // Most requests wait equally long: what is armed within one tick falls due within one.
    if (this.#newest?.tick === tick) return this.#newest;
    let bucket = this.#buckets.get(tick);
    if (bucket === undefined) {
      bucket = new Bucket(tick);
      this.#buckets.set(tick, bucket);
      this.#push(tick);
      if (tick < this.#sleepsUntilTick) this.#rest();
    }
    this.#newest = bucket;
    return bucket;
  }

  #rest(): void {
    if (this.#sleep !== undefined) this.#clock.cancel(this.#sleep);
    this.#sleep = undefined;
    this.#sleepsUntilTick = Infinity;
    const tick = this.#ticks[0];
    if (tick === undefined) return;
    this.#sleepsUntilTick = tick;
    const delayMs = tick === 0 ? 0 : Math.max(1, tick * TIMER_TICK_MS - this.#clock.nowMs());
    this.#sleep = this.#clock.schedule(() => this.#wake(), Math.min(delayMs, TIMER_SLEEP_MS_MAX));
  }

  #wake(): void {
    this.#sleep = undefined;
    const nowMs = this.#clock.nowMs();
    for (;;) {
      const tick = this.#ticks[0];
      if (tick === undefined || tick * TIMER_TICK_MS > nowMs) break;
      this.#pop();
      const bucket = this.#buckets.get(tick);
      this.#buckets.delete(tick);
      if (this.#newest === bucket) this.#newest = undefined;
      if (bucket !== undefined) this.#expireAll(bucket);
      // What an expiry armed with 0 seconds waits for the next turn.
      if (tick === 0) break;
    }
    this.#rest();
  }

  #expireAll(bucket: Bucket): void {
    for (let entry = bucket.nextDue; entry !== bucket && entry !== undefined;) {
      this.disarm(entry);
      entry.expire();
      entry = bucket.nextDue;
    }
  }

  #push(tick: number): void {
    const heap = this.#ticks;
    let at = heap.length;
    heap.push(tick);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent] ?? 0;
      if (above <= tick) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = tick;
  }

  #pop(): void {
    const heap = this.#ticks;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      if (left >= heap.length) break;
      const right = left + 1;
      const child = right < heap.length && (heap[right] ?? 0) < (heap[left] ?? 0) ? right : left;
      const below = heap[child] ?? 0;
      if (below >= last) break;
      heap[at] = below;
      at = child;
    }
    heap[at] = last;
  }
}
