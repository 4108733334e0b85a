import { describe, expect, it } from 'vitest';
import { canonicalJson, parseDocument } from '../canonical-json.ts';
import { sha256 } from '@noble/hashes/sha2.js';
import { hardTimeoutS, TYPE_LIMITS } from './limits.ts';
import { clashingPath, matchesPattern, pathProblem } from './paths.ts';
import { parseJobSpec, specHash } from './spec.ts';

const HASH = 'ab'.repeat(32);
const plain = { entry: { fn: 'sha256' }, inputs: [], kind: 'builtin', type: 'custom', v: 1 };
const container = {
  ...plain,
  kind: 'container',
  image: `ghcr.io/acme/infer@sha256:${HASH}`,
  entry: { cmd: ['python', '/job/in/run.py'] },
};

const codeOf = (spec: unknown): string | undefined => {
  const parsed = parseJobSpec(typeof spec === 'string' ? spec : JSON.stringify(spec));
  return parsed.ok ? undefined : `${parsed.error.code} ${parsed.error.where}`.trim();
};

describe('CM1 a spec is refused with a named code', () => {
  const input = (path: string): unknown => ({
    ...plain,
    inputs: [{ path, size: 1, sha256: HASH }],
  });
  it.each([
    ['an unknown member', { ...plain, colour: 'red' }, 'UNKNOWN_MEMBER colour'],
    ['one deep inside', { ...plain, entry: { fn: 'echo', x: 1 } }, 'UNKNOWN_MEMBER entry.x'],
    ['a float', JSON.stringify(plain).replace('"v":1', '"v":1.5'), 'NOT_CANONICAL'],
    [
      'an integer written as a float',
      JSON.stringify(plain).replace('"v":1', '"v":1.0'),
      'NOT_CANONICAL',
    ],
    ['a repeated key', JSON.stringify(plain).replace('"v":1', '"v":1,"v":1'), 'NOT_CANONICAL'],
    ['a lone surrogate', JSON.stringify(plain).replace('sha256', '\\ud800'), 'NOT_CANONICAL'],
    ['a wide integer', { ...plain, estimateS: 2 ** 53 }, 'NOT_CANONICAL'],
    ['no JSON', 'job', 'NOT_CANONICAL'],
    ['no object', [], 'BAD_VALUE'],
    ['a missing member', { ...plain, inputs: undefined }, 'MISSING_MEMBER inputs'],
    [
      'an image by tag',
      { ...container, image: 'ghcr.io/acme/infer:latest' },
      'IMAGE_NOT_PINNED image',
    ],
    ['a container without image', { ...container, image: undefined }, 'MISSING_MEMBER image'],
    ['an image of no container', { ...plain, image: container.image }, 'UNKNOWN_MEMBER image'],
    ['wasm without module', { ...plain, kind: 'wasm' }, 'MISSING_MEMBER module'],
    ['a builtin without function', { ...plain, entry: {} }, 'MISSING_MEMBER entry.fn'],
    [
      'a limit above its type',
      { ...plain, type: 'inference', limits: { timeoutS: 301 } },
      'LIMIT_OUT_OF_RANGE limits.timeoutS',
    ],
    [
      'a custom limit too low',
      { ...plain, limits: { memMiB: 63 } },
      'LIMIT_OUT_OF_RANGE limits.memMiB',
    ],
    [
      'a custom limit too high',
      { ...plain, limits: { pids: 4_097 } },
      'LIMIT_OUT_OF_RANGE limits.pids',
    ],
    [
      'an environment of the node',
      { ...plain, entry: { fn: 'echo', env: { LD_PRELOAD: 'x' } } },
      'RESERVED_ENV entry.env.LD_PRELOAD',
    ],
    ['a bad path', input('../secret'), 'BAD_PATH inputs.0.path'],
    [
      'a marker that is no expression',
      { ...plain, outputs: { marker: '(' } },
      'BAD_VALUE outputs.marker',
    ],
    ['a label of 201 bytes', { ...plain, label: 'é'.repeat(101) }, 'BAD_VALUE label'],
  ])('%s', (_, spec, code) => {
    expect(codeOf(spec)).toBe(code);
  });

  it('CM1 limits are completed by the type, before the hash', () => {
    const parsed = parseJobSpec(JSON.stringify({ ...plain, limits: { pids: 8 } }));
    expect(parsed.ok && parsed.value.limits).toEqual({ ...TYPE_LIMITS.custom, pids: 8 });
  });
});

it('path rules: thirty bad paths, and some good ones', () => {
  const bad = [
    '',
    '/',
    '/etc/passwd',
    '.',
    '..',
    './a',
    'a/.',
    'a/..',
    'a/../b',
    '../a',
    'a//b',
    'a/',
    '/a',
    '\\',
    'a\\b',
    '..\\a',
    'C:\\a',
    'a\0',
    'a\nb',
    'a\tb',
    '\u007f',
    'a\u0085',
    'a'.repeat(256),
    `${'a/'.repeat(512)}a`,
    'e\u0301',
    'a/e\u0301',
    '\ud800',
    'a/\udfff/b',
    'a/b/../../..',
    '...'.slice(0, 2),
  ];
  expect(bad.filter((path) => pathProblem(path) === undefined)).toEqual([]);
  expect(bad).toHaveLength(30);
  expect(['a', 'a/b.txt', '.hidden', '...', 'é', 'model/weights.bin'].map(pathProblem)).toEqual(
    Array.from({ length: 6 }),
  );
  expect(clashingPath(['a', 'b/c', 'A'])).toBe('A');
  expect(clashingPath(['a/b', 'A'])).toBe('a/b');
  expect(clashingPath(['a/b', 'a/c', 'ab'])).toBeUndefined();
});

it('patterns of outputs: * within a component, ** across them', () => {
  expect(matchesPattern('a/b/c.txt', ['**'])).toBe(true);
  expect(matchesPattern('a/b/c.txt', ['a/**/*.txt'])).toBe(true);
  expect(matchesPattern('a/c.txt', ['a/**/*.txt'])).toBe(true);
  expect(matchesPattern('a/c.txt', ['*'])).toBe(false);
  expect(matchesPattern('abab', ['ab*ab'])).toBe(true);
  expect(matchesPattern('aba', ['ab*ba'])).toBe(false);
});

it('CM2 canonical JSON and its hashes are those of the vectors, whatever the order of keys', () => {
  const vector = (value: unknown): string =>
    sha256(new TextEncoder().encode(canonicalJson(value))).toHex();
  expect(vector(plain)).toBe('393118dda24e63b29652d25b21e6f3594cf46ab39f87cc3756ae82860e76bb3e');
  const second = {
    verify: { mode: 'exact' },
    v: 1,
    type: 'inference',
    limits: { vramMiB: 8192, timeoutS: 300, memMiB: 8192, cpuMilli: 2000 },
    kind: 'container',
    inputs: [
      {
        size: 6,
        path: 'run.py',
        sha256: '495838ce053aa61ab3c39fa37937e9090d49a2caf4bf59ee360ff415ec60b984',
      },
    ],
    image: container.image,
    entry: { cmd: ['python', '/job/in/run.py'] },
  };
  expect(vector(second)).toBe('05a84749653f90b1b84436b95187c505af83b3450648ec917f5258830da38f94');
  const one = parseJobSpec(JSON.stringify(second));
  const other = parseJobSpec(
    JSON.stringify(Object.fromEntries(Object.entries(second).toReversed())),
  );
  expect(one.ok && other.ok && specHash(one.value) === specHash(other.value)).toBe(true);
  const text = canonicalJson({ b: [1, null, 'é"\n'], a: { '\u{1f600}': true, '\ufb33': false } });
  expect(text).toBe('{"a":{"\u{1f600}":true,"\ufb33":false},"b":[1,null,"é\\"\\n"]}');
  expect(parseDocument(text).ok).toBe(true);
  expect(() => canonicalJson(1.5)).toThrow(TypeError);
});

it("the hard timeout is the spec's, or half as much again as the estimate, at least 30 s", () => {
  expect(hardTimeoutS(300, undefined)).toBe(300);
  expect(hardTimeoutS(300, 120)).toBe(180);
  expect(hardTimeoutS(300, 250)).toBe(300);
  expect(hardTimeoutS(60, 1)).toBe(30);
});
