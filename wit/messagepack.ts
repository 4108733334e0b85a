/**
 * The part of MessagePack that the Hyperware wire uses, as rmp-serde reads and writes it (networking.md §5): byte vectors are lists of
 * integers, integers take their shortest form; reading also takes what its decoder takes. Runs in guests: imports nothing of the host.
 */
import { plainVectors, type VectorCodec } from './byte-vectors.ts';
import type { TextTable } from './text-table.ts';
import type { U64 } from './types.ts';

/** Texts up to this are assembled here: field names, which a decoder call would cost more than. */
const SHORT_TEXT_BYTES = 32;
const SAFE_HIGH_WORD = 2 ** 21;

/** What comes next in a message; `end` when nothing does, or a byte that starts no value. */
export type MessagePackKind =
  | 'nil'
  | 'bool'
  | 'integer'
  | 'float'
  | 'text'
  | 'bytes'
  | 'list'
  | 'map'
  | 'extension'
  | 'end';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Reads one value after another. What is asked for and not there makes `failed` true, and all that is returned from then on means
 * nothing: callers look once, at the end. Never throws and never reads or allocates beyond what the message holds.
 */
export class MessagePackReader {
  readonly #bytes: Uint8Array;
  readonly #vectors: VectorCodec;
  readonly #texts: TextTable | undefined;
  #at = 0;
  failed = false;

  /** `vectors`: what reads lists of integers that are byte vectors. `texts`: those that came before, for readers whose texts come again. */
  constructor(bytes: Uint8Array, vectors: VectorCodec = plainVectors, texts?: TextTable) {
    this.#bytes = bytes;
    this.#vectors = vectors;
    this.#texts = texts;
  }

  /** Bytes read so far. */
  get at(): number {
    return this.#at;
  }

  peek(): MessagePackKind {
    const byte = this.#bytes[this.#at];
    if (byte === undefined || byte === 0xc1) return 'end';
    if (byte < 0x80 || byte >= 0xe0) return 'integer';
    if (byte < 0x90) return 'map';
    if (byte < 0xa0) return 'list';
    if (byte < 0xc0) return 'text';
    return MARKERS[byte - 0xc0] ?? 'end';
  }

  /** Entries of the map that starts here. */
  map(): number {
    return this.#length(0x80, 0xde, 0xdf);
  }

  /** Elements of the list that starts here. */
  list(): number {
    return this.#length(0x90, 0xdc, 0xdd);
  }

  nil(): void {
    if (this.#byte() !== 0xc0) this.failed = true;
  }

  bool(): boolean {
    const byte = this.#byte();
    if (byte !== 0xc2 && byte !== 0xc3) this.failed = true;
    return byte === 0xc3;
  }

  /** An unsigned integer in any encoding that is not a float. */
  u64(): U64 {
    const byte = this.#byte();
    if (byte < 0x80) return byte;
    switch (byte) {
      case 0xcc:
        return this.#byte();
      case 0xcd:
        return this.#unsigned(2);
      case 0xce:
        return this.#unsigned(4);
      case 0xcf:
        return this.#unsigned64();
      case 0xd0:
        return this.#positive(1);
      case 0xd1:
        return this.#positive(2);
      case 0xd2:
        return this.#positive(4);
      case 0xd3:
        return this.#positive(8);
      default:
        this.failed = true;
        return 0;
    }
  }

  u32(): number {
    const value = this.u64();
    if (value > 0xffff_ffff) this.failed = true;
    return Number(value);
  }

  /** A text; also `bin` that is UTF-8. */
  text(): string {
    if (this.#texts !== undefined) return this.#known(this.#texts);
    const length = this.#rawLength(true);
    const at = this.#take(length);
    if (this.failed) return '';
    const bytes = this.#bytes;
    const end = at + length;
    if (length > SHORT_TEXT_BYTES) return this.#decoded(bytes.subarray(at, end));
    let text = '';
    for (let index = at; index < end; index++) {
      const byte = bytes[index]!;
      if (byte >= 0x80) return this.#decoded(bytes.subarray(at, end));
      text += String.fromCharCode(byte);
    }
    return text;
  }

  /** A byte vector: a list of integers, which is copied, or `bin`, of which a view is returned. */
  byteVector(): Uint8Array {
    if (this.peek() === 'bytes') return this.#raw(false);
    const length = this.list();
    if (this.failed) return EMPTY;
    const out = new Uint8Array(length);
    let done = 0;
    while (done < length && !this.failed) {
      // No more than can all be long in what is left of the message; at its end that halves from block to block.
      const room = Math.max(1, (this.#bytes.length - this.#at) >>> 1);
      const block = Math.min(this.#vectors.blockElements, length - done, room);
      const end =
        2 * block <= this.#bytes.length - this.#at
          ? this.#vectors.read(this.#bytes, this.#at, out.subarray(done, done + block))
          : undefined;
      // Some unusual form: each is looked at.
      if (end === undefined) this.#oneByOne(out, done, block);
      else this.#at = end;
      done += block;
    }
    return out;
  }

  /** Passes over one value, whatever is in it. */
  skip(): void {
    // Counted instead of recursive: the sender chooses the depth.
    for (let values = 1; values > 0 && !this.failed; values--) {
      const kind = this.peek();
      if (kind === 'list') values += this.list();
      else if (kind === 'map') values += 2 * this.map();
      else if (kind === 'text' || kind === 'bytes') this.#raw(true);
      else this.#scalar();
    }
  }

  /** The byte here, after which the next thing is read; fails at the end. */
  #byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) this.failed = true;
    return byte ?? 0;
  }

  #unsigned(bytes: 1 | 2 | 4): number {
    const at = this.#take(bytes);
    if (this.failed) return 0;
    let value = 0;
    for (let index = at; index < at + bytes; index++)
      value = value * 0x100 + (this.#bytes[index] ?? 0);
    return value;
  }

  #unsigned64(): U64 {
    const high = this.#unsigned(4);
    const low = this.#unsigned(4);
    if (this.failed) return 0;
    if (high < SAFE_HIGH_WORD) return high * 2 ** 32 + low;
    return (BigInt(high) << 32n) | BigInt(low);
  }

  /** A signed encoding of a value that is not negative. */
  #positive(bytes: 1 | 2 | 4 | 8): U64 {
    if ((this.#bytes[this.#at] ?? 0) >= 0x80) this.failed = true;
    return bytes === 8 ? this.#unsigned64() : this.#unsigned(bytes);
  }

  /** A length of `fix` plus the low bits of one byte, of 16 bits after `wide`, or of 32 bits after `widest`. */
  #length(fix: number, wide: number, widest: number): number {
    const byte = this.#byte();
    let length = 0;
    if ((byte & 0xf0) === fix) length = byte & 0x0f;
    else if (byte === wide) length = this.#unsigned(2);
    else if (byte === widest) length = this.#unsigned(4);
    else this.failed = true;
    // Every element takes a byte, so no length beyond the message is allocated or looped over.
    if (length > this.#bytes.length - this.#at) this.failed = true;
    return this.failed ? 0 : length;
  }

  /** The contents of a `bin`, and with `text` of a `str`. */
  #raw(text: boolean): Uint8Array {
    const length = this.#rawLength(text);
    const at = this.#take(length);
    return this.failed ? EMPTY : this.#bytes.subarray(at, at + length);
  }

  #rawLength(text: boolean): number {
    const byte = this.#byte();
    let length = 0;
    if (text && byte >= 0xa0 && byte < 0xc0) length = byte & 0x1f;
    else if (byte === 0xc4 || (text && byte === 0xd9)) length = this.#byte();
    else if (byte === 0xc5 || (text && byte === 0xda)) length = this.#unsigned(2);
    else if (byte === 0xc6 || (text && byte === 0xdb)) length = this.#unsigned(4);
    else this.failed = true;
    return length;
  }

  /** A text out of the table, or into it. */
  #known(texts: TextTable): string {
    const length = this.#rawLength(true);
    const at = this.#take(length);
    if (this.failed) return '';
    return (
      texts.find(this.#bytes, at, length) ??
      texts.keep(this.#bytes, at, this.#decoded(this.#bytes.subarray(at, at + length)))
    );
  }

  /** Where `length` bytes start that are passed over. */
  #take(length: number): number {
    const at = this.#at;
    if (length > this.#bytes.length - at) this.failed = true;
    else this.#at = at + length;
    return at;
  }

  #scalar(): void {
    const byte = this.#byte();
    if (byte < 0x80 || byte >= 0xe0) return;
    const length = SCALAR_BYTES[byte - 0xc0];
    if (length === undefined) this.failed = true;
    else if (length >= 0) this.#take(length);
    else if (byte === 0xc7) this.#take(this.#byte() + 1);
    else if (byte === 0xc8) this.#take(this.#unsigned(2) + 1);
    else this.#take(this.#unsigned(4) + 1);
  }

  #decoded(raw: Uint8Array): string {
    try {
      return utf8.decode(raw);
    } catch {
      this.failed = true;
      return '';
    }
  }

  #oneByOne(out: Uint8Array, from: number, count: number): void {
    for (let index = from; index < from + count; index++) {
      const value = this.u64();
      if (value > 0xff) this.failed = true;
      if (this.failed) return;
      out[index] = Number(value);
    }
  }
}

const EMPTY = new Uint8Array();

/** Of the markers from 0xc0 on. */
const MARKERS: readonly (MessagePackKind | undefined)[] = [
  ...(['nil', undefined, 'bool', 'bool', 'bytes', 'bytes', 'bytes'] as const),
  ...(['extension', 'extension', 'extension', 'float', 'float'] as const),
  ...(['integer', 'integer', 'integer', 'integer', 'integer', 'integer', 'integer'] as const),
  ...(['integer', 'extension', 'extension', 'extension', 'extension', 'extension'] as const),
  ...(['text', 'text', 'text', 'list', 'list', 'map', 'map'] as const),
];

/** Bytes after the markers from 0xc0 on; -1: a length comes first. Texts, `bin`, lists and maps are not looked up here. */
const SCALAR_BYTES: readonly (number | undefined)[] = [
  ...[0, undefined, 0, 0, undefined, undefined, undefined],
  ...[-1, -1, -1, 4, 8],
  ...[1, 2, 4, 8, 1, 2, 4],
  ...[8, 2, 3, 5, 9, 17],
];

export { MessagePackWriter } from './messagepack-writer.ts';
