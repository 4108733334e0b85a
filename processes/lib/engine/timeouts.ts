/** `setTimeout` and its kin for guests: the engine's own never fire, because `receive` does not return to its event loop. */
import { enqueueJob } from './jobs.ts';

/** Calls `work` in `ms` milliseconds unless cancelled. */
export type After = (ms: number, work: () => void) => { cancel(): void };

let after: After | undefined;
let lastId = 0;
const running = new Map<number, { cancel(): void }>();

/** Called by a process when it starts. */
export function installTimeouts(given: After): void {
  after = given;
}

/** @throws Error in a guest that is neither a `defineProcess` nor a `defineScript`: nobody would tell it that time has passed */
export function guestSetTimeout(
  work: (...args: unknown[]) => void,
  ms = 0,
  ...args: unknown[]
): number {
  return begin(ms, (id) => {
    running.delete(id);
    enqueueJob(() => work(...args));
  });
}

/** The next call is set `ms` after the one before was made. */
export function guestSetInterval(
  work: (...args: unknown[]) => void,
  ms = 0,
  ...args: unknown[]
): number {
  return begin(ms, function again(id) {
    begin(ms, again, id);
    enqueueJob(() => work(...args));
  });
}

/** Of both kinds. A call for what has ended, or never was, does nothing. */
export function guestClearTimeout(id?: number): void {
  if (id === undefined) return;
  running.get(id)?.cancel();
  running.delete(id);
}

function begin(ms: number, work: (id: number) => void, id = ++lastId): number {
  if (after === undefined) {
    throw new Error('timers need a process made with defineProcess or defineScript');
  }
  const delayMs = Number.isFinite(ms) ? Math.max(0, ms) : 0;
  running.set(
    id,
    after(delayMs, () => work(id)),
  );
  return id;
}
