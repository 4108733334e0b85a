/** What goes together: offers to a provider, and what it tells of its jobs. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { defineProcess, type Process } from '../../lib/index.ts';
import { NoResponse, RemoteError } from '../../lib/errors.ts';
import { TestProcess } from '../../lib/testing/test-process.ts';
import { address } from '../../../wit/address.ts';
import { encodeRecords, type LogRecord, STREAM } from '../../../wit/jobs/log-records.ts';
import type { Offer, OfferAnswer } from '../shared/gpu-contract.ts';
import type { NewsAnswer } from '../shared/job-events-contract.ts';
import { type NewOffer, OfferLines } from './offer-lines.ts';
import type { Gpu } from './providers.ts';
import { JobStore } from './store.ts';
import type { FakeGpu } from './testing/fake-gpu.ts';
import { type Json, NOTHING_NEW, World } from './testing/world.ts';

let world: World;
let gpu: FakeGpu;
beforeEach(async () => {
  world = new World();
  gpu = world.gpu();
  gpu.slots = 4;
  await world.start();
});
afterEach(() => {
  expect(world.host.prints.filter(({ verbosity }) => verbosity === 0)).toEqual([]);
});

const record = (seq: number, text: string): LogRecord => ({
  seq,
  stream: STREAM.stdout,
  atMs: seq,
  bytes: new TextEncoder().encode(text),
});

/** What the market answers to several news in one message. */
async function told(news: readonly object[], logs?: Uint8Array): Promise<readonly NewsAnswer[]> {
  const whole = news.map((one) => ({ ...NOTHING_NEW, ...one }));
  const { value } = (await world.tell(gpu, 'Told', { news: whole }, logs)) as {
    readonly value: { readonly answers: readonly NewsAnswer[] };
  };
  return value.answers;
}

async function transitions(jobId: string): Promise<readonly string[]> {
  const { json } = await world.ask('GET', `/api/jobs/${jobId}/events`);
  return (json.events as Json[]).flatMap(({ transition }) => transition ?? []);
}

it('CM19 of what is told together each is answered for itself, and what is right is taken', async () => {
  const jobs = [await world.submit(), await world.submit(), await world.submit()];
  const [one, two, three] = jobs as [string, string, string];
  const writes = world.sqlite.log.length;
  const answers = await told([
    { jobId: one, lease: gpu.lease(one), result: world.result(gpu, one) },
    { jobId: two, lease: 'another', result: world.result(gpu, two) },
    {
      jobId: three,
      lease: gpu.lease(three),
      result: world.result(gpu, three, { signedBy: 'somebody else' }),
    },
  ]);
  expect(answers).toMatchObject([
    { kind: 'Over' },
    { kind: 'Refused', value: { kind: 'NoSuchLease' } },
    { kind: 'Refused', value: { kind: 'BadReceipt' } },
  ]);
  const states = await Promise.all(jobs.map(async (jobId) => (await world.job(jobId)).state));
  expect(states).toEqual(['completed', 'assigned', 'assigned']);
  const made = world.sqlite.log.slice(writes).filter((sql) => sql.startsWith('insert into job_ev'));
  expect(made).toHaveLength(1);
});

it('CM19 CM21 a receipt that its executor signed for another usage or another machine than it comes with is refused', async () => {
  const jobId = await world.submit();
  const lease = gpu.lease(jobId);
  const hash = `0x${'77'.repeat(32)}`;
  for (const receipt of [{ usageHash: hash }, { runtimeHash: hash }]) {
    const result = world.result(gpu, jobId, { receipt });
    expect(await told([{ jobId, lease, result }])).toMatchObject([
      { kind: 'Refused', value: { kind: 'BadReceipt' } },
    ]);
    expect((await world.job(jobId)).state).toBe('assigned');
  }
  expect(await told([{ jobId, lease, result: world.result(gpu, jobId) }])).toMatchObject([
    { kind: 'Over' },
  ]);
  expect((await world.job(jobId)).state).toBe('completed');
});

it('CM7 changes of several jobs that are told together are one transaction, and each is in its own log', async () => {
  const jobs = [await world.submit(), await world.submit(), await world.submit()];
  const before = world.sqlite.log.length;
  const answers = await told(
    jobs.map((jobId) => ({
      jobId,
      lease: gpu.lease(jobId),
      result: world.result(gpu, jobId),
    })),
  );
  expect(answers.map(({ kind }) => kind)).toEqual(['Over', 'Over', 'Over']);
  const made = world.sqlite.log.slice(before).filter((sql) => sql.startsWith('insert into job_ev'));
  expect(made).toHaveLength(1);
  for (const jobId of jobs)
    expect(await transitions(jobId)).toEqual(['T1', 'T2', 'T4', 'T6', 'T7', 'T12']);
  // Nothing else is asked for: the answer said it.
  expect(gpu.dropped).toEqual([]);
});

it('CM50 a node that tells of a job before its answer to the offer is here has accepted it, once, and only as it was offered', async () => {
  gpu.refuse = () => 'silent';
  const jobId = await world.submit();
  const { executor } = gpu.state();
  const other = world.gpu('bob.os');
  const news = { jobId, lease: 'early', state: { kind: 'Started' } };
  await expect(
    world.news(other, jobId, { lease: 'early', accepted: { attempt: 0, executor: executor! } }),
  ).resolves.toBeUndefined();
  expect(await told([{ ...news, accepted: { attempt: 1, executor } }])).toMatchObject([
    { kind: 'Refused', value: { kind: 'NoSuchLease' } },
  ]);
  expect(
    await told([{ ...news, accepted: { attempt: 0, executor: `0x${'1'.repeat(40)}` } }]),
  ).toMatchObject([{ kind: 'Refused', value: { kind: 'NoSuchLease' } }]);
  expect((await world.job(jobId)).state).toBe('escrowed');
  expect(await told([{ ...news, accepted: { attempt: 0, executor } }])).toMatchObject([
    { kind: 'Taken' },
  ]);
  expect((await world.job(jobId)).state).toBe('running');
  // Told again, as after a crash of the market; and another lease of the same attempt is not the job's.
  await world.crash();
  expect(await told([{ ...news, accepted: { attempt: 0, executor } }])).toMatchObject([
    { kind: 'Taken' },
  ]);
  expect(
    await told([{ ...news, lease: 'second', accepted: { attempt: 0, executor } }]),
  ).toMatchObject([{ kind: 'Refused', value: { kind: 'NoSuchLease' } }]);
  expect(gpu.cancelled).toEqual([]);
  expect(await transitions(jobId)).toEqual(['T1', 'T2', 'T4', 'T6']);
});

it('CM18 a short log that comes with the end of its run is read as others are, and has no file', async () => {
  const jobId = await world.submit();
  const records = [record(0, 'hello\n'), record(1, 'there\n')];
  const bytes = encodeRecords(records);
  const log = { firstSeq: 0, bytes: bytes.length };
  const result = world.result(gpu, jobId, { logCount: 2 });
  const news = { jobId, lease: gpu.lease(jobId), log, result };
  expect(await told([news], bytes)).toMatchObject([{ kind: 'Over' }]);
  const { text } = await world.request('GET', `/api/jobs/${jobId}/logs`, {
    headers: { authorization: `Bearer ${world.token}` },
  });
  expect(text).toContain('hello');
  expect(text).toContain('there');
  expect([...world.vfs.files.keys()].filter((path) => path.includes('/logs/'))).toEqual([]);
});

it('CM18 a log that is longer than it says, or has a gap, is not kept as a whole one', async () => {
  const jobId = await world.submit();
  const lease = gpu.lease(jobId);
  const result = world.result(gpu, jobId, { logCount: 2 });
  const gap = encodeRecords([record(0, 'a'), record(2, 'b')]);
  expect(
    await told([{ jobId, lease, log: { firstSeq: 0, bytes: gap.length }, result }], gap),
  ).toMatchObject([{ kind: 'Refused', value: { kind: 'BadLogs' } }]);
  expect((await world.job(jobId)).state).toBe('assigned');
});

it('CM5 of jobs that are written together one that may not be does not keep the others from it', async () => {
  let caller!: Process<unknown>;
  const alone = defineProcess({ setup: (process) => void (caller = process) });
  const peers = { 'sqlite:distro:sys': world.sqlite.peer };
  const test = await TestProcess.start(alone, { peers });
  const run = async <T>(work: Promise<T>): Promise<T> => (await test.run(), work);
  const store = await run(JobStore.open(caller));
  const event = (jobId: string, intentId: string): Parameters<JobStore['create']>[0] => [
    {
      ...{ jobId, seq: 1, at: 1, was: 'new', now: 'pending', transition: 'T1', cause: 'test' },
      patch: { jobId, intentId, owner: 'me', state: 'pending', seq: 1, times: { created: 1 } },
    },
  ];
  const made = [
    store.create(event('a', 'one')),
    store.create(event('b', 'two')),
    store.create(event('c', 'one')),
  ];
  const more = store.append([
    { ...event('b', 'two')[0]!, seq: 2, cause: 'later', patch: { seq: 2, label: 'l' } },
  ]);
  const ended = await run(Promise.allSettled([...made, more]));
  expect(ended.map(({ status }) => status)).toEqual([
    'fulfilled',
    'fulfilled',
    'rejected',
    'fulfilled',
  ]);
  expect(await run(store.get('b'))).toMatchObject({ intentId: 'two', label: 'l', seq: 2 });
});

// ---- offers

const offerOf = (jobId: string, paid = false): NewOffer => ({
  ...{ jobId, attempt: 0, spec: '{}', specHash: '', price: 0n, timeoutS: 1, start: !paid },
  money: paid ? { chainId: 1, escrow: '', token: '' } : undefined,
});

/** A provider that answers when the test says so. */
class Slow implements Pick<Gpu, 'Offers'> {
  readonly asked: {
    readonly jobs: string[];
    readonly answer: PromiseWithResolvers<{ answers: OfferAnswer[] }>;
  }[] = [];
  // Proof of the type: what the lines call of a client.
  readonly Offers = (({ offers }: { readonly offers: readonly Offer[] }) => {
    const answer = Promise.withResolvers<{ answers: OfferAnswer[] }>();
    this.asked.push({ jobs: offers.map(({ jobId }) => jobId), answer });
    return answer.promise;
  }) as unknown as Gpu['Offers'];
}
const yes = (lease: string): OfferAnswer => ({
  kind: 'Accepted',
  value: { lease, acceptance: undefined, executor: '' },
});

it('CM37 offers that are made while others are not answered go together, and a paid one waits for no free one', async () => {
  const slow = new Slow();
  const lines = new OfferLines({ gpu: () => slow, now: () => 0, aheadS: () => 0 });
  const first = lines.offer('a', offerOf('1'));
  const second = lines.offer('a', offerOf('2'));
  await Promise.resolve();
  const third = lines.offer('a', offerOf('3'));
  const fourth = lines.offer('a', offerOf('4'));
  const paid = lines.offer('a', offerOf('p', true));
  await Promise.resolve();
  expect(slow.asked.map(({ jobs }) => jobs)).toEqual([['1', '2'], ['p']]);
  slow.asked[0]!.answer.resolve({ answers: [yes('l1'), yes('l2')] });
  expect([(await first).answer, (await second).answer]).toEqual([yes('l1'), yes('l2')]);
  await Promise.resolve();
  expect(slow.asked.map(({ jobs }) => jobs)).toEqual([['1', '2'], ['p'], ['3', '4']]);
  // An answer that is too short, and none.
  slow.asked[2]!.answer.resolve({ answers: [yes('l3')] });
  slow.asked[1]!.answer.reject(new NoResponse('timeout', address('a@gpu:compute:sys')));
  expect((await third).answer).toEqual(yes('l3'));
  await expect(fourth).rejects.toBeInstanceOf(RemoteError);
  await expect(paid).rejects.toBeInstanceOf(NoResponse);
});
