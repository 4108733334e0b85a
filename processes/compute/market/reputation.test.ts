import { expect, it } from 'vitest';
import { NEW_NODE, reputation, type ReputationEvents, weightPpm } from './reputation.ts';

const DAY = 86_400_000;
const NOW = 1_800_000_000_000;
const good = (count: number, price = 0n, at = NOW) =>
  Array.from({ length: count }, () => ({ at, price, success: true }));

it('a new node has exactly 500', () => {
  expect(reputation(NEW_NODE, NOW)).toBe(500);
});

it('weights halve every thirty days and grow with the logarithm of the price', () => {
  expect(weightPpm(0n, NOW, NOW)).toBe(1_000_000n);
  expect(weightPpm(1_000_000n, NOW, NOW)).toBe(2_000_000n);
  expect(weightPpm(10n ** 12n, NOW, NOW)).toBe(8_000_000n);
  expect(weightPpm(0n, NOW - 30 * DAY, NOW)).toBe(500_000n);
  expect(weightPpm(0n, NOW - 60 * DAY, NOW)).toBe(250_000n);
  expect(weightPpm(0n, NOW - 90 * DAY, NOW)).toBe(125_000n);
  expect(weightPpm(0n, NOW - 91 * DAY, NOW)).toBe(0n);
  expect(weightPpm(0n, NOW + DAY, NOW)).toBe(0n);
  // Half a half-life: the square root of a half.
  expect(weightPpm(0n, NOW - 15 * DAY, NOW)).toBe(707_106n);
});

it('what is known moves each part by its share', () => {
  const only = (more: Partial<ReputationEvents>) => reputation({ ...NEW_NODE, ...more }, NOW);
  // Ten good ones: 15 of 20, half of it.
  expect(only({ outcomes: good(10) })).toBe(625);
  expect(only({ outcomes: [{ at: NOW, price: 0n, success: false }] })).toBe(477);
  expect(only({ hoursUp: 720, hoursExpected: 720 })).toBe(596);
  expect(only({ acceptMs: [200, 900, 1_000] })).toBe(550);
  expect(only({ acceptMs: [10_000] })).toBe(450);
  expect(only({ audits: [{ at: NOW, price: 0n, passed: true }] })).toBe(520);
  // A failed one: 2 of 5, and a hundred off.
  expect(only({ audits: [{ at: NOW, price: 0n, passed: false }] })).toBe(380);
});

it('CM26 three failed audits of paid jobs take a new node out of matching', () => {
  const audits = [1, 2, 3].map(() => ({ at: NOW, price: 1_000_000n, passed: false }));
  expect(reputation({ ...NEW_NODE, audits }, NOW)).toBeLessThan(200);
});

it('two orders of the same log make the same number, within 0 and 1000', () => {
  const outcomes = Array.from({ length: 200 }, (_, index) => ({
    at: NOW - (index % 90) * DAY,
    price: BigInt(index) * 1_000_000n,
    success: index % 3 !== 0,
  }));
  const forth = reputation({ ...NEW_NODE, outcomes }, NOW);
  expect(reputation({ ...NEW_NODE, outcomes: outcomes.toReversed() }, NOW)).toBe(forth);
  const audits = Array.from({ length: 50 }, () => ({ at: NOW, price: 10n ** 9n, passed: false }));
  expect(reputation({ ...NEW_NODE, audits }, NOW)).toBe(0);
  const best: ReputationEvents = {
    outcomes: good(2_000, 10n ** 9n),
    hoursUp: 720,
    hoursExpected: 720,
    acceptMs: [1],
    audits: Array.from({ length: 500 }, () => ({ at: NOW, price: 0n, passed: true })),
  };
  expect(reputation(best, NOW)).toBeLessThanOrEqual(1_000);
});
