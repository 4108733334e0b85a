/** The oracle on fakes, with a clock that moves when told: what waits, how often it is tried, and how it ends. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { digestOf, FREE_DOMAIN, type JobReceipt, saltOf } from '../../../contracts/compute.ts';
import { address } from '../../../wit/address.ts';
import { canonicalJson } from '../../../wit/canonical-json.ts';
import { documentHash } from '../../../wit/jobs/result.ts';
import { specHash } from '../../../wit/jobs/spec.ts';
import { FakeSigner } from '../../lib/testing/fake-signer.ts';
import { FakeSqlite } from '../../lib/testing/fake-sqlite.ts';
import { fakeTimer } from '../../lib/testing/fake-timer.ts';
import { FakeVfs } from '../../lib/testing/fake-vfs.ts';
import type { Peer } from '../../lib/testing/memory-host.ts';
import { TestProcess } from '../../lib/testing/test-process.ts';
import { type Evidence, oracleContract } from '../shared/oracle-contract.ts';
import { builtinSpec } from '../testing.ts';
import { TRIES_MAX, TRY_MS } from './court.ts';
import oracle from './index.ts';

const MARKET = address('alice.os@market:compute:sys');
const EXECUTOR = `0x${'e1'.repeat(20)}`;

let sqlite: FakeSqlite;
/** When the log was asked for, in seconds from the start. */
let asked: number[];
let told: { readonly kind: string; readonly body: string }[];
let process: TestProcess<never, never>;
let startMs: number;
beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['Date'] });
  vi.setSystemTime(1_800_000_000_000);
  startMs = Date.now();
  sqlite = new FakeSqlite();
  asked = [];
  told = [];
  await start();
});
afterEach(() => {
  vi.useRealTimers();
});

async function start(): Promise<void> {
  const vfs = new FakeVfs();
  const keys = new FakeSigner();
  const signer: Peer = (sent, host) => {
    const text = new TextDecoder().decode(sent.request.body);
    if (text.startsWith('{"Recover"')) return JSON.stringify({ Addresses: [EXECUTOR] });
    if (!text.startsWith('{"LogRoot"')) return keys.peer(sent, host);
    asked.push(Math.round((Date.now() - startMs) / 1_000));
    return '{"Err":{"IOError":"it is not there yet (os error 2)"}}';
  };
  const market: Peer = (sent) => {
    const body = new TextDecoder().decode(sent.request.body);
    const [kind = ''] = Object.keys(JSON.parse(body) as object);
    told.push({ kind, body });
    return `"${kind}"`;
  };
  // Proof of the type: the test speaks as the market only.
  process = (await TestProcess.start(oracle, {
    our: 'alice.os@oracle:compute:sys',
    peers: {
      'sqlite:distro:sys': sqlite.peer,
      'signer:distro:sys': signer,
      'vfs:distro:sys': vfs.peer,
      'timer:distro:sys': fakeTimer(),
      'market:compute:sys': market,
    },
  })) as never;
  await process.run();
}

async function pass(seconds: number): Promise<void> {
  for (let second = 0; second < seconds; second += 1) {
    vi.setSystemTime(Date.now() + 1_000);
    process.host.advance(1);
    await process.run();
  }
}

function evidence(attempt: number): Evidence {
  const spec = builtinSpec({ retry: { maxAttempts: 2 } });
  const usage = {
    wallMs: 1,
    cpuMs: 1,
    gpuMs: 0,
    peakMemMiB: 1,
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
  const nowS = BigInt(Math.floor(Date.now() / 1_000));
  const receipt: JobReceipt = {
    jobId: saltOf('job'),
    nodeId: saltOf('node'),
    attempt,
    specHash: specHash(spec),
    inputsRoot: saltOf('in'),
    outputsRoot: saltOf('out'),
    logsRoot: saltOf('log'),
    stdoutHash: saltOf('stdout'),
    runtimeHash: documentHash(runtime),
    usageHash: documentHash(usage),
    exitCode: 0,
    status: 0,
    startedAt: nowS,
    finishedAt: nowS,
    claimed: 0n,
  };
  const at = Date.now();
  return {
    jobId: saltOf('job'),
    attempt,
    terms: undefined,
    spec: canonicalJson(spec),
    node: { name: 'bob.os', nodeId: saltOf('node'), executor: EXECUTOR },
    price: 0n,
    seen: { assignedAt: at, startedAt: at, receivedAt: at, leaseAgrees: true, beatsSeen: true },
    result: {
      receipt,
      signature: `0x${'11'.repeat(65)}`,
      receiptHash: digestOf(FREE_DOMAIN, 'JobReceipt', receipt),
      outputs: [],
      logs: { count: 2, truncated: false },
      usage,
      runtime,
    },
    device: undefined,
    medianMs: undefined,
    cancelled: false,
    artifacts: '/compute:sys/runs',
    inputs: undefined,
    logs: '/compute:sys/runs/log',
  };
}

async function verify(run: Evidence): Promise<void> {
  const body = oracleContract.requests.stringify({ kind: 'Verify', value: run });
  expect(await process.ask(body, { source: MARKET })).toBe('"Verify"');
}

const verdicts = (): unknown[] =>
  told.map(
    ({ body }) =>
      (JSON.parse(body) as { VerdictGiven: { outcome: unknown; code: unknown } }).VerdictGiven,
  );

test('CM50 evidence that cannot be had is asked for five times, ever more seldom, and then the attempt is given to another', async () => {
  await verify(evidence(0));
  await pass(400);
  expect(asked).toHaveLength(TRIES_MAX);
  const waits = asked.slice(1).map((at, index) => at - asked[index]!);
  for (const [index, wait] of waits.entries()) {
    // Looked at every ten seconds at the latest.
    expect(wait).toBeGreaterThanOrEqual((TRY_MS * 2 ** index) / 1_000);
    expect(wait).toBeLessThanOrEqual((TRY_MS * 2 ** index) / 1_000 + 12);
  }
  expect(verdicts()).toMatchObject([{ outcome: 'Retry', code: 'INTERNAL', attempt: 0 }]);
});

test('CM50 the last attempt that cannot be judged ends in the refund, and no entry of the queue stays', async () => {
  await verify(evidence(1));
  await pass(400);
  expect(verdicts()).toMatchObject([{ outcome: 'Refund', code: 'INTERNAL', attempt: 1 }]);
  await pass(100);
  expect(asked).toHaveLength(TRIES_MAX);
  expect(told).toHaveLength(1);
});

test('CM50 what waits goes on waiting after a restart, with the tries that it had', async () => {
  await verify(evidence(0));
  await pass(35);
  const before = asked.length;
  expect(before).toBeGreaterThan(1);
  await start();
  await pass(400);
  expect(asked).toHaveLength(TRIES_MAX);
  expect(verdicts()).toHaveLength(1);
});

test('CM19 Verify is for this package', async () => {
  const body = oracleContract.requests.stringify({ kind: 'Verify', value: evidence(0) });
  await expect(process.ask(body)).rejects.toMatchObject({ kind: 'Forbidden' });
  await expect(process.ask('{"Verify":{}}', { source: MARKET })).rejects.toMatchObject({
    kind: 'BadRequest',
  });
});
