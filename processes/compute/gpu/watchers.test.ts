/** Who hears at once when a provider has changed (F47). */
import { expect, it } from 'vitest';
import { Watchers, WATCHERS_MAX, WATCHES_MS } from './watchers.ts';

it('F47 markets that have asked lately hear; those that left, and the oldest of too many, do not', () => {
  let nowMs = 0;
  const watchers = new Watchers(() => nowMs);
  expect(watchers.all()).toEqual([]);
  watchers.asked('a.os');
  nowMs = 1_000;
  watchers.asked('b.os');
  nowMs = WATCHES_MS;
  expect(watchers.all()).toEqual(['a.os', 'b.os']);
  nowMs += 1;
  expect(watchers.all()).toEqual(['b.os']);
  for (let at = 0; at < WATCHERS_MAX - 1; at += 1) watchers.asked(`n${at}.os`);
  expect(watchers.all()).toHaveLength(WATCHERS_MAX);
  // Who asks again is the newest.
  watchers.asked('b.os');
  watchers.asked('last.os');
  expect(watchers.all()).toHaveLength(WATCHERS_MAX);
  expect(watchers.all().slice(-2)).toEqual(['b.os', 'last.os']);
  expect(watchers.all()).not.toContain('n0.os');
});
