/** `compute.throughput` and `compute.dispatch`: free jobs through a whole node, from a program's submission to the result at the market. */
import { inChild } from './child.ts';
import { median, percentile } from './measure.ts';
import { type Bench, count } from './row.ts';

/** Each job is under way for some 70 ms, most of it waiting for a disk or a signature. */
const SLOTS = 32;
/** 200 jobs a second. */
const JOB_MS_MAX = 5;
const DISPATCH_MS_MAX = 50;

interface Measured {
  readonly msPerJob: number;
  readonly dispatch: readonly number[];
  readonly fuel: { readonly market: number; readonly gpu: number };
}

export const computeJobs: readonly Bench[] = [
  {
    name: 'compute.throughput',
    async run(scale) {
      const jobs = count(600, scale, 4);
      const alone = count(40, scale, 2);
      const { msPerJob, dispatch, fuel } = await inChild<Measured>('compute-jobs-main.ts', [
        jobs,
        alone,
        SLOTS,
      ]);
      const millions = (units: number): number => Math.round(units / 1e6);
      return [
        {
          name: 'compute.throughput',
          value: msPerJob,
          unit: 'ms',
          floor: undefined,
          target: { of: 'value', max: JOB_MS_MAX },
          runs: 1,
          note: `of each of ${jobs} empty wasm jobs, ${SLOTS} slots: ${Math.round(1_000 / msPerJob)} a second; M fuel a job: market ${millions(fuel.market)}, gpu ${millions(fuel.gpu)}`,
        },
        {
          name: 'compute.dispatch',
          value: median(dispatch),
          unit: 'ms',
          floor: undefined,
          target: { of: 'value', max: DISPATCH_MS_MAX },
          p50: median(dispatch),
          p99: percentile(dispatch, 0.99),
          runs: alone,
          note: 'one empty wasm job after another, submitted to running',
        },
      ];
    },
  },
];
