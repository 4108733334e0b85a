import { expect, test } from 'vitest';
import {
  answerOf,
  asText,
  extended,
  filtered,
  LINES_MAX,
  type LogLine,
  NO_LINES,
  processesIn,
  type Shown,
} from './log-lines.ts';

const line = (seq: number, more: Partial<LogLine> = {}): LogLine => ({
  seq,
  time_ms: seq * 1_000,
  verbosity: 0,
  process: 'a:a:sys',
  text: `line ${seq}`,
  ...more,
});
const read = (...seqs: number[]) => ({
  lines: seqs.map((seq) => line(seq)),
  next: seqs.at(-1) ?? 0,
});
const said = (lines: readonly Shown[]): string[] =>
  lines.map((one) => ('gap' in one ? `(${one.gap})` : one.text));

test('answers follow one another; missing lines and a new start of the node are marked', () => {
  const first = extended(NO_LINES, read(7, 8));
  expect(said(first.lines)).toEqual(['line 7', 'line 8']);
  expect(extended(first, { lines: [], next: 8 })).toBe(first);
  const second = extended(first, read(11));
  expect(said(second.lines).slice(2)).toEqual([
    '(2 lines were printed faster than read)',
    'line 11',
  ]);
  const third = extended(second, read(1, 2));
  expect(said(third.lines).slice(4)).toEqual(['(The node began anew)', 'line 1', 'line 2']);
  const keys = third.lines.map(({ key }) => key);
  expect(new Set(keys).size).toBe(keys.length);
  expect(third).toMatchObject({ next: 2, run: 1 });
  const silent = extended(third, { lines: [], next: 0 });
  expect(said(silent.lines).at(-1)).toBe('(The node began anew)');
});

test('the page holds the newest lines', () => {
  const many = Array.from({ length: LINES_MAX + 10 }, (_, n) => n + 1);
  const { lines } = extended(NO_LINES, read(...many));
  expect([lines.length, said(lines)[0]]).toEqual([LINES_MAX, 'line 11']);
});

test('lines are filtered by level, process and text; gaps stay', () => {
  const { lines } = extended(
    extended(NO_LINES, {
      lines: [
        line(1, { verbosity: 1 }),
        line(2, { process: 'b:b:sys' }),
        line(3, { text: 'Hello' }),
      ],
      next: 3,
    }),
    read(5),
  );
  const show = (filter: object): string[] =>
    said(filtered(lines, { verbosityMax: 1, process: undefined, text: '', ...filter }));
  expect(show({})).toHaveLength(5);
  expect(show({ verbosityMax: 0 })).toHaveLength(4);
  const gap = '(1 line was printed faster than read)';
  expect(show({ process: 'b:b:sys' })).toEqual(['line 2', gap]);
  expect(show({ text: ' hELLO ' })).toEqual(['Hello', gap]);
  expect(show({ text: 'b:b' })).toEqual(['line 2', gap]);
  expect(processesIn(lines)).toEqual(['a:a:sys', 'b:b:sys']);
});

test('a download is plain text with times in UTC', () => {
  const { lines } = extended(extended(NO_LINES, read(1)), read(3));
  expect(asText(lines)).toBe(
    '1970-01-01T00:00:01.000Z 0 a:a:sys line 1\n' +
      '--- 1 line was printed faster than read\n' +
      '1970-01-01T00:00:03.000Z 0 a:a:sys line 3\n',
  );
});

test('what is no answer of the kernel is an error', () => {
  expect(answerOf({ Debug: { Logs: { lines: [], next: 3 } } })).toEqual({ lines: [], next: 3 });
  for (const answer of [null, {}, { Debug: { Logs: {} } }, 'login']) {
    expect(() => answerOf(answer)).toThrow('says nothing');
  }
});
