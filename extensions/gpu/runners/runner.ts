/**
 * What runs the programs of jobs. A runner knows nothing of leases, sockets or money: it gets folders, limits and a log, and says how the
 * program ended (compute-market.md §9).
 */
import type { JobKind, JobSpec } from '../../../wit/jobs/spec.ts';
import type { FaultCode, Runtime, Usage } from '../../../wit/jobs/result.ts';
import type { Stream } from '../../../wit/jobs/log-records.ts';

/** One run of one job. */
export interface Run {
  /** `0x` hex; for names and labels, unique together with `attempt`. */
  readonly jobId: string;
  readonly attempt: number;
  readonly lease: string;
  readonly spec: JobSpec;
  /** Absolute folders of this run alone: inputs, verified by hash, and the empty one for outputs. Not there yet where the runner says `ownFolders`. */
  readonly inputs: string;
  readonly outputs: string;
  /** The verified file of `spec.module`; kinds `wasm` and `webgpu` only. Not there if the runner `has` the program. */
  readonly module: string | undefined;
  /** Seconds after the program started at which it must be dead. */
  readonly timeoutS: number;
  /** UUIDs of the devices leased to this run. */
  readonly gpus: readonly string[];
  /**
   * Takes what the program wrote; the runner reads on when it is taken, so that a reader who stops stops the program. Beyond the limit
   * of the spec it takes and drops.
   */
  log(stream: Stream, bytes: Uint8Array): Promise<void>;
  /** Parts in a million, and a word for people. */
  progress(ppm: number, note?: string): void;
  /** The program runs from now on: the timeout counts. */
  started(): void;
  /** Aborted: stop the program, first gently (TERM), then for good after 10 s. */
  readonly signal: AbortSignal;
}

/** How the program ended. */
export interface RunEnd {
  /** As in receipts. */
  readonly status: number;
  /** -signal for a program ended by one. */
  readonly exitCode: number;
  /** Why it did not end well; undefined if it did. */
  readonly fault: { readonly code: FaultCode; readonly message: string } | undefined;
  /** What the runner measured; files and times are counted by its caller. */
  readonly usage: Pick<Usage, 'cpuMs' | 'gpuMs' | 'peakMemMiB' | 'peakVramMiB'>;
  readonly runtime: Runtime;
  /** It is known to have left nothing in `outputs`: nobody need look. */
  readonly leftNothing?: boolean;
}

export interface Runner {
  readonly kind: JobKind;
  /** It makes `outputs` itself, once the program writes there. */
  readonly ownFolders?: boolean;
  /** Whether it still holds this program, and `prepare`, called at once, needs no file of it. */
  has?(module: { readonly sha256: string; readonly size: number }): boolean;
  /** What of it `DeviceInfo.runners` says. */
  describe(): unknown;
  /** Why this spec can't run here (an image that is not allowed, say); undefined if it can. Quick, without side effects. */
  refusal(
    spec: JobSpec,
  ): { readonly code: 'unsupported' | 'policy'; readonly message: string } | undefined;
  /** Before the start: pulls an image, compiles a module. Not billed. @throws RunFault */
  prepare(run: Run): Promise<void>;
  /** Runs to the end, whatever it is. Leaves nothing behind but the files in `outputs`. @throws RunFault */
  run(run: Run): Promise<RunEnd>;
  /** Removes what an earlier instance of this program left: containers, process groups. */
  reap(): Promise<void>;
}

/** The program did not start, or was lost: nothing of it is paid for. */
export class RunFault extends Error {
  override readonly name = 'RunFault';
  readonly code: FaultCode;
  constructor(code: FaultCode, message: string) {
    super(message);
    this.code = code;
  }
}
