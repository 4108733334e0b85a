import { expect, test } from 'vitest';
import { bytes, count, duration, percent, plural, rate, timeOfDay } from './format.ts';

test('bytes have at most three digits and a unit', () => {
  const read = [0, 999, 1_023, 1_024, 1_536, 10_200, 1_048_575, 1_048_576, 5e9, 9e15].map(bytes);
  expect(read).toEqual([
    '0 B',
    '999 B',
    '1023 B',
    '1 KB',
    '1.5 KB',
    '10 KB',
    '1 MB',
    '1 MB',
    '4.7 GB',
    '8185 TB',
  ]);
});

test('shares and rates are short, and a dash while they are not known', () => {
  const read = [0, 0.0001, 0.004, 0.0996, 0.12, 1.504].map(percent);
  expect(read).toEqual(['0 %', '<0.1 %', '0.4 %', '10 %', '12 %', '150 %']);
  expect([percent(undefined), rate(undefined)]).toEqual(['–', '–']);
  expect([0, 0.25, 9.96, 35, 999.4, 999.6, 1_234, 3.4e6, 5.6e9].map(count)).toEqual([
    '0',
    '0.3',
    '10',
    '35',
    '999',
    '1k',
    '1.2k',
    '3.4M',
    '5.6G',
  ]);
});

test('durations have two units at most', () => {
  const s = 1_000;
  const read = [0, 0.2, 999, 59_999, 60 * s, 185 * s, 7_800 * s, 86_400 * s, 97_200 * s].map(
    duration,
  );
  expect(read).toEqual([
    '0 s',
    '1 ms',
    '999 ms',
    '59 s',
    '1 min',
    '3 min 5 s',
    '2 h 10 min',
    '1 d',
    '1 d 3 h',
  ]);
});

test('a time of day is as wide as any other; words agree with their number', () => {
  expect(timeOfDay(new Date(2026, 0, 2, 3, 4, 5, 6).getTime())).toBe('03:04:05.006');
  expect([plural(1, 'app', 'apps'), plural(0, 'app', 'apps')]).toEqual(['1 app', '0 apps']);
});
