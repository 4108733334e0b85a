/** The lines that the log page holds, and which of them it shows. */

/** A line of `{"Debug":{"Logs":…}}` (wit/kernel-api.ts). */
export interface LogLine {
  readonly seq: number;
  readonly time_ms: number;
  readonly verbosity: number;
  readonly process: string;
  readonly text: string;
}

/** A line with a key of its own, or a gap where lines are missing. */
export type Shown =
  | (LogLine & { readonly key: string })
  | { readonly key: string; readonly gap: string };

/** Lines that the page holds. */
export const LINES_MAX = 5_000;
/** Lines that are drawn; the newest. */
export const DRAWN_MAX = 1_000;

export interface LogFilter {
  /** Lines of finer verbosity are left out. */
  readonly verbosityMax: number;
  /** Undefined: of every process. */
  readonly process: string | undefined;
  readonly text: string;
}

/** What has been read of the log. Immutable, so that a page knows when it has changed. */
export interface LogState {
  readonly lines: readonly Shown[];
  /** What to ask with for what follows. */
  readonly next: number;
  /** Counts the starts of the node that were seen: its line numbers begin anew with each. */
  readonly run: number;
}

export const NO_LINES: LogState = { lines: [], next: 0, run: 0 };

/** Reads the answer of `/api/logs`. @throws Error for anything else */
export function answerOf(answer: unknown): {
  readonly lines: readonly LogLine[];
  readonly next: number;
} {
  const logs = (answer as { Debug?: { Logs?: { lines: LogLine[]; next: number } } } | null)?.Debug
    ?.Logs;
  if (!Array.isArray(logs?.lines)) throw new Error('the node says nothing about its log');
  return logs;
}

/** Adds an answer, marking where lines are missing and where the node began anew. */
export function extended(
  state: LogState,
  answer: { readonly lines: readonly LogLine[]; readonly next: number },
): LogState {
  const [first] = answer.lines;
  const restarted = state.next > 0 && Math.min(answer.next, first?.seq ?? answer.next) < state.next;
  if (first === undefined && !restarted) return state;
  const run = restarted ? state.run + 1 : state.run;
  const missing =
    restarted || first === undefined || state.next === 0 ? 0 : first.seq - state.next - 1;
  const marks: Shown[] = [];
  if (restarted) marks.push({ key: `${run}:start`, gap: 'The node began anew' });
  if (missing > 0) {
    const gap = `${missing} ${missing === 1 ? 'line was' : 'lines were'} printed faster than read`;
    marks.push({ key: `${run}:${state.next}:gap`, gap });
  }
  const added = answer.lines.map((line) => ({ ...line, key: `${run}:${line.seq}` }));
  return { lines: [...state.lines, ...marks, ...added].slice(-LINES_MAX), next: answer.next, run };
}

export function filtered(lines: readonly Shown[], filter: LogFilter): Shown[] {
  const wanted = filter.text.trim().toLowerCase();
  return lines.filter((line) => {
    if ('gap' in line) return true;
    if (line.verbosity > filter.verbosityMax) return false;
    if (filter.process !== undefined && line.process !== filter.process) return false;
    return wanted === '' || `${line.text} ${line.process}`.toLowerCase().includes(wanted);
  });
}

/** The processes that have printed, by name. */
export function processesIn(lines: readonly Shown[]): string[] {
  return [...new Set(lines.flatMap((line) => ('gap' in line ? [] : [line.process])))].toSorted();
}

/** Lines as a text file: time in UTC, level, process, text. */
export function asText(lines: readonly Shown[]): string {
  return lines
    .map((line) =>
      'gap' in line
        ? `--- ${line.gap}\n`
        : `${new Date(line.time_ms).toISOString()} ${line.verbosity} ${line.process} ${line.text}\n`,
    )
    .join('');
}
