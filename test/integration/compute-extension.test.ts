/** The native extension, paired with a whole node: a job from the offer to its receipt, and what happens when either side is killed. */
import { createHash, randomBytes } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { outputsRoot, sha256 } from '../../contracts/merkle.ts';
import { GrowingTree, logLeaf } from '../../contracts/merkle-tree.ts';
import { digestOf, FREE_DOMAIN } from '../../contracts/compute.ts';
import { structCodec } from '../../contracts/compute-json.ts';
import { recoverAddress } from 'ethers';
import { listed, readExample } from '../../extensions/gpu/examples/example.ts';
import { assemble } from '../../kernel/image/fuel-harness.ts';
import { buildJob } from '../../kit/build/job.ts';
import { decodeRecords, encodeRecords } from '../../wit/jobs/log-records.ts';
import { type ComputeEvent, ComputeNode, offerOf } from '../support/compute-node.ts';

const PATIENCE = { timeout: 30_000, interval: 50 };
const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const hex = (bytes: Uint8Array): string => `0x${Buffer.from(bytes).toString('hex')}`;

let compute: ComputeNode;
beforeAll(async () => {
  compute = await ComputeNode.start();
}, 180_000);
afterAll(async () => {
  await compute?.[Symbol.asyncDispose]();
});
afterEach(async () => {
  await compute.stopExtensions();
  compute.market.events.length = 0;
  compute.market.answering = () => undefined;
});

async function paired(): Promise<void> {
  await expect.poll(() => compute.market.ask('Provider'), PATIENCE).toMatchObject({ paired: true });
}

/** Resolves when the market has heard that its program runs. */
async function hasStarted(jobId: string): Promise<void> {
  await expect.poll(() => statesOf(jobId), PATIENCE).toContain('Started');
}

/** What the market was told of how far it is, in order. */
function statesOf(jobId: string): string[] {
  return eventsOf('JobState', jobId).map(({ value }) => value.state);
}

/** Offers and starts a job. */
async function started(offer: ReturnType<typeof offerOf>): Promise<string> {
  const answer = await compute.market.ask('Offer', offer);
  expect(answer).toMatchObject({ Accepted: { acceptance: null } });
  const { lease } = answer.Accepted as { lease: string };
  expect(await compute.market.ask('Start', { jobId: offer.jobId, lease })).toBeUndefined();
  return lease;
}

function eventsOf(kind: string, jobId: string): readonly ComputeEvent[] {
  return compute.market.of(kind).filter(({ value }) => value.jobId === jobId);
}

async function resultOf(jobId: string): Promise<ComputeEvent['value']> {
  await expect.poll(() => eventsOf('JobResult', jobId).length, PATIENCE).toBe(1);
  return eventsOf('JobResult', jobId)[0]!.value.result;
}

/** Every record that the market was told, in order, none twice and none left out. */
function logOf(jobId: string) {
  const records = eventsOf('Logs', jobId).flatMap(({ blob, value }) => {
    const read = decodeRecords(blob!.bytes)!;
    expect(read.rest).toBe(blob!.bytes.length);
    expect(read.records[0]!.seq).toBe(value.firstSeq);
    return read.records;
  });
  expect(records.map(({ seq }) => seq)).toEqual(records.map((_, at) => at));
  return records;
}

async function artifact(jobId: string, lease: string, hash: string): Promise<Buffer> {
  const part = { jobId, lease, sha256: hash, offset: 0, bytes: 1_000_000 };
  const { value, blob } = await compute.market.full('Artifact', part);
  expect(value).toEqual({ end: true });
  return Buffer.from(blob!);
}

test('CM15 F40 T32 the token is 0600, the extension is paired with it, and a free job runs from its offer to a signed receipt', async () => {
  const extension = compute.extension();
  await paired();
  expect((await stat(compute.tokenFile)).mode & 0o777).toBe(0o600);
  await expect.poll(() => extension.output, PATIENCE).toContain('paired');
  const offer = offerOf('echo', { text: 'hello' });
  const lease = await started(offer);
  const result = await resultOf(offer.jobId);
  // Which of them are told is a matter of time: what has passed when its turn comes is left out, and this job is over at once. That each is
  // told where nothing passes it is the next test's.
  const states = statesOf(offer.jobId);
  expect(['Preparing', 'Started', 'Collecting'].filter((each) => states.includes(each))).toEqual(
    states,
  );

  // The receipt is the executor's, and every root in it is that of what arrived.
  const { executor } = await compute.market.ask('Provider');
  const receipt = structCodec('JobReceipt').decode(JSON.stringify(result.receipt));
  if (!receipt.ok) throw new Error('no receipt');
  expect(digestOf(FREE_DOMAIN, 'JobReceipt', receipt.value)).toBe(result.receiptHash);
  expect(recoverAddress(result.receiptHash, result.signature)).toBe(executor);
  const records = logOf(offer.jobId);
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
  const content = await artifact(offer.jobId, lease, hash);
  expect(content.toString()).toBe('hello\n');
  const file = {
    path: 'echo.txt',
    bytes: 6,
    sha256: createHash('sha256').update(content).digest(),
  };
  expect(hex(outputsRoot([file]))).toBe(result.receipt.outputsRoot);
  expect(result.receipt).toMatchObject({ status: 0, exitCode: 0, claimed: '0' });

  // Dropped, nothing of it stays at either end, and nothing goes wrong while its output is on its way.
  await compute.market.ask('Drop', { jobId: offer.jobId, lease });
  await expect.poll(() => readdir(compute.jobs()), PATIENCE).toEqual([]);
  const kept = join(compute.home, 'vfs', 'compute:sys', 'gpu', 'artifacts', lease);
  await expect.poll(() => stat(kept).catch(() => 'gone'), PATIENCE).toBe('gone');
}, 90_000);

test('CM15 F40 states are told one by one as long as none has passed another: before the inputs are there, and while the program runs', async () => {
  compute.extension();
  await paired();
  const input = Buffer.from('input');
  const described = { path: 'a', size: input.length, sha256: hashOf(input) };
  const offer = offerOf(
    'sleep',
    { ms: 600_000 },
    { inputs: [described], limits: { timeoutS: 600 } },
  );
  compute.market.answering = async ({ kind }) => {
    if (kind !== 'Input') return undefined;
    // It cannot start before it has what it reads, and gets that once its preparation was told.
    await expect.poll(() => statesOf(offer.jobId), PATIENCE).toEqual(['Preparing']);
    return { end: true, blob: input };
  };
  const lease = await started(offer);
  // It runs until it is told not to.
  await expect.poll(() => statesOf(offer.jobId), PATIENCE).toEqual(['Preparing', 'Started']);
  await compute.market.ask('Cancel', { jobId: offer.jobId, lease, reason: 'test', graceMs: 0 });
  expect((await resultOf(offer.jobId)).receipt).toMatchObject({ status: 5 });
  // What it left is collected while its result is made: the one may pass the other.
  expect(statesOf(offer.jobId).filter((each) => each !== 'Collecting')).toEqual([
    'Preparing',
    'Started',
  ]);
}, 120_000);

test('CM50 a job that may start with its offer runs without more, and its lease outlives its node', async () => {
  compute.extension();
  await paired();
  const quick = { ...offerOf('echo', { text: 'at once' }), start: true };
  expect(await compute.market.ask('Offer', quick)).toMatchObject({ Accepted: {} });
  expect((await resultOf(quick.jobId)).receipt).toMatchObject({ status: 0 });
  expect(logOf(quick.jobId).map(({ bytes }) => Buffer.from(bytes).toString())).toContain(
    'at once\n',
  );
  const slow = { ...offerOf('sleep', { ms: 3_000 }), start: true };
  const { lease } = (await compute.market.ask('Offer', slow)).Accepted;
  await hasStarted(slow.jobId);
  await compute.restart();
  await expect.poll(() => eventsOf('JobResult', slow.jobId).length, PATIENCE).toBe(1);
  expect(eventsOf('JobResult', slow.jobId)[0]!.value.lease).toBe(lease);
  // The attempt is known under that lease, and under no other.
  expect(await compute.market.ask('Offer', slow)).toMatchObject({ Rejected: { code: 'policy' } });
  await compute.market.ask('Drop', { jobId: slow.jobId, lease });
}, 90_000);

test('F46 inputs come from the market and outputs go to vfs past the process, whole and verified', async () => {
  compute.extension();
  await paired();
  const inputs = [randomBytes(3_000_000), randomBytes(10)];
  const described = inputs.map((bytes, at) => ({
    path: `in/${at}.bin`,
    size: bytes.length,
    sha256: createHash('sha256').update(bytes).digest('hex'),
  }));
  compute.market.answering = ({ kind, value }) => {
    if (kind !== 'Input') return undefined;
    const bytes = inputs[described.findIndex((one) => one.sha256 === value.sha256)]!;
    const from = Number(value.offset);
    return {
      end: from + value.bytes >= bytes.length,
      blob: bytes.subarray(from, from + value.bytes),
    };
  };
  const offer = offerOf('sha256', {}, { inputs: described });
  const lease = await started(offer);
  const result = await resultOf(offer.jobId);
  const whole = createHash('sha256').update(Buffer.concat(inputs)).digest('hex');
  expect((await artifact(offer.jobId, lease, result.outputs[0].sha256)).toString()).toBe(
    `${whole}\n`,
  );
  expect(result.usage).toMatchObject({ bytesIn: 3_000_010, bytesOut: 65 });
}, 60_000);

test('F46 T31 an input that is not what the spec says ends the attempt before it starts, by its client’s fault', async () => {
  compute.extension();
  await paired();
  compute.market.answering = ({ kind }) =>
    kind === 'Input' ? { end: true, blob: Buffer.from('other') } : undefined;
  const described = { path: 'a', size: 5, sha256: 'ab'.repeat(32) };
  const offer = offerOf('sha256', {}, { inputs: [described] });
  await started(offer);
  await expect
    .poll(() => eventsOf('JobLost', offer.jobId), PATIENCE)
    .toMatchObject([{ value: { code: 'INPUT_HASH_MISMATCH' } }]);
  expect(eventsOf('JobState', offer.jobId).map(({ value }) => value.state)).not.toContain(
    'Started',
  );
}, 60_000);

test('CM8 F45 a wasm job gets its program and its inputs, and leaves what it always leaves', async () => {
  compute.extension();
  await paired();
  const example = await readExample('image-filter');
  const { module } = await buildJob(example.source!);
  const contents = [module, ...Object.values(example.inputs)];
  compute.market.answering = ({ kind, value }) => {
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
  const lease = await started(offer);
  const result = await resultOf(offer.jobId);
  expect(result.receipt).toMatchObject({ status: 0, exitCode: 0 });
  expect(result.runtime).toMatchObject({ runner: 'wasm' });
  const files = Object.fromEntries(
    result.outputs.map((file: { path: string; sha256: string }) => [file.path, file.sha256]),
  );
  expect(files).toEqual(example.expected!.files);
  for (const hash of Object.values<string>(files))
    expect(hashOf(await artifact(offer.jobId, lease, hash))).toBe(hash);
  const { device } = await compute.market.ask('Provider');
  expect(Object.keys(device.runners)).toEqual(expect.arrayContaining(['builtin', 'wasm']));
}, 120_000);

test('CM50 CM20 what ended without leaving a file while its node was away is sent by the extension that comes after a killed one', async () => {
  const first = compute.extension();
  await paired();
  const module = await assemble(
    `(module (memory (export "memory") 1) (func (export "_start") (local $i i32)
       (loop (local.set $i (i32.add (local.get $i) (i32.const 1)))
             (br_if 0 (i32.lt_u (local.get $i) (i32.const 400000000))))))`,
  );
  const { length: size } = module;
  compute.market.answering = ({ kind }) =>
    kind === 'Input' ? { end: true, blob: module } : undefined;
  const spec = { kind: 'wasm', entry: { cmd: ['job'] }, module: { sha256: hashOf(module), size } };
  // The first brings the program.
  const other = offerOf('', {}, spec);
  await started(other);
  await resultOf(other.jobId);
  const offer = offerOf('', {}, spec);
  const lease = await started(offer);
  // Its node goes while it runs; on a machine where it is too quick for that, what follows must hold all the same.
  const heard = (): boolean =>
    statesOf(offer.jobId).includes('Started') || eventsOf('JobResult', offer.jobId).length > 0;
  await expect.poll(heard, PATIENCE).toBe(true);
  await compute.node.close();
  const journal = join(compute.jobs(), '..', 'receipts', 'journal');
  await expect.poll(() => readFile(journal, 'latin1'), PATIENCE).toContain(lease);
  await first.kill('SIGKILL');
  expect(await readdir(compute.jobs())).not.toContain(lease);
  await compute.boot(compute.port);
  compute.extension();
  await expect
    .poll(() => eventsOf('JobResult', offer.jobId).length, PATIENCE)
    .toBeGreaterThanOrEqual(1);
  const { receipt, receiptHash } = eventsOf('JobResult', offer.jobId)[0]!.value.result;
  expect(receipt).toMatchObject({ jobId: offer.jobId, status: 0, exitCode: 0 });
  // What the node had not noted as taken is told again, under the same numbers.
  const records = eventsOf('Logs', offer.jobId).flatMap(
    ({ blob }) => decodeRecords(blob!.bytes)!.records,
  );
  const texts = new Map(records.map(({ seq, bytes }) => [seq, Buffer.from(bytes).toString()]));
  expect([...texts].toSorted(([one], [other]) => one - other)).toEqual([
    [0, '{"ev":"start"}'],
    [1, '{"ev":"exit","code":0}'],
  ]);
  expect(await readFile(journal, 'latin1')).toContain(receiptHash);
  // Dropped it is gone, and nobody gets a second receipt.
  await compute.market.ask('Drop', { jobId: offer.jobId, lease });
  await expect
    .poll(() => readFile(journal, 'latin1'), PATIENCE)
    .toContain(JSON.stringify({ drop: lease }));
  expect(await compute.market.ask('Offer', offer)).toMatchObject({
    Rejected: { code: 'policy' },
  });
}, 90_000);

test('CM38 a machine that is looked at on demand is told anew, and the extension goes on', async () => {
  const extension = compute.extension();
  await paired();
  const detectedAt = async (): Promise<number> =>
    ((await compute.market.ask('Provider')) as { device: { detectedAt: number } }).device
      .detectedAt;
  const before = await detectedAt();
  extension.child.kill('SIGUSR2');
  await expect.poll(detectedAt, PATIENCE).toBeGreaterThan(before);
  expect(extension.child.exitCode).toBeNull();
});

test('CM12 an extension that is killed in the middle of a job leaves nothing, and the market hears that the job is lost', async () => {
  const first = compute.extension();
  await paired();
  const offer = offerOf('sleep', { ms: 60_000, everyMs: 20 });
  const lease = await started(offer);
  await expect.poll(() => logOf(offer.jobId).length, PATIENCE).toBeGreaterThan(3);
  await first.kill('SIGKILL');
  expect(await readdir(compute.jobs())).toContain(lease);
  compute.extension();
  await expect
    .poll(() => eventsOf('JobLost', offer.jobId), PATIENCE)
    .toMatchObject([{ value: { code: 'EXT_DISCONNECTED' } }]);
  expect(await readdir(compute.jobs())).not.toContain(lease);
  expect(eventsOf('JobResult', offer.jobId)).toEqual([]);
  expect(await compute.market.ask('Provider')).toMatchObject({ free: 4 });
}, 60_000);

test('CM13 a job goes on while its node is restarted: its log has no gap, and its result comes', async () => {
  compute.extension();
  await paired();
  const offer = offerOf('sleep', { ms: 4_000, everyMs: 20 });
  await started(offer);
  await expect.poll(() => logOf(offer.jobId).length, PATIENCE).toBeGreaterThan(3);
  const before = [...compute.market.events];
  await compute.restart();
  await expect.poll(() => eventsOf('JobResult', offer.jobId).length, PATIENCE).toBe(1);
  // What the node had not noted as taken is told again, under the same numbers.
  const seen = new Map<number, string>();
  for (const { blob } of [...before, ...compute.market.events].filter(
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
  const patient = compute;
  await using impatient = await ComputeNode.start({ orphanMs: 2_000 });
  compute = impatient;
  try {
    const extension = compute.extension();
    await paired();
    const offer = offerOf('sleep', { ms: 600_000 });
    const lease = await started(offer);
    await hasStarted(offer.jobId);
    await compute.node.close();
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    await compute.boot(compute.port);
    await expect.poll(() => eventsOf('JobLost', offer.jobId).length, PATIENCE).toBe(1);
    expect(eventsOf('JobLost', offer.jobId)[0]!.value).toMatchObject({
      lease,
      code: 'EXT_DISCONNECTED',
    });
    expect(eventsOf('JobResult', offer.jobId)).toEqual([]);
    expect(extension.child.exitCode).toBeNull();
  } finally {
    compute = patient;
  }
}, 120_000);

test('CM15 a second extension takes the place of the first, which ends and is not to be started again', async () => {
  const first = compute.extension();
  await paired();
  const second = compute.extension('other');
  expect(await first.exited).toBe(11);
  await expect.poll(() => second.output, PATIENCE).toContain('paired');
  await paired();
}, 60_000);

test('CM15 T18 a program without the token is denied, and told nothing that helps it', async () => {
  const stranger = compute.extension('stranger', [], {
    HYPERLOOM_EXTENSION_TOKEN: '00'.repeat(32),
  });
  await expect.poll(() => stranger.output, PATIENCE).toContain('does not know the token');
  expect(await compute.market.ask('Provider')).toMatchObject({ paired: false });
}, 60_000);

test('CM16 T19 no page, no proxy and no other machine opens the channel', async () => {
  const opens = async (headers: Record<string, string>): Promise<number> => {
    const socket = new WebSocket(`${compute.url.replace('http', 'ws')}/gpu:compute:sys/ext`, {
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
    { Origin: compute.url },
    { Origin: 'https://evil.example' },
    { 'X-Forwarded-For': '198.51.100.1' },
    { Forwarded: 'for=127.0.0.1' },
    { Host: 'evil.example' },
  ] as Record<string, string>[])
    expect([headers, await opens(headers)]).toEqual([headers, expect.toBeOneOf([403, 404])]);
}, 60_000);

test('a job that fails, one that takes too long and one that is cancelled end with receipts that say so', async () => {
  compute.extension();
  await paired();
  const failing = offerOf('fail', { code: 3, message: 'success' });
  await started(failing);
  expect((await resultOf(failing.jobId)).receipt).toMatchObject({ status: 1, exitCode: 3 });
  const late = offerOf('sleep', { ms: 30_000 }, { limits: { timeoutS: 1 }, timeoutS: 1 });
  await started(late);
  expect((await resultOf(late.jobId)).receipt).toMatchObject({ status: 2 });
  const cancelled = offerOf('sleep', { ms: 30_000 });
  const lease = await started(cancelled);
  await hasStarted(cancelled.jobId);
  await compute.market.ask('Cancel', { jobId: cancelled.jobId, lease, reason: 'test', graceMs: 0 });
  expect((await resultOf(cancelled.jobId)).receipt).toMatchObject({ status: 5 });
}, 60_000);

test('offers that do not fit are refused with a reason', async () => {
  compute.extension();
  await paired();
  const refused = async (offer: object): Promise<unknown> =>
    (await compute.market.ask('Offer', offer)).Rejected;
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
  const lease = await started(offer);
  // The same attempt again is the same lease; three more fill the slots.
  expect(await compute.market.ask('Offer', offer)).toMatchObject({ Accepted: { lease } });
  const more = [1, 2, 3].map(() => offerOf('sleep', { ms: 60_000 }));
  const leases = [lease];
  for (const one of more) leases.push(await started(one));
  expect(await refused(offerOf('echo'))).toMatchObject({ code: 'busy' });
  for (const [at, one] of [offer, ...more].entries())
    await compute.market.ask('Drop', { jobId: one.jobId, lease: leases[at] });
  await expect.poll(() => compute.market.ask('Provider'), PATIENCE).toMatchObject({ free: 4 });
}, 60_000);

test('CM50 an attempt that is cancelled before it began is accepted anew, at once, and one that began is not', async () => {
  compute.extension();
  await paired();
  const offer = { ...offerOf('sleep', { ms: 60_000 }), start: false };
  const asked = async (): Promise<{ Accepted?: { lease: string }; Rejected?: unknown }> =>
    compute.market.ask('Offer', offer);
  const cancel = (lease: string | undefined): Promise<unknown> =>
    compute.market.ask('Cancel', { jobId: offer.jobId, lease, reason: 'ran out', graceMs: 0 });
  const before = (await asked()).Accepted?.lease;
  await cancel(before);
  const lease = (await asked()).Accepted?.lease;
  expect(lease).toMatch(/^[0-9a-f]{32}$/);
  expect(lease).not.toBe(before);
  await compute.market.ask('Start', { jobId: offer.jobId, lease });
  await hasStarted(offer.jobId);
  await cancel(lease);
  await resultOf(offer.jobId);
  await expect
    .poll(async () => (await asked()).Rejected, PATIENCE)
    .toMatchObject({ code: 'policy', message: 'this attempt has been made here' });
  await compute.market.ask('Drop', { jobId: offer.jobId, lease });
}, 60_000);

test('T7 what is asked under a lease of somebody else, or of none, is refused', async () => {
  compute.extension();
  await paired();
  const offer = offerOf('sleep', { ms: 60_000 });
  const lease = await started(offer);
  const other = `0x${'22'.repeat(32)}`;
  for (const name of [
    { jobId: other, lease },
    { jobId: offer.jobId, lease: '00'.repeat(16) },
  ])
    expect(await compute.market.ask('Start', name)).toMatchObject({ Err: { kind: 'NoSuchLease' } });
  await compute.market.ask('Drop', { jobId: offer.jobId, lease });
  expect(await readFile(compute.tokenFile, 'utf8')).toMatch(/^[0-9a-f]{64}\n$/);
}, 60_000);

test('a job that is dropped while its output is on its way leaves nothing, without a word', async () => {
  compute.extension();
  await paired();
  const printed = compute.output.length;
  const leases: string[] = [];
  for (let at = 0; at < 4; at += 1) {
    const args = { width: 2_048, height: 2_048, iterations: 1 };
    const offer = offerOf('mandelbrot', args, { limits: { outMiB: 64 } });
    const lease = await started(offer);
    leases.push(lease);
    await resultOf(offer.jobId);
    await compute.market.ask('Drop', { jobId: offer.jobId, lease });
  }
  const kept = join(compute.home, 'vfs', 'compute:sys', 'gpu', 'artifacts');
  const left = async (): Promise<string[]> =>
    (await readdir(kept).catch(() => [])).filter((name) => leases.includes(name));
  await expect.poll(left, PATIENCE).toEqual([]);
  expect(compute.output.slice(printed)).not.toMatch(/Drop from|not empty/);
}, 120_000);
