/** Jobs and money as people read them, and the one line at the bottom of a terminal that shows how far a job is. */
import { printable } from '../report.ts';
import { isDecided, type JobView, type LogLine } from './job-record.ts';

const DECIMALS = 6;
const BAR_CHARS = 24;
const NOTE_CHARS_MAX = 40;
/** Providers of which is said why they cannot have a job that waits. */
const WAITING_SHOWN = 3;
/** `stream` of the notes of the runner, such as the exit code. */
const RUNNER = 3;
/** States in which what went wrong was another try. */
const UNDER_WAY: ReadonlySet<string> = new Set(['assigned', 'running', 'verifying', 'completed']);
/** Millionths between two lines where there is no terminal to draw on. */
const STEP_PPM = 100_000;

/** `2.5 HYPER` of millionths. */
export function hyper(amount: string | bigint): string {
  const digits = String(amount).padStart(DECIMALS + 1, '0');
  const rest = digits.slice(-DECIMALS).replace(/0+$/, '');
  return `${digits.slice(0, -DECIMALS)}${rest === '' ? '' : `.${rest}`} HYPER`;
}

/** Millionths of `2.5`; undefined for what is no amount. */
export function millionths(text: string): bigint | undefined {
  const [, whole, rest = ''] = /^(\d{1,20})(?:\.(\d{1,6}))?$/.exec(text) ?? [];
  return whole === undefined ? undefined : BigInt(whole + rest.padEnd(DECIMALS, '0'));
}

/**
 * `running (executing)`, `failed: EXIT_NONZERO …`, `escrowed: nobody can run it now (alice.os: all its slots are taken)`; of a job that is
 * tried again `running (executing), after NODE_LOST …`.
 */
export function stateText({ state, substate, error, reason, waiting }: JobView): string {
  const why = error === null ? (waitingText(waiting) ?? reason) : `${error.code}: ${error.message}`;
  const part = substate === null ? '' : ` (${substate})`;
  const how = error !== null && UNDER_WAY.has(state) ? ', after ' : ': ';
  return printable(`${state}${part}${why === null ? '' : `${how}${why}`}`);
}

function waitingText(waiting: JobView['waiting']): string | undefined {
  if (waiting === null || waiting === undefined) return undefined;
  if (waiting.length === 0) return 'no provider is connected';
  const shown = waiting.slice(0, WAITING_SHOWN).map(({ node, why }) => `${node}: ${why}`);
  return `nobody can run it now (${shown.join('; ')}${waiting.length > WAITING_SHOWN ? '; …' : ''})`;
}

/** `0:07`, `1:02:03`. */
export function clock(ms: number): string {
  const s = Math.max(0, Math.floor(ms / 1_000));
  const two = (value: number): string => String(value).padStart(2, '0');
  const h = Math.floor(s / 3_600);
  const min = Math.floor((s % 3_600) / 60);
  return h > 0 ? `${h}:${two(min)}:${two(s % 60)}` : `${min}:${two(s % 60)}`;
}

/** `[######------]  48 %`. */
export function bar(ppm: number): string {
  const share = Math.min(1, Math.max(0, ppm / 1_000_000));
  const full = Math.round(share * BAR_CHARS);
  return `[${'#'.repeat(full)}${'-'.repeat(BAR_CHARS - full)}] ${String(Math.floor(share * 100)).padStart(3)} %`;
}

export interface Terminal {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  write(text: string): unknown;
}

/** Shows a job while it goes on: a line that is drawn again at a terminal, else a line for each change. */
export class Progress {
  readonly #out: Terminal;
  readonly #now: () => number;
  #said = '';
  #ppm = -STEP_PPM;
  #drawn = false;

  constructor(out: Terminal, now: () => number) {
    this.#out = out;
    this.#now = now;
  }

  /** Of what is done before the job: files that are sent. */
  sending(name: string, bytes: number, of: number): void {
    const ppm = of === 0 ? 1_000_000 : Math.floor((bytes / of) * 1_000_000);
    this.#show(`sending ${printable(name)}`, ppm, ppm === 1_000_000);
  }

  /** Of what is done after it: files that are fetched. */
  receiving(name: string, bytes: number, of: number): void {
    const ppm = of === 0 ? 1_000_000 : Math.floor((bytes / of) * 1_000_000);
    this.#show(`fetching ${printable(name)}`, ppm, ppm === 1_000_000);
  }

  job(job: JobView): void {
    const { progress, node, times } = job;
    const where = node === null ? '' : ` at ${printable(node.name)}`;
    const try_ = job.attempt === 0 ? '' : `, try ${job.attempt + 1} of ${job.maxAttempts}`;
    const text = `${stateText(job)}${where}${try_}`;
    const started = times['started'] ?? 0;
    const running = job.state === 'running' && started > 0;
    const note =
      progress?.note === undefined ? '' : ` ${printable(progress.note).slice(0, NOTE_CHARS_MAX)}`;
    const took = running ? `  ${clock(this.#now() - started)}${note}` : '';
    const known = running && progress !== null ? progress.ppm : undefined;
    this.#show(text, known, isDecided(job), took);
  }

  /** A line of the job's own, above; the runner's notes are not. */
  log({ stream, text }: LogLine): void {
    if (stream === RUNNER) return;
    const lines = printable(text.replace(/\n$/, '')).split('\n');
    const mark = stream === 2 ? '! ' : '| ';
    this.say(lines.map((line) => `${mark}${line}`).join('\n'));
  }

  say(text: string): void {
    this.clear();
    this.#out.write(`${text}\n`);
  }

  clear(): void {
    if (this.#drawn) this.#out.write('\r\u001b[2K');
    this.#drawn = false;
  }

  #show(text: string, ppm: number | undefined, last: boolean, more = ''): void {
    if (this.#out.isTTY === true) {
      const line = `${ppm === undefined ? '' : `${bar(ppm)}  `}${text}${more}`;
      this.clear();
      this.#out.write(last ? `${line}\n` : line.slice(0, (this.#out.columns ?? 80) - 1));
      this.#drawn = !last;
      return;
    }
    const step = ppm !== undefined && ppm - this.#ppm >= STEP_PPM;
    if (text === this.#said && !step) return;
    if (text !== this.#said) this.#ppm = -STEP_PPM;
    this.#said = text;
    if (ppm !== undefined) this.#ppm = ppm;
    this.#out.write(`${text}${ppm === undefined ? '' : `, ${Math.floor(ppm / 10_000)} %`}\n`);
  }
}
