import { afterEach, beforeEach, expect, it } from 'vitest';
import { replay } from './record.ts';
import { type FakeGpu, specOf } from './testing/fake-gpu.ts';
import { type Json, NODE, type RunOptions, World } from './testing/world.ts';

let world: World;
let gpu: FakeGpu;
beforeEach(async () => {
  world = new World();
  gpu = world.gpu();
  await world.start();
});
afterEach(() => {
  expect(world.host.prints.filter(({ verbosity }) => verbosity === 0)).toEqual([]);
});

async function events(jobId: string): Promise<readonly Json[]> {
  return (await world.ask('GET', `/api/jobs/${jobId}/events`)).json.events;
}
const transitions = async (jobId: string): Promise<string[]> =>
  (await events(jobId)).flatMap(({ transition }) => (transition === undefined ? [] : [transition]));
const state = async (jobId: string): Promise<string> => (await world.job(jobId)).state;

it('a free job goes from submission to its end at this node', async () => {
  const jobId = await world.submit(specOf());
  expect(gpu.offers).toHaveLength(1);
  expect(gpu.started).toEqual([jobId]);
  await world.started(gpu, jobId);
  expect(await world.job(jobId)).toMatchObject({ state: 'running', substate: 'executing' });
  await world.finished(gpu, jobId);
  expect(await world.job(jobId)).toMatchObject({
    state: 'completed',
    payment: { state: 'free' },
    result: { status: 0 },
  });
  expect(gpu.dropped).toEqual([jobId]);
});

it('CM7 every change is in the log, and the log makes the record', async () => {
  const jobId = await world.submit();
  await world.started(gpu, jobId);
  await world.finished(gpu, jobId);
  expect(await transitions(jobId)).toEqual(['T1', 'T2', 'T4', 'T6', 'T7', 'T12']);
  const log = await events(jobId);
  expect(log.map(({ seq }) => seq)).toEqual(log.map((_, index) => index + 1));
  const database = [...world.sqlite.databases.values()][0]!;
  const row = database.prepare('select record from jobs where job_id = ?').get(jobId)!;
  expect(replay(log)).toEqual(JSON.parse(String(row['record'])));
  // One transaction each: nothing was changed but by an event.
  const writes = world.sqlite.log.filter((sql) => /^(insert|update|delete|replace)/i.test(sql));
  expect(writes.filter((sql) => /\bjobs\b/.test(sql))).toEqual([]);
});

it('CM7 what may not happen is refused, and changes nothing', async () => {
  const jobId = await world.submit();
  await world.started(gpu, jobId);
  await world.finished(gpu, jobId);
  const before = await events(jobId);
  expect((await world.ask('DELETE', `/api/jobs/${jobId}`)).status).toBe(409);
  await expect(world.lost(gpu, jobId, 'NODE_LOST')).rejects.toMatchObject({ kind: 'NoSuchLease' });
  expect(await events(jobId)).toEqual(before);
});

it('CM5 the same key and body are the same job, another body is a conflict', async () => {
  const key = { 'idempotency-key': '550e8400-e29b-41d4-a716-446655440000' };
  const post = (spec: object) => world.ask('POST', '/api/facilitator/submit-job', { spec }, key);
  const first = await post(specOf());
  expect(first.status).toBe(202);
  expect((await post({ ...specOf(), limits: {} })).json.jobId).toBe(first.json.jobId);
  expect(await post(specOf({ label: 'other' }))).toMatchObject({
    status: 409,
    json: { error: { code: 'CONFLICT' } },
  });
  await world.started(gpu, first.json.jobId);
  await world.finished(gpu, first.json.jobId);
  expect((await post(specOf())).json).toMatchObject({
    jobId: first.json.jobId,
    state: 'completed',
  });
  expect(gpu.offers).toHaveLength(1);
});

it('CM1 a spec that is refused leaves nothing behind', async () => {
  const refused = async (spec: object): Promise<[number, string]> => {
    const { status, json } = await world.ask('POST', '/api/facilitator/submit-job', { spec });
    return [status, json.error.code];
  };
  expect(await refused(specOf({ odd: 1 }))).toEqual([400, 'UNKNOWN_MEMBER']);
  expect(await refused(specOf({ limits: { pids: 1 } }))).toEqual([400, 'LIMIT_OUT_OF_RANGE']);
  const text = `{"spec":${JSON.stringify(specOf()).replace('"v":1', '"v":1.5')}}`;
  const { status, json } = await world.ask('POST', '/api/facilitator/submit-job', text);
  expect([status, json.error.code]).toEqual([400, 'NOT_CANONICAL']);
  expect((await world.ask('GET', '/api/jobs')).json.jobs).toEqual([]);
  expect(world.sqlite.log.some((sql) => sql.startsWith('insert into job_events'))).toBe(false);
});

it('CM19 only the receipt of the assigned executor for this attempt counts', async () => {
  const jobId = await world.submit();
  await world.started(gpu, jobId);
  const bad = async (options: RunOptions | undefined): Promise<void> => {
    await expect(world.finished(gpu, jobId, options)).rejects.toMatchObject({
      kind: options?.lease === undefined ? 'BadReceipt' : 'NoSuchLease',
    });
  };
  await bad({ signedBy: 'somebody else' });
  await bad({ receipt: { attempt: 1 } });
  await bad({ receipt: { jobId: `0x${'1'.repeat(64)}` } });
  await bad({ receipt: { nodeId: `0x${'1'.repeat(64)}` } });
  await bad({ receipt: { specHash: `0x${'1'.repeat(64)}` } });
  await bad({ receipt: { claimed: 1n } });
  await bad({ receipt: { finishedAt: 0n } });
  await bad({ lease: 'another' });
  const other = world.gpu('mallory.os');
  await expect(
    world.news(other, jobId, {
      lease: gpu.lease(jobId),
      lost: { code: 'NODE_LOST', message: '' },
    }),
  ).rejects.toMatchObject({ kind: 'NoSuchLease' });
  expect(await state(jobId)).toBe('running');
  await world.finished(gpu, jobId);
  expect(await state(jobId)).toBe('completed');
  // Told again, as who got no answer does.
  await world.finished(gpu, jobId);
});

it('another process of the node does not speak for its jobs', async () => {
  const jobId = await world.submit();
  const lease = gpu.lease(jobId);
  const news = [{ jobId, lease, lost: { code: 'NODE_LOST', message: '' } }];
  const body = JSON.stringify({ Told: { news } });
  await expect(world.process.ask(body)).rejects.toMatchObject({ kind: 'Forbidden' });
});

it('CM14 a lost attempt is tried again by another node, later', async () => {
  const other = world.gpu('bob.os');
  await world.ask('POST', '/api/nodes', { node: 'bob.os' });
  const jobId = await world.submit();
  const [first, second] = gpu.offers.length > 0 ? [gpu, other] : [other, gpu];
  await world.started(first, jobId);
  await world.lost(first, jobId, 'GPU_LOST');
  expect(await world.job(jobId)).toMatchObject({ state: 'escrowed', attempt: 1, node: null });
  expect(second.offers).toEqual([]);
  await world.advance(3);
  expect(second.offers).toEqual([]);
  await wait(7);
  expect(second.offers.map(({ attempt }) => attempt)).toEqual([1]);
  await world.started(second, jobId);
  await world.finished(second, jobId);
  expect(await transitions(jobId)).toEqual(['T1', 'T2', 'T4', 'T6', 'T8', 'T4', 'T6', 'T7', 'T12']);
});

it('CM12 where nobody else could run it, the only node may try again, and three times is enough', async () => {
  const jobId = await world.submit();
  for (const seconds of [10, 20, 0]) {
    await world.started(gpu, jobId);
    await world.lost(gpu, jobId, 'EXT_DISCONNECTED');
    await wait(seconds);
  }
  expect(gpu.offers.map(({ attempt }) => attempt)).toEqual([0, 1, 2]);
  expect(await world.job(jobId)).toMatchObject({
    state: 'failed',
    payment: { state: 'free' },
    error: { code: 'EXT_DISCONNECTED', fault: 'provider', retryable: false },
  });
});

it('CM22 a program that fails is not tried again', async () => {
  const jobId = await world.submit();
  await world.started(gpu, jobId);
  await world.finished(gpu, jobId, { receipt: { status: 1, exitCode: 1 } });
  expect(await world.job(jobId)).toMatchObject({
    state: 'failed',
    error: { code: 'EXIT_NONZERO', fault: 'client' },
    result: { status: 1, exitCode: 1 },
  });
  expect(await transitions(jobId)).toEqual(['T1', 'T2', 'T4', 'T6', 'T9']);
});

it('an offer that is refused goes to the next, and is no attempt', async () => {
  const others = ['bob.os', 'carol.os'].map((node) => world.gpu(node));
  for (const { node } of others) await world.ask('POST', '/api/nodes', { node });
  const all = [gpu, ...others];
  let refusals = 0;
  for (const one of all) {
    one.refuse = () => {
      refusals += 1;
      return refusals < 3 ? { code: 'policy', message: 'not here' } : undefined;
    };
  }
  const jobId = await world.submit();
  expect(all.map(({ offers }) => offers.length)).toEqual([1, 1, 1]);
  expect(await world.job(jobId)).toMatchObject({ state: 'assigned', attempt: 0 });
});

it('a free job that everybody refuses for good is cancelled, and says why', async () => {
  gpu.refuse = () => ({ code: 'unsupported', message: 'there is no function "noop"' });
  const jobId = await world.submit();
  expect(await world.job(jobId)).toMatchObject({
    state: 'cancelled',
    reason: 'nobody takes it: unsupported: there is no function "noop"',
    error: { code: 'REJECTED', fault: 'none' },
  });
});

it('an offer that is not answered within 15 seconds goes to the next', async () => {
  gpu.refuse = () => 'silent';
  const jobId = await world.submit();
  expect(gpu.offers).toHaveLength(1);
  const other = world.gpu('bob.os');
  await world.ask('POST', '/api/nodes', { node: 'bob.os' });
  await wait(16);
  expect(other.started).toEqual([jobId]);
  gpu.refuse = () => undefined;
});

it('CM37 jobs that wait are run in their order as slots become free', async () => {
  gpu.slots = 1;
  await world.tell(gpu, 'ProviderChanged', undefined).catch(() => undefined);
  await wait(61);
  const first = await world.submit();
  const low = await world.submit(specOf({ priority: 'low' }));
  const normal = await world.submit(specOf({ priority: 'normal' }));
  const urgent = await world.submit(specOf({ priority: 'urgent' }));
  for (const jobId of [first, urgent, normal, low]) {
    expect(gpu.started.at(-1)).toBe(jobId);
    await world.started(gpu, jobId);
    await world.finished(gpu, jobId);
  }
});

it('a client cancels before and while a job runs', async () => {
  gpu.slots = 1;
  await wait(61);
  const running = await world.submit();
  const queued = await world.submit();
  expect((await world.ask('DELETE', `/api/jobs/${queued}`)).json).toMatchObject({
    state: 'cancelled',
  });
  await world.started(gpu, running);
  expect((await world.ask('POST', `/api/jobs/cancel/${running}`)).status).toBe(200);
  expect(gpu.cancelled.map(({ jobId }) => jobId)).toEqual([running]);
  expect(await transitions(running)).toEqual(['T1', 'T2', 'T4', 'T6', 'T11']);
  expect(await transitions(queued)).toEqual(['T1', 'T2', 'T10']);
  expect((await world.ask('DELETE', `/api/jobs/${queued}`)).json.error).toMatchObject({
    code: 'CONFLICT',
    details: { state: 'cancelled' },
  });
});

it('F47 providers are asked again after a minute, at most 200 a round', async () => {
  for (let index = 0; index < 5; index += 1) {
    world.gpu(`n${index}.os`);
    await world.ask('POST', '/api/nodes', { node: `n${index}.os` });
  }
  const asked = (): number =>
    world.host.sent.filter(({ request }) => new TextDecoder().decode(request.body) === '"Provider"')
      .length;
  const before = asked();
  await wait(61);
  expect(asked() - before).toBe(6);
});

it('CM50 a market that dies between any two steps loses nothing and offers nothing twice', async () => {
  const jobId = await world.submit();
  expect(gpu.offers).toHaveLength(1);
  await world.crash();
  // It was assigned: the same lease is started again, no new offer is made.
  expect(gpu.offers).toHaveLength(1);
  expect(gpu.started.every((started) => started === jobId)).toBe(true);
  await world.started(gpu, jobId);
  await world.crash();
  await world.started(gpu, jobId);
  expect(await state(jobId)).toBe('running');
  await world.finished(gpu, jobId);
  await world.crash();
  await world.finished(gpu, jobId);
  expect(await state(jobId)).toBe('completed');
  expect(await transitions(jobId)).toEqual(['T1', 'T2', 'T4', 'T6', 'T7', 'T12']);
});

it('CM50 an offer whose answer was lost is made to the same node again', async () => {
  gpu.refuse = () => 'silent';
  const jobId = await world.submit();
  gpu.refuse = () => undefined;
  const other = world.gpu('bob.os');
  await world.ask('POST', '/api/nodes', { node: 'bob.os' });
  await world.crash();
  expect(gpu.offers.map((offer) => [offer.jobId, offer.attempt])).toEqual([
    [jobId, 0],
    [jobId, 0],
  ]);
  expect(other.offers).toEqual([]);
  expect(await state(jobId)).toBe('assigned');
});

it('CM50 a lease that the provider has forgotten is an attempt that failed', async () => {
  const jobId = await world.submit();
  await world.started(gpu, jobId);
  gpu.forgetful = true;
  await world.crash();
  expect(await world.job(jobId)).toMatchObject({ state: 'escrowed', attempt: 1 });
  gpu.forgetful = false;
  await wait(7);
  expect(await state(jobId)).toBe('assigned');
});

it('CM50 what waits is in the queue again after a restart, once', async () => {
  gpu.slots = 1;
  await wait(61);
  const first = await world.submit();
  const second = await world.submit();
  await world.crash();
  await world.crash();
  expect((await world.ask('GET', '/api/stats/network')).json).toMatchObject({ queuedJobs: 1 });
  await world.started(gpu, first);
  await world.finished(gpu, first);
  expect(gpu.offers.map((offer) => offer.jobId)).toEqual([first, second]);
});

it('CM50 a disk that fails ends the market before anything is told', async () => {
  const jobId = await world.submit();
  const database = [...world.sqlite.databases.values()][0]!;
  database.exec(
    `create trigger no_more before insert on job_events begin select raise(abort, 'disk'); end`,
  );
  await world.started(gpu, jobId).catch(() => undefined);
  expect(world.process.ended).toBe(true);
  expect(world.host.prints.splice(0).some(({ text }) => text.includes('starts again'))).toBe(true);
  database.exec('drop trigger no_more');
  await world.crash();
  await world.started(gpu, jobId);
  expect(await state(jobId)).toBe('running');
});

it('a node that is silent for three minutes has lost its jobs', async () => {
  const jobId = await world.submit();
  await world.started(gpu, jobId);
  gpu.dead = true;
  await wait(170);
  expect(await state(jobId)).toBe('running');
  await wait(80);
  expect(await world.job(jobId)).toMatchObject({
    state: 'escrowed',
    attempt: 1,
    error: { code: 'NODE_LOST' },
  });
});

it('a run that sends no receipt when its time is over is lost', async () => {
  const jobId = await world.submit(specOf({ limits: { timeoutS: 5 } }));
  await world.started(gpu, jobId);
  clockMs += 700_000;
  await wait(2);
  expect(await world.job(jobId)).toMatchObject({ attempt: 1, error: { code: 'NODE_LOST' } });
});

it('who has sent a hundred jobs waits, and the owner does not', async () => {
  gpu.paired = false;
  await wait(61);
  for (let index = 0; index < 101; index += 1) await world.submit();
  const submit = { Submit: { spec: JSON.stringify(specOf()) } };
  for (let index = 0; index < 100; index += 1) {
    await world.process.ask(JSON.stringify(submit), {
      source: { node: NODE, process: 'a:b:c.os' } as never,
    });
  }
  await expect(
    world.process.ask(JSON.stringify(submit), {
      source: { node: NODE, process: 'a:b:c.os' } as never,
    }),
  ).rejects.toMatchObject({ kind: 'QueueFull' });
});

/** Seconds pass, one by one, as the timers of a market expect it. */
async function wait(seconds: number): Promise<void> {
  for (let passed = 0; passed < seconds; passed += 1) {
    clockMs += 1_000;
    await world.advance(1);
  }
}

let clockMs = 0;
const realNow = Date.now;
beforeEach(() => {
  clockMs = 0;
  Date.now = () => realNow() + clockMs;
  return () => {
    Date.now = realNow;
  };
});
