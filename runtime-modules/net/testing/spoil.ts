/** Frames that are almost right: good ones with a change somewhere, or with any one field replaced by any kind of value. */
import { MessagePackReader, MessagePackWriter } from '../../../wit/messagepack.ts';

/** Bytes that mean something to MessagePack or to a length. */
const TELLING = [
  0x00, 0x01, 0x7f, 0x80, 0x90, 0xa0, 0xc0, 0xc1, 0xc4, 0xc6, 0xcb, 0xcf, 0xdb, 0xdd, 0xdf, 0xff,
];

function written(write: (writer: MessagePackWriter) => void): Uint8Array {
  const writer = new MessagePackWriter();
  write(writer);
  return writer.finish();
}

/** A value of every kind and at every edge; the last ones lie about what follows them. */
export const VALUES: readonly Uint8Array[] = [
  ...[0, 1, 2, 127, 128, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2n ** 53n, 2n ** 64n - 1n].map(
    (value) => written((writer) => writer.u64(value)),
  ),
  ...[
    '',
    'a',
    '@',
    'raw.os@a:b:c',
    'alice.os',
    '../../x:y:z',
    '\u0000\u001b[2J',
    'x'.repeat(300),
  ].map((text) => written((writer) => writer.text(text))),
  ...[0, 1, 31, 32, 33, 64, 65, 300].map((length) =>
    written((writer) => writer.byteVector(new Uint8Array(length).fill(200))),
  ),
  written((writer) => writer.bin(new Uint8Array(64))),
  written((writer) => writer.nil()),
  written((writer) => writer.bool(true)),
  written((writer) => writer.map(0)),
  Buffer.from('92c0c0', 'hex'),
  Buffer.from('81a178c0', 'hex'),
  // A negative number, floats, an extension; a text that is no UTF-8.
  ...['ff', 'd080', 'ca00000000', 'cb0000000000000000', 'c70000', 'a2c328'].map((hex) =>
    Buffer.from(hex, 'hex'),
  ),
  // Lists, maps, texts and bytes of four billion.
  ...['ddffffffff', 'dfffffffff', 'dbffffffff', 'c6ffffffff', 'dcffff', 'deffff', 'c1'].map((hex) =>
    Buffer.from(hex, 'hex'),
  ),
];

/** Where every value in a frame starts and ends, those inside of others included. */
export function fieldsOf(frame: Uint8Array): readonly (readonly [from: number, to: number])[] {
  const fields: [number, number][] = [];
  const reader = new MessagePackReader(frame);
  const value = (): void => {
    const from = reader.at;
    const kind = reader.peek();
    if (kind === 'end') {
      reader.failed = true;
      return;
    }
    if (kind === 'list' || kind === 'map')
      for (let left = kind === 'list' ? reader.list() : 2 * reader.map(); left > 0; left--) value();
    else reader.skip();
    if (!reader.failed) fields.push([from, reader.at]);
  };
  while (reader.at < frame.length && !reader.failed) value();
  return fields;
}

/** The frame with one of its fields replaced. */
export function replaced(
  frame: Uint8Array,
  [from, to]: readonly [number, number],
  by: Uint8Array,
): Uint8Array {
  return Buffer.concat([frame.subarray(0, from), by, frame.subarray(to)]);
}

/** One to four changes: a bit, a telling byte, a piece cut out, a piece twice, the end gone, bytes added; or a field replaced. */
export function spoiled(good: Uint8Array, random: () => number): Uint8Array {
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!;
  const fields = random() < 0.3 ? fieldsOf(good) : [];
  if (fields.length > 0) return replaced(good, pick(fields), pick(VALUES));
  let bytes = Buffer.from(good);
  const at = (): number => Math.floor(random() * (bytes.length + 1));
  for (let changes = 1 + Math.floor(random() * 4); changes > 0; changes--) {
    const [from, to] = [at(), at()].toSorted((a, b) => a - b) as [number, number];
    const kind = Math.floor(random() * 6);
    if (kind === 0 && from < bytes.length)
      bytes[from] = bytes[from]! ^ (1 << Math.floor(random() * 8));
    else if (kind === 1 && from < bytes.length) bytes[from] = pick(TELLING);
    else if (kind === 2) bytes = Buffer.concat([bytes.subarray(0, from), bytes.subarray(to)]);
    else if (kind === 3) bytes = Buffer.concat([bytes.subarray(0, to), bytes.subarray(from)]);
    else if (kind === 4) bytes = bytes.subarray(0, from);
    else bytes = Buffer.concat([bytes, Buffer.alloc(Math.floor(random() * 8), 0xc1)]);
  }
  return bytes;
}
