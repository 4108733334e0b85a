/**
 * Time, through `timer:distro:sys`: a request that is answered when the time has come (kit.md §10.8). Nothing here blocks, but in a
 * serial process. A `signal` ends the wait at once, with the signal's reason; the answer that comes later is dropped.
 */
import type { Requester } from './client.ts';
import { NoResponse } from './errors.ts';

/** A handler that waits for something else than a sleep of this length is answered without waiting for its end. */
const LONG_MS = 1_000;

/** Of `timeout`: the time was up first. */
export class TimedOut extends Error {
  override readonly name = 'TimedOut';
  constructor(ms: number) {
    super(`not done within ${ms} ms`);
  }
}

export interface WaitOptions {
  readonly signal?: AbortSignal | undefined;
}

/** Resolves after `ms` milliseconds; other handlers run meanwhile. Rejects with the signal's reason when that comes first. */
export async function sleep(
  process: Requester,
  ms: number,
  { signal }: WaitOptions = {},
): Promise<void> {
  const delayMs = Math.max(0, Math.ceil(ms));
  // Whole seconds, above the delay: the module is early by one millisecond, so it answers first (M111).
  const timeoutS = Math.floor(delayMs / 1_000) + 1;
  const background = delayMs > LONG_MS;
  await process
    .request('timer:distro:sys', `{"SetTimer":${delayMs}}`, { timeoutS, signal, background })
    .catch((error: unknown) => {
      // The module may not answer a process that is not public and has not granted it messaging (M113). The time is over all the same.
      if (!(error instanceof NoResponse)) throw error;
    });
}

/**
 * Calls `work` every `ms` milliseconds, each time after the one before has finished. Resolves when `work` returns false, or when the
 * signal comes; rejects with what `work` throws.
 */
export async function every(
  process: Requester,
  ms: number,
  work: () => boolean | void | Promise<boolean | void>,
  options: WaitOptions = {},
): Promise<void> {
  do {
    if (await stopped(sleep(process, ms, options), options)) return;
  } while ((await work()) !== false);
}

/** Calls `work` once `date` has come, at once if it has passed. Resolves with true when it did, with false when the signal came. */
export async function at(
  process: Requester,
  date: Date | number,
  work: () => void | Promise<void>,
  options: WaitOptions = {},
): Promise<boolean> {
  const dueMs = Number(date);
  for (;;) {
    const leftMs = dueMs - Date.now();
    if (leftMs <= 0 && options.signal?.aborted !== true) break;
    // In steps, so that a clock that was set is noticed.
    if (await stopped(sleep(process, Math.min(leftMs, AT_STEP_MS), options), options)) return false;
  }
  await work();
  return true;
}

/** Longest wait of `at` between two looks at the clock, in milliseconds. */
export const AT_STEP_MS = 3_600_000;

/** What `promise` resolves with, or a rejection with `TimedOut` after `ms` milliseconds. What `promise` stands for goes on. */
export async function timeout<T>(process: Requester, promise: Promise<T>, ms: number): Promise<T> {
  const over = new AbortController();
  try {
    return await Promise.race([
      promise,
      sleep(process, ms, { signal: over.signal }).then(() => {
        throw new TimedOut(ms);
      }),
    ]);
  } finally {
    over.abort();
  }
}

/** Waits; whether the signal ended the wait. */
async function stopped(waiting: Promise<void>, { signal }: WaitOptions): Promise<boolean> {
  try {
    await waiting;
    return signal?.aborted === true;
  } catch (error) {
    if (signal?.aborted === true) return true;
    throw error;
  }
}
