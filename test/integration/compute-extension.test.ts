/** The native extension, paired with a whole node: who it is and who is not, and what happens to jobs when either side is killed. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { assemble } from '../../kernel/image/fuel-harness.ts';
import { decodeRecords } from '../../wit/jobs/log-records.ts';
import { ComputeNode, offerOf } from '../support/compute-node.ts';
import { ComputeJobs, computeJobs, hashOf, PATIENCE } from '../support/compute-jobs.ts';

const jobs = computeJobs();

test('CM50 a job that may start with its offer runs without more, and its lease outlives its node', async () => {
  jobs.compute.extension();
  await jobs.paired();
  const quick = { ...offerOf('echo', { text: 'at once' }), start: true };
  expect(await jobs.compute.market.ask('Offer', quick)).toMatchObject({ Accepted: {} });
  expect((await jobs.resultOf(quick.jobId)).receipt).toMatchObject({ status: 0 });
  expect(jobs.logOf(quick.jobId).map(({ bytes }) => Buffer.from(bytes).toString())).toContain(
    'at once\n',
  );
  const slow = { ...offerOf('sleep', { ms: 3_000 }), start: true };
  const { lease } = (await jobs.compute.market.ask('Offer', slow)).Accepted;
  await jobs.hasStarted(slow.jobId);
  await jobs.compute.restart();
  await expect.poll(() => jobs.eventsOf('JobResult', slow.jobId).length, PATIENCE).toBe(1);
  expect(jobs.eventsOf('JobResult', slow.jobId)[0]!.value.lease).toBe(lease);
  // The attempt is known under that lease, and under no other.
  expect(await jobs.compute.market.ask('Offer', slow)).toMatchObject({
    Rejected: { code: 'policy' },
  });
  await jobs.compute.market.ask('Drop', { jobId: slow.jobId, lease });
}, 90_000);

test('CM50 CM20 what ended without leaving a file while its node was away is sent by the extension that comes after a killed one', async () => {
  const first = jobs.compute.extension();
  await jobs.paired();
  const module = await assemble(
    `(module (memory (export "memory") 1) (func (export "_start") (local $i i32)
       (loop (local.set $i (i32.add (local.get $i) (i32.const 1)))
             (br_if 0 (i32.lt_u (local.get $i) (i32.const 400000000))))))`,
  );
  const { length: size } = module;
  jobs.compute.market.answering = ({ kind }) =>
    kind === 'Input' ? { end: true, blob: module } : undefined;
  const spec = { kind: 'wasm', entry: { cmd: ['job'] }, module: { sha256: hashOf(module), size } };
  // The first brings the program.
  const other = offerOf('', {}, spec);
  await jobs.started(other);
  await jobs.resultOf(other.jobId);
  const offer = offerOf('', {}, spec);
  const lease = await jobs.started(offer);
  // Its node goes while it runs; on a machine where it is too quick for that, what follows must hold all the same.
  const heard = (): boolean =>
    jobs.statesOf(offer.jobId).includes('Started') ||
    jobs.eventsOf('JobResult', offer.jobId).length > 0;
  await expect.poll(heard, PATIENCE).toBe(true);
  await jobs.compute.node.close();
  const journal = join(jobs.compute.jobs(), '..', 'receipts', 'journal');
  await expect.poll(() => readFile(journal, 'latin1'), PATIENCE).toContain(lease);
  await first.kill('SIGKILL');
  expect(await readdir(jobs.compute.jobs())).not.toContain(lease);
  await jobs.compute.boot(jobs.compute.port);
  jobs.compute.extension();
  await expect
    .poll(() => jobs.eventsOf('JobResult', offer.jobId).length, PATIENCE)
    .toBeGreaterThanOrEqual(1);
  const { receipt, receiptHash } = jobs.eventsOf('JobResult', offer.jobId)[0]!.value.result;
  expect(receipt).toMatchObject({ jobId: offer.jobId, status: 0, exitCode: 0 });
  // What the node had not noted as taken is told again, under the same numbers.
  const records = jobs
    .eventsOf('Logs', offer.jobId)
    .flatMap(({ blob }) => decodeRecords(blob!.bytes)!.records);
  const texts = new Map(records.map(({ seq, bytes }) => [seq, Buffer.from(bytes).toString()]));
  expect([...texts].toSorted(([one], [other]) => one - other)).toEqual([
    [0, '{"ev":"start"}'],
    [1, '{"ev":"exit","code":0}'],
  ]);
  expect(await readFile(journal, 'latin1')).toContain(receiptHash);
  // Dropped it is gone, and nobody gets a second receipt.
  await jobs.compute.market.ask('Drop', { jobId: offer.jobId, lease });
  await expect
    .poll(() => readFile(journal, 'latin1'), PATIENCE)
    .toContain(JSON.stringify({ drop: lease }));
  expect(await jobs.compute.market.ask('Offer', offer)).toMatchObject({
    Rejected: { code: 'policy' },
  });
}, 90_000);

test('CM38 a machine that is looked at on demand is told anew, and the extension goes on', async () => {
  const extension = jobs.compute.extension();
  await jobs.paired();
  const detectedAt = async (): Promise<number> =>
    ((await jobs.compute.market.ask('Provider')) as { device: { detectedAt: number } }).device
      .detectedAt;
  const before = await detectedAt();
  extension.child.kill('SIGUSR2');
  await expect.poll(detectedAt, PATIENCE).toBeGreaterThan(before);
  expect(extension.child.exitCode).toBeNull();
});

test('CM12 an extension that is killed in the middle of a job leaves nothing, and the market hears that the job is lost', async () => {
  const first = jobs.compute.extension();
  await jobs.paired();
  const offer = offerOf('sleep', { ms: 60_000, everyMs: 20 });
  const lease = await jobs.started(offer);
  await expect.poll(() => jobs.logOf(offer.jobId).length, PATIENCE).toBeGreaterThan(3);
  await first.kill('SIGKILL');
  expect(await readdir(jobs.compute.jobs())).toContain(lease);
  jobs.compute.extension();
  await expect
    .poll(() => jobs.eventsOf('JobLost', offer.jobId), PATIENCE)
    .toMatchObject([{ value: { code: 'EXT_DISCONNECTED' } }]);
  expect(await readdir(jobs.compute.jobs())).not.toContain(lease);
  expect(jobs.eventsOf('JobResult', offer.jobId)).toEqual([]);
  expect(await jobs.compute.market.ask('Provider')).toMatchObject({ free: 4 });
}, 60_000);

test('CM13 a job goes on while its node is restarted: its log has no gap, and its result comes', async () => {
  jobs.compute.extension();
  await jobs.paired();
  const offer = offerOf('sleep', { ms: 4_000, everyMs: 20 });
  await jobs.started(offer);
  await expect.poll(() => jobs.logOf(offer.jobId).length, PATIENCE).toBeGreaterThan(3);
  const before = [...jobs.compute.market.events];
  await jobs.compute.restart();
  await expect.poll(() => jobs.eventsOf('JobResult', offer.jobId).length, PATIENCE).toBe(1);
  // What the node had not noted as taken is told again, under the same numbers.
  const seen = new Map<number, string>();
  for (const { blob } of [...before, ...jobs.compute.market.events].filter(
    ({ kind }) => kind === 'Logs',
  ))
    for (const record of decodeRecords(blob!.bytes)!.records) {
      const text = Buffer.from(record.bytes).toString();
      expect(seen.get(record.seq) ?? text).toBe(text);
      seen.set(record.seq, text);
    }
  const texts = [...seen].toSorted(([a], [b]) => a - b).map(([, text]) => text);
  expect([...seen.keys()].toSorted((a, b) => a - b)).toEqual(texts.map((_, at) => at));
  expect(texts.slice(1, -1)).toEqual(texts.slice(1, -1).map((_, at) => `tick ${at + 1}\n`));
  expect(texts.at(-1)).toBe('{"ev":"exit","code":0}');
}, 90_000);

test('CM14 a job whose node is away for too long ends without a receipt', async () => {
  await using compute = await ComputeNode.start({ orphanMs: 2_000 });
  const jobs = new ComputeJobs(() => compute);
  const extension = compute.extension();
  await jobs.paired();
  const offer = offerOf('sleep', { ms: 600_000 });
  const lease = await jobs.started(offer);
  await jobs.hasStarted(offer.jobId);
  await compute.node.close();
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  await compute.boot(compute.port);
  await expect.poll(() => jobs.eventsOf('JobLost', offer.jobId).length, PATIENCE).toBe(1);
  expect(jobs.eventsOf('JobLost', offer.jobId)[0]!.value).toMatchObject({
    lease,
    code: 'EXT_DISCONNECTED',
  });
  expect(jobs.eventsOf('JobResult', offer.jobId)).toEqual([]);
  expect(extension.child.exitCode).toBeNull();
}, 120_000);

test('CM15 a second extension takes the place of the first, which ends and is not to be started again', async () => {
  const first = jobs.compute.extension();
  await jobs.paired();
  const second = jobs.compute.extension('other');
  expect(await first.exited).toBe(11);
  await expect.poll(() => second.output, PATIENCE).toContain('paired');
  await jobs.paired();
}, 60_000);

test('CM15 T18 a program without the token is denied, and told nothing that helps it', async () => {
  const stranger = jobs.compute.extension('stranger', [], {
    HYPERLOOM_EXTENSION_TOKEN: '00'.repeat(32),
  });
  await expect.poll(() => stranger.output, PATIENCE).toContain('does not know the token');
  expect(await jobs.compute.market.ask('Provider')).toMatchObject({ paired: false });
}, 60_000);

test('CM16 T19 no page, no proxy and no other machine opens the channel', async () => {
  const opens = async (headers: Record<string, string>): Promise<number> => {
    const socket = new WebSocket(`${jobs.compute.url.replace('http', 'ws')}/gpu:compute:sys/ext`, {
      headers,
    });
    const { promise, resolve } = Promise.withResolvers<number>();
    socket.on('error', () => undefined);
    socket.on('unexpected-response', (_request, { statusCode }) => resolve(statusCode ?? 0));
    socket.on('open', () => resolve(101));
    const status = await promise;
    socket.terminate();
    return status;
  };
  expect(await opens({})).toBe(101);
  for (const headers of [
    { Origin: jobs.compute.url },
    { Origin: 'https://evil.example' },
    { 'X-Forwarded-For': '198.51.100.1' },
    { Forwarded: 'for=127.0.0.1' },
    { Host: 'evil.example' },
  ] as Record<string, string>[])
    expect([headers, await opens(headers)]).toEqual([headers, expect.toBeOneOf([403, 404])]);
}, 60_000);
