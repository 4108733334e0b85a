import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  canonicalParams,
  capabilityKey,
  formatJson,
  JSON_DEPTH_MAX,
  JsonFloat,
  parseJson,
  type JsonValue,
} from './json.ts';
import { address } from './address.ts';

describe('K60 params are equal as JSON values', () => {
  const equal: [string, string][] = [
    ['{"a":1,"b":2}', '{"b":2,"a":1}'],
    ['{"a":1,"a":2}', '{"a":2}'],
    [' [1 , 2] ', '[1,2]'],
    ['"\\u0061"', '"a"'],
    ['1.0', '1.00'],
    ['1e2', '100.0'],
    ['-0', '-0.0'],
    ['-0', '0.0'],
    ['nonsense', 'null'],
    ['', 'null'],
    ['{"a":1} x', 'null'],
    ['[1,]', '01'],
    ['"\\ud800"', 'null'],
    ['18446744073709551616', '18446744073709551616.0'],
    ['1e999', 'null'],
  ];
  for (const [a, b] of equal) {
    test(`K60 ${a} equals ${b}`, () => {
      expect(canonicalParams(a)).toBe(canonicalParams(b));
    });
  }
  const different: [string, string][] = [
    ['1', '1.0'],
    ['0', '-0'],
    ['[1,2]', '[2,1]'],
    ['"1"', '1'],
    ['9007199254740993', '9007199254740992'],
    ['18446744073709551615', '18446744073709551614'],
    ['-9223372036854775808', '-9223372036854775807'],
    ['{"a":null}', '{}'],
    ['"null"', 'null'],
  ];
  for (const [a, b] of different) {
    test(`K60 ${a} differs from ${b}`, () => {
      expect(canonicalParams(a)).not.toBe(canonicalParams(b));
    });
  }
});

test('K60 nesting: the limit itself is read, one level more is no JSON', () => {
  const nested = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);
  expect(parseJson(nested(JSON_DEPTH_MAX))).toBeDefined();
  expect(parseJson(nested(JSON_DEPTH_MAX + 1))).toBeUndefined();
  // Through the slow parser too, which a float anywhere makes necessary.
  expect(parseJson(`[1.5,${nested(JSON_DEPTH_MAX - 1)}]`)).toBeDefined();
  expect(parseJson(`[1.5,${nested(JSON_DEPTH_MAX)}]`)).toBeUndefined();
  expect(parseJson('['.repeat(1_000_000))).toBeUndefined();
});

test('K60 a key named __proto__ is a key', () => {
  expect(canonicalParams('{"__proto__":1}')).toBe('{"__proto__":1}');
  expect(canonicalParams('{"__proto__":1.5}')).toBe('{"__proto__":1.5}');
});

test('K60 invalid UTF-8 and a byte order mark are no JSON', () => {
  expect(parseJson(Uint8Array.of(0x22, 0xff, 0x22))).toBeUndefined();
  expect(parseJson(Uint8Array.of(0xef, 0xbb, 0xbf, 0x31))).toBeUndefined();
});

test('K60 many different params do not grow the cache without bound, and stay right', () => {
  for (let n = 0; n < 3_000; n++) expect(canonicalParams(`{"n":${n}}`)).toBe(`{"n":${n}}`);
});

test('K60 capabilities of different issuers differ', () => {
  const key = (issuer: string, params: string): string =>
    capabilityKey({ issuer: address(issuer), params });
  expect(key('a.os@p:q:r', '"x"')).not.toBe(key('b.os@p:q:r', '"x"'));
  expect(key('a.os@p:q:r', '{"b":1,"a":2}')).toBe(key('a.os@p:q:r', '{"a":2,"b":1}'));
});

test('K122 formatting sorts keys on request and keeps the class of numbers', () => {
  const value = parseJson('{"b":1.0,"a":[18446744073709551615,-0]}');
  expect(value).toBeDefined();
  expect(formatJson(value as JsonValue)).toBe('{"b":1.0,"a":[18446744073709551615,-0.0]}');
  expect(formatJson(value as JsonValue, { sortKeys: true })).toBe(
    '{"a":[18446744073709551615,-0.0],"b":1.0}',
  );
});

const leaf = fc.oneof(
  fc.constant(null),
  fc.boolean(),
  fc.string({ unit: 'binary' }),
  fc.integer(),
  fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n - 1n }),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => new JsonFloat(value)),
);
const tree: fc.Arbitrary<JsonValue> = fc.letrec<{ value: JsonValue }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    leaf,
    fc.array(tie('value')),
    fc.dictionary(fc.string(), tie('value')),
  ),
})).value;

test('K60 what is formatted is read back as the same value', () => {
  fc.assert(
    fc.property(tree, (value) => {
      const text = formatJson(value);
      const back = parseJson(text);
      expect(back).toBeDefined();
      expect(formatJson(back as JsonValue)).toBe(text);
      expect(canonicalParams(text)).toBe(canonicalParams(formatJson(value, { sortKeys: true })));
    }),
  );
});

test('K60 the fast path and the parser agree on any text', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      // A float beside the text keeps it off the fast path.
      const slow = parseJson(`[1.5,${text}]`);
      let expected: JsonValue | undefined;
      try {
        expected = JSON.parse(`[1,${text}]`) as JsonValue;
      } catch {
        expected = undefined;
      }
      expect(slow === undefined).toBe(expected === undefined);
    }),
  );
});
