/**
 * Frames between the module and its children, over a pipe each way: `u32 length of what follows, u32 sequence number, u8 kind,
 * fields`, little-endian; texts and bytes with a u32 length before them. A child answers every frame, in order, and before it looks
 * at the next: a frame behind an unanswered one has not been started.
 */

export const Kind = {
  open: 1,
  close: 2,
  read: 3,
  write: 4,
  commit: 5,
  check: 6,
  backup: 7,
} as const;
export type Kind = (typeof Kind)[keyof typeof Kind];

export const Status = {
  ok: 0,
  rows: 1,
  /** SQL was refused or failed; the text is for the guest. */
  sql: 2,
  /** Parameters are no JSON array of scalars. */
  parameters: 3,
  /** The file is no database, or a damaged one. */
  damaged: 4,
  /** The folder cannot be made; the text is the system's code. */
  io: 5,
} as const;
export type Status = (typeof Status)[keyof typeof Status];

export interface Statement {
  readonly sql: string;
  readonly parameters: Uint8Array | undefined;
}

/** Length, sequence number and kind. */
export const HEADER_BYTES = 9;
const NONE = 0xffff_ffff;
/** Parts up to here are copied into one buffer; longer ones are sent as they are. */
const COPY_BYTES_MAX = 64 * 1024;
/** What a writer starts with. */
const START_BYTES = 512;

/** Puts a frame together. */
export class FrameWriter {
  /** Finished parts; `#buffer` up to `#at` follows them. */
  readonly #parts: Uint8Array[] = [];
  #partBytes = 0;
  #buffer = Buffer.allocUnsafe(START_BYTES);
  #at = HEADER_BYTES;
  #sql: string | undefined;

  u32(value: number): this {
    this.#room(4);
    this.#at = this.#buffer.writeUInt32LE(value, this.#at);
    return this;
  }

  bytes(value: Uint8Array | undefined): this {
    this.u32(value?.length ?? NONE);
    if (value === undefined) return this;
    if (value.length > COPY_BYTES_MAX) return this.#append(value);
    this.#room(value.length);
    this.#buffer.set(value, this.#at);
    this.#at += value.length;
    return this;
  }

  text(value: string): this {
    return this.bytes(Buffer.from(value));
  }

  /** SQL that repeats the one before is not sent again. */
  statement({ sql, parameters }: Statement): this {
    if (sql === this.#sql) this.u32(NONE);
    else this.text(sql);
    this.#sql = sql;
    return this.bytes(parameters);
  }

  /** What to write to the pipe, in order. */
  finish(sequence: number, kind: number): readonly Uint8Array[] {
    const parts = [...this.#parts, this.#buffer.subarray(0, this.#at)];
    // Proof: the first part starts with room for the header.
    const first = Buffer.from(parts[0]!.buffer, parts[0]!.byteOffset);
    first.writeUInt32LE(this.#partBytes + this.#at - 4, 0);
    first.writeUInt32LE(sequence, 4);
    first[8] = kind;
    return parts;
  }

  /** A part of its own, not copied. */
  #append(part: Uint8Array): this {
    this.#parts.push(this.#buffer.subarray(0, this.#at), part);
    this.#partBytes += this.#at + part.length;
    this.#buffer = Buffer.allocUnsafe(START_BYTES);
    this.#at = 0;
    return this;
  }

  #room(bytes: number): void {
    if (this.#at + bytes <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(2 * (this.#buffer.length + bytes));
    this.#buffer.copy(larger, 0, 0, this.#at);
    this.#buffer = larger;
  }
}

/** Takes a frame apart, from behind its length. Views into the frame, no copies. */
export class FrameReader {
  readonly #frame: Buffer;
  #at = HEADER_BYTES - 4;
  #sql = '';

  constructor(frame: Buffer) {
    this.#frame = frame;
  }

  get sequence(): number {
    return this.#frame.readUInt32LE(0);
  }

  get kind(): number {
    return this.#frame[4] ?? 0;
  }

  /** Everything behind the header. */
  get payload(): Buffer {
    return this.#frame.subarray(HEADER_BYTES - 4);
  }

  u32(): number {
    const value = this.#frame.readUInt32LE(this.#at);
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
    return this.bytes()?.toString() ?? '';
  }

  statement(): Statement {
    this.#sql = this.bytes()?.toString() ?? this.#sql;
    return { sql: this.#sql, parameters: this.bytes() };
  }
}

/** Cuts a stream into frames, whatever pieces it comes in. */
export class FrameCutter {
  #pieces: Buffer[] = [];
  #have = 0;

  /** The frames that are complete now, without their lengths. */
  *push(piece: Buffer): Generator<Buffer> {
    this.#pieces.push(piece);
    this.#have += piece.length;
    for (;;) {
      if (this.#have < 4) return;
      if ((this.#pieces[0]?.length ?? 0) < 4) this.#pieces = [Buffer.concat(this.#pieces)];
      const length = this.#pieces[0]?.readUInt32LE(0) ?? 0;
      if (this.#have < 4 + length) return;
      const all = this.#pieces.length === 1 ? this.#pieces[0] : Buffer.concat(this.#pieces);
      if (all === undefined) return;
      const rest = all.subarray(4 + length);
      this.#pieces = rest.length === 0 ? [] : [rest];
      this.#have = rest.length;
      yield all.subarray(4, 4 + length);
    }
  }
}
