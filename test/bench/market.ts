/**
 * `compute.market.dispatch`, `compute.market.throughput`: free jobs that do nothing, submitted over HTTP to a market on the real modules of a node. The
 * provider is a process without an extension, so that the figures are the market's.
 */
import { marketNode, type MarketNode } from '../support/market-node.ts';
import { median } from './measure.ts';
import { count, type Bench } from './row.ts';

const DISPATCH_MS_MAX = 50;
/** 200 jobs a second. */
const JOB_MS_MAX = 5;
const AT_ONCE = 16;
const LOOK_MS = 50;
const TRIES_MAX = 6_000;
const SPEC = { v: 1, type: 'custom', kind: 'builtin', entry: { fn: 'noop' }, inputs: [] };

interface Times {
  readonly created: number;
  readonly started: number;
  readonly closed: number;
}

export const markets: readonly Bench[] = [
  {
    name: 'compute.market.dispatch',
    async run(scale) {
      await using market = await marketNode();
      const jobs = count(100, scale, 3);
      const times: number[] = [];
      for (let job = 0; job < jobs; job += 1) {
        const { created, started } = await ended(market, await submit(market));
        times.push(started - created);
      }
      return [
        {
          name: 'compute.market.dispatch',
          value: median(times),
          unit: 'ms',
          floor: undefined,
          target: { of: 'value', max: DISPATCH_MS_MAX },
          runs: jobs,
          note: 'submit to running, free, builtin, local; a provider without extension',
        },
      ];
    },
  },
  {
    name: 'compute.market.throughput',
    async run(scale) {
      await using market = await marketNode();
      const jobs = count(1_000, scale, 20);
      const runs: number[] = [];
      for (let run = 0; run < Math.min(3, scale.runs); run += 1) {
        const start = performance.now();
        const before = await completed(market);
        let left = jobs;
        const submits = async (): Promise<void> => {
          while (left-- > 0) await submit(market);
        };
        await Promise.all(Array.from({ length: AT_ONCE }, submits));
        for (let tries = 0; (await completed(market)) < before + jobs; tries += 1) {
          if (tries > TRIES_MAX) throw new Error('the jobs do not end');
          await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
        }
        runs.push((performance.now() - start) / jobs);
      }
      const value = median(runs);
      return [
        {
          name: 'compute.market.throughput',
          value,
          unit: 'ms',
          floor: undefined,
          target: { of: 'value', max: JOB_MS_MAX },
          runs: runs.length,
          note: `wall time a job, ${Math.round(1_000 / value)} jobs/s; free, no-op; a provider without extension`,
        },
      ];
    },
  },
];

async function submit({ base, token }: MarketNode): Promise<string> {
  const answer = await fetch(`${base}/api/facilitator/submit-job`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
    body: JSON.stringify({ spec: SPEC }),
  });
  if (answer.status !== 202) throw new Error(`${answer.status} ${await answer.text()}`);
  return ((await answer.json()) as { jobId: string }).jobId;
}

/** Jobs that are done: one question for all of them, because looking at each costs the market as much as running it. */
async function completed({ base, token }: MarketNode): Promise<number> {
  const headers = { authorization: `Bearer ${token}` };
  const answer = await fetch(`${base}/api/stats/jobs`, { headers });
  const { states } = (await answer.json()) as { states: { completed?: number } };
  return states.completed ?? 0;
}

async function ended({ base, token }: MarketNode, jobId: string): Promise<Times> {
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    const answer = await fetch(`${base}/api/jobs/${jobId}`, {
      headers: { authorization: `Bearer ${token}` },
    });
    const job = (await answer.json()) as { state: string; times: Times };
    if (job.state === 'completed') return job.times;
    if (job.state === 'failed' || job.state === 'cancelled') throw new Error(JSON.stringify(job));
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`the job ${jobId} does not end`);
}
