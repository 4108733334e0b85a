/**
 * When requests stop waiting for their answers. One coarse tick serves all of them, and only while there are any: arming links an
 * entry into the bucket of its tick, and nothing is sorted. Never early, at most ANSWER_TICK_MS late.
 */
import type { Clock } from '../../shared/clock.ts';
import { ANSWER_TICK_MS } from '../limits.ts';

/** Something that waits until a time; it is its own list node. */
export abstract class Deadline {
  next: Deadline | undefined = undefined;
  previous: Deadline | undefined = undefined;
  /** Called once, disarmed, when the time is over. */
  abstract expire(): void;
}

class Bucket extends Deadline {
  override expire(): void {
    throw new Error('a bucket is never due');
  }
}

export class Deadlines {
  readonly #clock: Clock;
  readonly #buckets = new Map<number, Bucket>();
  /** The last tick that was looked at. */
  #tick = 0;
  #armed = 0;
  /** Undefined: nothing ticks, and there are no buckets. */
  #timer: object | undefined;
  #waking = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** How many wait. */
  get size(): number {
    return this.#armed;
  }

  /** Arms an entry that is not armed; 0 seconds are over at the next tick. */
  arm(entry: Deadline, seconds: number): void {
    const nowMs = this.#clock.nowMs();
    if (this.#timer === undefined && !this.#waking) {
      this.#tick = Math.floor(nowMs / ANSWER_TICK_MS);
      this.#timer = this.#clock.schedule(this.#wake, ANSWER_TICK_MS);
    }
    const tick = Math.max(this.#tick + 1, Math.ceil((nowMs + seconds * 1000) / ANSWER_TICK_MS));
    this.#armed++;
    let bucket = this.#buckets.get(tick);
    if (bucket === undefined) {
      bucket = new Bucket();
      bucket.next = bucket;
      bucket.previous = bucket;
      this.#buckets.set(tick, bucket);
    }
    const last = bucket.previous!;
    entry.previous = last;
    entry.next = bucket;
    last.next = entry;
    bucket.previous = entry;
  }

  /** Does nothing for an entry that is not armed. */
  disarm(entry: Deadline): void {
    const { next, previous } = entry;
    if (next === undefined || previous === undefined) return;
    previous.next = next;
    next.previous = previous;
    entry.next = undefined;
    entry.previous = undefined;
    this.#armed--;
  }

  /** Nothing expires any more. */
  close(): void {
    if (this.#timer !== undefined) this.#clock.cancel(this.#timer);
    this.#timer = undefined;
    this.#buckets.clear();
    this.#armed = 0;
  }

  readonly #wake = (): void => {
    this.#timer = undefined;
    this.#waking = true;
    const now = Math.floor(this.#clock.nowMs() / ANSWER_TICK_MS);
    if (now - this.#tick > this.#buckets.size) this.#sweep(now);
    else while (this.#tick < now) this.#expire(++this.#tick);
    this.#tick = Math.max(this.#tick, now);
    this.#waking = false;
    if (this.#armed > 0) this.#timer = this.#clock.schedule(this.#wake, ANSWER_TICK_MS);
    else this.#buckets.clear();
  };

  /** After a pause of the whole thread: fewer buckets than ticks have passed. */
  #sweep(now: number): void {
    const due = [...this.#buckets.keys()].filter((tick) => tick <= now);
    for (const tick of due.toSorted((a, b) => a - b)) this.#expire(tick);
  }

  #expire(tick: number): void {
    const bucket = this.#buckets.get(tick);
    if (bucket === undefined) return;
    this.#buckets.delete(tick);
    for (let entry = bucket.next!; entry !== bucket; entry = bucket.next!) {
      this.disarm(entry);
      entry.expire();
    }
  }
}
