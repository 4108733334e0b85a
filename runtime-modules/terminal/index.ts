/**
 * The native console (runtime-modules.md §9): owns standard input and output, the history and the log. It is not a process and is not
 * registered with the kernel, so no message can reach it; what is typed leaves it as a Request from and to `terminal:terminal:sys`.
 *
 *   'interactive'  a TTY: prompt on the last row, prints scroll above it, keys of §9.3
 *   'lines'        input is a pipe or a file: one command a line, no prompt; the node outlives the end of input
 *   'detached'     no input at all
 */
import { join } from 'node:path';
import { createInterface, emitKeypressEvents } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { TERMINAL } from '../../wit/address.ts';
import type { ProcessId } from '../../wit/types.ts';
import { History } from './history.ts';
import { type Effect, type Key, LineEditor } from './line-editor.ts';
import {
  BACKLOG_HARD_MAX,
  BACKLOG_SOFT_MAX,
  LINE_LENGTH_MAX,
  LOG_BYTES_DEFAULT,
  LOG_FILES_DEFAULT,
} from './limits.ts';
import { LogFile } from './log-file.ts';
import { VerbosityScreen } from './verbosity-screen.ts';
import { nextVerbosity, type ProcessVerbosity, Verbosity, verbosityName } from './verbosity.ts';
import { coloured, logLine, neutralise, type Printout, rows } from './view.ts';

export type { ProcessVerbosity } from './verbosity.ts';
export type { Printout } from './view.ts';

/** Of a screen that does not say how large it is. */
const COLUMNS_DEFAULT = 80;
const ROWS_DEFAULT = 24;

export interface ConsoleInput extends Readable {
  readonly isTTY?: boolean;
  setRawMode?(mode: boolean): unknown;
}

export interface ConsoleOutput extends Writable {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
}

export interface ConsoleOptions {
  /** The node's name, shown in the prompt. */
  readonly node: string;
  /** Folder of history and logs; undefined keeps neither. */
  readonly home?: string | undefined;
  readonly detached?: boolean;
  readonly verbosity?: number;
  readonly processVerbosity?: ReadonlyMap<ProcessId, ProcessVerbosity>;
  /** Default true. */
  readonly logging?: boolean;
  readonly logBytesMax?: number;
  readonly logFilesMax?: number;
  /** Default: the output is a TTY. */
  readonly colours?: boolean;
}

export interface ConsoleNeeds {
  readonly input: ConsoleInput;
  readonly output: ConsoleOutput;
  readonly now: () => Date;
  /** A line was entered. */
  readonly submit: (line: string) => void;
  /** Ctrl-C or Ctrl-D. */
  readonly quit: () => void;
  /** The global verbosity changed (the kernel prints events from 3 on). */
  readonly verbosityChanged?: (level: number) => void;
  /** Ctrl-T: messages wait, one by one, for `step`. */
  readonly stepping?: (on: boolean) => void;
  /** Ctrl-S. */
  readonly step?: () => void;
}

export interface NativeConsole extends AsyncDisposable {
  /**
   * Shows one print if its level is asked for, and logs it in any case. The promise, if there is one, settles when screen and log have
   * caught up: whoever prints should wait for it. Who does not, and is far ahead of them, has prints dropped and counted.
   */
  print(printout: Printout): Promise<void> | undefined;
  /** Starts reading input. Before it, prints are shown and nothing is read. */
  start(): void;
  /** Gives the screen back and finishes history and log. Safe to call twice. */
  close(): Promise<void>;
}

export async function openConsole(
  options: ConsoleOptions,
  needs: ConsoleNeeds,
): Promise<NativeConsole> {
  const early: string[] = [];
  let late: (text: string) => void = (text) => early.push(text);
  let drained = (): void => undefined;
  const failed = (what: string) => (error: Error) => late(`${what}: ${error.message}`);
  const path = options.home === undefined ? undefined : join(options.home, '.terminal_history');
  const history = await History.open(path, failed('the command history cannot be kept'));
  const log =
    options.home === undefined
      ? undefined
      : new LogFile({
          folder: join(options.home, '.terminal_logs'),
          bytesMax: options.logBytesMax ?? LOG_BYTES_DEFAULT,
          filesMax: options.logFilesMax ?? LOG_FILES_DEFAULT,
          now: needs.now,
          failed: failed('the terminal log cannot be written'),
          drained: () => drained(),
        });
  const terminal = new Console(options, needs, history, log);
  late = (text) => terminal.announce(text);
  drained = () => terminal.caughtUp();
  for (const text of early) terminal.announce(text);
  return terminal;
}

class Console implements NativeConsole {
  readonly #node: string;
  readonly #needs: ConsoleNeeds;
  readonly #history: History;
  readonly #log: LogFile | undefined;
  readonly #editor: LineEditor;
  readonly #verbosity: Verbosity;
  readonly #mode: 'interactive' | 'lines' | 'detached';
  readonly #colours: boolean;
  readonly #stopReading: (() => void)[] = [];
  #logging: boolean;
  /** While the process-verbosity screen is shown. */
  #screen: VerbosityScreen | undefined;
  #stepping = false;
  #state: 'quiet' | 'reading' | 'closed' = 'quiet';
  #closing: Promise<void> | undefined;
  /** Text handed to the output and not yet taken by it. */
  #backlog = 0;
  #dropped = 0;
  /** Settles when screen and log have caught up; there while somebody waits for it. */
  #waiting: PromiseWithResolvers<void> | undefined;

  constructor(
    options: ConsoleOptions,
    needs: ConsoleNeeds,
    history: History,
    log: LogFile | undefined,
  ) {
    this.#node = options.node;
    this.#needs = needs;
    this.#history = history;
    this.#log = log;
    this.#logging = options.logging ?? true;
    this.#editor = new LineEditor(history);
    this.#verbosity = new Verbosity(options.verbosity ?? 0, options.processVerbosity);
    this.#mode =
      options.detached === true
        ? 'detached'
        : needs.input.isTTY === true && needs.output.isTTY === true
          ? 'interactive'
          : 'lines';
    this.#colours = options.colours ?? needs.output.isTTY === true;
  }

  print(printout: Printout): Promise<void> | undefined {
    if (this.#behind() > BACKLOG_HARD_MAX) {
      this.#dropped += 1;
      return (this.#waiting ??= Promise.withResolvers()).promise;
    }
    const at = this.#needs.now();
    if (this.#logging) this.#log?.write(logLine(printout.text, at));
    if (this.#screen !== undefined) this.#screen.hold(printout);
    else if (
      this.#state !== 'closed' &&
      this.#verbosity.shows(printout.source, printout.verbosity)
    ) {
      this.#show(printout.text, printout.verbosity, at);
    }
    if (this.#behind() <= BACKLOG_SOFT_MAX) return undefined;
    return (this.#waiting ??= Promise.withResolvers()).promise;
  }

  /** Called when screen or log have written something. */
  caughtUp(): void {
    if (this.#behind() > BACKLOG_SOFT_MAX) return;
    const dropped = this.#dropped;
    this.#dropped = 0;
    if (dropped > 0)
      this.announce(`${dropped} prints were dropped: they came faster than they can be shown`);
    this.#waiting?.resolve();
    this.#waiting = undefined;
  }

  /** Something the console itself has to say: shown at any verbosity. */
  announce(text: string): void {
    const at = this.#needs.now();
    if (this.#logging) this.#log?.write(logLine(text, at));
    if (this.#screen === undefined) this.#show(text, 0, at);
    else this.#screen.hold({ verbosity: 0, source: TERMINAL, text });
  }

  start(): void {
    if (this.#state !== 'quiet') return;
    this.#state = 'reading';
    if (this.#mode === 'interactive') this.#readKeys();
    if (this.#mode === 'lines') this.#readLines();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    const drawn = this.#mode === 'interactive' && this.#state === 'reading';
    if (drawn && this.#screen !== undefined) this.#leaveScreen(this.#screen);
    this.#state = 'closed';
    this.#waiting?.resolve();
    for (const stop of this.#stopReading) stop();
    if (drawn) this.#needs.output.write('\r\x1b[K\x1b[?2004l\x1b]0;\x07');
    await Promise.all([this.#history.close(), this.#log?.close()]);
  }

  #show(text: string, level: number, at: Date): void {
    const { output } = this.#needs;
    const columns = output.isTTY === true ? this.#columns() : 0;
    const lines = rows(text, at, columns)
      .map((row) => `${coloured(row, level, this.#colours)}\n`)
      .join('');
    if (this.#mode !== 'interactive' || this.#state !== 'reading') {
      this.#write(lines);
      return;
    }
    // One write, so that nothing shows between erasing the prompt and drawing it again.
    this.#write(`\r\x1b[K${lines}${this.#promptRow()}`);
  }

  #write(text: string): void {
    this.#backlog += text.length;
    this.#needs.output.write(text, () => {
      this.#backlog -= text.length;
      this.caughtUp();
    });
  }

  #behind(): number {
    return this.#backlog + (this.#log?.backlog ?? 0);
  }

  #promptRow(): string {
    const { text, cursor } = this.#editor.view(this.#node, this.#columns());
    return `\r\x1b[K${text}\r${cursor > 0 ? `\x1b[${cursor}C` : ''}`;
  }

  /** Some pseudo-terminals say 0. */
  #columns(): number {
    return this.#needs.output.columns || COLUMNS_DEFAULT;
  }

  #readKeys(): void {
    const { input, output } = this.#needs;
    emitKeypressEvents(input);
    input.setRawMode?.(true);
    const press = (text: string | undefined, key: Key): void => {
      if (this.#screen === undefined) this.#act(this.#editor.press(text, key));
      else this.#pressOnScreen(this.#screen, text, key);
    };
    const redraw = (): void =>
      void output.write(this.#screen?.render(...this.#size()) ?? this.#promptRow());
    input.on('keypress', press);
    output.on('resize', redraw);
    this.#stopReading.push(() => {
      input.off('keypress', press);
      output.off('resize', redraw);
      input.setRawMode?.(false);
      input.pause();
    });
    // Window title and bracketed paste.
    output.write(`\x1b]0;hyperloom ${this.#node}\x07\x1b[?2004h${this.#promptRow()}`);
    input.resume();
  }

  #act(effect: Effect | undefined): void {
    const { output } = this.#needs;
    if (this.#state !== 'reading') return;
    if (effect?.kind === 'submit') {
      // The command stays on the screen above its output.
      const entered = neutralise(`${this.#node} > ${effect.line}`);
      output.write(`\r\x1b[K${entered}\n${this.#promptRow()}`);
      if (effect.line.trim() !== '') this.#needs.submit(effect.line);
      return;
    }
    if (effect?.kind === 'quit') {
      this.announce('exit code received');
      this.#needs.quit();
      return;
    }
    if (effect?.kind === 'screen') {
      this.#screen = new VerbosityScreen(this.#verbosity);
      output.write(this.#screen.enter(...this.#size()));
      return;
    }
    if (effect?.kind === 'verbosity') return this.#cycleVerbosity();
    if (effect?.kind === 'logging') {
      this.#logging = !this.#logging;
      this.announce(`logging mode: ${this.#logging ? 'on' : 'off'}`);
      return;
    }
    if (effect?.kind === 'stepping') {
      this.#stepping = !this.#stepping;
      this.#needs.stepping?.(this.#stepping);
      this.announce(
        this.#stepping ? 'debug mode on: use CTRL+S to step through events' : 'debug mode off',
      );
      return;
    }
    if (effect?.kind === 'step') return this.#needs.step?.();
    output.write(effect?.kind === 'bell' ? '\x07' : this.#promptRow());
  }

  #pressOnScreen(screen: VerbosityScreen, text: string | undefined, key: Key): void {
    const wish = screen.press(text, key);
    if (wish === undefined) return void this.#needs.output.write(screen.render(...this.#size()));
    this.#leaveScreen(screen);
    if (wish === 'quit') this.#act({ kind: 'quit' });
  }

  /** The line that was being typed is as it was; what was printed meanwhile is shown by the levels as they are now. */
  #leaveScreen(screen: VerbosityScreen): void {
    this.#screen = undefined;
    this.#needs.output.write(`${screen.leave()}${this.#promptRow()}`);
    const { prints, dropped } = screen.release();
    if (dropped > 0) this.announce(`Dropped ${dropped} prints while on alternate screen`);
    const at = this.#needs.now();
    for (const { source, verbosity, text } of prints)
      if (this.#verbosity.shows(source, verbosity)) this.#show(text, verbosity, at);
  }

  #size(): [columns: number, rows: number] {
    return [this.#columns(), this.#needs.output.rows || ROWS_DEFAULT];
  }

  #cycleVerbosity(): void {
    this.#verbosity.global = nextVerbosity(this.#verbosity.global);
    this.announce(`verbose mode: ${verbosityName(this.#verbosity.global)}`);
    this.#needs.verbosityChanged?.(this.#verbosity.global);
  }

  #readLines(): void {
    const lines = createInterface({
      input: this.#needs.input,
      terminal: false,
      crlfDelay: Infinity,
    });
    lines.on('line', (line) => {
      if (this.#state !== 'reading' || line.trim() === '') return;
      if (line.length > LINE_LENGTH_MAX) {
        this.announce(
          `a line of ${line.length} characters was dropped; the limit is ${LINE_LENGTH_MAX}`,
        );
        return;
      }
      this.#history.add(line);
      this.#needs.submit(line);
    });
    this.#stopReading.push(() => {
      lines.close();
      this.#needs.input.pause();
    });
  }
}
