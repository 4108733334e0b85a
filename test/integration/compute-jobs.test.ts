/** Jobs on the native extension, paired with a whole node: from the offer to the receipt, what goes in and what comes out. */
import { createHash, randomBytes } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { outputsRoot, sha256 } from '../../contracts/merkle.ts';
import { GrowingTree, logLeaf } from '../../contracts/merkle-tree.ts';
import { digestOf, FREE_DOMAIN } from '../../contracts/compute.ts';
import { structCodec } from '../../contracts/compute-json.ts';
import { recoverAddress } from 'ethers';
import { listed, readExample } from '../../extensions/gpu/examples/example.ts';
import { buildJob } from '../../kit/build/job.ts';
import { encodeRecords } from '../../wit/jobs/log-records.ts';
import { offerOf } from '../support/compute-node.ts';
import { computeJobs, hashOf, PATIENCE } from '../support/compute-jobs.ts';

const hex = (bytes: Uint8Array): string => `0x${Buffer.from(bytes).toString('hex')}`;

const jobs = computeJobs();

test('CM15 F40 T32 the token is 0600, the extension is paired with it, and a free job runs from its offer to a signed receipt', async () => {
  const extension = jobs.compute.extension();
  await jobs.paired();
  expect((await stat(jobs.compute.tokenFile)).mode & 0o777).toBe(0o600);
  await expect.poll(() => extension.output, PATIENCE).toContain('paired');
  const offer = offerOf('echo', { text: 'hello' });
  const lease = await jobs.started(offer);
  const result = await jobs.resultOf(offer.jobId);
  // Which of them are told is a matter of time: what has passed when its turn comes is left out, and this job is over at once. That each is
  // told where nothing passes it is the next test's.
  const states = jobs.statesOf(offer.jobId);
  expect(['Preparing', 'Started', 'Collecting'].filter((each) => states.includes(each))).toEqual(
    states,
  );

  // The receipt is the executor's, and every root in it is that of what arrived.
  const { executor } = await jobs.compute.market.ask('Provider');
  const receipt = structCodec('JobReceipt').decode(JSON.stringify(result.receipt));
  if (!receipt.ok) throw new Error('no receipt');
  expect(digestOf(FREE_DOMAIN, 'JobReceipt', receipt.value)).toBe(result.receiptHash);
  expect(recoverAddress(result.receiptHash, result.signature)).toBe(executor);
  const records = jobs.logOf(offer.jobId);
  expect(records.map(({ stream, bytes }) => [stream, Buffer.from(bytes).toString()])).toEqual([
    [3, '{"ev":"start"}'],
    [1, 'hello\n'],
    [3, '{"ev":"exit","code":0}'],
  ]);
  const tree = new GrowingTree(sha256);
  for (const record of records) tree.add(logLeaf(sha256, encodeRecords([record])));
  expect(hex(tree.root())).toBe(result.receipt.logsRoot);
  expect(result.receipt.stdoutHash).toBe(hex(createHash('sha256').update('hello\n').digest()));
  expect(result.outputs).toMatchObject([{ path: 'echo.txt', size: 6 }]);
  const [{ sha256: hash }] = result.outputs;
  const content = await jobs.artifact(offer.jobId, lease, hash);
  expect(content.toString()).toBe('hello\n');
  const file = {
    path: 'echo.txt',
    bytes: 6,
    sha256: createHash('sha256').update(content).digest(),
  };
  expect(hex(outputsRoot([file]))).toBe(result.receipt.outputsRoot);
  expect(result.receipt).toMatchObject({ status: 0, exitCode: 0, claimed: '0' });

  // Dropped, nothing of it stays at either end, and nothing goes wrong while its output is on its way.
  await jobs.compute.market.ask('Drop', { jobId: offer.jobId, lease });
  await expect.poll(() => readdir(jobs.compute.jobs()), PATIENCE).toEqual([]);
  const kept = join(jobs.compute.home, 'vfs', 'compute:sys', 'gpu', 'artifacts', lease);
  await expect.poll(() => stat(kept).catch(() => 'gone'), PATIENCE).toBe('gone');
}, 90_000);

test('CM15 F40 states are told one by one as long as none has passed another: before the inputs are there, and while the program runs', async () => {
  jobs.compute.extension();
  await jobs.paired();
  const input = Buffer.from('input');
  const described = { path: 'a', size: input.length, sha256: hashOf(input) };
  const offer = offerOf(
    'sleep',
    { ms: 600_000 },
    { inputs: [described], limits: { timeoutS: 600 } },
  );
  jobs.compute.market.answering = async ({ kind }) => {
    if (kind !== 'Input') return undefined;
    // It cannot start before it has what it reads, and gets that once its preparation was told.
    await expect.poll(() => jobs.statesOf(offer.jobId), PATIENCE).toEqual(['Preparing']);
    return { end: true, blob: input };
  };
  const lease = await jobs.started(offer);
  // It runs until it is told not to.
  await expect.poll(() => jobs.statesOf(offer.jobId), PATIENCE).toEqual(['Preparing', 'Started']);
  await jobs.compute.market.ask('Cancel', {
    jobId: offer.jobId,
    lease,
    reason: 'test',
    graceMs: 0,
  });
  expect((await jobs.resultOf(offer.jobId)).receipt).toMatchObject({ status: 5 });
  // What it left is collected while its result is made: the one may pass the other.
  expect(jobs.statesOf(offer.jobId).filter((each) => each !== 'Collecting')).toEqual([
    'Preparing',
    'Started',
  ]);
}, 120_000);

test('F46 inputs come from the market and outputs go to vfs past the process, whole and verified', async () => {
  jobs.compute.extension();
  await jobs.paired();
  const inputs = [randomBytes(3_000_000), randomBytes(10)];
  const described = inputs.map((bytes, at) => ({
    path: `in/${at}.bin`,
    size: bytes.length,
    sha256: createHash('sha256').update(bytes).digest('hex'),
  }));
  jobs.compute.market.answering = ({ kind, value }) => {
    if (kind !== 'Input') return undefined;
    const bytes = inputs[described.findIndex((one) => one.sha256 === value.sha256)]!;
    const from = Number(value.offset);
    return {
      end: from + value.bytes >= bytes.length,
      blob: bytes.subarray(from, from + value.bytes),
    };
  };
  const offer = offerOf('sha256', {}, { inputs: described });
  const lease = await jobs.started(offer);
  const result = await jobs.resultOf(offer.jobId);
  const whole = createHash('sha256').update(Buffer.concat(inputs)).digest('hex');
  expect((await jobs.artifact(offer.jobId, lease, result.outputs[0].sha256)).toString()).toBe(
    `${whole}\n`,
  );
  expect(result.usage).toMatchObject({ bytesIn: 3_000_010, bytesOut: 65 });
}, 60_000);

test('F46 T31 an input that is not what the spec says ends the attempt before it starts, by its client’s fault', async () => {
  jobs.compute.extension();
  await jobs.paired();
  jobs.compute.market.answering = ({ kind }) =>
    kind === 'Input' ? { end: true, blob: Buffer.from('other') } : undefined;
  const described = { path: 'a', size: 5, sha256: 'ab'.repeat(32) };
  const offer = offerOf('sha256', {}, { inputs: [described] });
  await jobs.started(offer);
  await expect
    .poll(() => jobs.eventsOf('JobLost', offer.jobId), PATIENCE)
    .toMatchObject([{ value: { code: 'INPUT_HASH_MISMATCH' } }]);
  expect(jobs.eventsOf('JobState', offer.jobId).map(({ value }) => value.state)).not.toContain(
    'Started',
  );
}, 60_000);

test('CM8 F45 a wasm job gets its program and its inputs, and leaves what it always leaves', async () => {
  jobs.compute.extension();
  await jobs.paired();
  const example = await readExample('image-filter');
  const { module } = await buildJob(example.source!);
  const contents = [module, ...Object.values(example.inputs)];
  jobs.compute.market.answering = ({ kind, value }) => {
    if (kind !== 'Input') return undefined;
    const bytes = contents.find((one) => hashOf(one) === value.sha256)!;
    const from = Number(value.offset);
    return {
      end: from + value.bytes >= bytes.length,
      blob: bytes.subarray(from, from + value.bytes),
    };
  };
  const { type: _type, ...spec } = example.spec;
  const offer = offerOf('', {}, { ...spec, ...listed(example.inputs, module) });
  const lease = await jobs.started(offer);
  const result = await jobs.resultOf(offer.jobId);
  expect(result.receipt).toMatchObject({ status: 0, exitCode: 0 });
  expect(result.runtime).toMatchObject({ runner: 'wasm' });
  const files = Object.fromEntries(
    result.outputs.map((file: { path: string; sha256: string }) => [file.path, file.sha256]),
  );
  expect(files).toEqual(example.expected!.files);
  for (const hash of Object.values<string>(files))
    expect(hashOf(await jobs.artifact(offer.jobId, lease, hash))).toBe(hash);
  const { device } = await jobs.compute.market.ask('Provider');
  expect(Object.keys(device.runners)).toEqual(expect.arrayContaining(['builtin', 'wasm']));
}, 120_000);

test('a job that fails, one that takes too long and one that is cancelled end with receipts that say so', async () => {
  jobs.compute.extension();
  await jobs.paired();
  const failing = offerOf('fail', { code: 3, message: 'success' });
  await jobs.started(failing);
  expect((await jobs.resultOf(failing.jobId)).receipt).toMatchObject({ status: 1, exitCode: 3 });
  const late = offerOf('sleep', { ms: 30_000 }, { limits: { timeoutS: 1 }, timeoutS: 1 });
  await jobs.started(late);
  expect((await jobs.resultOf(late.jobId)).receipt).toMatchObject({ status: 2 });
  const cancelled = offerOf('sleep', { ms: 30_000 });
  const lease = await jobs.started(cancelled);
  await jobs.hasStarted(cancelled.jobId);
  await jobs.compute.market.ask('Cancel', {
    jobId: cancelled.jobId,
    lease,
    reason: 'test',
    graceMs: 0,
  });
  expect((await jobs.resultOf(cancelled.jobId)).receipt).toMatchObject({ status: 5 });
}, 60_000);

test('offers that do not fit are refused with a reason', async () => {
  jobs.compute.extension();
  await jobs.paired();
  const refused = async (offer: object): Promise<unknown> =>
    (await jobs.compute.market.ask('Offer', offer)).Rejected;
  expect(await refused(offerOf('nothing'))).toMatchObject({ code: 'unsupported' });
  expect(await refused({ ...offerOf('echo'), specHash: `0x${'11'.repeat(32)}` })).toMatchObject({
    code: 'unsupported',
  });
  const gpu = offerOf('echo', {}, { require: { gpu: { count: 1, vendor: 'nvidia' } } });
  expect(await refused(gpu)).toMatchObject({ code: 'unsupported' });
  expect(await refused({ ...offerOf('echo'), price: '5' })).toMatchObject({ code: 'price' });
  // Paid, by somebody whose money this node does not see.
  const money = { chainId: 1, escrow: `0x${'11'.repeat(20)}`, token: `0x${'22'.repeat(20)}` };
  expect(await refused({ ...offerOf('echo'), price: '500', money })).toMatchObject({
    code: 'policy',
  });
  const offer = offerOf('sleep', { ms: 60_000 });
  const lease = await jobs.started(offer);
  // The same attempt again is the same lease; three more fill the slots.
  expect(await jobs.compute.market.ask('Offer', offer)).toMatchObject({ Accepted: { lease } });
  const more = [1, 2, 3].map(() => offerOf('sleep', { ms: 60_000 }));
  const leases = [lease];
  for (const one of more) leases.push(await jobs.started(one));
  expect(await refused(offerOf('echo'))).toMatchObject({ code: 'busy' });
  for (const [at, one] of [offer, ...more].entries())
    await jobs.compute.market.ask('Drop', { jobId: one.jobId, lease: leases[at] });
  await expect.poll(() => jobs.compute.market.ask('Provider'), PATIENCE).toMatchObject({ free: 4 });
}, 60_000);

test('CM50 an attempt that is cancelled before it began is accepted anew, at once, and one that began is not', async () => {
  jobs.compute.extension();
  await jobs.paired();
  const offer = { ...offerOf('sleep', { ms: 60_000 }), start: false };
  const asked = async (): Promise<{ Accepted?: { lease: string }; Rejected?: unknown }> =>
    jobs.compute.market.ask('Offer', offer);
  const cancel = (lease: string | undefined): Promise<unknown> =>
    jobs.compute.market.ask('Cancel', { jobId: offer.jobId, lease, reason: 'ran out', graceMs: 0 });
  const before = (await asked()).Accepted?.lease;
  await cancel(before);
  const lease = (await asked()).Accepted?.lease;
  expect(lease).toMatch(/^[0-9a-f]{32}$/);
  expect(lease).not.toBe(before);
  await jobs.compute.market.ask('Start', { jobId: offer.jobId, lease });
  await jobs.hasStarted(offer.jobId);
  await cancel(lease);
  await jobs.resultOf(offer.jobId);
  await expect
    .poll(async () => (await asked()).Rejected, PATIENCE)
    .toMatchObject({ code: 'policy', message: 'this attempt has been made here' });
  await jobs.compute.market.ask('Drop', { jobId: offer.jobId, lease });
}, 60_000);

test('T7 what is asked under a lease of somebody else, or of none, is refused', async () => {
  jobs.compute.extension();
  await jobs.paired();
  const offer = offerOf('sleep', { ms: 60_000 });
  const lease = await jobs.started(offer);
  const other = `0x${'22'.repeat(32)}`;
  for (const name of [
    { jobId: other, lease },
    { jobId: offer.jobId, lease: '00'.repeat(16) },
  ])
    expect(await jobs.compute.market.ask('Start', name)).toMatchObject({
      Err: { kind: 'NoSuchLease' },
    });
  await jobs.compute.market.ask('Drop', { jobId: offer.jobId, lease });
  expect(await readFile(jobs.compute.tokenFile, 'utf8')).toMatch(/^[0-9a-f]{64}\n$/);
}, 60_000);

test('a job that is dropped while its output is on its way leaves nothing, without a word', async () => {
  jobs.compute.extension();
  await jobs.paired();
  const printed = jobs.compute.output.length;
  const leases: string[] = [];
  for (let at = 0; at < 4; at += 1) {
    const args = { width: 2_048, height: 2_048, iterations: 1 };
    const offer = offerOf('mandelbrot', args, { limits: { outMiB: 64 } });
    const lease = await jobs.started(offer);
    leases.push(lease);
    await jobs.resultOf(offer.jobId);
    await jobs.compute.market.ask('Drop', { jobId: offer.jobId, lease });
  }
  const kept = join(jobs.compute.home, 'vfs', 'compute:sys', 'gpu', 'artifacts');
  const left = async (): Promise<string[]> =>
    (await readdir(kept).catch(() => [])).filter((name) => leases.includes(name));
  await expect.poll(left, PATIENCE).toEqual([]);
  expect(jobs.compute.output.slice(printed)).not.toMatch(/Drop from|not empty/);
}, 120_000);
