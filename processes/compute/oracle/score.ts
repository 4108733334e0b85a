/** The score of a run (compute-market.md §8.2): six checks in basis points, and what a run is paid (§3.9, §5.2). Integers only. Pure. */
import { MODE, RECEIPT_STATUS } from '../../../contracts/compute.ts';

/** By bit. */
export const CHECKS = [
  { name: 'job_exists', bps: 1_500 },
  { name: 'logs_exist', bps: 2_000 },
  { name: 'node_match', bps: 1_500 },
  { name: 'completion_marker', bps: 2_500 },
  { name: 'valid_timing', bps: 1_500 },
  { name: 'valid_hashes', bps: 1_000 },
] as const;
export type CheckName = (typeof CHECKS)[number]['name'];
/** From this score on a run passes, if every gate holds. */
export const SCORE_BPS_MIN = 8_000;

export interface Score {
  readonly scoreBps: number;
  /** A bit for each check that holds, the first lowest. */
  readonly checks: number;
}

export function scoreOf(holds: Readonly<Record<CheckName, boolean>>): Score {
  let scoreBps = 0;
  let checks = 0;
  for (const [bit, { name, bps }] of CHECKS.entries()) {
    if (!holds[name]) continue;
    scoreBps += bps;
    checks |= 1 << bit;
  }
  return { scoreBps, checks };
}

/** Whether the run passes; no score outvotes a gate. */
export function passes(score: Score, failedGates: number): boolean {
  return failedGates === 0 && score.scoreBps >= SCORE_BPS_MIN;
}

export interface Charge {
  readonly status: number;
  readonly mode: number;
  readonly price: bigint;
  readonly minPrice: bigint;
  /** What the receipt claims. */
  readonly claimed: bigint;
  readonly elapsedMs: number;
  /** Seconds that a run may take. */
  readonly timeoutS: number;
}

/**
 * What a run is paid: the price of one that succeeded; of metered ones, and of those that failed by the client's doing, the part of the
 * time that was used, at least the least that such a job costs. Never above what was claimed. A provider's own fault is not paid.
 */
export function payoutOf(charge: Charge): bigint {
  const { status, mode, price, claimed } = charge;
  if (status === RECEIPT_STATUS.providerError) return 0n;
  const whole = status === RECEIPT_STATUS.ok && mode !== MODE.metered;
  return least(whole ? price : meteredOf(charge), claimed);
}

/** `min(price, max(minPrice, ceil(price * elapsed / T)))` */
export function meteredOf({
  price,
  minPrice,
  elapsedMs,
  timeoutS,
}: Pick<Charge, 'price' | 'minPrice' | 'elapsedMs' | 'timeoutS'>): bigint {
  const whole = BigInt(timeoutS) * 1_000n;
  const used = (price * BigInt(Math.max(0, elapsedMs)) + whole - 1n) / whole;
  return least(price, used > minPrice ? used : minPrice);
}

function least(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
