/** Reading and writing WebAssembly binaries: bytes, LEB128, names. Readers refuse, writers grow up to a limit. */
import { ImageError } from '../engine.ts';

/** A cursor over `bytes` that never leaves `[pos, end)`. */
export class ByteReader {
  readonly bytes: Uint8Array;
  pos: number;
  readonly end: number;

  constructor(bytes: Uint8Array, pos = 0, end: number = bytes.length) {
    this.bytes = bytes;
    this.pos = pos;
    this.end = end;
  }

  byte(): number {
    if (this.pos >= this.end) throw malformed('unexpected end', this.pos);
    return this.bytes[this.pos++] as number;
  }

  /** An unsigned 32-bit LEB128 of at most five bytes. */
  u32(): number {
    let byte = this.byte();
    if (byte < 0x80) return byte;
    let result = byte & 0x7f;
    for (let shift = 7; shift < 35; shift += 7) {
      byte = this.byte();
      if (shift === 28 && byte > 0x0f) break;
      result |= (byte & 0x7f) << shift;
      if (byte < 0x80) return result >>> 0;
    }
    throw malformed('integer too large', this.pos);
  }

  /** Skips a signed LEB128 of at most `bytesMax` bytes. */
  skipSigned(bytesMax: number): void {
    for (let n = 0; n < bytesMax; n++) if (this.byte() < 0x80) return;
    throw malformed('integer too large', this.pos);
  }

  skip(length: number): void {
    if (length > this.end - this.pos) throw malformed('unexpected end', this.end);
    this.pos += length;
  }

  /** A reader for the next `length` bytes, which this one skips. */
  slice(length: number): ByteReader {
    const start = this.pos;
    this.skip(length);
    return new ByteReader(this.bytes, start, this.pos);
  }

  /** A length-prefixed byte string: a view, not a copy. */
  name(): Uint8Array {
    const length = this.u32();
    const start = this.pos;
    this.skip(length);
    return this.bytes.subarray(start, this.pos);
  }
}

/** A growable output of at most `limit` bytes. */
export class ByteWriter {
  bytes: Uint8Array;
  length = 0;
  readonly #limit: number;

  constructor(capacity: number, limit: number) {
    this.#limit = limit;
    this.bytes = new Uint8Array(Math.min(capacity, limit));
  }

  /** Makes room for `more` bytes. @throws ImageError 'limit' */
  reserve(more: number): void {
    const needed = this.length + more;
    if (needed <= this.bytes.length) return;
    if (needed > this.#limit) {
      throw new ImageError(
        'limit',
        `the core module grows past ${this.#limit} bytes when fuel is added`,
      );
    }
    const larger = new Uint8Array(Math.min(this.#limit, Math.max(needed, this.bytes.length * 2)));
    larger.set(this.bytes.subarray(0, this.length));
    this.bytes = larger;
  }

  byte(value: number): void {
    if (this.length === this.bytes.length) this.reserve(1);
    this.bytes[this.length++] = value;
  }

  u32(value: number): void {
    let rest = value >>> 0;
    while (rest >= 0x80) {
      this.byte((rest & 0x7f) | 0x80);
      rest >>>= 7;
    }
    this.byte(rest);
  }

  s32(value: number): void {
    let rest = value | 0;
    for (;;) {
      const low = rest & 0x7f;
      rest >>= 7;
      if ((rest === 0 && low < 0x40) || (rest === -1 && low >= 0x40)) {
        this.byte(low);
        return;
      }
      this.byte(low | 0x80);
    }
  }

  /** Copies `[from, to)` of `source`. */
  copy(source: Uint8Array, from: number, to: number): void {
    this.reserve(to - from);
    // Most runs between two edits are a few bytes, where a view costs more than the copy.
    if (to - from > 40) this.bytes.set(source.subarray(from, to), this.length);
    else for (let i = from, o = this.length; i < to; i++, o++) this.bytes[o] = source[i] as number;
    this.length += to - from;
  }

  append(source: Uint8Array): void {
    this.copy(source, 0, source.length);
  }

  list(values: readonly number[]): void {
    for (const value of values) this.byte(value);
  }

  name(text: string): void {
    const bytes = new TextEncoder().encode(text);
    this.u32(bytes.length);
    this.append(bytes);
  }

  /** A section of `id` holding `body`. */
  section(id: number, body: ByteWriter): void {
    this.byte(id);
    this.u32(body.length);
    this.copy(body.bytes, 0, body.length);
  }

  /** A copy of what was written. */
  finish(): Uint8Array {
    return this.bytes.slice(0, this.length);
  }
}

/** The refusal of bytes that are no module. */
export function malformed(what: string, offset: number): ImageError {
  return new ImageError('malformed', `core module: ${what} at byte ${offset}`);
}

/** The refusal of a proposal a node does not run. */
export function unsupported(feature: string, offset: number): ImageError {
  return new ImageError(
    'unsupported-feature',
    `core module uses ${feature}, which a node does not run (byte ${offset}); build without it`,
  );
}
