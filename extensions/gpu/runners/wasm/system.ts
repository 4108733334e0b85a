/** What one wasm job reaches of the world, under both generations of WASI: its files, its log, its clock, its arguments, and its exit. */
import { Trap } from '../../../../kernel/process-host.ts';
import type { Fault } from '../ending.ts';
import type { Stream } from '../../../../wit/jobs/log-records.ts';
import { JobClock, JobRandom } from './determinism.ts';
import type { JobFiles } from './files.ts';

/** Bytes that one write to the log takes. */
export const LOG_WRITE_BYTES_MAX = 64 * 1024;
/** Random bytes that one call gives. */
export const RANDOM_BYTES_MAX = 1024 * 1024;

export interface JobSystemOptions {
  readonly args: readonly string[];
  readonly env: readonly (readonly [name: string, value: string])[];
  readonly seed: string;
  /** Hands bytes to the log, which keeps them; a promise if the job must wait for its reader. */
  readonly log: (stream: Stream, bytes: Uint8Array) => Promise<void> | undefined;
}

export class JobSystem {
  readonly args: readonly string[];
  readonly env: JobSystemOptions['env'];
  readonly log: JobSystemOptions['log'];
  readonly clock = new JobClock();
  readonly random: JobRandom;
  readonly files: JobFiles;
  /** What it exited with, once it has. */
  exitCode: number | undefined;
  /** Why it was ended, once it was. */
  fault: Fault | undefined;

  /** `files` is made with what ends the job when it writes too much. */
  constructor(
    options: JobSystemOptions,
    files: (exceeded: (message: string) => never) => JobFiles,
  ) {
    this.args = options.args;
    this.env = options.env;
    this.log = options.log;
    this.random = new JobRandom(options.seed);
    this.files = files((message) => this.end({ code: 'OUTPUT_LIMIT', message }));
  }

  /** Ends the guest, which can't catch it. */
  end(fault: Fault): never {
    this.fault = fault;
    throw new Trap(fault.message);
  }

  /** What a host function threw that is no fault of the guest's, a full disk say, ends the run. Traps stay what they are. */
  hostFault(error: unknown): never {
    if (error instanceof Trap) throw error;
    const what = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    return this.end({ code: 'INTERNAL', message: `the files of the job: ${what}` });
  }

  exit(code: number): never {
    this.exitCode = code;
    throw new Trap(`the program exited with ${code}`);
  }
}
