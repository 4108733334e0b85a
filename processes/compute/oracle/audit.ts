/**
 * Which runs are run again (compute-market.md §8.3; findings F38): more often the more a false result would gain, by a secret that was
 * committed to before and is shown after, so that a provider cannot tell and everybody can check (CM25). Pure.
 */
import { fromHex, toHex } from '../../../contracts/hex.ts';
import { hmacSha256, taggedHash } from '../../../wit/jobs/digest.ts';

/** Of receipts that are not dearer than their node's reservation is. */
export const RATE_BPS_MIN = 500;
export const RATE_BPS_MAX = 10_000;
/** One secret's time, in milliseconds. */
export const HOUR_MS = 3_600_000;

/**
 * How many of ten thousand such runs are audited: the expected loss is twice the gain.
 * @param gain     what a false result earns: the price
 * @param slashed  what is taken for one: the node's reservation
 */
export function auditRateBps(gain: bigint, slashed: bigint): number {
  const sum = gain + slashed;
  if (sum === 0n) return RATE_BPS_MIN;
  const rate = Number((20_000n * gain + sum - 1n) / sum);
  return Math.min(RATE_BPS_MAX, Math.max(RATE_BPS_MIN, rate));
}

/** "The program failed" is cheap to say. */
export function doubled(rateBps: number): number {
  return Math.min(RATE_BPS_MAX, 2 * rateBps);
}

/** What is shown before the hour, `0x` hex. */
export function commitmentOf(secret: string): string {
  return toHex(taggedHash('hn/audit/commit/v1', bytesOf(secret)));
}

/** Whether a run is audited: 32 bytes each, `0x` hex. */
export function isPicked(
  secret: string,
  jobId: string,
  receiptHash: string,
  rateBps: number,
): boolean {
  // The first eight bytes, of 2^64, against the rate, of ten thousand.
  return pickOf(secret, jobId, receiptHash) * 10_000n < BigInt(rateBps) * 2n ** 64n;
}

/** The first eight bytes of the pick. */
export function pickOf(secret: string, jobId: string, receiptHash: string): bigint {
  return BigInt(`0x${macOf(secret, jobId, receiptHash).slice(0, 16)}`);
}

/** The whole pick, hex. */
export function macOf(secret: string, jobId: string, receiptHash: string): string {
  const tag = new TextEncoder().encode('hn/audit/pick/v1\0');
  const message = Uint8Array.of(...tag, ...bytesOf(jobId), ...bytesOf(receiptHash));
  return toHex(hmacSha256(bytesOf(secret), message)).slice(2);
}

/** An hour as it is published. */
export interface PublishedHour {
  readonly commitment: string;
  readonly secret: string | undefined;
  readonly picks: readonly {
    readonly jobId: string;
    readonly receiptHash: string;
    readonly rateBps: number;
    readonly audited: boolean;
  }[];
}

/** What is wrong with an hour: a secret that was not committed to, audits that were due and not made. Undefined: nothing, or it is not over. */
export function problemOfHour({ commitment, secret, picks }: PublishedHour): string | undefined {
  if (secret === undefined) return undefined;
  if (commitmentOf(secret) !== commitment) return 'the secret is not the one that was committed to';
  const skipped = picks.find(
    ({ jobId, receiptHash, rateBps, audited }) =>
      isPicked(secret, jobId, receiptHash, rateBps) && !audited,
  );
  return skipped && `the audit of ${skipped.jobId} was due and not made`;
}

/** @throws RangeError for what is no `0x` hex */
function bytesOf(hex: string): Uint8Array {
  const bytes = fromHex(hex);
  if (bytes === undefined) throw new RangeError(`${hex} is no hex`);
  return bytes;
}
