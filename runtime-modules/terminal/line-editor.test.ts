import { beforeEach, describe, expect, test } from 'vitest';
import { History } from './history.ts';
import { type Effect, LineEditor } from './line-editor.ts';

let history: History;
let editor: LineEditor;
beforeEach(async () => {
  history = await History.open(undefined, () => undefined);
  editor = new LineEditor(history);
});

function type(text: string): void {
  for (const character of text) editor.press(character, { name: character });
}
const key = (name: string, ctrl = false): Effect | undefined =>
  editor.press(undefined, { name, ctrl });
const ctrl = (name: string): Effect | undefined => key(name, true);
const shown = (columns = 80): string => editor.view('n.dev', columns).text;

function enter(line: string): void {
  type(line);
  key('return');
}

test('M224 enter submits the line as typed and empties the prompt', () => {
  type('m our@a:b:c "x" ');
  expect(key('return')).toEqual({ kind: 'submit', line: 'm our@a:b:c "x" ' });
  expect(shown()).toBe('n.dev > ');
});

describe('editing', () => {
  test('M224 backspace, delete and the arrows move by grapheme', () => {
    type('a');
    editor.press('👋🏽', {});
    type('b');
    key('left');
    key('left');
    key('delete');
    expect(shown()).toBe('n.dev > ab');
    key('backspace');
    expect(shown()).toBe('n.dev > b');
    expect(editor.view('n.dev', 80).cursor).toBe('n.dev > '.length);
  });

  test('M224 Ctrl-A and Ctrl-E go to the ends', () => {
    type('middle');
    ctrl('a');
    type('<');
    ctrl('e');
    type('>');
    expect(shown()).toBe('n.dev > <middle>');
  });

  test('M224 Alt-Backspace erases a word', () => {
    type('kill a-process');
    editor.press(undefined, { name: 'backspace', meta: true });
    expect(shown()).toBe('n.dev > kill ');
  });

  test('M224 a paste loses its newlines and control characters and submits nothing', () => {
    editor.press(undefined, { name: 'paste-start' });
    expect(editor.press('kill a', { name: 'a' })).toBeUndefined();
    expect(editor.press('\r', { name: 'return' })).toBeUndefined();
    expect(editor.press('\u001b[31mx', { name: 'x' })).toBeUndefined();
    editor.press(undefined, { name: 'paste-end' });
    expect(shown()).toBe('n.dev > kill a[31mx');
  });

  test('M224 a long line scrolls sideways and never wraps', () => {
    type('0123456789'.repeat(20));
    const { text, cursor } = editor.view('n.dev', 40);
    expect(text.length).toBeLessThan(40);
    expect(text.startsWith('n.dev > ')).toBe(true);
    expect(text.endsWith('89')).toBe(true);
    expect(cursor).toBeLessThan(40);
    ctrl('a');
    expect(editor.view('n.dev', 40)).toMatchObject({ cursor: 8 });
    expect(shown(40)).toMatch(/^n\.dev > 0123/);
  });
});

describe('history', () => {
  test('M231 up and down walk, the unfinished line waits below the newest entry, the ends ring', () => {
    enter('first');
    enter('second');
    type('unfinished');
    key('up');
    expect(shown()).toBe('n.dev > second');
    ctrl('p');
    expect(shown()).toBe('n.dev > first');
    expect(key('up')).toEqual({ kind: 'bell' });
    ctrl('n');
    key('down');
    expect(shown()).toBe('n.dev > unfinished');
    expect(key('down')).toEqual({ kind: 'bell' });
  });

  test('M231 no empty lines and no immediate repeats', () => {
    for (const line of ['a', '', '   ', 'a', 'b', 'a']) enter(line);
    expect(history.lines).toEqual(['a', 'b', 'a']);
  });
});

describe('M230 search', () => {
  beforeEach(() => {
    for (const line of ['kill one', 'echo two', 'kill three', 'Kill Four']) enter(line);
  });

  test('M230 a case-sensitive substring, newest first, deeper on repeat, staying on the oldest', () => {
    ctrl('r');
    type('kill');
    expect(shown()).toBe('n.dev * kill three');
    ctrl('r');
    expect(shown()).toBe('n.dev * kill one');
    ctrl('r');
    expect(shown()).toBe('n.dev * kill one');
    expect(key('return')).toEqual({ kind: 'submit', line: 'kill one' });
    expect(shown()).toBe('n.dev > ');
  });

  test('M230 no match says so and submits an empty line; Ctrl-G gives the line back', () => {
    type('draft');
    ctrl('r');
    type('zzz');
    expect(shown()).toBe('n.dev * zzz: no results');
    ctrl('g');
    expect(shown()).toBe('n.dev > draft');
    ctrl('r');
    type('zzz');
    expect(key('return')).toEqual({ kind: 'submit', line: '' });
  });
});

test("M225 Ctrl-V, Ctrl-L, Ctrl-C and Ctrl-D are the console's", () => {
  expect(ctrl('v')).toEqual({ kind: 'verbosity' });
  expect(ctrl('l')).toEqual({ kind: 'logging' });
  expect(ctrl('c')).toEqual({ kind: 'quit' });
  expect(ctrl('d')).toEqual({ kind: 'quit' });
});
