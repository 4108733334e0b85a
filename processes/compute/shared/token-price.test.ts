import { expect, it } from 'vitest';
import { tokenCost } from './token-price.ts';

it.each([
  [12, 87, undefined, 273n],
  [1, 0, undefined, 1n],
  [0, 1, undefined, 3n],
  [0, 0, undefined, 0n],
  [1_000, 1_000, undefined, 4_000n],
  [1, 1, { in: 150n, out: 601n }, 1n],
])('CM36 %i tokens in and %i out', (input, output, price, cost) => {
  expect(tokenCost({ input, output }, price)).toBe(cost);
});
