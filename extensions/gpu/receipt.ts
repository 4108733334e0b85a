/** What the executor signs about a run (compute-market.md §3.9, §7.2). Pure. */
import type { Struct } from '../../contracts/compute.ts';
import { RECEIPT_STATUS } from '../../contracts/compute.ts';
import { fromHex, type Hex, toHex } from '../../contracts/hex.ts';
import { outputsRoot } from '../../contracts/merkle.ts';
import { MIN_PRICE } from '../../wit/jobs/limits.ts';
import { documentHash, type OutputFile, type Runtime, type Usage } from '../../wit/jobs/result.ts';
import type { JobSpec } from '../../wit/jobs/spec.ts';

export interface RunFacts {
  readonly jobId: string;
  readonly nodeId: string;
  readonly attempt: number;
  readonly specHash: string;
  readonly spec: JobSpec;
  readonly price: bigint;
  readonly timeoutS: number;
  readonly outputs: readonly OutputFile[];
  readonly logsRoot: Uint8Array;
  readonly stdoutHash: Uint8Array;
  readonly usage: Usage;
  readonly runtime: Runtime;
  readonly exitCode: number;
  readonly status: number;
  /** Milliseconds since 1970. */
  readonly startedMs: number;
  readonly finishedMs: number;
}

export function receiptOf(facts: RunFacts): Struct<'JobReceipt'> {
  return {
    jobId: facts.jobId,
    nodeId: facts.nodeId,
    attempt: facts.attempt,
    specHash: facts.specHash,
    inputsRoot: rootOf(facts.spec.inputs),
    outputsRoot: rootOf(facts.outputs),
    logsRoot: toHex(facts.logsRoot),
    stdoutHash: toHex(facts.stdoutHash),
    runtimeHash: documentHash(facts.runtime),
    usageHash: documentHash(facts.usage),
    exitCode: facts.exitCode,
    status: facts.status,
    startedAt: BigInt(Math.floor(facts.startedMs / 1000)),
    finishedAt: BigInt(Math.floor(facts.finishedMs / 1000)),
    claimed: claimOf(facts),
  };
}

/** The price of a run that ended well; of one that the client ended or its program did, the share of the time that it took. */
export function claimOf({
  price,
  status,
  spec,
  timeoutS,
  startedMs,
  finishedMs,
}: Pick<RunFacts, 'price' | 'status' | 'spec' | 'timeoutS' | 'startedMs' | 'finishedMs'>): bigint {
  if (price === 0n || status === RECEIPT_STATUS.providerError) return 0n;
  if (status === RECEIPT_STATUS.ok) return price;
  const elapsedMs = BigInt(Math.max(0, Math.floor(finishedMs - startedMs)));
  const whole = BigInt(timeoutS) * 1000n;
  const share = (price * elapsedMs + whole - 1n) / whole;
  const least = MIN_PRICE[spec.type];
  const pay = share > least ? share : least;
  return pay < price ? pay : price;
}

function rootOf(files: readonly { path: string; size: number; sha256: string }[]): Hex {
  const hashed = files.map(({ path, size, sha256 }) => ({
    path,
    bytes: size,
    sha256: fromHex(`0x${sha256}`)!,
  }));
  return toHex(outputsRoot(hashed));
}
