/** What wallets sign of the token, and runs as a provider delivers them, for tests. */
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TypedDataEncoder } from 'ethers';
import { HYPER } from '../../contracts/abi/constants.ts';
import { CHAIN_ID } from '../../contracts/addresses.ts';
import type { Persona } from '../../contracts/chain/personas.ts';
import { digestOf, type JobReceipt } from '../../contracts/compute.ts';
import { GrowingTree, logLeaf, merkleRoot, outputLeaf } from '../../contracts/merkle-tree.ts';
import { sha256 } from '../../contracts/merkle.ts';
import { client, domain, NODE, signDigest } from '../../contracts/test/compute-market.ts';
import { toHex } from '../../contracts/hex.ts';
import { canonicalJson } from '../../wit/canonical-json.ts';
import { encodeRecords, type LogRecord, STREAM } from '../../wit/jobs/log-records.ts';
import { documentHash } from '../../wit/jobs/result.ts';
import { parseJobSpec, specHash, type JobSpec } from '../../wit/jobs/spec.ts';
import type { OfferedTerms, Payment } from './shared/facilitator-contract.ts';
import type { Evidence } from './shared/oracle-contract.ts';

const MEMBERS = [
  { name: 'from', type: 'address' },
  { name: 'to', type: 'address' },
  { name: 'value', type: 'uint256' },
  { name: 'validAfter', type: 'uint256' },
  { name: 'validBefore', type: 'uint256' },
  { name: 'nonce', type: 'bytes32' },
];

/** Of `TransferWithAuthorization` or `ReceiveWithAuthorization` of HYPER. */
export function digestTypedData(
  primaryType: 'TransferWithAuthorization' | 'ReceiveWithAuthorization',
  message: Readonly<Record<string, unknown>>,
): string {
  const domain = {
    name: 'Hypernode',
    version: '1',
    chainId: CHAIN_ID,
    verifyingContract: HYPER,
  };
  return TypedDataEncoder.hash(domain, { [primaryType]: MEMBERS }, message);
}

/** As a wallet that knows of x402 and nothing of jobs. */
export function transfer(
  { terms, vault }: OfferedTerms,
  part: Partial<{ value: bigint; validBefore: bigint; validAfter: bigint; nonce: string }> = {},
): Payment {
  const message = {
    value: terms.amount,
    validAfter: 0n,
    validBefore: terms.fundBy,
    nonce: terms.salt,
    ...part,
  };
  const digest = digestTypedData('TransferWithAuthorization', {
    from: client.address,
    to: vault,
    ...message,
  });
  return { kind: 'Transfer', value: { ...message, signature: signDigest(client, digest) } };
}

/** A spec of a builtin, complete. */
export function builtinSpec(part: Readonly<Record<string, unknown>> = {}): JobSpec {
  const document = { v: 1, type: 'custom', kind: 'builtin', entry: { fn: 'echo' }, inputs: [] };
  const parsed = parseJobSpec(JSON.stringify({ ...document, ...part }));
  if (!parsed.ok) throw new Error(parsed.error.message);
  return parsed.value;
}

export interface MadeRun {
  readonly home: string;
  readonly spec: JobSpec;
  /** Undefined: it is free. */
  readonly offered: OfferedTerms;
  readonly by: Persona;
  readonly nodeId?: string;
  readonly attempt?: number;
  /** Files by path. */
  readonly outputs?: Readonly<Record<string, string>>;
  readonly exitCode?: number;
  readonly printed?: string;
  readonly receipt?: Partial<JobReceipt>;
  readonly evidence?: Partial<Evidence>;
}

const USAGE = {
  wallMs: 1_000,
  cpuMs: 900,
  gpuMs: 0,
  peakMemMiB: 10,
  peakVramMiB: 0,
  bytesIn: 0,
  bytesOut: 5,
  tokensIn: 0,
  tokensOut: 0,
};
const RUNTIME = {
  arch: 'x86_64',
  driver: '',
  gpu: '',
  image: '',
  module: '',
  runner: 'builtin',
  runnerVersion: '1',
};

/** A run of a second that ended just now, delivered into the node's vfs. */
export async function makeRun(made: MadeRun): Promise<Evidence> {
  const { home, spec, offered, by, nodeId = NODE, attempt = 0, exitCode = 0 } = made;
  const { outputs = { 'out.txt': 'hello' }, printed = 'working\n' } = made;
  const { jobId, terms } = offered;
  const drive = join(home, 'vfs', 'compute:sys', 'runs');
  const logs = `${jobId}-${attempt}-${by.name}.log`;
  await mkdir(drive, { recursive: true });
  const files = [];
  for (const [path, text] of Object.entries(outputs)) {
    const hash = createHash('sha256').update(text).digest('hex');
    // Others may be reading the same content.
    const unfinished = join(drive, `${hash}.${randomUUID()}`);
    await writeFile(unfinished, text);
    await rename(unfinished, join(drive, hash));
    files.push({ path, size: Buffer.byteLength(text), sha256: hash });
  }
  const records = logOf(printed, exitCode);
  await writeFile(join(drive, logs), encodeRecords(records));
  const tree = new GrowingTree(sha256);
  for (const each of records) tree.add(logLeaf(sha256, encodeRecords([each])));
  const nowS = BigInt(Math.floor(Date.now() / 1_000));
  const receipt: JobReceipt = {
    jobId,
    nodeId,
    attempt,
    specHash: specHash(spec),
    inputsRoot: filesRoot(spec.inputs),
    outputsRoot: filesRoot(files),
    logsRoot: toHex(tree.root()),
    stdoutHash: `0x${createHash('sha256').update(printed).digest('hex')}`,
    runtimeHash: documentHash(RUNTIME),
    usageHash: documentHash(USAGE),
    exitCode,
    status: exitCode === 0 ? 0 : 1,
    startedAt: nowS - 1n,
    finishedAt: nowS,
    claimed: terms.amount,
    ...made.receipt,
  };
  const receiptHash = digestOf(domain, 'JobReceipt', receipt);
  return {
    jobId,
    attempt,
    terms,
    spec: canonicalJson(spec),
    node: { name: 'provider.os', nodeId, executor: by.address },
    price: terms.amount,
    seen: {
      assignedAt: Date.now() - 2_000,
      startedAt: Date.now() - 1_000,
      receivedAt: Date.now(),
      leaseAgrees: true,
      beatsSeen: true,
    },
    result: {
      receipt,
      signature: signDigest(by, receiptHash),
      receiptHash,
      outputs: files,
      logs: { count: records.length, truncated: false },
      usage: USAGE,
      runtime: RUNTIME,
    },
    device: undefined,
    medianMs: undefined,
    cancelled: false,
    artifacts: '/compute:sys/runs',
    inputs: '/compute:sys/runs',
    logs: `/compute:sys/runs/${logs}`,
    ...made.evidence,
  };
}

function filesRoot(files: readonly Evidence['result']['outputs'][number][]): string {
  const leaves = files
    .toSorted((a, b) => (a.path < b.path ? -1 : 1))
    .map(({ path, size, sha256: hash }) =>
      outputLeaf(sha256, { path, bytes: size, sha256: Buffer.from(hash, 'hex') }),
    );
  return toHex(merkleRoot(sha256, leaves));
}

function logOf(printed: string, exitCode: number): LogRecord[] {
  const record = (seq: number, stream: LogRecord['stream'], text: string): LogRecord => ({
    seq,
    stream,
    atMs: seq,
    bytes: Buffer.from(text),
  });
  return [
    record(0, STREAM.system, '{"ev":"start"}'),
    record(1, STREAM.stdout, printed),
    record(2, STREAM.system, JSON.stringify({ ev: 'exit', code: exitCode })),
  ];
}
