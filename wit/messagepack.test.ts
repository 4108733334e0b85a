/** The wire's MessagePack against the mapping of networking.md §5, and against an independent encoder. */
import { decode, encode } from '@msgpack/msgpack';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { MessagePackReader, MessagePackWriter } from './messagepack.ts';
import { TextTable } from './text-table.ts';
import type { U64 } from './types.ts';

const hex = (text: string): Uint8Array => Uint8Array.fromHex(text.replaceAll(' ', ''));
const reader = (text: string): MessagePackReader => new MessagePackReader(hex(text));
function written(write: (writer: MessagePackWriter) => void): Uint8Array {
  const writer = new MessagePackWriter(4);
  write(writer);
  return writer.finish();
}
/** The value, or undefined when it was refused. */
function read<T>(text: string | Uint8Array, get: (from: MessagePackReader) => T): T | undefined {
  const from = new MessagePackReader(typeof text === 'string' ? hex(text) : text);
  const value = get(from);
  return from.failed ? undefined : value;
}

test('M190 integers take their shortest form and read back exactly, above 2^53 too', () => {
  const table: [U64, string][] = [
    [0, '00'],
    [127, '7f'],
    [128, 'cc80'],
    [255, 'ccff'],
    [256, 'cd0100'],
    [65_535, 'cdffff'],
    [65_536, 'ce00010000'],
    [2 ** 32 - 1, 'ceffffffff'],
    [2 ** 32, 'cf0000000100000000'],
    [2 ** 53 - 1, 'cf001fffffffffffff'],
    [2n ** 53n, 'cf0020000000000000'],
    [2n ** 64n - 1n, 'cfffffffffffffffff'],
  ];
  for (const [value, bytes] of table) {
    expect(written((writer) => writer.u64(value)).toHex()).toBe(bytes);
    expect(read(bytes, (from) => from.u64())).toBe(value);
  }
});

test('M196 any integer encoding of a value that is not negative is read; floats and negatives are not', () => {
  for (const seven of ['07', 'cc07', 'cd0007', 'ce00000007', 'cf0000000000000007'])
    expect(read(seven, (from) => from.u64())).toBe(7);
  for (const seven of ['d007', 'd10007', 'd200000007', 'd30000000000000007'])
    expect(read(seven, (from) => from.u64())).toBe(7);
  for (const bad of [
    'ff',
    'd0ff',
    'd1ffff',
    'd3ffffffffffffffff',
    'cb401c000000000000',
    'ca40e00000',
  ])
    expect(read(bad, (from) => from.u64())).toBeUndefined();
  expect(read('cf0000000100000000', (from) => from.u32())).toBeUndefined();
});

test('texts, `bin` that is UTF-8, and nothing else', () => {
  for (const length of [0, 1, 31, 32, 33, 255, 256, 65_536]) {
    const text = 'é'.repeat(length >> 1) + 'x'.repeat(length & 1);
    const bytes = written((writer) => writer.text(text));
    expect(decode(bytes)).toBe(text);
    expect(read(bytes, (from) => from.text())).toBe(text);
  }
  expect(read('c4026869', (from) => from.text())).toBe('hi');
  for (const bad of ['a2ff61', 'c402ff61', '07', 'c0', '926869', 'a3'])
    expect(read(bad, (from) => from.text())).toBeUndefined();
});

test('M196 byte vectors are lists of integers in any encoding, or `bin`; no text, no float, nothing above 255', () => {
  expect(read('9400 7f cc80 ccff', (from) => from.byteVector())).toEqual(hex('007f80ff'));
  expect(read('94 cc00 cd007f d10080 ce000000ff', (from) => from.byteVector())).toEqual(
    hex('007f80ff'),
  );
  expect(read('c404007f80ff', (from) => from.byteVector())).toEqual(hex('007f80ff'));
  expect(read('dd00000002 01 02', (from) => from.byteVector())).toEqual(hex('0102'));
  for (const bad of ['91cd0100', '91ff', '91c0', 'a26869', '92 01', 'dcffff01', 'ddffffffff', '80'])
    expect(read(bad, (from) => from.byteVector())).toBeUndefined();
});

test('M196 an unusual element anywhere in a long vector is read as the others are', () => {
  const plain = Uint8Array.from({ length: 20_000 }, (_, index) => (index * 7) & 0xff);
  const usual = written((writer) => writer.byteVector(plain));
  expect(read(usual, (from) => from.byteVector())).toEqual(plain);
  for (const at of [0, 4_095, 4_096, 19_998]) {
    const head = written((writer) => writer.list(20_000));
    const part = (from: number, to: number): Uint8Array =>
      written((writer) => writer.byteVector(plain.subarray(from, to)));
    const body = (bytes: Uint8Array, length: number): Uint8Array =>
      bytes.subarray(written((writer) => writer.list(length)).length);
    const odd = [0xcd, 0, plain[at]!];
    const bytes = Uint8Array.from([
      ...head,
      ...body(part(0, at), at),
      ...odd,
      ...body(part(at + 1, 20_000), 20_000 - at - 1),
    ]);
    expect(read(bytes, (from) => from.byteVector())).toEqual(plain);
    const bad = bytes.slice();
    bad[bytes.length - body(part(at + 1, 20_000), 20_000 - at - 1).length - 3] = 0xc0;
    expect(read(bad, (from) => from.byteVector())).toBeUndefined();
  }
});

test('passing over a value passes over all of it, however deep, and over nothing that is cut', () => {
  fc.assert(
    fc.property(fc.anything({ maxDepth: 4, withBigInt: false }), (value) => {
      let bytes: Uint8Array;
      try {
        bytes = encode(value, { ignoreUndefined: true });
      } catch {
        return; // Not every JavaScript value has a form.
      }
      const from = new MessagePackReader(bytes);
      from.skip();
      expect([from.failed, from.at]).toEqual([false, bytes.length]);
      if (bytes.length < 2) return;
      const cut = new MessagePackReader(bytes.subarray(0, -1));
      cut.skip();
      expect(cut.failed).toBe(true);
    }),
  );
  const deep = new Uint8Array(1_000_000).fill(0x91);
  deep[deep.length - 1] = 0xc0;
  expect(read(deep, (from) => (from.skip(), from.at))).toBe(1_000_000);
});

test('every marker is passed over as an independent decoder does', () => {
  const all: [string, number][] = [
    ['c0', 1],
    ['c2', 1],
    ['c403010203', 5],
    ['c50001ff', 4],
    ['c600000001ff', 6],
    ['c701aabb', 4],
    ['c80001aabb', 5],
    ['c900000001aabb', 7],
    ['ca00000000', 5],
    ['cb0000000000000000', 9],
    ['d4aa01', 3],
    ['d5aa0102', 4],
    ['d6aa01020304', 6],
    ['d7aa0102030405060708', 10],
    [`d8aa${'00'.repeat(16)}`, 18],
    ['d90168', 3],
    ['82a16101a162920203', 9],
  ];
  for (const [bytes, length] of all) {
    const from = reader(`${bytes}00`);
    from.skip();
    expect([bytes, from.failed, from.at]).toEqual([bytes, false, length]);
  }
  expect(read('c1', (from) => from.skip())).toBeUndefined();
  expect(reader('c1').peek()).toBe('end');
});

test('no bytes make the reader throw or read past the end', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      for (const get of [
        'skip',
        'u64',
        'text',
        'byteVector',
        'map',
        'list',
        'bool',
        'nil',
      ] as const) {
        const from = new MessagePackReader(bytes);
        from[get]();
        expect(from.failed || from.at <= bytes.length).toBe(true);
      }
    }),
    { numRuns: 2_000 },
  );
});

test('what is written reads back, here and elsewhere', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 70_000, size: 'max' }), (bytes) => {
      const vector = written((writer) => writer.byteVector(bytes));
      expect(Uint8Array.from(decode(vector) as number[])).toEqual(bytes);
      expect(read(vector, (from) => from.byteVector())).toEqual(bytes);
    }),
    { numRuns: 50 },
  );
  const mixed = written((writer) => {
    writer.map(3);
    for (const [name, write] of [
      ['nil', () => writer.nil()],
      ['yes', () => writer.bool(true)],
      ['no', () => writer.bool(false)],
    ] as const) {
      writer.text(name);
      write();
    }
  });
  expect(decode(mixed)).toEqual({ nil: null, yes: true, no: false });
});

test('a table of texts changes nothing that is read, whatever was read before', () => {
  const table = new TextTable();
  const texts = fc.oneof(
    fc.constantFrom('', 'Request', 'alice.os@a:b:c', 'a'.repeat(128), 'a'.repeat(129), 'ä'),
    fc.string({ unit: 'binary', maxLength: 40 }),
  );
  fc.assert(
    fc.property(fc.array(texts, { maxLength: 30 }), (many) => {
      // More than there are places, so that they are taken from each other.
      for (const text of [...many, ...many]) {
        const encoded = written((writer) => writer.text(text));
        expect(new MessagePackReader(encoded, undefined, table).text()).toBe(
          new MessagePackReader(encoded).text(),
        );
      }
    }),
  );
  // What is no UTF-8 fails, the second time too.
  for (const spoiled of ['a2c328', 'a2c328', 'a36162']) {
    const from = new MessagePackReader(hex(spoiled), undefined, table);
    from.text();
    expect(from.failed).toBe(true);
  }
});

test('a text comes out of the table, and one of the same place takes it', () => {
  const table = new TextTable();
  const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
  const find = (text: string) => table.find(bytes(text), 0, text.length);
  expect(find('one')).toBeUndefined();
  table.keep(bytes('one'), 0, 'one');
  expect(find('one')).toBe('one');
  for (let index = 0; index < 100_000; index++) table.keep(bytes(`${index}`), 0, `${index}`);
  expect(find('one')).toBeUndefined();
  expect(find('99999')).toBe('99999');
});

test('an address is written as its text is, whatever is in it', () => {
  const part = fc.oneof(fc.string({ maxLength: 90 }), fc.string({ unit: 'binary', maxLength: 20 }));
  fc.assert(
    fc.property(part, part, (head, tail) => {
      expect(written((writer) => writer.address(head, tail))).toEqual(
        written((writer) => writer.text(`${head}@${tail}`)),
      );
    }),
  );
});

test('a writer that starts again writes what a new one does', () => {
  const writer = new MessagePackWriter(8);
  writer.text('much longer than there was room for');
  writer.finish();
  writer.restart();
  writer.u64(300);
  expect(writer.finish()).toEqual(written((fresh) => fresh.u64(300)));
});
