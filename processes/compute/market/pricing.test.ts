import { expect, it } from 'vitest';
import { completeSpec } from '../../../wit/jobs/spec.ts';
import { demandBps, gpuRate, priceOf, priceOfSpec, reputationBps, tokenCost } from './pricing.ts';
import { specOf } from './testing/fake-gpu.ts';

const neutral = { demandBps: 10_000n, reputationBps: 10_000n, priorityBps: 10_000n, minPrice: 0n };

it('CM36 prices of the reference', () => {
  const rate = (name: string) => gpuRate({ class: name, memMiB: 0 });
  expect(
    priceOf({
      rate: rate('rtx-4090'),
      seconds: 600n,
      demandBps: 12_500n,
      reputationBps: 11_000n,
      priorityBps: 15_000n,
      minPrice: 0n,
    }),
  ).toBe(2_578_125n);
  expect(priceOf({ ...neutral, rate: rate('rtx-4090'), seconds: 300n })).toBe(625_000n);
  expect(priceOf({ ...neutral, rate: rate('a100-40'), seconds: 7_200n, demandBps: 20_000n })).toBe(
    100_000_000n,
  );
  // Rounded up, once.
  expect(priceOf({ ...neutral, rate: rate('h100-80'), seconds: 1n })).toBe(18_056n);
  expect(priceOf({ ...neutral, rate: 1n, seconds: 1n, minPrice: 500n })).toBe(500n);
  expect(gpuRate({ class: 'unheard-of', memMiB: 10_000 })).toBe(2_000_000n);
});

it('CM36 demand is linear between its points', () => {
  const cases: readonly (readonly [bigint, bigint])[] = [
    [0n, 8_000n],
    [2_000n, 8_000n],
    [3_500n, 9_000n],
    [5_000n, 10_000n],
    [7_000n, 15_000n],
    [9_000n, 20_000n],
    [9_500n, 25_000n],
    [10_000n, 30_000n],
    [99_999n, 30_000n],
    [-1n, 8_000n],
  ];
  for (const [use, demand] of cases) expect(demandBps(use), String(use)).toBe(demand);
  expect(reputationBps(500)).toBe(9_000n);
  expect(reputationBps(1_000)).toBe(10_500n);
  expect(reputationBps(0)).toBe(9_000n);
});

it('CM36 a spec on a machine without a GPU pays for its cores', () => {
  const spec = completeSpec(
    specOf({ limits: { cpuMilli: 2_000, timeoutS: 3_600 }, priority: 'high' }) as never,
  );
  if (!spec.ok) throw new Error(spec.error.message);
  const at = { gpu: undefined, useBps: 5_000n, reputation: 500 };
  // Two cores, an hour, nine tenths for a new node, half more for the priority.
  expect(priceOfSpec(spec.value, at)).toBe(135_000n);
});

it('CM36 token prices are rounded up once for a request', () => {
  const cost = (input: bigint, output: bigint, per?: { in: bigint; out: bigint }) =>
    tokenCost({ in: input, out: output }, per);
  expect(cost(12n, 87n)).toBe(273n);
  expect(cost(1n, 0n)).toBe(1n);
  expect(cost(0n, 1n)).toBe(3n);
  expect(cost(1_000n, 1_000n)).toBe(4_000n);
  expect(cost(1n, 1n, { in: 150n, out: 601n })).toBe(1n);
});
