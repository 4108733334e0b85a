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

/** Puts a frame together. */
export class FrameWriter {
  readonly #parts: Uint8Array[] = [];
  #bytes = 0;

  u32(value: number): this {
    const bytes = Buffer.allocUnsafe(4);
    bytes.writeUInt32LE(value);
    return this.#push(bytes);
  }

  bytes(value: Uint8Array | undefined): this {
    this.u32(value?.length ?? NONE);
    return value === undefined ? this : this.#push(value);
  }

  text(value: string): this {
    return this.bytes(Buffer.from(value));
  }

  statement({ sql, parameters }: Statement): this {
    return this.text(sql).bytes(parameters);
  }

  /** What to write to the pipe, in order. */
  finish(sequence: number, kind: number): readonly Uint8Array[] {
    const header = Buffer.allocUnsafe(HEADER_BYTES);
    header.writeUInt32LE(HEADER_BYTES - 4 + this.#bytes, 0);
    header.writeUInt32LE(sequence, 4);
    header[8] = kind;
    return joined([header, ...this.#parts]);
  }

  #push(bytes: Uint8Array): this {
    this.#parts.push(bytes);
    this.#bytes += bytes.length;
    return this;
  }
}

/** Neighbouring short parts become one. */
function joined(parts: readonly Uint8Array[]): Uint8Array[] {
  const out: Uint8Array[] = [];
  let short: Uint8Array[] = [];
  const flush = (): void => {
    if (short.length > 0) out.push(Buffer.concat(short));
    short = [];
  };
  for (const part of parts) {
    if (part.length <= COPY_BYTES_MAX) short.push(part);
    else {
      flush();
      out.push(part);
    }
  }
  flush();
  return out;
}

/** Takes a frame apart, from behind its length. Views into the frame, no copies. */
export class FrameReader {
  readonly #frame: Buffer;
  #at = HEADER_BYTES - 4;

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
    return { sql: this.text(), parameters: this.bytes() };
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
