/** How many requests somebody may make: so many a minute, a burst of as many. */

export const UNKNOWN_PER_MINUTE = 60;
export const WALLET_PER_MINUTE = 600;
const KEYS_MAX = 10_000;

interface Bucket {
  tokens: number;
  at: number;
}

export class RateLimit {
  readonly #perMinute: number;
  readonly #now: () => number;
  readonly #buckets = new Map<string, Bucket>();

  constructor(perMinute: number, now: () => number) {
    this.#perMinute = perMinute;
    this.#now = now;
  }

  /** Takes one. @returns seconds until there is one again; 0: it was there */
  take(key: string): number {
    const now = this.#now();
    const bucket = this.#buckets.get(key) ?? { tokens: this.#perMinute, at: now };
    const more = ((now - bucket.at) * this.#perMinute) / 60_000;
    bucket.tokens = Math.min(this.#perMinute, bucket.tokens + Math.max(0, more));
    bucket.at = now;
    this.#buckets.delete(key);
    // Those that ask last are last; the first may be forgotten when it is full again.
    if (this.#buckets.size >= KEYS_MAX)
      this.#buckets.delete(this.#buckets.keys().next().value ?? '');
    this.#buckets.set(key, bucket);
    if (bucket.tokens < 1) return Math.ceil(((1 - bucket.tokens) * 60) / this.#perMinute);
    bucket.tokens -= 1;
    return 0;
  }
}
