/** `compute.paid`: wasm jobs that do nothing, paid over HTTP, through a whole node, its extension and a chain, as people start them. */
import { inChild } from './child.ts';
import { type Bench, count } from './row.ts';

const SLOTS = 32;
/** 20 jobs a second. */
const JOB_MS_MAX = 50;

interface Measured {
  readonly proposedMs: number;
  readonly settledMs: number;
  readonly jobs: number;
  readonly blocks: number;
}

export const computePaid: readonly Bench[] = [
  {
    name: 'compute.paid',
    async run(scale) {
      // A stake answers for a hundred until they are settled.
      const { jobs, proposedMs, settledMs, blocks } = await inChild<Measured>(
        'compute-paid-main.ts',
        [count(90, scale, 2), SLOTS],
      );
      const rate = Math.round((1_000 * jobs) / proposedMs);
      return [
        {
          name: 'compute.paid',
          value: proposedMs / jobs,
          unit: 'ms',
          floor: undefined,
          target: { of: 'value', max: JOB_MS_MAX },
          runs: 1,
          note: `of each of ${jobs} empty wasm jobs, from payment to the proposal of what is paid: ${rate} a second, ${blocks} blocks; all settled ${(settledMs / 1_000).toFixed(1)} s after their window`,
        },
      ];
    },
  },
];
