/** The fields of a frame (protocol.ts): little-endian numbers; texts and bytes with a u32 length before them; statements and their values. */
import type { SqlValue } from './parameters.ts';

/** One statement to run. Its parameters are JSON text that is read where it runs, or were read before. */
export interface Statement {
  readonly sql: string;
  readonly parameters: Uint8Array | readonly SqlValue[] | undefined;
}

/** Instead of a length: there is nothing, or what there was before. */
const NONE = 0xffff_ffff;
/** Longer parts are sent as they are, not copied; and no piece of fields is longer. */
const PIECE_BYTES_MAX = 64 * 1024;
/** What a writer starts with. */
const START_BYTES = 512;

const Parameters = { none: 0, json: 1, values: 2 } as const;
const Tag = { null: 0, integer: 1, real: 2, text: 3, bytes: 4 } as const;

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}

/** Puts fields together, into as few pieces of memory as will do. */
export class FieldWriter {
  /** Finished pieces; `#buffer` up to `#at` follows them. */
  readonly #pieces: Uint8Array[] = [];
  #pieceBytes = 0;
  #buffer: Buffer = Buffer.allocUnsafe(START_BYTES);
  /** Of the same memory: Buffer's own methods put 64-bit integers together in arithmetic of bigints. */
  #view = viewOf(this.#buffer);
  #at: number;
  #sql: string | undefined;

  /** @param reserved bytes to leave free at the start */
  constructor(reserved = 0) {
    this.#at = reserved;
  }

  /** Bytes written, with what was reserved. */
  get length(): number {
    return this.#pieceBytes + this.#at;
  }

  u8(value: number): this {
    this.#room(1);
    this.#view.setUint8(this.#at, value);
    this.#at += 1;
    return this;
  }

  u32(value: number): this {
    this.#room(4);
    this.#view.setUint32(this.#at, value, true);
    this.#at += 4;
    return this;
  }

  bytes(value: Uint8Array | undefined): this {
    this.u32(value?.length ?? NONE);
    if (value === undefined) return this;
    if (value.length > PIECE_BYTES_MAX) return this.#append(value);
    this.#room(value.length);
    this.#buffer.set(value, this.#at);
    this.#at += value.length;
    return this;
  }

  text(value: string): this {
    // A UTF-16 unit takes three bytes at most.
    const most = value.length * 3;
    if (most > PIECE_BYTES_MAX) return this.bytes(Buffer.from(value));
    this.#room(4 + most);
    const length = this.#buffer.write(value, this.#at + 4);
    this.#view.setUint32(this.#at, length, true);
    this.#at += 4 + length;
    return this;
  }

  /** SQL that repeats the one before is not written again. */
  statement({ sql, parameters }: Statement): this {
    if (sql === this.#sql) this.u32(NONE);
    else this.text(sql);
    this.#sql = sql;
    if (parameters === undefined) return this.u8(Parameters.none);
    if (parameters instanceof Uint8Array) return this.u8(Parameters.json).bytes(parameters);
    this.u8(Parameters.values).u32(parameters.length);
    for (const value of parameters) this.#value(value);
    return this;
  }

  /** Another writer's fields, not copied; it must not be written to afterwards. */
  fields(other: FieldWriter): this {
    for (const piece of other.pieces()) this.#append(piece);
    this.#sql = undefined;
    return this;
  }

  /** What was written, in order. Views: good until the next write. */
  pieces(): readonly Uint8Array[] {
    if (this.#at === 0) return this.#pieces;
    return [...this.#pieces, this.#buffer.subarray(0, this.#at)];
  }

  #value(value: SqlValue): void {
    switch (typeof value) {
      case 'bigint':
        this.u8(Tag.integer).#room(8);
        this.#view.setBigInt64(this.#at, value, true);
        this.#at += 8;
        return;
      case 'number':
        this.u8(Tag.real).#room(8);
        this.#view.setFloat64(this.#at, value, true);
        this.#at += 8;
        return;
      case 'string':
        this.u8(Tag.text).text(value);
        return;
      default:
        if (value === null) this.u8(Tag.null);
        else this.u8(Tag.bytes).bytes(value);
    }
  }

  /** A piece of its own, not copied. */
  #append(piece: Uint8Array): this {
    if (this.#at > 0) this.#seal();
    this.#pieces.push(piece);
    this.#pieceBytes += piece.length;
    return this;
  }

  #seal(bytes = START_BYTES): void {
    this.#pieces.push(this.#buffer.subarray(0, this.#at));
    this.#pieceBytes += this.#at;
    this.#use(Buffer.allocUnsafe(bytes));
    this.#at = 0;
  }

  #room(bytes: number): void {
    const { length } = this.#buffer;
    if (this.#at + bytes <= length) return;
    if (length >= PIECE_BYTES_MAX) return this.#seal(Math.max(bytes, PIECE_BYTES_MAX));
    const larger = Buffer.allocUnsafe(Math.max(2 * length, this.#at + bytes));
    this.#buffer.copy(larger, 0, 0, this.#at);
    this.#use(larger);
  }

  #use(buffer: Buffer): void {
    this.#buffer = buffer;
    this.#view = viewOf(buffer);
  }
}

/** Takes fields apart. Bytes are views into the frame, except those of statements' values, which stay good. */
export class FieldReader {
  readonly #frame: Buffer;
  readonly #view: DataView;
  #at: number;
  #sql = '';

  constructor(frame: Buffer, start: number) {
    this.#frame = frame;
    this.#view = viewOf(frame);
    this.#at = start;
  }

  u8(): number {
    const value = this.#view.getUint8(this.#at);
    this.#at += 1;
    return value;
  }

  u32(): number {
    const value = this.#view.getUint32(this.#at, true);
    this.#at += 4;
    return value;
  }

  bytes(): Buffer | undefined {
    const length = this.u32();
    if (length === NONE) return undefined;
    const bytes = this.#frame.subarray(this.#at, this.#at + length);
    this.#at += length;
    return bytes;
  }

  text(): string {
    return this.#text() ?? '';
  }

  statement(): Statement {
    this.#sql = this.#text() ?? this.#sql;
    return { sql: this.#sql, parameters: this.#parameters() };
  }

  #text(): string | undefined {
    const length = this.u32();
    if (length === NONE) return undefined;
    const start = this.#at;
    this.#at += length;
    return this.#frame.toString('utf8', start, this.#at);
  }

  #parameters(): Statement['parameters'] {
    const form = this.u8();
    if (form === Parameters.none) return undefined;
    if (form === Parameters.json) return this.bytes();
    const values: SqlValue[] = [];
    for (let left = this.u32(); left > 0; left -= 1) values.push(this.#value());
    return values;
  }

  #value(): SqlValue {
    const start = this.#at + 1;
    switch (this.u8()) {
      case Tag.integer:
        this.#at += 8;
        return this.#view.getBigInt64(start, true);
      case Tag.real:
        this.#at += 8;
        return this.#view.getFloat64(start, true);
      case Tag.text:
        return this.text();
      case Tag.bytes:
        return this.bytes() ?? null;
      default:
        return null;
    }
  }
}
