/** Time as modules see it; the node hands them the kernel's clock, tests a fake one. */
export interface Clock {
  /** Milliseconds since an arbitrary point, never going back. */
  nowMs(): number;
  /** Runs `action` once, `delayMs` from now; with 0, in the next turn of the event loop. At most 2^31-1 ms. */
  schedule(action: () => void, delayMs: number): object;
  /** Does nothing for a timer that has fired. */
  cancel(handle: object): void;
}

/** Longest wait `schedule` can be asked for: what the host's timers hold. Longer waits are chained. */
export const SCHEDULE_MS_MAX = 2 ** 31 - 1;
