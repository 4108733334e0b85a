/** One attempt of one job that this node took, as the process knows it. */
import type { Address } from '../../../wit/types.ts';
import { address } from '../../../wit/address.ts';
import { LOG_WINDOW_BYTES } from '../../../wit/hn-ext/limits.ts';
import { outputFile, type OutputFile } from '../../../wit/jobs/result.ts';
import type { JobSpec } from '../../../wit/jobs/spec.ts';
import { runEnd } from '../../../contracts/compute-result.ts';
import { list } from '../../../wit/codec.ts';
import type { Offer } from '../shared/gpu-contract.ts';
import { runResult } from '../shared/job-events-contract.ts';
import type { KeptLease } from './lease-store.ts';

/**
 * `accepted` by the extension; `starting`: the market said so; then as the extension says; `finished`: there is a result; `lost`: there
 * will be none.
 */
export type LeaseState =
  | 'accepted'
  | 'starting'
  | 'preparing'
  | 'started'
  | 'collecting'
  | 'finished'
  | 'lost';

/** Records that are on their way to the market. */
export interface LogPart {
  readonly seq: number;
  readonly next: number;
  readonly records: Uint8Array;
}

/** How it ended, checked. */
export interface LeaseResult {
  /** JSON of `runEnd`, compact. */
  readonly end: string;
  readonly outputs: readonly OutputFile[];
  /** JSON of `outputs`. */
  readonly outputsText: string;
  /** Records of its log. */
  readonly logCount: number;
}

export class Lease {
  readonly lease: string;
  readonly offer: Offer;
  readonly offerText: string;
  readonly spec: JobSpec;
  readonly market: Address;
  readonly marketText: string;
  readonly executor: string;
  readonly gpus: readonly string[];
  /** What the executor signed, as JSON; of paid jobs. */
  acceptance: string | undefined;
  state: LeaseState;
  /** Records before it are with the market. */
  logSeq: number;
  /** As `logSeq` is on disk. */
  keptSeq: number;
  result: LeaseResult | undefined;
  lost: { readonly code: string; readonly message: string } | undefined;
  /** The market knows how it ended. */
  told: boolean;
  changedMs: number;

  // What is not kept: the extension says it again.
  /** The next record that the extension is to send. */
  receivedSeq: number;
  /** Something of it is not as it is on disk. */
  unkept = false;
  /** Bytes of log that the market has taken and the extension got no credit for. */
  taken = 0;
  /** Outputs of a result that is coming. */
  files: OutputFile[] = [];
  logs: LogPart[] = [];
  /** The extension has been told to send records again. */
  rewinding = false;
  /** Told to the market before anything else. */
  states: { readonly state: 'Preparing' | 'Started' | 'Collecting' }[] = [];
  progress: { readonly ppm: number; readonly note: string | undefined } | undefined;
  /** The market has answered to something about it: it knows the lease. */
  known = false;
  /** Not told before, in milliseconds since 1970: the market could not take it. */
  notBefore = 0;
  /** It could not so often, one after another. */
  refusals = 0;

  constructor(kept: KeptLease, offer: Offer, spec: JobSpec) {
    this.lease = kept.lease;
    this.offer = offer;
    this.offerText = kept.offer;
    this.spec = spec;
    this.market = address(kept.market);
    this.marketText = kept.market;
    this.executor = kept.executor;
    this.gpus = kept.gpus;
    this.acceptance = kept.acceptance;
    this.state = kept.state;
    this.logSeq = kept.logSeq;
    this.keptSeq = kept.logSeq;
    this.result = kept.result === undefined ? undefined : resultIn(kept.result);
    this.lost = kept.lost;
    this.told = kept.told;
    this.changedMs = kept.changedMs;
    this.receivedSeq = kept.logSeq;
  }

  /** JSON of `runResult`. */
  get resultText(): string | undefined {
    const { result } = this;
    return result && `${result.end.slice(0, -1)},"outputs":${result.outputsText}}`;
  }

  /** What names it in frames. */
  get id(): { readonly jobId: string; readonly lease: string } {
    return { jobId: this.offer.jobId, lease: this.lease };
  }

  /** Whether it takes a slot. */
  get active(): boolean {
    return this.state !== 'finished' && this.state !== 'lost';
  }

  /** Bytes of log that are here and not with the market. */
  get heldBytes(): number {
    return this.logs.reduce((sum, { records }) => sum + records.length, 0);
  }

  /** Forgets what the extension will send again. */
  rewind(): void {
    this.logs = [];
    this.receivedSeq = this.logSeq;
    this.taken = 0;
    this.files = [];
  }

  /** Whether so much more log is more than was granted. */
  overruns(bytes: number): boolean {
    return this.heldBytes + bytes > 2 * LOG_WINDOW_BYTES;
  }
}

const outputFiles = list(outputFile);

function resultIn(text: string): LeaseResult | undefined {
  const read = runResult.decode(text);
  if (!read.ok) return undefined;
  const { outputs, ...end } = read.value;
  const outputsText = outputFiles.stringify([...outputs]);
  return { end: runEnd.stringify(end), outputs, outputsText, logCount: end.logs.count };
}
