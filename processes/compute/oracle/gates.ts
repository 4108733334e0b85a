/**
 * The gates and checks of a run (compute-market.md §8.1, §8.2) from facts that were gathered before: pure, so that every verifier comes to the
 * same from the same facts. A gate that fails rejects whatever the score.
 */
import type { ChainJob } from '../../../contracts/compute-calls.ts';
import { type ComputeTerms, MODE, RECEIPT_STATUS } from '../../../contracts/compute.ts';
import { documentHash } from '../../../wit/jobs/result.ts';
import { MIN_PRICE } from '../../../wit/jobs/limits.ts';
import { matchesPattern, pathProblem } from '../../../wit/jobs/paths.ts';
import { type JobSpec, specHash, timeoutOf } from '../../../wit/jobs/spec.ts';
import type { Evidence } from '../shared/oracle-contract.ts';
import type { RunLog } from './run-log.ts';
import { type CheckName, payoutOf, scoreOf, type Score } from './score.ts';

/** Seconds that clocks may differ. */
const CLOCK_S = 5;
/** Seconds over its time that a run may take to be ended. */
const OVERTIME_S = 30;
/** What the coordinator saw may differ from what the receipt says by this much, in milliseconds, and this part of it, in percent. */
const SEEN_MS = 10_000;
const SEEN_PERCENT = 2;

/** What was gathered of a run. */
export interface Facts {
  readonly evidence: Evidence;
  readonly spec: JobSpec;
  /** As the escrow has it; missing for free jobs. */
  readonly chain: ChainJob | undefined;
  /** Whose signature counts for the attempt: by the registry, or of a free job by its acceptance. */
  readonly executor: string | undefined;
  /** Of the receipt, and who signed it. */
  readonly receiptHash: string;
  readonly signer: string | undefined;
  /** Made from what was delivered; a text says why it cannot be made. */
  readonly roots: {
    readonly inputs: string;
    readonly outputs: Root;
    /** With the hash of what the program wrote to its output, where it can be made. */
    readonly logs: Root | { readonly root: string; readonly stdoutHash: string };
  };
  readonly log: RunLog | undefined;
  /** The hash of another receipt for this attempt. */
  readonly otherReceipt: string | undefined;
}
export type Root = { readonly root: string } | { readonly problem: string };

export type GateName = 'G1' | 'G2' | 'G3' | 'G4' | 'G5' | 'G6' | 'G7' | 'G8';
export interface FailedGate {
  readonly gate: GateName;
  readonly message: string;
}

export interface Judgement {
  readonly gates: readonly FailedGate[];
  readonly score: Score;
  /** If it is paid. */
  readonly payout: bigint;
}

/** Gates, score and payout. */
export function judge(facts: Facts): Judgement {
  const gates = (['G1', 'G2', 'G3', 'G4', 'G5', 'G6', 'G7', 'G8'] as const).flatMap((gate) => {
    const message = GATES[gate](facts);
    return message === undefined ? [] : [{ gate, message }];
  });
  return { gates, score: scoreOf(checksOf(facts)), payout: payoutFor(facts) };
}

/** Milliseconds that the run took: by the receipt, and no longer than its coordinator saw. */
export function elapsedMsOf({ result, seen }: Evidence): number {
  const { startedAt, finishedAt } = result.receipt;
  const byReceipt = Number(finishedAt - startedAt + 1n) * 1_000;
  const bySight = Number(seen.receivedAt) - Number(seen.startedAt);
  return Math.max(0, Math.min(result.usage.wallMs, byReceipt, bySight));
}

function payoutFor({ evidence, spec }: Facts): bigint {
  const { receipt } = evidence.result;
  return payoutOf({
    status: receipt.status,
    mode: evidence.terms?.mode ?? MODE.exact,
    price: evidence.price,
    minPrice: MIN_PRICE[spec.type],
    claimed: receipt.claimed,
    elapsedMs: elapsedMsOf(evidence),
    timeoutS: timeoutOf(spec),
  });
}

/** Each says what is wrong; undefined: it holds. */
const GATES: Readonly<Record<GateName, (facts: Facts) => string | undefined>> = {
  G1: ({ evidence, chain }) => {
    const { terms } = evidence;
    if (terms === undefined) return undefined;
    if (chain === undefined || chain.state !== 'assigned')
      return `the job is ${chain?.state ?? 'not'} on the chain, not assigned`;
    const wrong = termsDiffer(terms, chain);
    return wrong && `${wrong} of the terms is not what the chain has`;
  },
  G2: ({ evidence, chain, executor, signer }) => {
    const { receipt } = evidence.result;
    if (executor === undefined) return 'nobody signs for this attempt';
    if (signer === undefined || !same(signer, executor))
      return `the receipt is signed by ${signer ?? 'nobody'}, not by the executor ${executor}`;
    if (receipt.jobId !== evidence.jobId) return 'the receipt is of another job';
    if (receipt.attempt !== evidence.attempt) return 'the receipt is of another attempt';
    if (!same(receipt.nodeId, evidence.node.nodeId)) return 'the receipt is of another node';
    if (
      chain !== undefined &&
      (chain.attempt !== receipt.attempt || !same(chain.nodeId, receipt.nodeId))
    )
      return 'the attempt is not the one that the chain has, or is another node’s';
    return undefined;
  },
  G3: ({ evidence, spec, roots }) => {
    const { receipt, runtime } = evidence.result;
    const hash = specHash(spec);
    if (receipt.specHash !== hash || (evidence.terms && !same(evidence.terms.specHash, hash)))
      return 'the receipt is of another spec';
    if (receipt.inputsRoot !== roots.inputs) return 'the inputs are not those of the spec';
    if (spec.image !== undefined && runtime.image !== spec.image)
      return 'another image ran than the spec names';
    if (spec.module !== undefined && runtime.module !== spec.module.sha256)
      return 'another module ran than the spec names';
    return undefined;
  },
  G4: ({ evidence, roots: { outputs, logs }, log }) => {
    const { receipt } = evidence.result;
    if ('problem' in outputs) return outputs.problem;
    if ('problem' in logs) return logs.problem;
    if (outputs.root !== receipt.outputsRoot) return 'the outputs are not those of the receipt';
    if (logs.root !== receipt.logsRoot) return 'the log is not that of the receipt';
    // What was dropped beyond the limit is hashed too, and not delivered.
    const whole = log?.truncated === false && 'stdoutHash' in logs;
    if (whole && logs.stdoutHash !== receipt.stdoutHash)
      return 'the output in the log is not that of the receipt';
    return undefined;
  },
  G5: ({ evidence, spec }) => {
    const { receipt, outputs } = evidence.result;
    if (failedByClient(receipt.status)) return undefined;
    return outputsProblem(spec, outputs);
  },
  G6: ({ evidence, spec }) => {
    const { startedAt, finishedAt, status } = evidence.result.receipt;
    const { assignedAt, receivedAt } = evidence.seen;
    const [start, finish] = [Number(startedAt), Number(finishedAt)];
    if (finish < start) return 'the run ends before it starts';
    if (start < Math.floor(Number(assignedAt) / 1_000) - CLOCK_S)
      return 'it starts before it was assigned';
    if (finish > Math.ceil(Number(receivedAt) / 1_000) + CLOCK_S)
      return 'it ends after its receipt came';
    const timeoutS = timeoutOf(spec);
    if (finish - start > timeoutS + OVERTIME_S)
      return `it took longer than ${timeoutS + OVERTIME_S} s`;
    if (status === RECEIPT_STATUS.timeout && finish - start < timeoutS - 1)
      return `it ran out of time before its ${timeoutS} s were over`;
    return undefined;
  },
  G7: ({ receiptHash, otherReceipt }) =>
    otherReceipt === undefined || otherReceipt === receiptHash
      ? undefined
      : `the executor signed another receipt, ${otherReceipt}, for this attempt`,
  G8: ({ evidence, chain }) => {
    const { receipt } = evidence.result;
    const { price } = evidence;
    if (receipt.claimed > price) return `${receipt.claimed} is claimed, and the price was ${price}`;
    if (chain !== undefined && chain.price !== price) return 'the price is not what the chain has';
    if (receipt.status === RECEIPT_STATUS.ok && receipt.exitCode !== 0)
      return 'it says to have succeeded with an exit code that is not 0';
    if (receipt.status === RECEIPT_STATUS.exitCode && receipt.exitCode === 0)
      return 'it says to have failed with the exit code 0';
    if (receipt.status === RECEIPT_STATUS.cancelled && !evidence.cancelled)
      return 'it says to have been cancelled, and nobody did';
    return undefined;
  },
};

function checksOf(facts: Facts): Record<CheckName, boolean> {
  const { evidence, log } = facts;
  const { seen, result } = evidence;
  const required = facts.spec.outputs?.required ?? [];
  const present = new Set(result.outputs.map(({ path }) => path));
  const failed = failedByClient(result.receipt.status);
  return {
    job_exists: GATES.G1(facts) === undefined,
    logs_exist:
      log !== undefined &&
      log.count >= 2 &&
      log.gapless &&
      log.startsWithStart &&
      log.exitCode !== undefined,
    node_match:
      seen.leaseAgrees && seen.beatsSeen && same(result.receipt.nodeId, evidence.node.nodeId),
    completion_marker:
      log !== undefined &&
      log.exitCode === result.receipt.exitCode &&
      (failed || required.every((path) => present.has(path))) &&
      (failed || facts.spec.outputs?.marker === undefined || log.marked === true),
    valid_timing: timingHolds(facts),
    valid_hashes: hashesHold(facts),
  };
}

/** Times are plausible, and what the coordinator saw agrees with them. */
function timingHolds({ evidence, spec }: Facts): boolean {
  const { receipt, usage } = evidence.result;
  const { startedAt, receivedAt } = evidence.seen;
  const tookMs = Number(receipt.finishedAt - receipt.startedAt) * 1_000;
  if (usage.wallMs < leastMsOf(spec)) return false;
  const timeoutS = timeoutOf(spec);
  const most =
    spec.estimateS === undefined
      ? timeoutS + OVERTIME_S
      : Math.min(2 * spec.estimateS, timeoutS + OVERTIME_S);
  if (!failedByClient(receipt.status) && tookMs > most * 1_000) return false;
  const sawMs = Number(receivedAt) - Number(startedAt);
  const allowed = SEEN_MS + Math.floor((sawMs * SEEN_PERCENT) / 100);
  if (Math.abs(sawMs - tookMs) > allowed) return false;
  const median = evidence.medianMs === undefined ? undefined : Number(evidence.medianMs);
  return failedByClient(receipt.status) || median === undefined || usage.wallMs * 5 >= median;
}

/**
 * What starts a program of its own is taken to need a second (§8.2); functions and modules run in place. It is a check and no gate: an honest
 * program that is quicker has 8500 and passes.
 */
function leastMsOf({ kind, type }: JobSpec): number {
  return kind === 'builtin' || kind === 'wasm' || type === 'embedding' ? 0 : 1_000;
}

/** Usage and runtime are those that the receipt commits to, and the hardware is what the node has. */
function hashesHold({ evidence }: Facts): boolean {
  const { receipt, usage, runtime } = evidence.result;
  if (documentHash(usage) !== receipt.usageHash) return false;
  if (documentHash(runtime) !== receipt.runtimeHash) return false;
  const { device } = evidence;
  if (device === undefined) return runtime.gpu === '';
  if (runtime.arch !== device.host.arch) return false;
  return runtime.gpu === '' || device.gpus.some(({ name }) => name === runtime.gpu);
}

/** A receipt of the client's own doing: its program failed, ran out of something, or was cancelled. */
export function failedByClient(status: number): boolean {
  return status >= RECEIPT_STATUS.exitCode && status <= RECEIPT_STATUS.cancelled;
}

function outputsProblem(spec: JobSpec, outputs: Evidence['result']['outputs']): string | undefined {
  const { paths, required = [], maxFiles } = spec.outputs ?? {};
  const present = new Set<string>();
  let bytes = 0;
  for (const { path, size } of outputs) {
    const problem = pathProblem(path);
    if (problem !== undefined) return `the output ${JSON.stringify(path)} ${problem}`;
    if (paths !== undefined && !matchesPattern(path, paths))
      return `the output ${path} was not asked for`;
    if (present.has(path)) return `the output ${path} is there twice`;
    present.add(path);
    bytes += size;
  }
  const missing = required.find((path) => !present.has(path));
  if (missing !== undefined) return `the output ${missing} is missing`;
  if (maxFiles !== undefined && outputs.length > maxFiles)
    return `there are more than ${maxFiles} outputs`;
  if (bytes > spec.limits.outMiB * 1_048_576)
    return `the outputs are over ${spec.limits.outMiB} MiB`;
  return undefined;
}

/** The first member in which terms are not what the chain has. */
function termsDiffer(terms: ComputeTerms, chain: ChainJob): string | undefined {
  if (!same(terms.client, chain.client)) return 'the client';
  if (!same(terms.token, chain.token)) return 'the token';
  if (terms.amount !== chain.amount) return 'the amount';
  if (!same(terms.specHash, chain.specHash)) return 'the spec';
  if (!same(terms.platform, chain.platform)) return 'the platform';
  if (terms.challengeWindow !== chain.challengeWindow) return 'the challenge window';
  if (terms.mode !== chain.mode) return 'the mode';
  return undefined;
}

function same(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}
