import { expect, test } from 'vitest';
import { TestClock } from '../shared/testing.ts';
import { Beat } from './beat.ts';

test('all that look share a timer, which is there while somebody looks', async () => {
  const clock = new TestClock();
  const beat = new Beat(clock, 1_000);
  const seen: string[] = [];
  const stopOne = beat.every(() => seen.push('one'));
  const stopTwo = beat.every(() => {
    seen.push('two');
    // Who stops, or is stopped, during a beat is not called in it any more; who comes is with the next.
    stopThree();
    stopTwo();
    beat.every(() => seen.push('four'));
  });
  const stopThree = beat.every(() => seen.push('three'));
  expect(clock.pending).toBe(1);
  await clock.advance(999);
  expect(seen).toEqual([]);
  await clock.advance(1);
  expect(seen).toEqual(['one', 'two']);
  await clock.advance(1_000);
  expect(seen).toEqual(['one', 'two', 'one', 'four']);
  stopOne();
  expect(clock.pending).toBe(1);
});

test('nothing is left when the last has stopped, also in its own call', async () => {
  const clock = new TestClock();
  const beat = new Beat(clock, 1_000);
  const stop = beat.every(() => stop());
  await clock.advance(1_000);
  expect(clock.pending).toBe(0);
  beat.every(() => undefined)();
  expect(clock.pending).toBe(0);
});
