import { expect, test } from 'vitest';
import { coloured, displayWidth, logLine, neutralise, rows, timePrefix } from './view.ts';

const at = new Date(2026, 10, 23, 9, 5, 7);

test('M232 a print starts with weekday and time; only its first line', () => {
  expect(timePrefix(at)).toBe('Mon 09:05 ');
  expect(rows('one\ntwo\n\nfour\n', at, 0)).toEqual([
    'Mon 09:05 one',
    '          two',
    '',
    '          four',
  ]);
});

test('M232 long lines are cut to the screen, so that no print reaches the first column by wrapping', () => {
  const all = rows(`${'x'.repeat(70)}fake.dev > rm`, at, 80);
  expect(all).toEqual([`Mon 09:05 ${'x'.repeat(70)}`, '          fake.dev > rm']);
  expect(rows('宽'.repeat(40), at, 80)).toHaveLength(2);
});

test.each([
  ['cursor up', '\u001b[1A\u001b[2Kgone'],
  ['title', '\u001b]0;owned\u0007'],
  ['carriage return', 'safe\rfake.dev > '],
  ['8-bit CSI', '\u009b2J'],
  ['backspace', 'abc\b\b\bxyz'],
  ['bidi override', '\u202egnp.exe'],
  ['delete', 'a\u007f'],
  ['line separator', 'a\u2028b'],
])('M232 a guest cannot control the screen: %s', (_name, text) => {
  const shown = rows(text, at, 80).join('\n');
  // oxlint-disable-next-line no-control-regex
  expect(shown).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/);
  expect(neutralise(text)).not.toBe(text);
});

test('M232 ordinary text in any script passes unchanged', () => {
  const text = 'Grüße, 世界! 👋🏽 é “q” — ✓';
  expect(neutralise(text)).toBe(text);
  expect(displayWidth('世界')).toBe(4);
  expect(displayWidth('e\u0301')).toBe(1);
});

test('M225 colours by level: plain, green, magenta, red; none when off', () => {
  expect(coloured('x', 0, true)).toBe('x');
  expect(coloured('x', 1, true)).toBe('\u001b[32mx\u001b[39m');
  expect(coloured('x', 2, true)).toBe('\u001b[35mx\u001b[39m');
  expect(coloured('x', 3, true)).toBe('\u001b[31mx\u001b[39m');
  expect(coloured('x', 4, true)).toBe('\u001b[31mx\u001b[39m');
  expect(coloured('x', 2, false)).toBe('x');
});

test('M233 a log line carries an RFC 2822 date in local time', () => {
  const line = logLine('hello', at);
  expect(line).toMatch(/^\[Mon, 23 Nov 2026 09:05:07 [+-]\d{4}\] hello\n$/);
  expect(Date.parse(line.slice(1, line.indexOf(']')))).toBe(at.getTime());
});
