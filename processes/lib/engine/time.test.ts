import { afterEach, expect, test } from 'vitest';
import { GuestAbortController, GuestAbortSignal } from './abort.ts';
import { drainJobs } from './jobs.ts';
import {
  guestClearTimeout,
  guestSetInterval,
  guestSetTimeout,
  installTimeouts,
} from './timeouts.ts';

class Clock {
  nowMs = 0;
  pending: { dueMs: number; work: () => void }[] = [];
  constructor() {
    installTimeouts((ms, work) => {
      const entry = { dueMs: this.nowMs + ms, work };
      this.pending.push(entry);
      return { cancel: () => void this.pending.splice(this.pending.indexOf(entry), 1) };
    });
  }
  advance(ms: number): void {
    this.nowMs += ms;
    const due = this.pending.filter((one) => one.dueMs <= this.nowMs);
    this.pending = this.pending.filter((one) => one.dueMs > this.nowMs);
    for (const { work } of due) work();
    drainJobs();
  }
}

afterEach(() => installTimeouts(undefined as never));

test('without a process there is no time', () => {
  expect(() => guestSetTimeout(() => {}, 1)).toThrow('defineProcess');
});

test('setTimeout calls once with its arguments, setInterval until it is cleared', () => {
  const clock = new Clock();
  const seen: unknown[] = [];
  guestSetTimeout((...args) => seen.push(args), 10, 'a', 1);
  const cancelled = guestSetTimeout(() => seen.push('cancelled'), 10);
  const interval = guestSetInterval(() => seen.push('tick'), 10);
  guestClearTimeout(cancelled);
  guestClearTimeout(cancelled);
  guestClearTimeout();
  guestClearTimeout(9_999);
  for (let n = 0; n < 3; n++) clock.advance(10);
  guestClearTimeout(interval);
  clock.advance(100);
  expect(seen).toEqual([['a', 1], 'tick', 'tick', 'tick']);
  expect(clock.pending).toEqual([]);
});

test('a delay that is no time counts as none', () => {
  const clock = new Clock();
  const seen: string[] = [];
  guestSetTimeout(() => seen.push('nan'), Number.NaN);
  guestSetTimeout(() => seen.push('past'), -5);
  guestSetTimeout(() => seen.push('none'));
  clock.advance(0);
  expect(seen).toEqual(['nan', 'past', 'none']);
});

/** What a program of signals logs, in order. Run on both implementations. */
function program(
  Controller: typeof AbortController,
  Signal: typeof AbortSignal,
): readonly unknown[] {
  const log: unknown[] = [];
  const one = new Controller();
  const listener = (): void => void log.push('listener');
  one.signal.addEventListener('abort', listener);
  one.signal.addEventListener('abort', listener);
  one.signal.addEventListener('abort', { handleEvent: (event) => void log.push(event.type) });
  const gone = (): void => void log.push('removed');
  one.signal.addEventListener('abort', gone);
  one.signal.removeEventListener('abort', gone);
  const any = Signal.any([new Controller().signal, one.signal]);
  any.addEventListener('abort', () => log.push(`any ${String(any.reason)}`));
  log.push(one.signal.aborted, any.aborted);
  one.signal.throwIfAborted();
  one.abort('first');
  one.abort('second');
  one.signal.addEventListener('abort', listener);
  log.push(one.signal.aborted, one.signal.reason, any.aborted);
  try {
    one.signal.throwIfAborted();
  } catch (error) {
    log.push(error);
  }
  log.push((Signal.abort().reason as Error).name, Signal.any([Signal.abort(1)]).reason);
  const plain = new Controller();
  plain.abort();
  log.push((plain.signal.reason as Error).name);
  return log;
}

test('abort signals do as the platform says', () => {
  expect(program(GuestAbortController as never, GuestAbortSignal as never)).toEqual(
    program(AbortController, AbortSignal),
  );
});
