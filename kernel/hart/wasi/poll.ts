/**
 * Pollables and waiting. Everything a guest can wait for here is an instant of the monotonic clock or already there, so a wait is
 * one timer, and a pollable owns nothing.
 */
import { Trap } from '../../process-host.ts';
import type { MaybePromise } from '../../process-host.ts';
import { timerMsMax } from './limits.ts';
import type { WasiInterface } from './interface.ts';

/** Calls back once after `ms` milliseconds, or not at all once cancelled with what it returned. */
export type SetTimer = (callback: () => void, ms: number) => () => void;

/** The resource `pollable`. */
export class Pollable {
  /** The monotonic instant it becomes ready at, in nanoseconds; undefined: it is ready. */
  readonly readyAtNs: bigint | undefined;

  constructor(readyAtNs?: bigint) {
    this.readyAtNs = readyAtNs;
  }
}

export interface Waiting {
  /** Monotonic, in nanoseconds. */
  monotonicNowNs(): bigint;
  readonly setTimer: SetTimer;
  /** Aborts when the process dies. A wait then ends at once, so that the guest's stack can unwind. */
  readonly signal: AbortSignal;
}

export function pollInterface(waiting: Waiting): WasiInterface {
  const isReady = (pollable: Pollable) =>
    pollable.readyAtNs === undefined || pollable.readyAtNs <= waiting.monotonicNowNs();
  return {
    resources: { pollable: Pollable },
    functions: {
      '[method]pollable.ready': isReady,
      '[method]pollable.block': (pollable: Pollable): MaybePromise<void> =>
        isReady(pollable) ? undefined : sleepUntil(waiting, pollable.readyAtNs ?? 0n),
      poll: (pollables: readonly Pollable[]) => poll(waiting, pollables),
    },
  };
}

/** The indices of the ready ones; waits for the first if none is. */
function poll(waiting: Waiting, pollables: readonly Pollable[]): MaybePromise<number[]> {
  if (pollables.length === 0) throw new Trap('poll was called with no pollable');
  const ready = readyIndices(pollables, waiting.monotonicNowNs());
  if (ready.length > 0) return ready;
  let firstNs = pollables[0]?.readyAtNs ?? 0n;
  for (const { readyAtNs } of pollables)
    if (readyAtNs !== undefined && readyAtNs < firstNs) firstNs = readyAtNs;
  return sleepUntil(waiting, firstNs).then(() => readyIndices(pollables, waiting.monotonicNowNs()));
}

function readyIndices(pollables: readonly Pollable[], nowNs: bigint): number[] {
  const indices: number[] = [];
  pollables.forEach(({ readyAtNs }, i) => {
    if (readyAtNs === undefined || readyAtNs <= nowNs) indices.push(i);
  });
  return indices;
}

/** Resolves at the instant, or when the process dies. Never rejects. */
function sleepUntil(waiting: Waiting, instantNs: bigint): Promise<void> {
  const { signal, setTimer } = waiting;
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    let cancel = arm();
    signal.addEventListener('abort', abort, { once: true });

    function arm(): () => void {
      const leftNs = instantNs - waiting.monotonicNowNs();
      const leftMs = leftNs <= 0n ? 0 : Number((leftNs + 999_999n) / 1_000_000n);
      return setTimer(fire, Math.min(leftMs, timerMsMax));
    }

    function fire(): void {
      // Timers may be early by a fraction, and long waits take several.
      if (waiting.monotonicNowNs() < instantNs) {
        cancel = arm();
        return;
      }
      signal.removeEventListener('abort', abort);
      resolve();
    }

    function abort(): void {
      cancel();
      resolve();
    }
  });
}
