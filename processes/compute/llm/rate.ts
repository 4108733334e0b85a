/** How much a caller may ask for in a minute: buckets that fill evenly (compute-market.md §12.4). */

const MINUTE_MS = 60_000;
/** Callers whose buckets are remembered; of a forgotten one the bucket is full again. */
const CALLERS_MAX = 10_000;

/** What headers tell a client. Times in milliseconds. */
export interface Allowance {
  readonly ok: boolean;
  readonly limit: number;
  readonly remaining: number;
  /** Until the bucket is full again. */
  readonly resetMs: number;
  /** Until as much as was asked for will be there; 0 when it was. */
  readonly retryMs: number;
}

interface Bucket {
  level: number;
  atMs: number;
}

/** One kind of thing, counted by caller. */
export class Rate {
  /** Least recently used first. */
  readonly #buckets = new Map<string, Bucket>();

  /**
   * Takes `amount` out of the caller's bucket, or nothing if it has not as much.
   * @param perMinute  what the bucket holds and gets in a minute; 0: there is no limit
   */
  take(caller: string, perMinute: number, amount: number, nowMs: number): Allowance {
    if (perMinute === 0) {
      return { ok: true, limit: 0, remaining: 0, resetMs: 0, retryMs: 0 };
    }
    const bucket = this.#bucket(caller, perMinute, nowMs);
    // More than a bucket holds is let through when it is full: it could never be otherwise.
    const needed = Math.min(amount, perMinute);
    const ok = bucket.level >= needed;
    if (ok) bucket.level -= amount;
    const msOf = (units: number): number => Math.ceil((units * MINUTE_MS) / perMinute);
    return {
      ok,
      limit: perMinute,
      remaining: Math.max(0, Math.floor(bucket.level)),
      resetMs: msOf(perMinute - bucket.level),
      retryMs: ok ? 0 : msOf(needed - bucket.level),
    };
  }

  /** Corrects what was taken in advance; negative: less was used. */
  settle(caller: string, perMinute: number, more: number, nowMs: number): void {
    if (perMinute === 0) return;
    const bucket = this.#bucket(caller, perMinute, nowMs);
    bucket.level = Math.min(perMinute, bucket.level - more);
  }

  #bucket(caller: string, perMinute: number, nowMs: number): Bucket {
    const known = this.#buckets.get(caller);
    const bucket = known ?? { level: perMinute, atMs: nowMs };
    const gained = (Math.max(0, nowMs - bucket.atMs) * perMinute) / MINUTE_MS;
    bucket.level = Math.min(perMinute, bucket.level + gained);
    bucket.atMs = nowMs;
    this.#buckets.delete(caller);
    this.#buckets.set(caller, bucket);
    if (this.#buckets.size > CALLERS_MAX) {
      const [oldest] = this.#buckets.keys();
      if (oldest !== undefined) this.#buckets.delete(oldest);
    }
    return bucket;
  }
}
