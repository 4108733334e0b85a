/**
 * What several runs of one job say together (compute-market.md §4.6): a result counts that more than half of all runs came to, those that are
 * missing included. Pure.
 */
import { RECEIPT_STATUS } from '../../../contracts/compute.ts';
import type { RunResult } from './completion.ts';
import type { JobRecord } from './record.ts';
import { isOver } from './states.ts';

/** How many of them are more than half. */
export function majorityOf(of: number): number {
  return Math.floor(of / 2) + 1;
}

/** `agreed`: what these came to counts. `none`: nothing can count any more. */
export type Decision =
  | { readonly kind: 'open' }
  | { readonly kind: 'agreed'; readonly winners: ReadonlySet<number> }
  | { readonly kind: 'none' };

/**
 * @param answers  numbers of the runs that have an answer
 * @param open     how many may still give one
 * @param same     whether the answers of two are the same; close ones need not be so all among each other
 */
export function decide(
  of: number,
  { answers, open }: { readonly answers: readonly number[]; readonly open: number },
  same: (one: number, other: number) => boolean,
): Decision {
  const classes = answers.map((one) =>
    answers.filter((other) => one === other || same(one, other)),
  );
  const largest = classes.reduce((best, each) => (each.length > best.length ? each : best), []);
  const needed = majorityOf(of);
  if (largest.length >= needed) return { kind: 'agreed', winners: new Set(largest) };
  return largest.length + open < needed ? { kind: 'none' } : { kind: 'open' };
}

/** It has an answer that waits for those of the others. */
export function waits({ state, substate }: JobRecord): boolean {
  return state === 'verifying' && substate === 'comparing';
}

/** It may still come to an answer. */
export function mayAnswer(run: JobRecord): boolean {
  if (run.state === 'failed' || run.state === 'cancelled' || waits(run)) return false;
  return run.replica?.agrees === undefined && !isOver(run.state, run.payment.state);
}

/** The run that the job is shown as: one that agrees with most, else the first that goes on. */
export function shownOf(runs: readonly JobRecord[]): JobRecord {
  const agreeing = runs.filter(({ replica }) => replica?.agrees === true);
  return (
    agreeing.find(({ state }) => state === 'completed') ??
    agreeing[0] ??
    runs.find((run) => waits(run) || mayAnswer(run)) ??
    runs[0]!
  );
}

/** What is compared byte by byte: whether two answers are equal, differ, or have to be looked into. */
export function compareAnswers(
  one: RunResult,
  other: RunResult,
  mode: string,
): 'same' | 'different' | 'look' {
  const [a, b] = [one.receipt, other.receipt];
  if (a.status !== b.status) return 'different';
  // How far a program got that failed depends on the machine.
  if (a.status !== RECEIPT_STATUS.ok) return a.exitCode === b.exitCode ? 'same' : 'different';
  if (a.outputsRoot === b.outputsRoot && listOf(one) === listOf(other)) return 'same';
  return mode === 'exact' ? 'different' : 'look';
}

/** A root says what its list does only if the two belong together. */
function listOf({ outputs }: RunResult): string {
  const lines = outputs.map(({ path, size, sha256 }) => JSON.stringify([path, size, sha256]));
  return lines.toSorted().join();
}
