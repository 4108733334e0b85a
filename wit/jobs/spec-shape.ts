/** What a job spec is made of (compute-market.md §3.2). `spec.ts` reads and hashes it. */
import type { DocumentValue } from '../canonical-json.ts';
import type { JobLimits, JobType } from './limits.ts';

export const JOB_KINDS = ['container', 'wasm', 'command', 'builtin', 'webgpu', 'openai'] as const;
export type JobKind = (typeof JOB_KINDS)[number];
/** How far a job is kept from its host, weakest first. */
export const ISOLATIONS = ['process', 'namespace', 'wasm', 'container', 'vm'] as const;
export type Isolation = (typeof ISOLATIONS)[number];
export const GPU_VENDORS = ['nvidia', 'amd', 'apple', 'intel', 'any'] as const;
export const VERIFY_MODES = ['exact', 'tolerance', 'image', 'text-greedy', 'none'] as const;
export type VerifyMode = (typeof VERIFY_MODES)[number];
export const PRIORITIES = ['low', 'normal', 'high', 'urgent'] as const;
export type Priority = (typeof PRIORITIES)[number];

/** A file that the job reads, below its input folder. `sha256` is 64 lower-case hex digits. */
export interface JobInput {
  readonly path: string;
  readonly size: number;
  readonly sha256: string;
  readonly exec?: boolean;
}

export interface GpuNeed {
  readonly count?: number;
  readonly vendor?: (typeof GPU_VENDORS)[number];
  readonly minVramMiB?: number;
  /** Such as `8.0`. */
  readonly minComputeCap?: string;
  readonly classes?: readonly string[];
}

/** Complete: every limit is there. */
export interface JobSpec {
  readonly v: 1;
  readonly type: JobType;
  readonly kind: JobKind;
  /** `repository@sha256:…`, of kind `container`. */
  readonly image?: string;
  /** The program, of kinds `wasm` and `webgpu`; it is fetched by its hash as inputs are. */
  readonly module?: { readonly sha256: string; readonly size: number };
  readonly entry: {
    readonly cmd?: readonly string[];
    readonly env?: Readonly<Record<string, string>>;
    /** Of kind `builtin`. */
    readonly fn?: string;
    readonly args?: { readonly [name: string]: DocumentValue };
  };
  readonly inputs: readonly JobInput[];
  readonly outputs?: {
    /** Patterns of what is kept; everything, if left out. */
    readonly paths?: readonly string[];
    readonly required?: readonly string[];
    readonly maxFiles?: number;
    /** A regular expression that a log line must match for the completion check. */
    readonly marker?: string;
  };
  readonly limits: JobLimits;
  readonly require?: {
    readonly gpu?: GpuNeed;
    readonly minIsolation?: Isolation;
    readonly arch?: 'x86_64' | 'aarch64' | 'any';
    readonly regions?: readonly string[];
  };
  readonly network?: { readonly mode: 'none' | 'allow'; readonly hosts?: readonly string[] };
  readonly estimateS?: number;
  readonly priority?: Priority;
  readonly retry?: { readonly maxAttempts?: number; readonly onVerdictFail?: 'refund' | 'retry' };
  readonly verify?: {
    readonly mode: VerifyMode;
    readonly replicas?: number;
    readonly absPpb?: number;
    readonly relPpb?: number;
    readonly seed?: string;
  };
  readonly label?: string;
}

/** Why a spec is refused. */
export type SpecErrorCode =
  | 'NOT_CANONICAL'
  | 'UNKNOWN_MEMBER'
  | 'MISSING_MEMBER'
  | 'BAD_VALUE'
  | 'BAD_PATH'
  | 'IMAGE_NOT_PINNED'
  | 'LIMIT_OUT_OF_RANGE'
  | 'RESERVED_ENV'
  | 'TOO_LARGE';

export interface SpecError {
  readonly code: SpecErrorCode;
  /** Such as `inputs.3.path`; empty for the whole document. */
  readonly where: string;
  readonly message: string;
}
