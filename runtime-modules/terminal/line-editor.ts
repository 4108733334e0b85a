/**
 * The line being typed (runtime-modules.md §9.3): keys in, effects out, no I/O. Editing is by grapheme cluster. A line longer than
 * the screen scrolls sideways, so the prompt always takes one row.
 */
import type { History } from './history.ts';
import { LINE_LENGTH_MAX } from './limits.ts';
import { displayWidth, neutralise } from './view.ts';

/** A key as node:readline's `keypress` event gives it. */
export interface Key {
  readonly name?: string | undefined;
  readonly ctrl?: boolean | undefined;
  readonly meta?: boolean | undefined;
  readonly sequence?: string | undefined;
}

/** What the console must do after a key; undefined: draw again. */
export type Effect =
  | { readonly kind: 'submit'; readonly line: string }
  | { readonly kind: 'quit' }
  | { readonly kind: 'verbosity' }
  | { readonly kind: 'logging' }
  | { readonly kind: 'stepping' }
  | { readonly kind: 'step' }
  /** The process-verbosity screen. */
  | { readonly kind: 'screen' }
  | { readonly kind: 'bell' };

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });

export class LineEditor {
  readonly #history: History;
  #line = '';
  /** UTF-16 offset, always between two graphemes. */
  #cursor = 0;
  /** Place in the history while walking through it; undefined: below the newest entry. */
  #walk: number | undefined;
  #unfinished = '';
  #search: { query: string; depth: number } | undefined;
  #pasting = false;

  constructor(history: History) {
    this.#history = history;
  }

  /** Applies one key. `text`: what it types, if anything. */
  press(text: string | undefined, key: Key): Effect | undefined {
    if (key.name === 'paste-start' || key.name === 'paste-end') {
      this.#pasting = key.name === 'paste-start';
      return undefined;
    }
    if (this.#pasting) {
      this.#insert(text ?? key.sequence ?? '');
      return undefined;
    }
    if (key.ctrl === true && (key.name === 'c' || key.name === 'd')) return { kind: 'quit' };
    if (this.#search !== undefined) return this.#pressInSearch(this.#search, text, key);
    if (key.ctrl === true) return this.#pressControl(key.name);
    return this.#pressPlain(text, key);
  }

  /** What the prompt row shows, at most `columns - 1` wide, and the column of the cursor in it. */
  view(name: string, columns: number): { text: string; cursor: number } {
    const room = Math.max(8, columns - 1);
    if (this.#search !== undefined) {
      const match = this.#match(this.#search);
      const found = match ?? `${this.#search.query}: no results`;
      return fit(`${name} * `, found, found.length, room);
    }
    return fit(`${name} > `, this.#line, this.#cursor, room);
  }

  #pressControl(name: string | undefined): Effect | undefined {
    switch (name) {
      case 'a':
        this.#cursor = 0;
        return undefined;
      case 'e':
        this.#cursor = this.#line.length;
        return undefined;
      case 'u':
        this.#line = this.#line.slice(this.#cursor);
        this.#cursor = 0;
        return undefined;
      case 'k':
        this.#line = this.#line.slice(0, this.#cursor);
        return undefined;
      case 'w':
        return { kind: 'screen' };
      case 'p':
        return this.#older();
      case 'n':
        return this.#newer();
      case 'r':
        this.#search = { query: '', depth: 0 };
        return undefined;
      case 'v':
        return { kind: 'verbosity' };
      case 'l':
        return { kind: 'logging' };
      // Not Ctrl-J as theirs: to a terminal that is the Enter of many a program.
      case 't':
        return { kind: 'stepping' };
      case 's':
        return { kind: 'step' };
      case 'j':
        return this.#submit(this.#line);
      case 'h':
        return this.#pressPlain(undefined, { name: 'backspace' });
      default:
        return undefined;
    }
  }

  #pressPlain(text: string | undefined, key: Key): Effect | undefined {
    switch (key.name) {
      case 'return':
      case 'enter':
        return this.#submit(this.#line);
      case 'backspace': {
        if (key.meta === true) return this.#eraseWord();
        const from = previousBoundary(this.#line, this.#cursor);
        this.#line = this.#line.slice(0, from) + this.#line.slice(this.#cursor);
        this.#cursor = from;
        return undefined;
      }
      case 'delete':
        this.#line =
          this.#line.slice(0, this.#cursor) +
          this.#line.slice(nextBoundary(this.#line, this.#cursor));
        return undefined;
      case 'left':
        this.#cursor = previousBoundary(this.#line, this.#cursor);
        return undefined;
      case 'right':
        this.#cursor = nextBoundary(this.#line, this.#cursor);
        return undefined;
      case 'home':
        this.#cursor = 0;
        return undefined;
      case 'end':
        this.#cursor = this.#line.length;
        return undefined;
      case 'up':
        return this.#older();
      case 'down':
        return this.#newer();
      default:
        if (text === undefined || key.meta === true) return undefined;
        return this.#insert(text);
    }
  }

  #pressInSearch(
    search: { query: string; depth: number },
    text: string | undefined,
    key: Key,
  ): Effect | undefined {
    if (key.ctrl === true) {
      if (key.name === 'r') search.depth += 1;
      if (key.name === 'g') this.#search = undefined;
      if (key.name === 'j') return this.#submit(this.#match(search) ?? '');
      return undefined;
    }
    if (key.name === 'return' || key.name === 'enter') {
      return this.#submit(this.#match(search) ?? '');
    }
    if (key.name === 'escape') {
      this.#search = undefined;
      return undefined;
    }
    if (key.name === 'backspace') {
      search.query = search.query.slice(0, previousBoundary(search.query, search.query.length));
      search.depth = 0;
      return undefined;
    }
    const typed = printable(text ?? '');
    if (typed !== '') {
      search.query += typed;
      search.depth = 0;
    }
    return undefined;
  }

  #match(search: { query: string; depth: number }): string | undefined {
    return search.query === '' ? '' : this.#history.search(search.query, search.depth);
  }

  #submit(line: string): Effect {
    this.#line = '';
    this.#cursor = 0;
    this.#walk = undefined;
    this.#unfinished = '';
    this.#search = undefined;
    this.#history.add(line);
    return { kind: 'submit', line };
  }

  #insert(text: string): Effect | undefined {
    const typed = printable(text);
    if (this.#line.length + typed.length > LINE_LENGTH_MAX) return { kind: 'bell' };
    this.#line = this.#line.slice(0, this.#cursor) + typed + this.#line.slice(this.#cursor);
    this.#cursor += typed.length;
    return undefined;
  }

  #eraseWord(): undefined {
    const kept = this.#line.slice(0, this.#cursor).replace(/\S*\s*$/, '');
    this.#line = kept + this.#line.slice(this.#cursor);
    this.#cursor = kept.length;
  }

  #older(): Effect | undefined {
    const at = (this.#walk ?? this.#history.lines.length) - 1;
    if (at < 0) return { kind: 'bell' };
    if (this.#walk === undefined) this.#unfinished = this.#line;
    return this.#show(at, this.#history.lines[at] ?? '');
  }

  #newer(): Effect | undefined {
    if (this.#walk === undefined) return { kind: 'bell' };
    const at = this.#walk + 1;
    if (at >= this.#history.lines.length) return this.#show(undefined, this.#unfinished);
    return this.#show(at, this.#history.lines[at] ?? '');
  }

  #show(walk: number | undefined, line: string): undefined {
    this.#walk = walk;
    this.#line = line;
    this.#cursor = line.length;
  }
}

/** Typed or pasted text without control characters and newlines. */
export function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, '');
}

/** Scrolls `line` sideways until the cursor is visible behind `prompt`. */
function fit(
  prompt: string,
  line: string,
  cursor: number,
  room: number,
): { text: string; cursor: number } {
  const space = Math.max(4, room - displayWidth(prompt));
  const safe = neutralise(line.slice(0, cursor));
  const parts = Array.from(graphemes.segment(safe), (part) => part.segment);
  let from = parts.length;
  let width = 0;
  while (from > 0) {
    const next = displayWidth(parts[from - 1] as string);
    if (width + next >= space) break;
    width += next;
    from -= 1;
  }
  let text = parts.slice(from).join('');
  let total = width;
  for (const part of graphemes.segment(neutralise(line.slice(cursor)))) {
    const next = displayWidth(part.segment);
    if (total + next > space) break;
    text += part.segment;
    total += next;
  }
  return { text: prompt + text, cursor: displayWidth(prompt) + width };
}

function previousBoundary(text: string, at: number): number {
  return at === 0 ? 0 : (graphemes.segment(text).containing(at - 1)?.index ?? 0);
}

function nextBoundary(text: string, at: number): number {
  const part = graphemes.segment(text).containing(at);
  return part === undefined ? text.length : part.index + part.segment.length;
}
