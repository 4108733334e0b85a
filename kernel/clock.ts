/** The one source of time for the kernel and what it hands to modules; tests advance a fake one. */
// The global of the same name is looked up at each use (60 ns).
import { performance } from 'node:perf_hooks';

/** What `schedule` returns; give it to `cancel`. */
export type TimerHandle = object;

export interface Clock {
  /** Milliseconds since an arbitrary point, never going back. */
  nowMs(): number;
  /** Runs `action` once, `delayMs` from now at the earliest; with 0, in the next turn of the event loop. */
  schedule(action: () => void, delayMs: number): TimerHandle;
  /** Does nothing for a timer that has fired. */
  cancel(handle: TimerHandle): void;
}

/** The clock of this machine. */
export const systemClock: Clock = {
  nowMs: () => performance.now(),
  schedule: (action, delayMs) =>
    delayMs <= 0 ? setImmediate(action) : setTimeout(action, delayMs),
  cancel(handle) {
    // A handle is what schedule returned, so it is one of the two; each clear ignores the other's.
    clearTimeout(handle as NodeJS.Timeout);
    clearImmediate(handle as NodeJS.Immediate);
  },
};
