/** Writes the MessagePack of the Hyperware wire, as `messagepack.ts` reads it (networking.md §5). Runs in guests. */
import { plainVectors, type VectorCodec } from './byte-vectors.ts';
import type { U64 } from './types.ts';

/** Texts up to this are written here, while they are ASCII. */
const NAME_CHARS = 64;
const AT = 0x40;
const toUtf8 = new TextEncoder();

/** Writes one value after another into a buffer that grows. */
export class MessagePackWriter {
  readonly #vectors: VectorCodec;
  #bytes: Uint8Array<ArrayBuffer>;
  #view: DataView;
  #at = 0;

  /** `room`: where to write, or how many bytes are expected; more costs a copy. `vectors`: what writes byte vectors. */
  constructor(room: number | Uint8Array<ArrayBuffer> = 256, vectors: VectorCodec = plainVectors) {
    this.#vectors = vectors;
    this.#bytes = typeof room === 'number' ? new Uint8Array(room) : room;
    this.#view = viewOf(this.#bytes);
  }

  /** Writes from the beginning again, over what it has written. */
  restart(): void {
    this.#at = 0;
  }

  /** What was written, as a view; the writer must not be used again, unless it is over with the view. */
  finish(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#at);
  }

  nil(): void {
    this.#marker(0xc0);
  }

  bool(value: boolean): void {
    this.#marker(value ? 0xc3 : 0xc2);
  }

  /** A map's head; its entries follow. */
  map(entries: number): void {
    this.#head(entries, 0x80, 0xde);
  }

  /** A list's head; its elements follow. */
  list(elements: number): void {
    this.#head(elements, 0x90, 0xdc);
  }

  /** An unsigned integer in its shortest form. */
  u64(value: U64): void {
    if (value <= 0x7f) this.#marker(Number(value));
    else if (value <= 0xff) this.#sized(0xcc, Number(value), 1);
    else if (value <= 0xffff) this.#sized(0xcd, Number(value), 2);
    else if (value <= 0xffff_ffff) this.#sized(0xce, Number(value), 4);
    else {
      this.#marker(0xcf);
      this.#reserve(8);
      this.#view.setBigUint64(this.#at, BigInt(value));
      this.#at += 8;
    }
  }

  text(text: string): void {
    if (text.length <= NAME_CHARS && this.#ascii(text)) return;
    const encoded = toUtf8.encode(text);
    this.#textHead(encoded.length);
    this.raw(encoded);
  }

  /** `head`, `@` and `tail` as one text, which is not put together first. */
  address(head: string, tail: string): void {
    const start = this.#at;
    const length = head.length + 1 + tail.length;
    if (length <= 2 * NAME_CHARS) {
      this.#textHead(length);
      this.#reserve(length);
      if (this.#characters(head)) {
        this.#bytes[this.#at++] = AT;
        if (this.#characters(tail)) return;
      }
      this.#at = start;
    }
    this.text(`${head}@${tail}`);
  }

  /** A list of integers, one per byte. */
  byteVector(bytes: Uint8Array): void {
    this.list(bytes.length);
    this.#reserve(bytes.length + this.#vectors.highBytes(bytes));
    this.#at = this.#vectors.write(bytes, this.#bytes, this.#at);
  }

  /** A byte vector as `bin`: what the reference reads and does not write. */
  bin(bytes: Uint8Array): void {
    this.binHead(bytes.length);
    this.raw(bytes);
  }

  /** The head of a `bin`; its bytes follow. */
  binHead(length: number): void {
    if (length <= 0xff) this.#sized(0xc4, length, 1);
    else if (length <= 0xffff) this.#sized(0xc5, length, 2);
    else this.#sized(0xc6, length, 4);
  }

  /** Bytes that are MessagePack already. */
  raw(encoded: Uint8Array): void {
    this.#reserve(encoded.length);
    this.#bytes.set(encoded, this.#at);
    this.#at += encoded.length;
  }

  #textHead(length: number): void {
    if (length < 32) this.#marker(0xa0 | length);
    else if (length <= 0xff) this.#sized(0xd9, length, 1);
    else if (length <= 0xffff) this.#sized(0xda, length, 2);
    else this.#sized(0xdb, length, 4);
  }

  /** Names and addresses, without a call of the encoder; false, and nothing is written, when it is needed. */
  #ascii(text: string): boolean {
    const start = this.#at;
    this.#textHead(text.length);
    this.#reserve(text.length);
    if (this.#characters(text)) return true;
    this.#at = start;
    return false;
  }

  /** Into room that was made; false at one that is not ASCII. */
  #characters(text: string): boolean {
    const bytes = this.#bytes;
    let at = this.#at;
    for (let index = 0; index < text.length; index++) {
      const code = text.charCodeAt(index);
      if (code > 0x7f) return false;
      bytes[at++] = code;
    }
    this.#at = at;
    return true;
  }

  #marker(byte: number): void {
    this.#reserve(1);
    this.#bytes[this.#at++] = byte;
  }

  #sized(marker: number, value: number, bytes: 1 | 2 | 4): void {
    this.#marker(marker);
    this.#reserve(bytes);
    if (bytes === 1) this.#view.setUint8(this.#at, value);
    else if (bytes === 2) this.#view.setUint16(this.#at, value);
    else this.#view.setUint32(this.#at, value);
    this.#at += bytes;
  }

  #head(length: number, fix: number, wide: number): void {
    if (length < 16) this.#marker(fix | length);
    else if (length <= 0xffff) this.#sized(wide, length, 2);
    else this.#sized(wide + 1, length, 4);
  }

  #reserve(bytes: number): void {
    const needed = this.#at + bytes;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, Math.min(2 * this.#bytes.length, GROWTH_MAX)));
    grown.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = grown;
    this.#view = viewOf(grown);
  }
}

/** A buffer doubles up to here, in bytes; what needs more gets exactly that. */
const GROWTH_MAX = 65_536;

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}
