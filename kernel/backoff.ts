/** Restart arithmetic (kernel.md §5.5, K91 - K93). Pure. */

export interface Backoff {
  readonly attempts: number;
  readonly delayS: number;
}

/** Of a process that has never ended. */
export const FRESH_BACKOFF: Backoff = { attempts: 1, delayS: 1 };
/** The longest wait between two starts, in seconds. */
export const BACKOFF_S_MAX = 600;
/** An uptime of this many seconds is healthy whatever the delay was. */
const HEALTHY_UPTIME_S_MAX = 3_000;
const HEALTHY_UPTIME_DELAYS = 5;

/**
 * Seconds until the next start of a process that just ended.
 * @param uptimeS seconds since its last start; at least 5 times the previous delay counts as healthy
 * @returns the next state, and 0 .. BACKOFF_S_MAX
 */
export function nextBackoff(
  state: Backoff,
  uptimeS: number,
): { readonly state: Backoff; readonly waitS: number } {
  const healthyS = Math.min(HEALTHY_UPTIME_DELAYS * state.delayS, HEALTHY_UPTIME_S_MAX);
  if (uptimeS >= healthyS) return { state: FRESH_BACKOFF, waitS: 0 };
  const attempts = state.attempts + 1;
  const delayS = Math.min(2 ** (attempts - 1), BACKOFF_S_MAX);
  return { state: { attempts, delayS }, waitS: delayS };
}
