/**
 * Reads the primitives of the WebAssembly binary format out of bytes nobody vouches for. Every read is checked against the end
 * first, and every refusal is an `ImageError` that says where.
 */
import { ImageError } from '../engine.ts';
import { ENTRIES_MAX, NAME_BYTES_MAX } from './limits.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A cursor over a part of a file. `offset` and all messages count from the start of the file. */
export class ByteReader {
  readonly bytes: Uint8Array;
  readonly end: number;
  offset: number;
  /** Shared by all readers of one file. */
  readonly #used: { entries: number };

  /** Reads `bytes` from `start` up to, not including, `end`. */
  constructor(bytes: Uint8Array, start = 0, end: number = bytes.length, used = { entries: 0 }) {
    this.bytes = bytes;
    this.offset = start;
    this.end = end;
    this.#used = used;
  }

  get remaining(): number {
    return this.end - this.offset;
  }

  get done(): boolean {
    return this.offset >= this.end;
  }

  /** @throws ImageError always: `what` is wrong at `offset` (default: the current one). */
  fail(what: string, offset: number = this.offset): never {
    throw new ImageError('malformed', `malformed component: ${what} at byte ${offset}`);
  }

  u8(): number {
    const byte = this.peek();
    if (byte === undefined) return this.fail('unexpected end');
    this.offset += 1;
    return byte;
  }

  /** The next byte, not consumed; undefined at the end. */
  peek(): number | undefined {
    return this.offset < this.end ? this.bytes[this.offset] : undefined;
  }

  /** LEB128, at most 5 bytes, no bits above the 32nd. */
  u32(): number {
    const start = this.offset;
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.u8();
      if (shift === 28 && byte > 0x0f) break;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    return this.fail('integer over 32 bits', start);
  }

  /** LEB128 of at most 64 bits. */
  u64(): bigint {
    const start = this.offset;
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.u8();
      if (shift === 63n && byte > 0x01) break;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    return this.fail('integer over 64 bits', start);
  }

  /** Signed LEB128 of at most 32 bits. */
  s32(): number {
    return this.#signedNumber(32);
  }

  /** Signed LEB128 of at most 33 bits: a type index, or a negative type code. */
  s33(): number {
    return this.#signedNumber(33);
  }

  /** Signed LEB128 of at most 64 bits. */
  s64(): bigint {
    return this.#signed(64);
  }

  /**
   * The number of entries that follow, of which each takes at least `bytesEach`: no more than there is room for, than `max`, and than
   * a whole file may have.
   */
  count(
    what: string,
    options: { readonly max?: number; readonly bytesEach?: number } = {},
  ): number {
    const start = this.offset;
    const count = this.u32();
    if (count * (options.bytesEach ?? 1) > this.remaining) {
      this.fail(`${count} ${what} announced in ${this.remaining} bytes`, start);
    }
    if (options.max !== undefined && count > options.max) {
      throw new ImageError(
        'limit',
        `component too big: ${count} ${what} at byte ${start}, at most ${options.max} are allowed`,
      );
    }
    this.#used.entries += count;
    if (this.#used.entries > ENTRIES_MAX) {
      throw new ImageError(
        'limit',
        `component too big: over ${ENTRIES_MAX} entries of lists at byte ${start}`,
      );
    }
    return count;
  }

  /** `count` times `read`, in order. */
  vec<T>(
    what: string,
    read: () => T,
    options: { readonly max?: number; readonly bytesEach?: number } = {},
  ): T[] {
    const count = this.count(what, options);
    const items: T[] = [];
    for (let i = 0; i < count; i++) items.push(read());
    return items;
  }

  /** A view of the next bytes, consumed. */
  take(length: number): Uint8Array {
    if (length > this.remaining) this.fail(`${length} bytes announced, ${this.remaining} left`);
    const view = this.bytes.subarray(this.offset, this.offset + length);
    this.offset += length;
    return view;
  }

  skip(length: number): void {
    this.take(length);
  }

  /** A reader of the next bytes, which this one then has consumed. */
  sub(length: number): ByteReader {
    const start = this.offset;
    this.skip(length);
    return new ByteReader(this.bytes, start, this.offset, this.#used);
  }

  /** Length and UTF-8 text. */
  name(): string {
    const start = this.offset;
    const length = this.u32();
    if (length > this.remaining)
      this.fail(`name of ${length} bytes, ${this.remaining} left`, start);
    if (length > NAME_BYTES_MAX) {
      throw new ImageError(
        'limit',
        `component too big: name of ${length} bytes at byte ${start}, at most ${NAME_BYTES_MAX} are allowed`,
      );
    }
    const text = this.take(length);
    try {
      return utf8.decode(text);
    } catch {
      return this.fail('name is not UTF-8', start);
    }
  }

  /** @throws ImageError unless everything was consumed. */
  expectEnd(what: string): void {
    if (this.offset !== this.end) this.fail(`${what} is ${this.remaining} bytes too long`);
  }

  #signedNumber(bits: 32 | 33): number {
    const first = this.peek();
    // Nearly always one byte: a type code, a small index.
    if (first !== undefined && first < 0x80) {
      this.offset += 1;
      return first < 0x40 ? first : first - 0x80;
    }
    return Number(this.#signed(bits));
  }

  #signed(bits: number): bigint {
    const start = this.offset;
    let value = 0n;
    let shift = 0;
    for (;;) {
      const byte = this.u8();
      value |= BigInt(byte & 0x7f) << BigInt(shift);
      shift += 7;
      if (byte < 0x80) {
        if (byte & 0x40) value -= 1n << BigInt(shift);
        break;
      }
      if (shift >= bits) this.fail(`integer over ${bits} bits`, start);
    }
    if (BigInt.asIntN(bits, value) !== value) this.fail(`integer over ${bits} bits`, start);
    return value;
  }
}
