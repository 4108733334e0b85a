/** A job as the market shows it (compute-market.md §3.3), as far as `kit job` looks at it. */
import type { OutputFile, Usage } from '../../wit/jobs/result.ts';
import type { JobSpec } from '../../wit/jobs/spec.ts';

export interface JobView {
  readonly jobId: string;
  readonly intentId: string;
  readonly coordinator: string;
  readonly state: string;
  readonly substate: string | null;
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly spec: JobSpec;
  readonly specHash: string;
  readonly payment: {
    readonly state: string;
    readonly amount: string;
    readonly price: string;
    readonly payout: string | null;
    readonly fundTx: string | null;
    readonly settleTx: string | null;
  };
  readonly node: { readonly name: string; readonly executor: string | null } | null;
  readonly progress: { readonly ppm: number; readonly note?: string } | null;
  readonly result: {
    readonly exitCode: number;
    readonly outputsRoot: string;
    readonly outputs: readonly OutputFile[];
    readonly usage: Usage;
    readonly expired: boolean;
  } | null;
  readonly error: { readonly code: string; readonly message: string } | null;
  readonly reason: string | null;
  /** Why no provider can have it; null: it does not wait for one. */
  readonly waiting?: readonly { readonly node: string; readonly why: string }[] | null;
  readonly times: Readonly<Record<string, number>>;
  /** Of a job that several nodes run: each run, and how many have to come to the same. */
  readonly replicas?: readonly RunView[];
  readonly majority?: number;
  /** Whose node and result are the job's. */
  readonly run?: string;
}

export interface RunView {
  readonly index: number;
  readonly jobId: string;
  readonly state: string;
  readonly node: string | null;
  readonly price: string;
  readonly payout: string | null;
  readonly agrees: boolean | null;
  readonly error: string | null;
}

export interface LogLine {
  readonly seq: number;
  /** 1 stdout, 2 stderr, 3 the runner. */
  readonly stream: number;
  readonly text: string;
}

const MOVING = new Set(['refunding', 'partially_refunded']);

/** Whether it is known what becomes of it: it is over, or its result was verified and is paid for unless somebody disputes it. */
export function isDecided(job: JobView): boolean {
  return isOver(job) || (job.state === 'verifying' && job.payment.state === 'proposed');
}

/** Whether nothing more happens to it; money may still be on its way back after a failure. */
export function isOver({ state, payment }: JobView): boolean {
  if (state === 'completed' || state === 'refunded' || state === 'cancelled') return true;
  return state === 'failed' && !MOVING.has(payment.state);
}
