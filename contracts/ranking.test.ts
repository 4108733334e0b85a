import { expect, test } from 'vitest';
import { votingPower, weightOf } from './ranking.ts';

const HYPR = 10n ** 18n;
const WEEK4 = 2_419_200n;

test('HM30 voting power is that of the vectors', () => {
  expect(votingPower(HYPR, WEEK4)).toBe(99_999_999_950_000_000_000n);
  expect(votingPower(HYPR, 125_798_400n)).toBe(2_599_999_998_700_000_000_000n);
  expect(votingPower(1000n * HYPR, 31_536_000n)).toBe(1_139_999_999_806_039_050_855_600n);
  expect(votingPower(HYPR, 1n)).toBe(votingPower(HYPR, WEEK4));
  expect(votingPower(2n ** 255n, WEEK4)).toBe(2n ** 128n - 1n);
  expect(votingPower(HYPR, 2n ** 64n)).toBe(0n);
});

test('HM30 binds and locks that have ended count nothing', () => {
  const now = 1_700_000_000n;
  const live = { amount: HYPR, endTime: now + 1n, lockEndTime: now + WEEK4 };
  const power = votingPower(HYPR, WEEK4);
  expect(weightOf([live, live], now)).toBe(2n * power);
  expect(weightOf([live, { ...live, endTime: now }, { ...live, lockEndTime: now }], now)).toBe(
    power,
  );
  const most = { ...live, amount: 2n ** 127n };
  expect(weightOf([most, most, most], now)).toBe(2n ** 128n - 1n);
});
