import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  address,
  formatAddress,
  isSafePackageId,
  isSafeProcessId,
  packageOf,
  parseAddress,
  parsePackageId,
  parseProcessId,
  splitProcessId,
} from './address.ts';

describe('K1 process ids', () => {
  const cases: [string, string | undefined][] = [
    ['a:b:c', undefined],
    ['A_b:ü:x y', undefined],
    ['a:b', 'MissingField'],
    ['a:b:c:d', 'TooManyColons'],
    ['a::c', 'MissingField'],
    [':b:c', 'MissingField'],
    ['a:b:', 'MissingField'],
    ['', 'MissingField'],
  ];
  for (const [text, error] of cases) {
    test(`K1 ${JSON.stringify(text)} is ${error ?? 'accepted'}`, () => {
      const parsed = parseProcessId(text);
      expect(parsed.ok ? undefined : parsed.error).toBe(error);
    });
  }
});

describe('K2 addresses', () => {
  const cases: [string, string | undefined][] = [
    ['n@a:b:c', undefined],
    ['a:b:c', 'MissingNodeId'],
    ['@a:b:c', 'MissingNodeId'],
    ['n@m@a:b:c', 'TooManyAts'],
    ['n@a:b', 'MissingField'],
    ['n@a:b:c:d', 'TooManyColons'],
    ['n@', 'MissingField'],
    ['', 'MissingNodeId'],
  ];
  for (const [text, error] of cases) {
    test(`K2 ${JSON.stringify(text)} is ${error ?? 'accepted'}`, () => {
      const parsed = parseAddress(text);
      expect(parsed.ok ? undefined : parsed.error).toBe(error);
    });
  }

  test('K2 what is parsed formats back, and its parts are found', () => {
    const segment = fc.string({ minLength: 1 }).filter((text) => !/[:@]/.test(text));
    fc.assert(
      fc.property(segment, segment, segment, segment, (node, process, pkg, publisher) => {
        const text = `${node}@${process}:${pkg}:${publisher}`;
        const parsed = parseAddress(text);
        if (!parsed.ok) throw new Error(parsed.error);
        expect(formatAddress(parsed.value)).toBe(text);
        expect(splitProcessId(parsed.value.process)).toEqual({ process, package: pkg, publisher });
        expect(packageOf(parsed.value.process)).toBe(`${pkg}:${publisher}`);
      }),
    );
  });

  test('K2 a literal that is wrong is a bug', () => {
    expect(() => address('nowhere')).toThrow(/nowhere.*MissingNodeId/);
  });
});

test('K1 package ids have two parts', () => {
  expect(parsePackageId('a:b').ok).toBe(true);
  expect(parsePackageId('a')).toEqual({ ok: false, error: 'MissingField' });
  expect(parsePackageId('a:b:c')).toEqual({ ok: false, error: 'TooManyColons' });
});

test('K4 safe ids: lower case, digits, hyphens, and dots in the publisher only', () => {
  for (const id of ['a:b:c', 'a-1:b-2:c.d-3']) expect(isSafeProcessId(id)).toBe(true);
  for (const id of ['A:b:c', 'a_b:p:q', 'a.b:p:q', 'a:p.q:r', 'a:b', 'a:b:c\n', 'ä:b:c']) {
    expect(isSafeProcessId(id)).toBe(false);
  }
  expect(isSafePackageId('chess:sys.os')).toBe(true);
  expect(isSafePackageId('che.ss:sys')).toBe(false);
});
