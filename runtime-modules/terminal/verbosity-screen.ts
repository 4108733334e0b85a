/**
 * The process-verbosity screen (runtime-modules.md §9.3): on the terminal's other screen, the overall level and a level of its own for
 * each process that has one. What is printed meanwhile waits, and is shown on the way back.
 */
import type { ProcessId } from '../../wit/types.ts';
import { type Key, printable } from './line-editor.ts';
import { PRINT_LENGTH_MAX, SCREEN_INPUT_MAX, SCREEN_PRINTS_MAX } from './limits.ts';
import { PROCESS_ID, type ProcessVerbosity, type Verbosity, verbosityName } from './verbosity.ts';
import { displayWidth, neutralise, type Printout } from './view.ts';

const ENTER = '\x1b[?1049h';
const LEAVE = '\x1b[?1049l';

export class VerbosityScreen {
  readonly #verbosity: Verbosity;
  #input = '';
  #prints: Printout[] = [];
  #dropped = 0;

  constructor(verbosity: Verbosity) {
    this.#verbosity = verbosity;
  }

  /** One that has to wait; past `SCREEN_PRINTS_MAX` the oldest is dropped. */
  hold(printout: Printout): void {
    // One more than is shown, so that what was cut is still seen to be cut.
    const text = printout.text.slice(0, PRINT_LENGTH_MAX + 1);
    this.#prints.push({ ...printout, text });
    if (this.#prints.length <= SCREEN_PRINTS_MAX) return;
    this.#prints.shift();
    this.#dropped += 1;
  }

  /** What waited, oldest first, and how many were dropped before. */
  release(): { readonly prints: readonly Printout[]; readonly dropped: number } {
    return { prints: this.#prints, dropped: this.#dropped };
  }

  /** Applies one key. 'leave': back to the prompt. Input that sets nothing is left standing. */
  press(text: string | undefined, key: Key): 'leave' | 'quit' | undefined {
    if (key.ctrl === true) {
      if (key.name === 'w') return 'leave';
      return key.name === 'c' || key.name === 'd' ? 'quit' : undefined;
    }
    if (key.name === 'return' || key.name === 'enter') this.#submit();
    else if (key.name === 'backspace') this.#input = this.#input.slice(0, -1);
    else if (text !== undefined && key.meta !== true) {
      this.#input = (this.#input + printable(text)).slice(0, SCREEN_INPUT_MAX);
    }
    return undefined;
  }

  /** Switches to the other screen. */
  enter(columns: number, height: number): string {
    return `${ENTER}${this.render(columns, height)}`;
  }

  leave(): string {
    return LEAVE;
  }

  /** The whole screen. */
  render(columns: number, height: number): string {
    const { global } = this.#verbosity;
    const head = [
      '=== Process Verbosity Mode ===',
      `overall: ${global} (${verbosityName(global)})`,
      '',
    ];
    const foot = [
      '',
      '<process id> <0 to 255> sets a level, <process id> mute silences it, <process id> alone removes it;',
      'Ctrl-W goes back',
      `> ${this.#input}`,
    ];
    const room = Math.max(1, height - head.length - foot.length);
    const all = [...this.#verbosity.entries()].map(([id, level]) => `${id}  ${shownLevel(level)}`);
    const rows = all.length === 0 ? ['no process has a level of its own'] : all.slice(0, room);
    const lines = [...head, ...rows, ...foot].map((line) => cut(neutralise(line), columns - 1));
    return `\x1b[2J\x1b[H${lines.join('\r\n')}`;
  }

  #submit(): void {
    const [id = '', setting, ...more] = this.#input.trim().split(/\s+/);
    if (!PROCESS_ID.test(id) || more.length > 0) return;
    const level = setting === undefined ? undefined : levelOf(setting);
    if (setting !== undefined && level === undefined) return;
    // Proof of the type: the pattern is that of process ids.
    this.#verbosity.set(id as ProcessId, level);
    this.#input = '';
  }
}

function levelOf(text: string): ProcessVerbosity | undefined {
  if (['m', 'mute', 'muted'].includes(text)) return 'muted';
  return /^\d{1,3}$/.test(text) && Number(text) <= 255 ? Number(text) : undefined;
}

function shownLevel(level: ProcessVerbosity): string {
  return level === 'muted' ? 'muted' : `${level}`;
}

function cut(line: string, columns: number): string {
  let kept = '';
  for (const character of line) {
    if (displayWidth(kept + character) > columns) break;
    kept += character;
  }
  return kept;
}
