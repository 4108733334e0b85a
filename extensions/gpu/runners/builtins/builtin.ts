/** What a function that comes with the extension is (compute-market.md §9.4). Each has one exact result, on every machine. */
import type { DocumentValue } from '../../../../wit/canonical-json.ts';

export type Arguments = { readonly [name: string]: DocumentValue };

/** What one run of it has. On a thread of its own: it may take its time, and is ended from outside. */
export interface Task {
  readonly args: Arguments;
  /** Absolute paths, in the order of the spec. */
  readonly inputs: readonly string[];
  /** Writes a file into the output folder. */
  readonly output: (name: string, content: Uint8Array | string) => void;
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  /** Parts in a million. */
  readonly progress: (ppm: number) => void;
}

export interface Builtin {
  /** Why it cannot run with these arguments; undefined if it can. */
  check(args: Arguments): string | undefined;
  /** @returns the exit code */
  run(task: Task): number;
}

/** A whole number from the arguments; the reason why it is none, if it is none. */
export function wholeNumber(
  args: Arguments,
  name: string,
  { least, most, otherwise }: { least: number; most: number; otherwise?: number },
): { readonly value: number } | { readonly problem: string } {
  const value = args[name] ?? otherwise;
  return typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most
    ? { value }
    : { problem: `args.${name} must be a whole number from ${least} to ${most}` };
}

/** The number of arguments that were checked. */
export function numberOf(args: Arguments, name: string, otherwise: number): number {
  const value = args[name];
  return typeof value === 'number' ? value : otherwise;
}

/** The text of arguments that were checked. */
export function textOf(args: Arguments, name: string, otherwise: string): string {
  const value = args[name];
  return typeof value === 'string' ? value : otherwise;
}

/** The first problem. */
export function problemOf(
  ...checks: readonly ({ readonly value: number } | { readonly problem: string })[]
): string | undefined {
  for (const check of checks) if ('problem' in check) return check.problem;
  return undefined;
}
