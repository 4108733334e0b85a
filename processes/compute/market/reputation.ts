/**
 * A provider's reputation, 0 to 1000 (compute-market.md §4.7). Fixed point, in millionths, and no floats: two nodes with the same log of
 * events come to the same number. Pure.
 */

export interface Outcome {
  /** Milliseconds since 1970. */
  readonly at: number;
  /** Millionths of HYPER. */
  readonly price: bigint;
  /** A client's fault is no outcome: leave it out. */
  readonly success: boolean;
}

export interface ReputationEvents {
  readonly outcomes: readonly Outcome[];
  /** Of the last 30 days, in hours. */
  readonly hoursUp: number;
  readonly hoursExpected: number;
  /** Between offer and acceptance. */
  readonly acceptMs: readonly number[];
  readonly audits: readonly {
    readonly at: number;
    readonly price: bigint;
    readonly passed: boolean;
  }[];
}

export const NEW_NODE: ReputationEvents = {
  outcomes: [],
  hoursUp: 0,
  hoursExpected: 0,
  acceptMs: [],
  audits: [],
};

const PPM = 1_000_000n;
const DAY_MS = 86_400_000;
const WINDOW_DAYS = 90;
const HALF_LIFE_DAYS = 30n;
const HYPER = 1_000_000n;
/** 2^(-1/30) in parts per 10^18: what a day leaves of a weight. */
const DAY_LEFT = 977_159_968_434_245_954n;
const DAY_ONE = 1_000_000_000_000_000_000n;

/** By what the job was worth, halved every 30 days; in millionths. 0 for what is older than 90 days or lies ahead. */
export function weightPpm(price: bigint, at: number, now: number): bigint {
  const days = Math.floor((now - at) / DAY_MS);
  if (days < 0 || days > WINDOW_DAYS) return 0n;
  const worth = 1n + price / HYPER;
  const log2 = BigInt(Math.min(7, worth.toString(2).length - 1));
  return ((1n + log2) * PPM * dayFactor(BigInt(days))) / DAY_ONE;
}

/** Whole halvings are exact. */
function dayFactor(days: bigint): bigint {
  let factor = DAY_ONE >> (days / HALF_LIFE_DAYS);
  for (let day = days % HALF_LIFE_DAYS; day > 0n; day -= 1n) factor = (factor * DAY_LEFT) / DAY_ONE;
  return factor;
}

export function reputation(events: ReputationEvents, now: number): number {
  const { outcomes, hoursUp, hoursExpected, acceptMs, audits } = events;
  let good = 0n;
  let all = 0n;
  for (const { at, price, success } of outcomes) {
    const weight = weightPpm(price, at, now);
    all += weight;
    if (success) good += weight;
  }
  const success = ((5n * PPM + good) * PPM) / (10n * PPM + all);
  const up =
    ((12n + BigInt(Math.floor(hoursUp))) * PPM) / (24n + BigInt(Math.floor(hoursExpected)));
  const quick = quicknessPpm(acceptMs);
  const recent = audits.filter(({ at }) => weightPpm(0n, at, now) > 0n);
  const passed = BigInt(recent.filter((audit) => audit.passed).length);
  const audited = ((2n + passed) * PPM) / (4n + BigInt(recent.length));
  const weighted = (50n * success + 20n * up + 10n * quick + 20n * audited) / 100n;
  const failed = recent
    .filter((audit) => !audit.passed)
    .reduce((sum, { price, at }) => sum + weightPpm(price, at, now), 0n);
  const points = (1_000n * weighted) / PPM - (100n * failed) / PPM;
  return Number(points < 0n ? 0n : points > 1_000n ? 1_000n : points);
}

/** 1 for a median of a second or less, 0 from ten seconds on, a half without data. */
function quicknessPpm(acceptMs: readonly number[]): bigint {
  if (acceptMs.length === 0) return PPM / 2n;
  const sorted = acceptMs.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median =
    sorted.length % 2 === 1
      ? sorted[middle]!
      : Math.floor((sorted[middle - 1]! + sorted[middle]!) / 2);
  const left = BigInt(Math.min(9_000, Math.max(0, 10_000 - Math.floor(median))));
  return (left * PPM) / 9_000n;
}
