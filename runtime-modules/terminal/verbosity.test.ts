import { expect, test } from 'vitest';
import type { ProcessId } from '../../wit/types.ts';
import { nextVerbosity, parseProcessVerbosity, Verbosity, verbosityName } from './verbosity.ts';

const a = 'a:b:c' as ProcessId;
const other = 'x:y:z' as ProcessId;

test('M225 the cycle and its names', () => {
  const levels = [0];
  for (let step = 0; step < 5; step += 1) levels.push(nextVerbosity(levels.at(-1) ?? 0));
  expect(levels).toEqual([0, 1, 2, 3, 4, 0]);
  expect([0, 1, 2, 3, 4].map(verbosityName)).toEqual([
    'off',
    'debug',
    'super-debug',
    'event loop (no logging)',
    'event loop',
  ]);
  expect(nextVerbosity(200)).toBe(0);
});

test('K129 level 2 is hidden at verbosity 0 and shown at 2, level 3 is not', () => {
  const verbosity = new Verbosity(0, new Map());
  expect([0, 1, 2].map((level) => verbosity.shows(a, level))).toEqual([true, false, false]);
  verbosity.global = 2;
  expect([0, 2, 3].map((level) => verbosity.shows(a, level))).toEqual([true, true, false]);
});

test('M226 K130 the level of a process overrides the global one in both directions; muted shows nothing', () => {
  const low = new Verbosity(0, new Map([[a, 2]]));
  expect(low.shows(a, 2)).toBe(true);
  expect(low.shows(a, 3)).toBe(false);
  expect(low.shows(other, 1)).toBe(false);
  const high = new Verbosity(3, new Map([[a, 0]]));
  expect(high.shows(a, 1)).toBe(false);
  expect(high.shows(other, 3)).toBe(true);
  const muted = new Verbosity(4, new Map([[a, 'muted' as const]]));
  expect(muted.shows(a, 0)).toBe(false);
});

test('M235 --process-verbosity is read, and refused by entry', () => {
  const good = parseProcessVerbosity('{"a:b:c":{"U8":3},"x:y:z":"Muted"}');
  expect(good.ok && [...good.value]).toEqual([
    ['a:b:c', 3],
    ['x:y:z', 'muted'],
  ]);
  for (const [text, part] of [
    ['{', 'not JSON'],
    ['[]', 'object'],
    ['{"a:b":"Muted"}', 'a:b'],
    ['{"a:b:c":{"U8":256}}', 'a:b:c'],
    ['{"a:b:c":"muted"}', 'a:b:c'],
    ['{"a:b:c":null}', 'a:b:c'],
  ] as const) {
    const refused = parseProcessVerbosity(text);
    expect(refused.ok ? '' : refused.error, text).toContain(part);
  }
});
