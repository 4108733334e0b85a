/**
 * The recent printouts, for those who may ask the kernel (`{"Debug":{"Logs":...}}`, our extension): a ring bounded in lines and in
 * characters, in front of the sink they go to. Single messages (the event view) are not kept: they carry bodies.
 */
import type { LogLine } from '../wit/kernel-api.ts';
import { PRINT_LOG_CHARS_MAX, PRINT_LOG_LINE_CHARS_MAX, PRINT_LOG_LINES_MAX } from './limits.ts';
import type { Printout, PrintSink } from './print.ts';
import type { MaybePromise } from './process-host.ts';

/** Finer prints are one line a message or more, and would push out what the owner looks for. */
const VERBOSITY_MAX = 1;

export class PrintLog implements PrintSink {
  readonly #sink: PrintSink;
  readonly #wallMs: () => number;
  /** Oldest first, from `#first` on; cut when half of it is dead. */
  #lines: LogLine[] = [];
  #first = 0;
  #chars = 0;
  #seq = 0;

  /** @param wallMs Unix time in milliseconds */
  constructor(sink: PrintSink, wallMs: () => number) {
    this.#sink = sink;
    this.#wallMs = wallMs;
  }

  print(printout: Printout): MaybePromise<void> {
    if ('text' in printout && printout.verbosity <= VERBOSITY_MAX) this.#keep(printout);
    return this.#sink.print(printout);
  }

  /**
   * Lines printed after line `after`, oldest first, at most `limit`; `next` is what to ask with for those that follow. With an
   * `after` of 0, or of a line that is gone, what is left is the answer: at most the newest `limit` lines.
   */
  read(
    after: number,
    limit: number,
  ): { readonly lines: readonly LogLine[]; readonly next: number } {
    const oldest = this.#seq - (this.#lines.length - this.#first);
    const known = after >= oldest && after > 0 && after <= this.#seq;
    const from = known ? after : Math.max(oldest, this.#seq - limit);
    const start = this.#first + (from - oldest);
    const lines = this.#lines.slice(start, start + limit);
    return { lines, next: lines.at(-1)?.seq ?? this.#seq };
  }

  #keep({ verbosity, process, text: whole }: Extract<Printout, { text: string }>): void {
    const text =
      whole.length > PRINT_LOG_LINE_CHARS_MAX
        ? `${whole.slice(0, PRINT_LOG_LINE_CHARS_MAX).replace(/[\uD800-\uDBFF]$/, '')}…`
        : whole;
    this.#seq += 1;
    this.#lines.push({ seq: this.#seq, timeMs: this.#wallMs(), verbosity, process, text });
    this.#chars += text.length;
    while (
      this.#lines.length - this.#first > PRINT_LOG_LINES_MAX ||
      this.#chars > PRINT_LOG_CHARS_MAX
    ) {
      this.#chars -= this.#lines[this.#first]?.text.length ?? 0;
      this.#first += 1;
    }
    if (this.#first <= PRINT_LOG_LINES_MAX) return;
    this.#lines = this.#lines.slice(this.#first);
    this.#first = 0;
  }
}
