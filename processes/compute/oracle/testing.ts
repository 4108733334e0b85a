/** What the pure parts of the oracle are given in their tests: a run of which everything is right, or all but what a test says. */
import { saltOf } from '../../../contracts/compute.ts';
import { documentHash } from '../../../wit/jobs/result.ts';
import { parseJobSpec, specHash, type JobSpec } from '../../../wit/jobs/spec.ts';
import type { Facts } from './gates.ts';

/** Of the vectors. */
export const JOB = '0xbfccfad3edce1f6fc6636f2d823a1e97267734cc2032aba540d6d7d8381d81f6';
export const RECEIPT = '0x56a2c8c19f8483d195a9c8fb9aa0b0488bd2e3f5e9e09daba9da049d7ef543ea';
const NODE = saltOf('node');
const EXECUTOR = `0x${'e1'.repeat(20)}`;

export const usage = {
  wallMs: 6_000,
  cpuMs: 5_900,
  gpuMs: 0,
  peakMemMiB: 120,
  peakVramMiB: 0,
  bytesIn: 6,
  bytesOut: 23,
  tokensIn: 0,
  tokensOut: 0,
};
export const runtime = {
  arch: 'x86_64',
  driver: '',
  gpu: '',
  image: '',
  module: '',
  runner: 'builtin',
  runnerVersion: '1',
};

/** A spec of the cheapest kind; members may be added or replaced. */
export function specOf(part: Record<string, unknown> = {}): JobSpec {
  const text = JSON.stringify({
    v: 1,
    type: 'custom',
    kind: 'builtin',
    entry: { fn: 'sha256' },
    inputs: [],
    ...part,
  });
  const parsed = parseJobSpec(text);
  if (!parsed.ok) throw new Error(parsed.error.message);
  return parsed.value;
}

/** Everything right: a builtin that ran for six seconds. */
export function facts(
  change: {
    spec?: JobSpec;
    receipt?: Partial<Facts['evidence']['result']['receipt']>;
    seen?: Partial<Facts['evidence']['seen']>;
    evidence?: Partial<Facts['evidence']>;
    result?: Partial<Facts['evidence']['result']>;
    facts?: Partial<Facts>;
  } = {},
): Facts {
  const spec = change.spec ?? specOf();
  const receipt = {
    jobId: JOB,
    nodeId: NODE,
    attempt: 0,
    specHash: specHash(spec),
    inputsRoot: saltOf('in'),
    outputsRoot: saltOf('out'),
    logsRoot: saltOf('log'),
    stdoutHash: saltOf('stdout'),
    runtimeHash: documentHash(runtime),
    usageHash: documentHash(usage),
    exitCode: 0,
    status: 0,
    startedAt: 1_000n,
    finishedAt: 1_006n,
    claimed: 100n,
    ...change.receipt,
  };
  return {
    spec,
    evidence: {
      jobId: JOB,
      attempt: 0,
      terms: undefined,
      spec: '',
      node: { name: 'bob.os', nodeId: NODE, executor: EXECUTOR },
      price: 100n,
      seen: {
        assignedAt: 990_000,
        startedAt: 1_000_500,
        receivedAt: 1_006_800,
        leaseAgrees: true,
        beatsSeen: true,
        ...change.seen,
      },
      result: {
        receipt,
        signature: `0x${'11'.repeat(65)}`,
        receiptHash: RECEIPT,
        outputs: [],
        logs: { count: 4, truncated: false },
        usage,
        runtime,
        ...change.result,
      },
      device: undefined,
      medianMs: undefined,
      cancelled: false,
      artifacts: '',
      inputs: undefined,
      logs: '',
      ...change.evidence,
    },
    chain: undefined,
    executor: EXECUTOR,
    receiptHash: RECEIPT,
    signer: EXECUTOR,
    roots: {
      inputs: saltOf('in'),
      outputs: { root: saltOf('out') },
      logs: { root: saltOf('log'), stdoutHash: saltOf('stdout') },
    },
    log: {
      count: 4,
      gapless: true,
      startsWithStart: true,
      exitCode: 0,
      truncated: false,
      marked: undefined,
    },
    otherReceipt: undefined,
    ...change.facts,
  };
}
