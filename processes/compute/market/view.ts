/** Jobs and nodes as others see them (compute-market.md §3.3). */
import { majorityOf, shownOf } from './majority.ts';
import type { JobProgress, JobRecord } from './record.ts';
import type { KnownProvider } from './providers.ts';

/** What is not there yet is null: clients look for it. */
export function jobView(
  job: JobRecord,
  coordinator: string,
  progress: JobProgress | undefined,
): Readonly<Record<string, unknown>> {
  const { payment, node, times } = job;
  return {
    jobId: job.jobId,
    intentId: job.intentId,
    client: job.client,
    coordinator,
    state: job.state,
    substate: job.substate ?? null,
    attempt: job.attempt,
    maxAttempts: job.maxAttempts,
    // Proof of the type: canonical text that was written here.
    spec: JSON.parse(job.spec) as unknown,
    specHash: job.specHash,
    payment: {
      state: payment.state,
      mode: payment.mode,
      token: payment.token ?? null,
      chain: payment.chain ?? null,
      amount: payment.amount,
      price: payment.price,
      payout: payment.payout ?? null,
      route: payment.route ?? null,
      vault: payment.vault ?? null,
      fundTx: payment.fundTx ?? null,
      settleTx: payment.settleTx ?? null,
    },
    node:
      node === undefined
        ? null
        : { name: node.name, nodeId: node.nodeId, executor: node.executor ?? null },
    progress: progress ?? null,
    result: resultView(job),
    error: job.error ?? null,
    reason: job.reason ?? null,
    times: {
      created: times.created,
      escrowed: times.escrowed ?? 0,
      assigned: times.assigned ?? 0,
      started: times.started ?? 0,
      finished: times.finished ?? 0,
      verified: times.verified ?? 0,
      closed: times.closed ?? 0,
      fundBy: times.fundBy ?? 0,
      deadline: times.deadline ?? 0,
    },
    verdict: job.verdict ?? null,
  };
}

/** A job that several nodes run, as one: what most came to, and each of its runs. */
export function groupView(
  runs: readonly JobRecord[],
  coordinator: string,
  progressOf: (jobId: string) => JobProgress | undefined,
): Readonly<Record<string, unknown>> {
  const shown = shownOf(runs);
  const first = runs[0]!;
  const view = jobView(shown, coordinator, progressOf(shown.jobId));
  const { group, of } = first.replica!;
  const sum = (amountOf: (run: JobRecord) => string | undefined): string =>
    String(runs.reduce((total, run) => total + BigInt(amountOf(run) ?? '0'), 0n));
  const isPaidOut = runs.some(({ payment }) => payment.payout !== undefined);
  return {
    ...view,
    jobId: first.jobId,
    intentId: group,
    payment: {
      ...(view['payment'] as object),
      amount: sum(({ payment }) => payment.amount),
      price: sum(({ payment }) => payment.price),
      payout: isPaidOut ? sum(({ payment }) => payment.payout) : null,
    },
    // Whose node, result and log are shown.
    run: shown.jobId,
    majority: majorityOf(of),
    replicas: runs.map((run) => ({
      index: run.replica!.index,
      jobId: run.jobId,
      state: run.state,
      substate: run.substate ?? null,
      attempt: run.attempt,
      node: run.node?.name ?? null,
      payment: run.payment.state,
      price: run.payment.price,
      payout: run.payment.payout ?? null,
      outputsRoot: outputsRootOf(run) ?? null,
      agrees: run.replica!.agrees ?? null,
      error: run.error?.code ?? null,
      verdict: run.verdict ?? null,
    })),
  };
}

function outputsRootOf({ result }: JobRecord): string | undefined {
  // Proof of the type: `runResult` as it was stored.
  return result && (JSON.parse(result) as StoredResult).receipt.outputsRoot;
}

interface StoredResult {
  readonly receipt: {
    readonly status: number;
    readonly exitCode: number;
    readonly outputsRoot: string;
    readonly logsRoot: string;
  };
  readonly signature: string;
  readonly receiptHash: string;
  readonly outputs: readonly unknown[];
  readonly logs: unknown;
  readonly usage: unknown;
}

function resultView({ result, expired }: JobRecord): unknown {
  if (result === undefined) return null;
  // Proof of the type: `runResult` as it was stored.
  const { receipt, signature, receiptHash, outputs, logs, usage } = JSON.parse(
    result,
  ) as StoredResult;
  const { status, exitCode, outputsRoot, logsRoot } = receipt;
  return {
    status,
    exitCode,
    outputsRoot,
    logsRoot,
    outputs,
    logs,
    usage,
    receiptHash,
    receiptSig: signature,
    expired: expired === true,
  };
}

/** @param sharedWith  other nodes that say they have one of its GPUs */
export function nodeView(
  provider: KnownProvider,
  { free, sharedWith }: { readonly free: number; readonly sharedWith: readonly string[] },
): Readonly<Record<string, unknown>> {
  const { node, nodeId, state, seenAt, reputation, registered } = provider;
  return {
    nodeId,
    node,
    executor: state?.executor ?? null,
    payTo: state?.payTo ?? null,
    status: state?.paired === true ? (free > 0 ? 'online' : 'busy') : 'offline',
    device: state?.device ?? null,
    slots: state?.slots ?? 0,
    free,
    prices: Object.fromEntries(
      state?.prices.map(({ class: name, price }) => [name, String(price)]) ?? [],
    ),
    reputation,
    seenAt,
    sharedWith,
    registry:
      registered === undefined
        ? null
        : {
            operator: registered.operator,
            stake: String(registered.stake),
            slots: registered.slots,
            active: registered.active,
            on: registered.on,
            slashes: registered.slashes,
          },
  };
}
