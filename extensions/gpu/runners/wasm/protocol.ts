/** What the runner's thread and its harts say to each other. One job at a time on a hart, so nothing needs a number but programs. */
import type { PreparedProgram } from '../../../../kernel/image/program.ts';
import type { ImageError } from '../../../../kernel/engine.ts';
import type { Stream } from '../../../../wit/jobs/log-records.ts';
import type { Fault } from '../ending.ts';

/** One job, as a hart gets it. */
export interface JobStart {
  /** SHA-256 of the program, which was given to the hart before. */
  readonly program: string;
  readonly args: readonly string[];
  readonly env: readonly (readonly [name: string, value: string])[];
  readonly seed: string;
  /** Absolute folders, and what of `inputs` is seen. */
  readonly inputs: string;
  readonly files: readonly { readonly path: string; readonly size: number }[];
  readonly outputs: string;
  readonly outputBytesMax: number;
  readonly outputEntriesMax: number;
  readonly memoryPagesMax: number;
  readonly fuelMax: number;
}

export type ToHart =
  | { readonly kind: 'prepare'; readonly bytes: Uint8Array }
  | {
      readonly kind: 'program';
      readonly hash: string;
      readonly bytes: Uint8Array;
      readonly prepared: PreparedProgram;
    }
  | { readonly kind: 'start'; readonly job: JobStart }
  /** That many bytes of the log were taken. */
  | { readonly kind: 'taken'; readonly bytes: number }
  | { readonly kind: 'kill' };

/** How a job ended on its hart. */
export interface JobEnd {
  readonly exitCode: number;
  readonly fault: Fault | undefined;
  /** Whether the program did all it wanted: the hart may run the next. */
  readonly clean: boolean;
  readonly cpuMs: number;
  readonly fuel: number;
  readonly peakBytes: number;
  /** Whether it made any file or folder. */
  readonly wrote: boolean;
}

export type FromHart =
  | { readonly kind: 'prepared'; readonly prepared: PreparedProgram }
  | {
      readonly kind: 'refused';
      readonly code: ImageError['code'] | undefined;
      readonly message: string;
    }
  | { readonly kind: 'log'; readonly stream: Stream; readonly bytes: Uint8Array }
  | { readonly kind: 'ended'; readonly end: JobEnd };

/** Bytes of the log on their way before the program waits. */
export const LOG_WINDOW_BYTES = 256 * 1024;
