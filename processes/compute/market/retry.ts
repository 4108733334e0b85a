/** Whether, when and where a job is tried again (compute-market.md §3.8). Pure. */
import { FAULTS, type FaultCode } from '../../../wit/jobs/result.ts';
import type { JobFailure } from './record.ts';

const FIRST_DELAY_MS = 5_000;
const DELAY_MS_MAX = 300_000;
/** Nodes that must agree before a program is taken to fail by itself. */
const SAME_SYMPTOM_NODES = 3;

/**
 * Milliseconds before attempt `attempt`, which is 1 or more: 5, 10, 20 seconds and so on, up to five minutes, a fifth more or less.
 * @param random  from 0 to below 1
 */
export function backoffMs(attempt: number, random: number): number {
  // The exponent is bounded so that no number of attempts overflows.
  const delay = Math.min(DELAY_MS_MAX, FIRST_DELAY_MS * 2 ** Math.min(16, attempt - 1));
  return Math.round(delay * (0.8 + 0.4 * random));
}

/** What is known about a job that decides whether it is tried again. */
export interface Trial {
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly failures: readonly JobFailure[];
  /** Milliseconds since 1970 until which an attempt has to have ended; undefined: none. */
  readonly deadline: number | undefined;
  /** Milliseconds that one more attempt may take, backoff included. */
  readonly attemptMs: number;
}

export type NextStep = 'retry' | 'exhausted' | 'final' | 'too-late' | 'same-symptom';

/** What follows a failure; `trial.failures` has it already. */
export function afterFailure(code: FaultCode, trial: Trial, now: number): NextStep {
  if (!FAULTS[code].retry) return 'final';
  if (sameSymptom(trial.failures)) return 'same-symptom';
  if (trial.attempt + 1 >= trial.maxAttempts) return 'exhausted';
  if (trial.deadline !== undefined && now + trial.attemptMs > trial.deadline) return 'too-late';
  return 'retry';
}

/** Three nodes saw the same program end with the same exit code: a fourth would too. */
export function sameSymptom(failures: readonly JobFailure[]): boolean {
  const nodesBySymptom = new Map<number, Set<string>>();
  for (const { code, exitCode, node } of failures) {
    if (code !== 'EXIT_NONZERO' || exitCode === undefined) continue;
    const nodes = nodesBySymptom.get(exitCode) ?? new Set<string>();
    nodes.add(node);
    nodesBySymptom.set(exitCode, nodes);
    if (nodes.size >= SAME_SYMPTOM_NODES) return true;
  }
  return false;
}

export function isFaultCode(code: string): code is FaultCode {
  return Object.hasOwn(FAULTS, code);
}
