/**
 * Which prints are shown (runtime-modules.md §9.2): a print is visible when its level is at most the effective level of its
 * source, the per-process one if there is one, else the global one. A muted process shows nothing, not even level 0.
 */
import type { ProcessId, Result } from '../../wit/types.ts';
import { VERBOSITY_MAX } from './limits.ts';

export type ProcessVerbosity = number | 'muted';

const NAMES = ['off', 'debug', 'super-debug', 'event loop (no logging)', 'event loop'];

/** What the console announces after Ctrl-V. */
export function verbosityName(level: number): string {
  return NAMES[level] ?? `level ${level}`;
}

/** One step of Ctrl-V: 0, 1, 2, 3, 4, and round again; also from a start value above 4 (theirs aborts there). */
export function nextVerbosity(level: number): number {
  return level >= VERBOSITY_MAX ? 0 : level + 1;
}

/** Settings of one console. Mutable; owned by it. */
export class Verbosity {
  global: number;
  readonly #perProcess: Map<ProcessId, ProcessVerbosity>;

  constructor(global: number, perProcess: ReadonlyMap<ProcessId, ProcessVerbosity> = new Map()) {
    this.global = global;
    this.#perProcess = new Map(perProcess);
  }

  /** Those with a setting of their own. */
  entries(): IterableIterator<[ProcessId, ProcessVerbosity]> {
    return this.#perProcess.entries();
  }

  /** Undefined: the process has none of its own any more. */
  set(source: ProcessId, setting: ProcessVerbosity | undefined): void {
    if (setting === undefined) this.#perProcess.delete(source);
    else this.#perProcess.set(source, setting);
  }

  /** The setting of this process, or the global one. */
  effective(source: ProcessId): ProcessVerbosity {
    return this.#perProcess.get(source) ?? this.global;
  }

  /** Whether a print of `level` by `source` belongs on the screen. The log gets it either way. */
  shows(source: ProcessId, level: number): boolean {
    const effective = this.effective(source);
    return effective !== 'muted' && level <= effective;
  }
}

export const PROCESS_ID = /^[a-z0-9-]+:[a-z0-9-]+:[a-z0-9.-]+$/;

/**
 * Reads `--process-verbosity`: `{"p:k:q":{"U8":3},"a:b:c":"Muted"}`.
 * Refuses with a sentence when it is not that, naming the entry at fault.
 */
export function parseProcessVerbosity(
  text: string,
): Result<ReadonlyMap<ProcessId, ProcessVerbosity>, string> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return { ok: false, error: `it is not JSON (${(error as Error).message})` };
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { ok: false, error: 'it must be a JSON object of process ids' };
  }
  const settings = new Map<ProcessId, ProcessVerbosity>();
  for (const [id, setting] of Object.entries(value)) {
    if (!PROCESS_ID.test(id)) return { ok: false, error: `"${id}" is not a process id` };
    if (setting === 'Muted') {
      settings.set(id as ProcessId, 'muted');
      continue;
    }
    const level = (setting as { U8?: unknown } | null)?.U8;
    if (typeof level !== 'number' || !Number.isInteger(level) || level < 0 || level > 255) {
      return { ok: false, error: `the setting of ${id} must be {"U8": 0 to 255} or "Muted"` };
    }
    settings.set(id as ProcessId, level);
  }
  return { ok: true, value: settings };
}
