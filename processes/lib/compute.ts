/**
 * Jobs, through the market of this node or another (compute-market.md §13). `import { compute } from 'hyperware/compute'`. A job is a spec; it
 * is queued, given to a provider, and ends with outputs and a log. A program sees its own jobs only.
 */
import { hashText, wideNumber } from '../../contracts/compute-json.ts';
import { bool, json, list, option, record, text, u32, u64, type Decoded } from '../../wit/codec.ts';
import { decodeRecords, type LogRecord } from '../../wit/jobs/log-records.ts';
import { contentHash } from '../../wit/jobs/result.ts';
import { sha256Hex } from '../../wit/jobs/digest.ts';
import { client, type Client, type Requester } from './client.ts';
import { contract, method } from './contract.ts';
import type { RequestOptions } from './conversation.ts';
import type { Target } from './process.ts';

export type { LogRecord } from '../../wit/jobs/log-records.ts';

const job = { jobId: hashText } as const;

/** `spec`: JSON text; missing limits are those of its type. */
const submission = record({
  spec: text,
  /** The caller's own id: the same one and the same spec are the same job (CM5). A new one if missing. */
  intentId: option(text),
});

export const jobSummary = record({
  ...job,
  intentId: text,
  state: text,
  substate: option(text),
  attempt: u32,
  type: text,
  label: option(text),
  payment: text,
  amount: wideNumber,
  price: wideNumber,
  payout: option(wideNumber),
  node: option(text),
  /** Millionths. */
  progress: option(u32),
  error: option(text),
  created: u64,
  closed: option(u64),
});
export type JobSummary = Decoded<typeof jobSummary>;

/** What a spec would cost. */
export const quote = record({
  /** Nothing: nobody who could run it is known. */
  node: option(text),
  class: text,
  /** Of all runs together. */
  price: wideNumber,
  /** How many nodes run it, each of another operator. */
  replicas: u32,
  /** Nodes that could run it, and those that could at once. */
  suited: u32,
  free: u32,
  /** Why those that cannot run it cannot. */
  unsuited: list(record({ node: text, why: text })),
  /** Milliseconds since 1970. */
  expiresAt: u64,
});
export type Quote = Decoded<typeof quote>;

/** What a market answers to whoever wants something computed. */
export const computeMethods = {
  Quote: method(record({ spec: text }), quote),
  Submit: method(submission, record({ ...job, state: text })),
  /** The record of compute-market.md §3.3. */
  Status: method(record(job), json),
  /** Answers with the job when it is over, or when that many seconds are. */
  Wait: method(record({ ...job, seconds: u32 }), json),
  Cancel: method(record(job), record({ state: text })),
  /** Latest first. */
  Jobs: method(
    record({ state: option(text), cursor: option(text), limit: u32 }),
    record({ jobs: list(jobSummary), cursor: option(text) }),
  ),
  /** About a MiB of records from number `from` on are the blob (wit/jobs/log-records.ts). `next`: where to go on. */
  JobLogs: method(record({ ...job, from: u32 }), record({ next: u32, over: bool })),
  /** A part of an output is the blob. */
  Output: method(
    record({ ...job, path: text, offset: u64, bytes: u32 }),
    record({ size: u64, sha256: contentHash, end: bool }),
  ),
  /** A part of an input, as the blob, at the end of what is there; see `PUT /api/uploads`. */
  Upload: method(
    record({ sha256: contentHash, offset: u64, size: option(u64) }),
    record({ bytes: u64, complete: bool }),
  ),
} as const;

const computeContract = contract(computeMethods);

/** A job as the market tells of it; members that are not there yet are null. */
export interface JobView {
  readonly jobId: string;
  readonly state: string;
  readonly substate: string | null;
  readonly attempt: number;
  readonly payment: { readonly state: string; readonly amount: string; readonly price: string };
  readonly node: { readonly name: string; readonly nodeId: string } | null;
  readonly progress: { readonly ppm: number; readonly note?: string } | null;
  readonly result: {
    readonly status: number;
    readonly exitCode: number;
    readonly outputs: readonly {
      readonly path: string;
      readonly size: number;
      readonly sha256: string;
    }[];
  } | null;
  readonly error: {
    readonly code: string;
    readonly fault: string;
    readonly message: string;
  } | null;
  readonly reason: string | null;
}

export interface ComputeOptions {
  /** Default: the market of this node. */
  readonly market?: Target;
}

/** Bytes of one message that carries a file. */
const PART_BYTES = 1024 * 1024;
/** Of one question that waits for a job's end. */
const WAIT_S = 30;
const CALL_S = 30;
const OVER = new Set(['completed', 'failed', 'refunded', 'cancelled']);

/** The market's client. Nothing is asked yet. */
export function compute(requester: Requester, options: ComputeOptions = {}): Compute {
  return new Compute(requester, options.market ?? 'market:compute:sys');
}

/** Every method rejects with `RemoteError`, whose kind says why, or with `NoResponse`. */
export class Compute {
  readonly #market: Client<typeof computeMethods>;

  constructor(requester: Requester, market: Target) {
    this.#market = client(requester, computeContract, market, { timeoutS: CALL_S });
  }

  /** What a spec would cost now. */
  quote(spec: object): Promise<Quote> {
    return this.#market.Quote({ spec: JSON.stringify(spec) });
  }

  /** @returns the job's id */
  async submit(spec: object, options: { readonly intentId?: string } = {}): Promise<string> {
    const { intentId } = options;
    return (await this.#market.Submit({ spec: JSON.stringify(spec), intentId })).jobId;
  }

  async status(jobId: string): Promise<JobView> {
    return viewOf(await this.#market.Status({ jobId }));
  }

  /** The job once it is over; as it is when `seconds` are over before. */
  async wait(jobId: string, seconds = 3_600): Promise<JobView> {
    for (let left = seconds; ;) {
      const asked = Math.min(WAIT_S, Math.max(1, left));
      const options: RequestOptions = { timeoutS: asked + CALL_S };
      const now = viewOf(await this.#market.Wait({ jobId, seconds: asked }, options));
      left -= asked;
      if (OVER.has(now.state) || left <= 0) return now;
    }
  }

  async cancel(jobId: string): Promise<void> {
    await this.#market.Cancel({ jobId });
  }

  /** Latest first; `cursor` of the last answer goes on where it ended. */
  jobs(
    filter: { readonly state?: string; readonly cursor?: string; readonly limit?: number } = {},
  ): Promise<{ readonly jobs: readonly JobSummary[]; readonly cursor: string | undefined }> {
    const { state, cursor, limit = 100 } = filter;
    return this.#market.Jobs({ state, cursor, limit });
  }

  /** What there is of the log from record `from` on; a few calls for a long one. */
  async *logs(jobId: string, from = 0): AsyncGenerator<LogRecord, void> {
    for (let next = from; ;) {
      const { value, blob } = await this.#market.JobLogs.full({ jobId, from: next });
      const records = decodeRecords(blob?.bytes ?? new Uint8Array())?.records ?? [];
      if (records.length === 0) return;
      yield* records;
      next = value.next;
    }
  }

  /** A file that the job left, a part at a time; no more than one is held. */
  async *output(jobId: string, path: string): AsyncGenerator<Uint8Array, void> {
    for (let offset = 0; ;) {
      const { value, blob } = await this.#market.Output.full({
        jobId,
        path,
        offset,
        bytes: PART_BYTES,
      });
      const part = blob?.bytes ?? new Uint8Array();
      if (part.length > 0) yield part;
      offset += part.length;
      if (value.end || part.length === 0) return;
    }
  }

  /** Sends an input before the job that needs it. @returns what goes into the spec's `inputs` beside the path */
  async upload(content: Uint8Array): Promise<{ readonly size: number; readonly sha256: string }> {
    const sha256 = sha256Hex(content);
    const size = content.length;
    for (let offset = 0; ;) {
      const bytes = content.subarray(offset, offset + PART_BYTES);
      const blob = { mime: undefined, bytes };
      const { complete } = await this.#market.Upload({ sha256, offset, size }, { blob });
      offset += bytes.length;
      if (complete || offset >= size) return { size, sha256 };
    }
  }
}

function viewOf(value: unknown): JobView {
  // Proof of the type: what the market answers with; nobody else is asked.
  return value as JobView;
}
