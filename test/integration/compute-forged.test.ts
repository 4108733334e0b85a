/** What a paired extension may not do either: a program that speaks the protocol and lies, against a whole node (CM19; threats 7, 20, 21). */
import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { escrowDomain, FREE_DOMAIN, type Domain } from '../../contracts/compute.ts';
import { runEnd } from '../../contracts/compute-result.ts';
import { Executor } from '../../extensions/gpu/executor.ts';
import { receiptOf } from '../../extensions/gpu/receipt.ts';
import { systemClock } from '../../extensions/link/clock.ts';
import { Link, type LinkUser } from '../../extensions/link/link.ts';
import { dialWebSocket } from '../../extensions/link/socket.ts';
import { tokenIn } from '../../wit/hn-ext/handshake.ts';
import type { Body, Frame } from '../../wit/hn-ext/schema.ts';
import { encodeRecords, STREAM } from '../../wit/jobs/log-records.ts';
import type { JobSpec } from '../../wit/jobs/spec.ts';
import { ComputeNode, offerOf } from '../support/compute-node.ts';
import { removeHome } from '../support/remove-home.ts';

const PATIENCE = { timeout: 30_000, interval: 20 };
const DEVICE = JSON.stringify({
  v: 1,
  host: {
    os: 'linux',
    arch: 'x86_64',
    cpuModel: '',
    cpuCores: 1,
    cpuThreads: 1,
    memMiB: 65_536,
    diskFreeMiB: 1,
  },
  gpus: [],
  runners: { builtin: true },
  isolation: [],
  backends: [],
  detectedAt: 1,
  fingerprint: '',
  warnings: [],
});

/** Waits until it is there. */
async function when<T>(what: () => Promise<T>): Promise<T> {
  for (let tries = 0; tries < 1_000; tries += 1) {
    const found = await what();
    if (found !== '' && found !== false) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error('waited in vain');
}

/** Accepts everything, runs nothing, and says what the test tells it to. */
class Liar implements LinkUser {
  readonly executor: Executor;
  readonly frames: Frame[] = [];
  readonly offers = new Map<string, Body<'job.offer'>>();
  readonly link: Link;
  jobs = '[]';

  constructor(executor: Executor, token: Uint8Array, url: string) {
    this.executor = executor;
    const needs = { clock: systemClock, dial: dialWebSocket, print: () => undefined };
    const options = {
      url: `${url.replace('http', 'ws')}/gpu:compute:sys/ext`,
      token,
      version: 'liar',
    };
    this.link = new Link(options, needs, this);
    this.link.start();
  }

  describe() {
    return { executor: this.executor.address, device: DEVICE, slots: 100, jobs: this.jobs };
  }
  up(): void {}
  down(): void {}
  bulk(): void {}
  room(): void {}
  superseded(): void {}
  frame(frame: Frame): void {
    this.frames.push(frame);
    if (frame.t !== 'job.offer') return;
    const { jobId, lease } = frame.body;
    this.offers.set(lease, frame.body);
    this.link.send('job.accept', { jobId, lease });
  }

  of(t: string): readonly Frame[] {
    return this.frames.filter((frame) => frame.t === t);
  }

  started(lease: string): void {
    const { jobId } = this.offers.get(lease)!;
    for (const state of ['preparing', 'started', 'collecting'])
      this.link.send('job.state', { jobId, lease, state });
  }

  log(lease: string, seq: number, ...texts: readonly string[]): void {
    const { jobId } = this.offers.get(lease)!;
    const records = texts.map((text, at) => ({
      seq: seq + at,
      stream: STREAM.system,
      atMs: 0,
      bytes: Buffer.from(text),
    }));
    this.link.send('log.chunk', { jobId, lease, seq, records: encodeRecords(records) });
  }

  /** A result without outputs of a job of two log records. */
  result(
    lease: string,
    {
      change = {},
      domain = FREE_DOMAIN,
      by = this.executor,
      sentAs = lease,
    }: { change?: object; domain?: Domain; by?: Executor; sentAs?: string } = {},
  ): void {
    const offer = this.offers.get(lease)!;
    const usage = {
      wallMs: 1,
      cpuMs: 0,
      gpuMs: 0,
      peakMemMiB: 0,
      peakVramMiB: 0,
      bytesIn: 0,
      bytesOut: 0,
      tokensIn: 0,
      tokensOut: 0,
    };
    const runtime = {
      arch: 'x86_64',
      driver: '',
      gpu: '',
      image: '',
      module: '',
      runner: 'builtin',
      runnerVersion: '1',
    };
    const receipt = {
      ...receiptOf({
        ...offer,
        spec: JSON.parse(offer.spec) as JobSpec,
        price: BigInt(offer.price),
        outputs: [],
        logsRoot: new Uint8Array(32),
        stdoutHash: new Uint8Array(32),
        usage,
        runtime,
        exitCode: 0,
        status: 0,
        startedMs: 0,
        finishedMs: 1_000,
      }),
      ...change,
    };
    const { digest, signature } = by.signReceipt(domain, receipt);
    const end = {
      receipt,
      signature,
      receiptHash: digest,
      logs: { count: 2, truncated: false },
      usage,
      runtime,
    };
    this.link.send('job.result', {
      jobId: offer.jobId,
      lease: sentAs,
      result: runEnd.stringify(end),
      files: 0,
    });
  }
}

let compute: ComputeNode;
let folder: string;
let executor: Executor;
let liar: Liar;
beforeAll(async () => {
  compute = await ComputeNode.start();
  folder = await mkdtemp(join(tmpdir(), 'liar-'));
  executor = await Executor.open(folder);
  const token = tokenIn(await when(() => readFile(compute.tokenFile, 'utf8').catch(() => '')))!;
  liar = new Liar(executor, token, compute.url);
  await when(async () => ((await compute.market.ask('Provider')) as { paired: boolean }).paired);
}, 180_000);
afterEach(() => {
  compute.market.events.length = 0;
  compute.market.answering = () => undefined;
});
afterAll(async () => {
  liar?.link.close('done');
  await compute?.[Symbol.asyncDispose]();
  await removeHome(folder);
});

async function runs(): Promise<{ jobId: string; lease: string }> {
  const { jobId, ...offer } = offerOf('echo');
  const { Accepted } = (await compute.market.ask('Offer', { jobId, ...offer })) as {
    Accepted: { lease: string };
  };
  const { lease } = Accepted;
  await compute.market.ask('Start', { jobId, lease });
  liar.started(lease);
  liar.log(lease, 0, '{"ev":"start"}', '{"ev":"exit","code":0}');
  await expect.poll(() => compute.market.of('Logs').length, PATIENCE).toBe(1);
  return { jobId, lease };
}

test('CM19 T7 a receipt by another key, of another job, attempt, node, spec or chain, or for more than the price changes nothing', async () => {
  const other = await Executor.open(await mkdtemp(join(folder, 'other-')));
  const { jobId, lease } = await runs();
  const word = `0x${'77'.repeat(32)}`;
  for (const lie of [
    { by: other },
    { change: { jobId: word } },
    { change: { attempt: 1 } },
    { change: { nodeId: word } },
    { change: { specHash: word } },
    { change: { claimed: 1n } },
    { domain: escrowDomain(31_337, `0x${'11'.repeat(20)}`) },
  ])
    liar.result(lease, lie);
  await expect.poll(() => compute.output.split('is refused').length, PATIENCE).toBe(8);
  expect(compute.market.of('JobResult')).toEqual([]);
  expect(compute.market.of('JobLost')).toEqual([]);
  // The right one still counts.
  liar.result(lease);
  await expect.poll(() => compute.market.of('JobResult').length, PATIENCE).toBe(1);
  // And a second, different one after it does not.
  liar.result(lease, { change: { exitCode: 1 } });
  liar.log(lease, 9, 'late');
  expect(await compute.market.ask('Provider')).toMatchObject({ paired: true });
  expect(compute.market.of('JobResult')).toHaveLength(1);
  await compute.market.ask('Drop', { jobId, lease });
}, 60_000);

test('an extension that takes one job at a time is told to start what may start with its offer', async () => {
  const { jobId, ...offer } = offerOf('echo');
  liar.frames.length = 0;
  const answer = await compute.market.ask('Offer', { jobId, ...offer, start: true });
  const { lease } = (answer as { Accepted: { lease: string } }).Accepted;
  await expect.poll(() => liar.of('job.start'), PATIENCE).toMatchObject([{ body: { lease } }]);
  liar.log(lease, 0, '{"ev":"start"}', '{"ev":"exit","code":0}');
  liar.result(lease);
  await expect.poll(() => compute.market.of('JobResult').length, PATIENCE).toBe(1);
  await compute.market.ask('Drop', { jobId, lease });
}, 60_000);

test('T20 what comes under a lease that has ended changes nothing, and its sender is told to let go', async () => {
  const { jobId, lease } = await runs();
  await compute.market.ask('Drop', { jobId, lease });
  const again = await runs();
  liar.frames.length = 0;
  liar.result(lease);
  liar.link.send('job.state', { jobId, lease, state: 'started' });
  // In the name of the old lease about the new job, and the other way round.
  liar.result(again.lease, { sentAs: lease });
  await expect.poll(() => liar.of('job.drop').length, PATIENCE).toBeGreaterThanOrEqual(3);
  expect(compute.market.of('JobResult')).toEqual([]);
  expect(liar.of('job.drop').every(({ body }) => 'lease' in body && body.lease === lease)).toBe(
    true,
  );
  liar.result(again.lease);
  await expect
    .poll(() => compute.market.of('JobResult').map(({ value }) => value.lease), PATIENCE)
    .toEqual([again.lease]);
  await compute.market.ask('Drop', again);
}, 60_000);

test('CM18 T21 a market that does not take the log holds its extension back, and one that sends on regardless is not listened to', async () => {
  const gate = Promise.withResolvers<void>();
  const { jobId, lease } = await runs();
  compute.market.answering = ({ kind }) => (kind === 'Logs' ? gate.promise : undefined);
  liar.frames.length = 0;
  const text = 'x'.repeat(60_000);
  // 12 MB, where 1 MiB was granted.
  for (let at = 0; at < 200; at += 1) liar.log(lease, 2 + at, text);
  await expect.poll(() => liar.of('job.sync').length, PATIENCE).toBeGreaterThan(0);
  expect(liar.of('log.credit')).toEqual([]);
  // It is told where to go on, once in a while and not for every frame.
  await expect.poll(() => compute.market.ask('Provider'), PATIENCE).toMatchObject({ paired: true });
  expect(liar.of('job.sync').length).toBeLessThan(20);
  gate.resolve();
  const [sync] = liar.of('job.sync').toReversed();
  if (sync?.t !== 'job.sync') throw new Error('no sync');
  liar.log(lease, sync.body.logSeq, text);
  await expect.poll(() => liar.of('log.credit').length, PATIENCE).toBeGreaterThan(0);
  await compute.market.ask('Drop', { jobId, lease });
}, 60_000);

test('a market that does not know the job any more is not told of it again, and the extension lets go of it', async () => {
  const { jobId, lease } = await runs();
  compute.market.answering = () => {
    throw 'NoSuchJob';
  };
  liar.frames.length = 0;
  liar.log(lease, 2, 'more');
  await expect.poll(() => liar.of('job.drop').length, PATIENCE).toBe(1);
  expect(await compute.market.ask('Start', { jobId, lease })).toMatchObject({
    Err: { kind: 'NoSuchLease' },
  });
}, 60_000);
