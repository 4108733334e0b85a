import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  bool,
  bytes,
  dictionary,
  f64,
  i64,
  json,
  jsonText,
  list,
  option,
  record,
  text,
  tuple,
  u64,
  u8,
  union,
  unit,
  type Codec,
  type Decoded,
} from './codec.ts';

const sample = record({ path: text, size: option(u64), flag: bool });
const action = union({
  Read: unit,
  OpenFile: record({ create: bool }),
  SetLen: u64,
  Pair: tuple(u8, text),
});

function value<T>(codec: Codec<T>, input: string): T {
  const result = codec.decode(input);
  if (!result.ok) throw new Error(`${result.error.path}: ${result.error.expected}`);
  return result.value;
}
function refusal<T>(codec: Codec<T>, input: string | Uint8Array): string {
  const result = codec.decode(input);
  return result.ok ? 'accepted' : `${result.error.path}: ${result.error.expected}`;
}

function wide(min: bigint, max: bigint): fc.Arbitrary<number | bigint> {
  return fc.bigInt(min, max).map((n) => (Number.isSafeInteger(Number(n)) ? Number(n) : n));
}

test('M1 unknown fields are ignored and missing options read as undefined', () => {
  expect(value(sample, '{"x":[{"y":1}],"path":"p","flag":true,"x":2}')).toEqual({
    path: 'p',
    size: undefined,
    flag: true,
  });
  expect(value(sample, '{"path":"p","size":null,"flag":false}').size).toBeUndefined();
  expect(refusal(sample, '{"path":"p"}')).toBe('flag: bool');
});

test('M2 trailing text after the value is refused, white space is not', () => {
  expect(refusal(action, '"Read"x')).toContain('trailing');
  expect(refusal(action, '"Read" "Read"')).toContain('trailing');
  expect(value(action, ' \n"Read"\t\r\n').kind).toBe('Read');
});

test('M2 a repeated known field is refused', () => {
  expect(refusal(sample, '{"path":"p","path":"p","flag":true}')).toBe('path: one such field');
});

test('M3 structs are accepted as positional arrays of exact length', () => {
  expect(value(sample, '["p",7,true]')).toEqual({ path: 'p', size: 7, flag: true });
  expect(refusal(sample, '["p",7]')).toContain('array of 3');
  expect(refusal(sample, '["p",7,true,1]')).toContain('array of 3');
  expect(value(action, '{"OpenFile":[true]}')).toEqual({
    kind: 'OpenFile',
    value: { create: true },
  });
});

test('M3 unions: bare names for unit variants only, one key only, path of the mismatch', () => {
  expect(value(action, '"Read"')).toEqual(value(action, '{"Read":null}'));
  expect(refusal(action, '"SetLen"')).not.toBe('accepted');
  expect(refusal(action, '{"Read":1}')).toBe('Read: null');
  expect(refusal(action, '{"Read":null,"SetLen":1}')).not.toBe('accepted');
  expect(refusal(action, '{}')).not.toBe('accepted');
  expect(refusal(action, '"read"')).not.toBe('accepted');
  expect(refusal(action, '{"Pair":[1,2]}')).toBe('Pair.1: text');
});

test('M3 number classes: a fraction or a sign is no unsigned integer, 64 bits survive', () => {
  expect(refusal(u64, '1.0')).toBe(': u64');
  expect(refusal(u64, '1e3')).toBe(': u64');
  expect(refusal(u64, '-1')).toBe(': u64');
  expect(refusal(u64, '-0')).toBe(': u64');
  expect(value(u64, '9007199254740991')).toBe(9007199254740991);
  expect(value(u64, '9007199254740993')).toBe(9007199254740993n);
  expect(value(u64, '18446744073709551615')).toBe(18446744073709551615n);
  expect(refusal(u64, '18446744073709551616')).toBe(': u64');
  expect(value(i64, '-9223372036854775808')).toBe(-9223372036854775808n);
  expect(refusal(i64, '9223372036854775808')).toBe(': i64');
  expect(refusal(u8, '256')).toBe(': u8');
  expect(value(f64, '1')).toBe(1);
  expect(f64.stringify(1)).toBe('1.0');
  for (const bad of ['01', '1.', '.5', '+1', '1e', 'NaN', '1e999', '0x1', '1_0'])
    expect(refusal(f64, bad), bad).not.toBe('accepted');
});

test('M3 texts: escapes, lone surrogates, control characters, invalid UTF-8, byte-order mark', () => {
  expect(value(text, String.raw`"a\n\"\\\/é😀z"`)).toBe('a\n"\\/é😀z');
  expect(refusal(text, String.raw`"\ud800"`)).not.toBe('accepted');
  expect(refusal(text, '"a\u0001"')).not.toBe('accepted');
  expect(refusal(text, '"abc')).not.toBe('accepted');
  expect(refusal(text, String.raw`"\x"`)).not.toBe('accepted');
  expect(refusal(text, new Uint8Array([0x22, 0xff, 0x22]))).toBe(': UTF-8');
  expect(refusal(text, new Uint8Array([0xef, 0xbb, 0xbf, 0x22, 0x22]))).not.toBe('accepted');
  expect(value(text, JSON.stringify('x\n'.repeat(1_000_000)))).toHaveLength(2_000_000);
});

test('M3 nesting beyond 127 levels is refused, not a stack overflow', () => {
  expect(refusal(json, '['.repeat(127) + ']'.repeat(127))).toBe('accepted');
  expect(refusal(json, '['.repeat(128) + ']'.repeat(128))).toContain('recursion');
  expect(refusal(json, '['.repeat(1_000_000))).toContain('recursion');
  expect(refusal(jsonText, '['.repeat(127) + ']'.repeat(127))).toBe('accepted');
  expect(refusal(jsonText, '['.repeat(1_000_000))).toContain('recursion');
});

test('M1 bytes, lists and dictionaries', () => {
  expect(value(bytes, '[0,255,7]')).toEqual(new Uint8Array([0, 255, 7]));
  expect(refusal(bytes, '[0,256]')).toBe('1: u8');
  expect(refusal(list(sample), '[{"path":1}]')).toBe('0.path: text');
  expect(value(dictionary(u8), '{"a":1,"a":2,"__proto__":3}')).toEqual(
    new Map([
      ['a', 2],
      ['__proto__', 3],
    ]),
  );
});

test('M1 generated values survive encode and decode', () => {
  const everything = record({
    t: text,
    o: option(text),
    n: u64,
    i: i64,
    f: f64,
    b: bytes,
    l: list(tuple(bool, u8)),
    a: action,
    d: dictionary(option(u8)),
  });
  const wellFormed = fc.string({ unit: 'binary' });
  const arbitrary: fc.Arbitrary<Decoded<typeof everything>> = fc.record({
    t: wellFormed,
    o: fc.option(wellFormed, { nil: undefined }),
    n: wide(0n, 2n ** 64n - 1n),
    i: wide(-(2n ** 63n), 2n ** 63n - 1n),
    f: fc.double({ noNaN: true, noDefaultInfinity: true }),
    b: fc.uint8Array({ maxLength: 20 }),
    l: fc.array(fc.tuple(fc.boolean(), fc.nat(255))),
    a: fc.oneof(
      fc.constant({ kind: 'Read', value: undefined } as const),
      fc.nat().map((n) => ({ kind: 'SetLen', value: n }) as const),
      fc.boolean().map((create) => ({ kind: 'OpenFile', value: { create } }) as const),
    ),
    d: fc
      .array(fc.tuple(wellFormed, fc.option(fc.nat(255), { nil: undefined })))
      .map((entries) => new Map(entries)),
  });
  fc.assert(
    fc.property(arbitrary, (original) => {
      const decoded = everything.decode(everything.encode(original));
      expect(decoded).toEqual({ ok: true, value: original });
    }),
  );
});

test('M2 the parser accepts what JSON.parse accepts and nothing else (but lone surrogates)', () => {
  const documents = fc.oneof(
    fc.json(),
    fc.json({ noUnicodeString: false }).map((each) => each.slice(0, -1)),
    fc
      .tuple(fc.json(), fc.nat(), fc.constantFrom(...'{}[]",:\\0-1.eEtfn \u0000'.split('')))
      .map(
        ([each, at, character]) =>
          each.slice(0, at % each.length) + character + each.slice((at % each.length) + 1),
      ),
  );
  fc.assert(
    fc.property(documents, (document) => {
      let theirs = true;
      try {
        JSON.parse(document);
      } catch {
        theirs = false;
      }
      const ours = json.decode(document);
      // What is passed on unread is judged alike, and is the text it was.
      const unread = jsonText.decode(document);
      if (ours.ok) expect(unread).toEqual({ ok: true, value: document.trim() });
      else expect(unread).toEqual(ours);
      if (!ours.ok && /surrogate|out of range/.test(ours.error.expected)) return;
      expect(ours.ok, document).toBe(theirs);
      if (ours.ok) expect(JSON.parse(json.stringify(ours.value))).toEqual(JSON.parse(document));
    }),
    { numRuns: 2000 },
  );
});
