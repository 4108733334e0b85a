/** How long to wait before connecting again (compute-market.md §10.5): 0.25 s, doubled each time up to the most, a fifth more or less. */
const FIRST_MS = 250;
const JITTER = 0.2;

/** @param failures before, since the last success. @param random 0 to 1 */
export function backoffMs(failures: number, mostMs: number, random: number): number {
  const delay = Math.min(mostMs, FIRST_MS * 2 ** Math.min(failures, 20));
  return delay * (1 - JITTER + 2 * JITTER * random);
}
