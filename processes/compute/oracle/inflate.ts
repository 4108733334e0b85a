/** Decompression of DEFLATE (RFC 1951), for guests, which have none. Never throws, and never makes more than it is told to. */

const LENGTH_BASE = [
  3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131,
  163, 195, 227, 258,
];
const LENGTH_EXTRA = [
  0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0,
];
const DISTANCE_BASE = [
  1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049,
  3073, 4097, 6145, 8193, 12289, 16385, 24577,
];
const DISTANCE_EXTRA = [
  0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13,
];
const ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
const BITS_MAX = 15;

/** Thrown inside this file: the bytes are no DEFLATE, or too many come out. */
class Broken extends Error {}

/** How many codes of each length there are, and their symbols in order. */
interface Codes {
  readonly counts: Uint16Array;
  readonly symbols: Uint16Array;
}

/** @returns undefined for bytes that are damaged, or make more than `bytesMax` */
export function inflate(bytes: Uint8Array, bytesMax: number): Uint8Array | undefined {
  try {
    return new Inflater(bytes, bytesMax).run();
  } catch (error) {
    if (error instanceof Broken) return undefined;
    throw error;
  }
}

class Inflater {
  readonly #in: Uint8Array;
  readonly #out: Uint8Array;
  #at = 0;
  #bit = 0;
  #made = 0;

  constructor(bytes: Uint8Array, bytesMax: number) {
    this.#in = bytes;
    this.#out = new Uint8Array(bytesMax);
  }

  run(): Uint8Array {
    for (let last = 0; last === 0;) {
      last = this.#bits(1);
      const kind = this.#bits(2);
      if (kind === 0) this.#stored();
      else if (kind === 1) this.#compressed(FIXED_LENGTHS, FIXED_DISTANCES);
      else if (kind === 2) this.#dynamic();
      else throw new Broken();
    }
    return this.#out.subarray(0, this.#made);
  }

  #bits(count: number): number {
    let value = 0;
    for (let index = 0; index < count; index += 1) {
      const byte = this.#in[this.#at];
      if (byte === undefined) throw new Broken();
      value |= ((byte >> this.#bit) & 1) << index;
      this.#bit += 1;
      if (this.#bit === 8) {
        this.#bit = 0;
        this.#at += 1;
      }
    }
    return value;
  }

  #put(byte: number): void {
    if (this.#made === this.#out.length) throw new Broken();
    this.#out[this.#made++] = byte;
  }

  #stored(): void {
    if (this.#bit > 0) {
      this.#bit = 0;
      this.#at += 1;
    }
    const length = this.#bits(16);
    if ((length ^ this.#bits(16)) !== 0xffff) throw new Broken();
    for (let index = 0; index < length; index += 1) this.#put(this.#bits(8));
  }

  #dynamic(): void {
    const [lengths, distances, codes] = [this.#bits(5) + 257, this.#bits(5) + 1, this.#bits(4) + 4];
    const ofCodes = new Uint8Array(19);
    for (let index = 0; index < codes; index += 1) ofCodes[ORDER[index]!] = this.#bits(3);
    const meta = codesOf(ofCodes);
    const all = new Uint8Array(lengths + distances);
    for (let at = 0; at < all.length;) {
      const symbol = this.#symbol(meta);
      if (symbol < 16) {
        all[at++] = symbol;
        continue;
      }
      if (symbol === 16 && at === 0) throw new Broken();
      const value = symbol === 16 ? all[at - 1]! : 0;
      const times =
        symbol === 16 ? 3 + this.#bits(2) : symbol === 17 ? 3 + this.#bits(3) : 11 + this.#bits(7);
      if (at + times > all.length) throw new Broken();
      all.fill(value, at, at + times);
      at += times;
    }
    this.#compressed(codesOf(all.subarray(0, lengths)), codesOf(all.subarray(lengths)));
  }

  #compressed(lengths: Codes, distances: Codes): void {
    for (;;) {
      const symbol = this.#symbol(lengths);
      if (symbol === 256) return;
      if (symbol < 256) {
        this.#put(symbol);
        continue;
      }
      const base = LENGTH_BASE[symbol - 257];
      if (base === undefined) throw new Broken();
      const length = base + this.#bits(LENGTH_EXTRA[symbol - 257]!);
      const far = this.#symbol(distances);
      const start = DISTANCE_BASE[far];
      if (start === undefined) throw new Broken();
      const distance = start + this.#bits(DISTANCE_EXTRA[far]!);
      if (distance > this.#made) throw new Broken();
      for (let index = 0; index < length; index += 1) this.#put(this.#out[this.#made - distance]!);
    }
  }

  /** Bit by bit: a code of each length is above those that are shorter. */
  #symbol({ counts, symbols }: Codes): number {
    let code = 0;
    let first = 0;
    let index = 0;
    for (let length = 1; length <= BITS_MAX; length += 1) {
      code |= this.#bits(1);
      const count = counts[length]!;
      if (code - count < first) return symbols[index + code - first]!;
      index += count;
      first = (first + count) << 1;
      code <<= 1;
    }
    throw new Broken();
  }
}

function codesOf(lengths: Uint8Array): Codes {
  const counts = new Uint16Array(BITS_MAX + 1);
  for (const length of lengths) counts[length]! += 1;
  counts[0] = 0;
  const offsets = new Uint16Array(BITS_MAX + 2);
  for (let length = 1; length <= BITS_MAX; length += 1)
    offsets[length + 1] = offsets[length]! + counts[length]!;
  const symbols = new Uint16Array(lengths.length);
  for (const [symbol, length] of lengths.entries())
    if (length !== 0) symbols[offsets[length]!++] = symbol;
  return { counts, symbols };
}

const FIXED_LENGTHS = codesOf(
  Uint8Array.from({ length: 288 }, (_, symbol) =>
    symbol < 144 ? 8 : symbol < 256 ? 9 : symbol < 280 ? 7 : 8,
  ),
);
const FIXED_DISTANCES = codesOf(new Uint8Array(30).fill(5));
