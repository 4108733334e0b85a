/**
 * The record of a job, and how its log makes it: every event carries a merge patch (RFC 7396), and the record is what the patches of all
 * events make, one after another. The same is done by the database's trigger, with SQLite's `json_patch`. Pure.
 */
import type { FaultCode } from '../../../wit/jobs/result.ts';
import type { Priority } from '../../../wit/jobs/spec.ts';
import type { PaymentState, State, TransitionId } from './states.ts';

export interface JobPayment {
  readonly state: PaymentState;
  readonly mode: 'exact' | 'metered' | 'session';
  readonly token?: string;
  /** Such as `eip155:31337`. */
  readonly chain?: string;
  /** What the client locks, at most; what the accepted provider asks. Decimal texts in atomic units. */
  readonly amount: string;
  readonly price: string;
  readonly payout?: string;
  readonly route?: string;
  readonly vault?: string;
  /** `<chain id>/<escrow>`: whose signatures id and receipts are. */
  readonly domain?: string;
  /** `ComputeTerms` as JSON text. */
  readonly terms?: string;
  /** Of what the chain said last, see `jobMoney`. */
  readonly rev?: number;
  readonly fundTx?: string;
  readonly settleTx?: string;
}

/** Whose job it is now. */
export interface JobNode {
  readonly name: string;
  readonly nodeId: string;
  readonly executor?: string;
  readonly payTo?: string;
  /** Missing while the offer is not answered. */
  readonly lease?: string;
  /** What its executor signed, as JSON text; of paid jobs. */
  readonly acceptance?: string;
  /** Milliseconds since 1970. */
  readonly offeredAt: number;
}

export interface JobFailure {
  readonly node: string;
  readonly code: FaultCode;
  readonly exitCode?: number;
}

export interface JobTimes {
  readonly created: number;
  readonly escrowed?: number;
  readonly assigned?: number;
  readonly started?: number;
  readonly finished?: number;
  readonly verified?: number;
  readonly closed?: number;
  readonly fundBy?: number;
  readonly deadline?: number;
}

/** Which run of which attempt an audit repeats. */
export interface Rerun {
  readonly jobId: string;
  readonly attempt: number;
  readonly rerun: number;
}

/** Of a job that several nodes run: which of its runs this one is (§4.6). */
export interface Replica {
  /** The intent of the whole; its runs have intents of their own. */
  readonly group: string;
  /** From 0; the job goes by the id of the first. */
  readonly index: number;
  readonly of: number;
  /** Whether it came to what most came to; missing: that is not known yet. */
  readonly agrees?: boolean;
}

export interface QueueEntry {
  /** Of the priority's class, and what paying more than asked adds. */
  readonly base: number;
  readonly enqueuedAt: number;
  /** Not before; backoff. */
  readonly notBefore: number;
  readonly seq: number;
}

/** How far a run is, in millionths; not part of the log. */
export interface JobProgress {
  readonly ppm: number;
  readonly note?: string;
  readonly at: number;
}

/** All times are milliseconds since 1970. No member is null: a patch removes by null. */
export interface JobRecord {
  readonly jobId: string;
  readonly intentId: string;
  /** `operator`, `wallet:0x…` or `process:<node>@<process id>`. */
  readonly owner: string;
  /** Of the submission, for who sends it again under the same intent (CM5). */
  readonly bodyHash: string;
  /** Address in the terms: the wallet's, or one that nobody has, made of the owner's name. */
  readonly client: string;
  readonly state: State;
  readonly substate?: string;
  readonly attempt: number;
  readonly maxAttempts: number;
  /** Canonical text: what is hashed. */
  readonly spec: string;
  readonly specHash: string;
  /** Copies of the spec's, for lists and queue. */
  readonly type: string;
  readonly label?: string;
  readonly priority: Priority;
  readonly timeoutS: number;
  readonly payment: JobPayment;
  readonly node?: JobNode;
  /** What the queue counts from, once the job is in it. */
  readonly base?: number;
  readonly queue?: QueueEntry;
  /** Nodes that have failed it or will not have it. */
  readonly excluded?: readonly string[];
  readonly failures?: readonly JobFailure[];
  /** `runResult` as JSON text. */
  readonly result?: string;
  readonly error?: {
    readonly code: string;
    readonly fault: 'provider' | 'client' | 'none';
    readonly message: string;
    readonly retryable: boolean;
  };
  readonly verdict?: unknown;
  readonly reason?: string;
  /** Of audits. */
  readonly rerun?: Rerun;
  readonly replica?: Replica;
  readonly times: JobTimes;
  /** Of the event applied last, from 1. */
  readonly seq: number;
  /** Artifacts are gone. */
  readonly expired?: boolean;
}

/** A merge patch: members that are null go, objects are merged, all else is replaced. */
export type Patch<T> = {
  readonly [K in keyof T]?:
    | (NonNullable<T[K]> extends readonly unknown[] | string | number | boolean
        ? T[K]
        : Patch<NonNullable<T[K]>>)
    | null;
};
export type JobPatch = Patch<JobRecord>;

/** A row of `job_events`. */
export interface JobEvent {
  readonly jobId: string;
  readonly seq: number;
  readonly at: number;
  readonly was: State | 'new';
  readonly now: State;
  /** Missing for what changes no state: money, progress, an offer. */
  readonly transition?: TransitionId;
  readonly cause: string;
  readonly patch: JobPatch;
}

/** The record after a patch; `record` stays as it is. */
export function patched<T>(record: T, patch: Patch<T>): T {
  return merge(record, patch) as T;
}

/** What a log makes; undefined for one that has no event. */
export function replay(events: readonly JobEvent[]): JobRecord | undefined {
  let record: unknown;
  for (const { patch } of events) record = merge(record, patch);
  return record as JobRecord | undefined;
}

function merge(target: unknown, patch: unknown): unknown {
  if (!isPlain(patch)) return patch;
  const merged: Record<string, unknown> = isPlain(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete merged[key];
    else if (value !== undefined) merged[key] = merge(merged[key], value);
  }
  return merged;
}

function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The intent of one run of several; no client's own intent has a `#`. */
export function replicaIntent(group: string, index: number): string {
  return `${group}#${index}`;
}
