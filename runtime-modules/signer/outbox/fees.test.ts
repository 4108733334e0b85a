import fc from 'fast-check';
import { expect, test } from 'vitest';
import { defaultLimit, firstFees, higherFees, neededFee } from './fees.ts';

const wei = fc.bigInt({ min: 0n, max: 10n ** 15n });
const price = fc.record({ base: wei, tip: fc.bigInt({ min: 1n, max: 10n ** 12n }) });

test('F41 no offer is above its limit, and each pays for the next block', () => {
  fc.assert(
    fc.property(price, wei, (now, limit) => {
      const fees = firstFees(now, limit);
      if (fees === undefined) {
        expect(limit).toBeLessThan(now.base + now.tip);
        return;
      }
      expect(fees.maxFeePerGas).toBeLessThanOrEqual(limit);
      expect(fees.maxFeePerGas).toBeGreaterThanOrEqual(now.base + now.tip);
      expect(fees.maxPriorityFeePerGas).toBeLessThanOrEqual(fees.maxFeePerGas);
    }),
  );
});

test('F41 a replacement is a tenth more of both, as nodes ask, within its limit, or there is none', () => {
  fc.assert(
    fc.property(price, price, wei, (then, now, limit) => {
      const before = firstFees(then, limit);
      if (before === undefined) return;
      const after = higherFees(before, now, limit);
      if (after === undefined) return;
      expect(after.maxFeePerGas).toBeLessThanOrEqual(limit);
      expect(after.maxFeePerGas * 10n).toBeGreaterThanOrEqual(before.maxFeePerGas * 11n);
      expect(after.maxPriorityFeePerGas * 10n).toBeGreaterThanOrEqual(
        before.maxPriorityFeePerGas * 11n,
      );
      expect(after.maxPriorityFeePerGas).toBeLessThanOrEqual(after.maxFeePerGas);
    }),
  );
});

test('F41 where the limit has room there is a replacement, and it meets the price of now', () => {
  const then = { base: 100n, tip: 10n };
  const before = firstFees(then, defaultLimit(then))!;
  expect(before).toEqual({ maxFeePerGas: 210n, maxPriorityFeePerGas: 10n });
  const now = { base: 300n, tip: 20n };
  expect(higherFees(before, now, defaultLimit(then))).toEqual({
    maxFeePerGas: neededFee(now),
    maxPriorityFeePerGas: 20n,
  });
  // Less than is needed, and still more than before.
  expect(higherFees(before, now, 300n)).toEqual({ maxFeePerGas: 300n, maxPriorityFeePerGas: 20n });
  expect(higherFees(before, now, 230n)).toBeUndefined();
});
