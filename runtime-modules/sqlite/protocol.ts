/**
 * Frames between the module and its children, over a pipe each way: `u32 length of what follows, u32 sequence number, u8 kind,
 * fields` (fields.ts). A child answers every frame, in order, and before it looks at the next: a frame behind an unanswered one has
 * not been started.
 */
import { FieldReader, FieldWriter } from './fields.ts';

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
  /** The system failed; the text is its code. */
  io: 5,
} as const;
export type Status = (typeof Status)[keyof typeof Status];

/** Length, sequence number and kind. */
const HEADER_BYTES = 9;
/** Sequence number and kind: where the fields of a frame begin behind its length. */
const FIELDS_AT = HEADER_BYTES - 4;

/** Puts a frame together. */
export class FrameWriter extends FieldWriter {
  constructor() {
    super(HEADER_BYTES);
  }

  /** What to write to the pipe, in order. */
  finish(sequence: number, kind: number): readonly Uint8Array[] {
    const parts = this.pieces();
    // Proof: the first piece starts with what was reserved.
    const first = Buffer.from(parts[0]!.buffer, parts[0]!.byteOffset, HEADER_BYTES);
    first.writeUInt32LE(this.length - 4, 0);
    first.writeUInt32LE(sequence, 4);
    first[8] = kind;
    return parts;
  }
}

/** Takes a frame apart, from behind its length. */
export class FrameReader extends FieldReader {
  readonly sequence: number;
  readonly kind: number;
  readonly isEmpty: boolean;

  constructor(frame: Buffer) {
    super(frame, FIELDS_AT);
    this.sequence = frame.readUInt32LE(0);
    this.kind = frame[4] ?? 0;
    this.isEmpty = frame.length === FIELDS_AT;
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
