import { expect, test } from 'vitest';
import { BACKOFF_S_MAX, FRESH_BACKOFF, nextBackoff } from './backoff.ts';

test('K91 crashes at once wait 2, 4, 8 ... 512, then 600 seconds each time', () => {
  let state = FRESH_BACKOFF;
  const waits: number[] = [];
  for (let crash = 0; crash < 12; crash++) {
    const next = nextBackoff(state, 0);
    state = next.state;
    waits.push(next.waitS);
  }
  expect(waits).toEqual([2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600, 600]);
});

test('K91 a thousand crashes neither overflow nor exceed the longest wait', () => {
  let state = FRESH_BACKOFF;
  for (let crash = 0; crash < 5_000; crash++) state = nextBackoff(state, 0).state;
  expect(state.delayS).toBe(BACKOFF_S_MAX);
});

test('K92 five seconds are healthy on the first run, ten after a 2 s wait, 3,000 at most', () => {
  expect(nextBackoff(FRESH_BACKOFF, 4.999).waitS).toBe(2);
  expect(nextBackoff(FRESH_BACKOFF, 5)).toEqual({ state: FRESH_BACKOFF, waitS: 0 });
  const second = { attempts: 2, delayS: 2 };
  expect(nextBackoff(second, 9.999).waitS).toBe(4);
  expect(nextBackoff(second, 10)).toEqual({ state: FRESH_BACKOFF, waitS: 0 });
  const long = { attempts: 11, delayS: 600 };
  expect(nextBackoff(long, 2_999).waitS).toBe(600);
  expect(nextBackoff(long, 3_000).waitS).toBe(0);
});
