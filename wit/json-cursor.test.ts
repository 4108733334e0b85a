import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { option, record, text, tuple, u64, union, unit } from './codec.ts';
import { readJsonWith } from './codec-core.ts';
import { engineCursor } from './json-cursor.ts';
import { JsonReader } from './json-reader.ts';

const whole = (read: string): unknown => {
  const json = new JsonReader(read);
  const value = json.value();
  json.end();
  return value;
};

test('reads what the reader reads, of any document that the engine writes', () => {
  fc.assert(
    fc.property(fc.json(), (document) => {
      const compact = JSON.stringify(JSON.parse(document));
      const cursor = engineCursor(compact);
      if (cursor !== undefined) expect(cursor.value()).toEqual(whole(compact));
    }),
  );
});

test.each([
  '{"a":1,"a":2}',
  '{"a":1.0}',
  '[9007199254740993]',
  '[1e2]',
  '[-0]',
  '{"a": 1}',
  '[1]x',
  '[1',
  '"\\ud800"',
  '{"2":0,"1":0}',
])('leaves %s to the reader', (read) => {
  expect(engineCursor(read)).toBeUndefined();
});

test.each(['[9007199254740992]', '[0.5]', '[1e+21]', '[18446744073709552000]', '{"__proto__":1}'])(
  'reads %s as the reader does',
  (read) => expect(engineCursor(read)!.value()).toEqual(whole(read)),
);

test('a document that is too deep is refused', () => {
  const deep = `${'['.repeat(200)}${']'.repeat(200)}`;
  expect(() => engineCursor(deep)!.skip()).toThrow('recursion limit');
});

describe('codecs decode the same with it', () => {
  const codec = union({
    None: unit,
    Some: record({ a: text, b: option(u64), c: tuple(u64, text) }),
  });
  test.each([
    '"None"',
    '{"None":null}',
    '{"Some":{"a":"x","b":null,"c":[1,"y"]}}',
    '{"Some":{"c":[1,"y"],"z":{"q":[[]]},"a":"x"}}',
    '{"Some":["x",3,[4,""]]}',
    '{"Some":{"a":1}}',
    '{"Some":{"a":"x","c":[1]}}',
    '{"Some":{}}',
    '{}',
    '{"None":null,"Some":null}',
    '[]',
    '7',
  ])('%s', (read) => {
    const plain = codec.decode(read);
    readJsonWith(engineCursor);
    try {
      expect(codec.decode(read)).toEqual(plain);
    } finally {
      readJsonWith(() => undefined);
    }
  });
});
