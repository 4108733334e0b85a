/** What a job may use, by its type (compute-market.md §3.6). Prices are in millionths of HYPER. */

export const JOB_TYPES = [
  'inference',
  'training',
  'rendering',
  'embedding',
  'custom',
  'llm-session',
] as const;
export type JobType = (typeof JOB_TYPES)[number];

export const LIMIT_NAMES = [
  'cpuMilli',
  'memMiB',
  'vramMiB',
  'tmpMiB',
  'outMiB',
  'pids',
  'logKiB',
  'timeoutS',
] as const;
export type LimitName = (typeof LIMIT_NAMES)[number];
/** Thousandths of a core, MiB, processes, KiB of log, seconds. */
export type JobLimits = { readonly [name in LimitName]: number };

const limits = (...values: readonly number[]): JobLimits =>
  // Proof of the type: one value for every name, which the test of this table counts.
  Object.fromEntries(LIMIT_NAMES.map((name, index) => [name, values[index]!])) as JobLimits;

/** Defaults, and for every type but `custom` also the most that a spec may ask for. */
export const TYPE_LIMITS: Readonly<Record<JobType, JobLimits>> = {
  inference: limits(2_000, 8_192, 8_192, 4_096, 256, 256, 4_096, 300),
  training: limits(8_000, 32_768, 24_576, 51_200, 20_480, 1_024, 32_768, 7_200),
  rendering: limits(4_000, 16_384, 12_288, 20_480, 4_096, 512, 8_192, 1_800),
  embedding: limits(2_000, 4_096, 0, 1_024, 256, 128, 1_024, 120),
  custom: limits(1_000, 1_024, 0, 512, 64, 64, 1_024, 60),
  // A model's memory is the backend's business: any amount may be asked for.
  'llm-session': limits(2_000, 8_192, 196_608, 1_024, 0, 256, 1_024, 3_600),
};

/** The least and the most that a `custom` spec may ask for. */
export const CUSTOM_LEAST: JobLimits = limits(100, 64, 0, 16, 0, 8, 16, 1);
export const CUSTOM_MOST: JobLimits = limits(
  64_000,
  524_288,
  196_608,
  1_048_576,
  1_048_576,
  4_096,
  65_536,
  86_400,
);

/** The least that a job of a type costs. */
export const MIN_PRICE: Readonly<Record<JobType, bigint>> = {
  inference: 1_000n,
  training: 100_000n,
  rendering: 10_000n,
  embedding: 500n,
  custom: 500n,
  'llm-session': 0n,
};

/**
 * Seconds that a run may take before it is killed: what the spec allows, or one and a half times what the client estimates, at least 30,
 * whichever is less. They count from the start of the program, not from the assignment.
 */
export function hardTimeoutS(timeoutS: number, estimateS: number | undefined): number {
  if (estimateS === undefined) return timeoutS;
  return Math.min(timeoutS, Math.max(30, Math.ceil((estimateS * 3) / 2)));
}
