/** Free jobs that several nodes run (compute-market.md §4.6); those that are paid are in `money-replicas.test.ts`. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type FakeGpu, specOf } from './testing/fake-gpu.ts';
import { type Json, NODE, World } from './testing/world.ts';

const SPEC = (replicas: number, mode = 'exact'): Readonly<Record<string, unknown>> =>
  specOf({ verify: { mode, replicas } });
const [RIGHT, WRONG] = [`0x${'aa'.repeat(32)}`, `0x${'bb'.repeat(32)}`];

let world: World;
let gpus: FakeGpu[];
beforeEach(async () => {
  world = new World();
  gpus = [NODE, 'bob.os', 'carol.os'].map((node) => world.gpu(node));
  await world.start();
});
afterEach(() => {
  expect(world.host.prints.filter(({ verbosity }) => verbosity === 0)).toEqual([]);
});

/** As many nodes as the market is to know, its own first. */
async function known(nodes: number): Promise<void> {
  for (const { node } of gpus.slice(1, nodes)) await world.ask('POST', '/api/nodes', { node });
  await world.settle();
}

/** The run that a node was given last. */
function runOf(gpu: FakeGpu): string {
  const offer = gpu.offers.at(-1);
  if (offer === undefined) throw new Error(`${gpu.node} has no run`);
  return offer.jobId;
}

async function ends(
  gpu: FakeGpu,
  outputsRoot: string,
  receipt: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  const jobId = runOf(gpu);
  await world.started(gpu, jobId);
  await world.finished(gpu, jobId, { receipt: { outputsRoot, ...receipt } });
}

const runs = async (jobId: string): Promise<Json[]> => (await world.job(jobId)).replicas;
const states = async (jobId: string): Promise<[string, unknown, unknown][]> =>
  (await runs(jobId)).map(({ state, agrees, error }) => [state, agrees, error]);

it('CM26 three nodes run the same job, and what two came to is the result', async () => {
  await known(3);
  const jobId = await world.submit(SPEC(3), { intentId: 'mine' });
  await world.advance(1);
  expect(gpus.map(({ offers }) => offers.length)).toEqual([1, 1, 1]);
  expect(new Set(gpus.map((gpu) => gpu.offers[0]!.specHash)).size).toBe(1);
  expect(new Set(gpus.map(runOf)).size).toBe(3);
  await ends(gpus[0]!, WRONG);
  await ends(gpus[1]!, RIGHT);
  expect(
    (await states(jobId)).map(([state, agrees]) => `${state} ${String(agrees)}`).toSorted(),
  ).toEqual(['assigned null', 'verifying null', 'verifying null']);
  await ends(gpus[2]!, RIGHT);
  const job = await world.job(jobId);
  expect(job).toMatchObject({
    jobId,
    intentId: 'mine',
    state: 'completed',
    majority: 2,
    result: { outputsRoot: RIGHT },
  });
  const byNode = new Map(job.replicas.map((run: Json) => [run.node, run]));
  expect(byNode.get(NODE)).toMatchObject({ state: 'failed', agrees: false, error: 'VERDICT_FAIL' });
  for (const node of ['bob.os', 'carol.os'])
    expect(byNode.get(node)).toMatchObject({
      state: 'completed',
      agrees: true,
      outputsRoot: RIGHT,
    });
  // One job to whoever looks, by its id, its intent, or the id of a run.
  const { jobs } = (await world.ask('GET', '/api/jobs')).json;
  expect(jobs.map((each: Json) => each.jobId)).toEqual([jobId]);
  expect(await world.job('mine')).toEqual(job);
  expect(await world.job(job.replicas[2].jobId)).toEqual(job);
  const { json } = await world.ask('GET', `/api/receipts/${jobId}`);
  expect(json.receipt).toMatchObject({ outputsRoot: RIGHT, jobId: job.run });
});

it('CM26 once most agree the rest is measured by it, whenever it comes', async () => {
  await known(3);
  const jobId = await world.submit(SPEC(3));
  await world.advance(1);
  await ends(gpus[0]!, RIGHT);
  await ends(gpus[1]!, RIGHT);
  expect((await world.job(jobId)).state).toBe('completed');
  await world.crash();
  await world.advance(1);
  await ends(gpus[2]!, WRONG);
  expect(await states(jobId)).toContainEqual(['failed', false, 'VERDICT_FAIL']);
  expect((await world.job(jobId)).result.outputsRoot).toBe(RIGHT);
});

it('CM26 a tie proves nothing: no run counts', async () => {
  await known(2);
  const jobId = await world.submit(SPEC(2));
  await world.advance(1);
  await ends(gpus[0]!, RIGHT);
  await ends(gpus[1]!, WRONG);
  expect(await states(jobId)).toEqual([
    ['failed', false, 'NO_MAJORITY'],
    ['failed', false, 'NO_MAJORITY'],
  ]);
  expect(await world.job(jobId)).toMatchObject({
    state: 'failed',
    error: { code: 'NO_MAJORITY', fault: 'none' },
  });
});

it('CM26 too few answers end the job as well', async () => {
  await known(3);
  const jobId = await world.submit({ ...SPEC(3), retry: { maxAttempts: 1 } });
  await world.advance(1);
  await ends(gpus[0]!, RIGHT);
  for (const gpu of gpus.slice(1)) {
    await world.started(gpu, runOf(gpu));
    await world.lost(gpu, runOf(gpu), 'NODE_LOST');
  }
  expect(
    (await states(jobId)).map(([state, , error]) => `${state} ${String(error)}`).toSorted(),
  ).toEqual(['failed NODE_LOST', 'failed NODE_LOST', 'failed NO_MAJORITY']);
});

it('CM26 runs that nobody can compare end at their deadline, and count for nothing', async () => {
  await known(2);
  const jobId = await world.submit(SPEC(2, 'tolerance'));
  await world.advance(1);
  await ends(gpus[0]!, RIGHT);
  // There is no oracle here, which would look into the files.
  await ends(gpus[1]!, WRONG);
  await world.advance(30);
  expect((await world.job(jobId)).substate).toBe('comparing');
  const { deadline } = (await world.job(jobId)).times;
  const realNow = Date.now;
  Date.now = () => deadline + 1_000;
  try {
    // It was asked, and has a while to answer.
    await world.advance(150);
    Date.now = () => deadline + 60_000;
    await world.advance(2);
    await world.login();
    expect((await states(jobId)).map(([, , error]) => error)).toEqual([
      'NO_MAJORITY',
      'NO_MAJORITY',
    ]);
  } finally {
    Date.now = realNow;
  }
});

it('CM26 that the program fails is agreed on as well: who says so alone is wrong', async () => {
  await known(3);
  const jobId = await world.submit(SPEC(3));
  await world.advance(1);
  const failed = { status: 1, exitCode: 7 };
  await ends(gpus[0]!, RIGHT, failed);
  await ends(gpus[1]!, RIGHT);
  await ends(gpus[2]!, WRONG, failed);
  expect(await world.job(jobId)).toMatchObject({
    state: 'failed',
    error: { code: 'EXIT_NONZERO' },
    result: { exitCode: 7 },
  });
  expect((await states(jobId)).map(([, agrees]) => String(agrees)).toSorted()).toEqual([
    'false',
    'true',
    'true',
  ]);
});

it('CM1 fewer operators than runs are refused before anything happens, with how many there are', async () => {
  await known(2);
  for (const path of ['/api/facilitator/submit-job', '/api/quote']) {
    const { status, json } = await world.ask('POST', path, { spec: SPEC(3) });
    expect([path, status, json.error.code]).toEqual([path, 409, 'TOO_FEW_OPERATORS']);
    expect(json.error.message).toMatch(/3 nodes of different operators.* there are 2/);
  }
  const none = await world.ask('POST', '/api/quote', { spec: SPEC(2, 'none') });
  expect([none.status, none.json.error.code]).toEqual([400, 'REPLICAS_INCOMPARABLE']);
  expect((await world.ask('GET', '/api/jobs')).json.jobs).toEqual([]);
  expect(gpus.flatMap(({ offers }) => offers)).toEqual([]);
  expect((await world.ask('POST', '/api/quote', { spec: SPEC(2) })).json.replicas).toBe(2);
});

it('CM35 no operator gets two runs of a job, though it has room, and another attempt goes where none is', async () => {
  await known(2);
  const jobId = await world.submit(SPEC(2));
  await world.advance(1);
  expect(gpus.map(({ offers }) => offers.length)).toEqual([1, 1, 0]);
  await world.ask('POST', '/api/nodes', { node: 'carol.os' });
  await world.settle();
  await world.started(gpus[1]!, runOf(gpus[1]!));
  await world.lost(gpus[1]!, runOf(gpus[1]!), 'NODE_LOST');
  const realNow = Date.now;
  // Over the backoff.
  Date.now = () => realNow() + 10_000;
  try {
    await world.advance(2);
  } finally {
    Date.now = realNow;
  }
  expect(gpus.map(({ offers }) => offers.length)).toEqual([1, 1, 1]);
  await ends(gpus[2]!, RIGHT);
  await ends(gpus[0]!, RIGHT);
  expect((await world.job(jobId)).state).toBe('completed');
});

it('CM5 CM50 all runs are there or none: the same intent is the same job, after a crash too', async () => {
  await known(3);
  const jobId = await world.submit(SPEC(3), { intentId: 'once' });
  await world.crash();
  expect(await world.submit(SPEC(3), { intentId: 'once' })).toBe(jobId);
  expect(await runs(jobId)).toHaveLength(3);
  const other = await world.ask('POST', '/api/facilitator/submit-job', {
    spec: SPEC(2),
    intentId: 'once',
  });
  expect([other.status, other.json.error.code]).toEqual([409, 'CONFLICT']);
});

it('T10 T11 who cancels the job ends all its runs', async () => {
  await known(3);
  const jobId = await world.submit(SPEC(3));
  await world.advance(1);
  await world.started(gpus[0]!, runOf(gpus[0]!));
  const { status, json } = await world.ask('DELETE', `/api/jobs/${jobId}`);
  expect([status, json.state]).toEqual([200, 'cancelled']);
  expect((await states(jobId)).map(([state]) => state)).toEqual(Array(3).fill('cancelled'));
  expect((await world.ask('DELETE', `/api/jobs/${jobId}`)).status).toBe(409);
});

it('CM21 a file of the result is one of those that most agree on', async () => {
  await known(3);
  const jobId = await world.submit(SPEC(3));
  await world.advance(1);
  const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
  for (const [index, text] of ['wrong', 'right', 'right'].entries()) {
    const gpu = gpus[index]!;
    await world.started(gpu, runOf(gpu));
    await world.finished(gpu, runOf(gpu), {
      outputs: [{ path: 'out.txt', bytes: bytes(text) }],
      receipt: { outputsRoot: RIGHT },
    });
    await world.advance(1);
  }
  // The one that is wrong said the root of the others.
  expect((await states(jobId)).map(([, agrees]) => String(agrees)).toSorted()).toEqual([
    'false',
    'true',
    'true',
  ]);
  const file = await world.request('GET', `/api/jobs/${jobId}/result?path=out.txt`, {
    headers: { authorization: `Bearer ${world.token}` },
  });
  expect(file.text).toBe('right');
});
