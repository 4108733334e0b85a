/**
 * Printouts to text, the last step before screen and log (runtime-modules.md §9.1, §9.4).
 *
 * What guests print is text and nothing else: control characters become visible stand-ins, so that no print can move the cursor,
 * recolour the screen or set the window title, and every line after the first is indented, so that none can pass for a prompt.
 */
import { styleText } from 'node:util';
import type { ProcessId } from '../../wit/types.ts';
import { PRINT_LENGTH_MAX } from './limits.ts';

/** One print (kernel.md §8.3). */
export interface Printout {
  readonly verbosity: number;
  readonly source: ProcessId;
  readonly text: string;
}

const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const COLOURS = [undefined, 'green', 'magenta'] as const;

// Controls but newline and tab, the C1 block, line separators and the marks that reorder text on screen.
// oxlint-disable-next-line no-control-regex
const UNSAFE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** `text` with nothing in it that a screen obeys: C0 controls as their pictures (`␛`), other marks as U+FFFD, tabs as spaces. */
export function neutralise(text: string): string {
  return text
    .replaceAll('\r\n', '\n')
    .replace(UNSAFE, (character) => {
      const code = character.charCodeAt(0);
      if (code < 0x20) return String.fromCharCode(0x2400 + code);
      return code === 0x7f ? '\u2421' : '\ufffd';
    })
    .replaceAll('\t', '    ');
}

/** `Mon 09:05 `, local time. */
export function timePrefix(at: Date): string {
  return `${DAYS[at.getDay()]} ${two(at.getHours())}:${two(at.getMinutes())} `;
}

/**
 * The rows of one print: the first with the time, the others indented to match.
 * @param columns width of the screen; 0 for no wrapping
 */
export function rows(text: string, at: Date, columns: number): string[] {
  const prefix = timePrefix(at);
  const indent = ' '.repeat(prefix.length);
  const room = columns > prefix.length + 10 ? columns - prefix.length : 0;
  const shown =
    text.length > PRINT_LENGTH_MAX
      ? `${text.slice(0, PRINT_LENGTH_MAX)} … (${text.length - PRINT_LENGTH_MAX} more characters, see the log)`
      : text;
  return neutralise(shown.replace(/\n+$/, ''))
    .split('\n')
    .flatMap((line) => wrap(line, room))
    .map((row, index) => (index === 0 ? prefix : row === '' ? '' : indent) + row);
}

/** A row in the colour of its level: 0 plain, 1 green, 2 magenta, 3 and more red. */
export function coloured(row: string, level: number, colours: boolean): string {
  if (!colours || level <= 0) return row;
  return styleText(COLOURS[level] ?? 'red', row, { validateStream: false });
}

/** `[Mon, 02 Jan 2006 15:04:05 -0700] text`, RFC 2822 in local time. Text is neutralised too: logs are read on screens. */
export function logLine(text: string, at: Date): string {
  const offset = -at.getTimezoneOffset();
  const zone = `${offset < 0 ? '-' : '+'}${two(Math.floor(Math.abs(offset) / 60))}${two(Math.abs(offset) % 60)}`;
  const day = `${DAYS[at.getDay()]}, ${two(at.getDate())} ${MONTHS[at.getMonth()]} ${at.getFullYear()}`;
  const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  return `[${day} ${time} ${zone}] ${neutralise(text)}\n`;
}

/** Columns that `text` takes: 2 for East Asian wide characters and emoji, 0 for combining marks. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const character of text) width += characterWidth(character);
  return width;
}

const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u;
const ZERO = /^(?:\p{Mn}|\p{Me}|\p{Cf})$/u;

function characterWidth(character: string): number {
  if (character >= ' ' && character <= '~') return 1;
  if (ZERO.test(character)) return 0;
  return WIDE.test(character) ? 2 : 1;
}

/** Cuts a line into pieces of at most `room` columns; 0: one piece. */
function wrap(line: string, room: number): string[] {
  if (room === 0 || line.length * 2 <= room || displayWidth(line) <= room) return [line];
  const pieces: string[] = [];
  let piece = '';
  let width = 0;
  for (const character of line) {
    const next = characterWidth(character);
    if (width + next > room) {
      pieces.push(piece);
      piece = '';
      width = 0;
    }
    piece += character;
    width += next;
  }
  return piece === '' ? pieces : [...pieces, piece];
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}
