/** The market as a component, on the real modules of a node, with a provider that has no extension. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { marketNode, type MarketNode } from '../support/market-node.ts';

const SPEC = { v: 1, type: 'custom', kind: 'builtin', entry: { fn: 'noop' }, inputs: [] };

interface Job {
  readonly state: string;
  readonly attempt: number;
  readonly result: { readonly receiptSig: string } | null;
}

let market: MarketNode;
beforeEach(async () => {
  market = await marketNode();
}, 120_000);
afterEach(() => market[Symbol.asyncDispose]());

async function ask<T>(method: string, path: string, body?: unknown): Promise<T> {
  const answer = await fetch(`${market.base}${path}`, {
    method,
    headers: { authorization: `Bearer ${market.token}` },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  expect(answer.status, `${method} ${path}`).toBeLessThan(300);
  return (await answer.json()) as T;
}

const submit = async (label: string): Promise<string> => {
  const spec = { ...SPEC, label };
  return (await ask<{ jobId: string }>('POST', '/api/facilitator/submit-job', { spec })).jobId;
};

async function done(jobId: string): Promise<Job> {
  const job = (): Promise<Job> => ask('GET', `/api/jobs/${jobId}`);
  await expect.poll(async () => (await job()).state, { timeout: 60_000 }).toBe('completed');
  return job();
}

test('free jobs run at a provider of the node, each once, and their events are in order', async () => {
  const ids = await Promise.all(Array.from({ length: 20 }, (_, index) => submit(`job ${index}`)));
  expect(new Set(ids).size).toBe(20);
  for (const jobId of ids) {
    const job = await done(jobId);
    expect(job).toMatchObject({ attempt: 0, result: { receiptSig: expect.stringMatching(/^0x/) } });
    const { events } = await ask<{ events: { seq: number; transition?: string }[] }>(
      'GET',
      `/api/jobs/${jobId}/events`,
    );
    const transitions = events.flatMap(({ transition }) => transition ?? []);
    expect(transitions).toEqual(['T1', 'T2', 'T4', 'T6', 'T7', 'T12']);
  }
});

test('CM50 a market that is killed while it works goes on with every job, and runs none twice', async () => {
  const ids = await Promise.all(Array.from({ length: 12 }, (_, index) => submit(`job ${index}`)));
  await market.restart();
  ids.push(await submit('afterwards'));
  for (const jobId of ids) await done(jobId);
  const { states } = await ask<{ states: Record<string, number> }>('GET', '/api/stats/jobs');
  expect(states).toEqual({ completed: 13 });
});
