/**
 * Messages into chunks and back (networking.md §4). Three styles: `clear`, a length before the first chunk and outside of it (TCP); `sealed`,
 * the length as the first four bytes of the first chunk (WebSocket); `mux`, between two hyperloom nodes on either transport: every chunk
 * begins with the number of its message, the first one of a message then has its length, so that messages interleave (findings F23).
 */
import type { Result } from '../../wit/types.ts';
import {
  CHUNK_BYTES_MAX,
  MESSAGE_BYTES_MAX,
  MUX_MESSAGE_BYTES_MAX,
  MUX_OPEN_BYTES_MAX,
  MUX_OPEN_MAX,
} from './limits.ts';
import { release } from './release.ts';

export type Framing = 'clear' | 'sealed' | 'mux';

/** A chunk with this number is no part of a message: its next byte is a `Signal`. */
export const SIGNAL_NUMBER = 0xffff_ffff;
export const PING = 1;
export const PONG = 2;
/** I do not read for now: processes here have no room. Not to be taken for dead. */
export const HOLD = 3;
export type Signal = typeof PING | typeof PONG | typeof HOLD;

/** A message that is one chunk, whatever stands before it there. */
export const SINGLE_BYTES_MAX = CHUNK_BYTES_MAX - 8;

export interface Chunk {
  /** At most CHUNK_BYTES_MAX bytes together, to be sealed as one. */
  readonly plain: readonly Uint8Array[];
  /** Of `plain`. */
  readonly bytes: number;
  /** To be sent before it, unsealed; the first chunk of a `clear` message only. */
  readonly clearLength: number | undefined;
}

export function messageBytesMax(framing: Framing): number {
  return framing === 'mux' ? MUX_MESSAGE_BYTES_MAX : MESSAGE_BYTES_MAX;
}

export function signalChunk(signal: Signal): Uint8Array {
  return Uint8Array.of(0xff, 0xff, 0xff, 0xff, signal);
}

/** One message being cut. It is given in pieces, and none is copied: a blob may be long. */
export class Cutter {
  readonly length: number;
  readonly #pieces: readonly Uint8Array[];
  readonly #framing: Framing;
  readonly #number: number;
  #sent = 0;
  /** The piece that is next, and where in it. */
  #piece = 0;
  #at = 0;

  /** `number`: of this message on its connection, from 0; `mux` only. */
  constructor(pieces: readonly Uint8Array[], framing: Framing, number = 0) {
    this.#pieces = pieces;
    this.#framing = framing;
    this.#number = number;
    let length = 0;
    for (const piece of pieces) length += piece.length;
    this.length = length;
  }

  get done(): boolean {
    return this.#sent === this.length;
  }

  /** The next chunk; not to be asked for when done. */
  next(): Chunk {
    const first = this.#sent === 0;
    const clear = this.#framing === 'clear';
    const head = this.#head(first);
    const plain: Uint8Array[] = head.length === 0 ? [] : [head];
    let bytes = head.length;
    while (bytes < CHUNK_BYTES_MAX && !this.done) {
      const part = this.#part(CHUNK_BYTES_MAX - bytes);
      bytes += part.length;
      this.#sent += part.length;
      plain.push(part);
    }
    return { plain, bytes, clearLength: first && clear ? this.length : undefined };
  }

  /** What a chunk begins with: the number of its message where chunks interleave, and the length of its message, unless that is outside. */
  #head(first: boolean): Uint8Array {
    const mux = this.#framing === 'mux';
    const length = first && this.#framing !== 'clear';
    if (!mux && !length) return NOTHING_LEFT;
    const head = Buffer.allocUnsafe(mux && length ? 8 : 4);
    if (mux) head.writeUInt32BE(this.#number, 0);
    if (length) head.writeUInt32BE(this.length, head.length - 4);
    return head;
  }

  #part(bytesMax: number): Uint8Array {
    const piece = this.#pieces[this.#piece] ?? NOTHING_LEFT;
    if (this.#at === 0 && piece.length <= bytesMax) {
      this.#piece++;
      return piece;
    }
    const part = piece.subarray(this.#at, this.#at + bytesMax);
    this.#at += part.length;
    if (this.#at === piece.length) {
      this.#piece++;
      this.#at = 0;
    }
    return part;
  }
}

const NOTHING_LEFT = new Uint8Array();

export type FrameRefusal =
  | 'empty message'
  | 'message too long'
  | 'chunk past its message'
  | 'chunk too short'
  | 'message number out of turn'
  | 'too many messages open';

/** A message of which a part has come. Kept as it came: a length is a claim, and no memory is given for one. */
interface Partial {
  readonly length: number;
  received: number;
  readonly pieces: Uint8Array[];
  /** What the pieces are in. */
  readonly chunks: Uint8Array[];
}

type Assembled = Result<Uint8Array | undefined, FrameRefusal>;
const NOTHING: Assembled = { ok: true, value: undefined };
const refuse = (error: FrameRefusal): Assembled => ({ ok: false, error });

/** Puts messages together again. A refusal means the end of the connection. */
export class Assembler {
  readonly #framing: Framing;
  readonly #open = new Map<number, Partial>();
  #openBytes = 0;
  #next = 0;

  constructor(framing: Framing) {
    this.#framing = framing;
  }

  /** Messages of which a part has come. */
  get open(): number {
    return this.#open.size;
  }

  /** A `clear` length. */
  length(length: number): FrameRefusal | undefined {
    const begun = this.#begin(0, length);
    return begun.ok ? undefined : begun.error;
  }

  /** An opened chunk, which is no longer the caller's; the message when it is complete. */
  chunk(plain: Uint8Array): Assembled {
    if (this.#framing === 'clear') return this.#add(0, plain, plain);
    const head = Buffer.from(plain.buffer, plain.byteOffset, plain.length);
    if (this.#framing === 'mux') return this.#numbered(head);
    if (this.#open.size > 0) return this.#add(0, plain, plain);
    if (plain.length < 4) return refuse('chunk too short');
    const begun = this.#begin(0, head.readUInt32BE(0));
    return begun.ok ? this.#add(0, plain.subarray(4), plain) : begun;
  }

  #numbered(plain: Buffer): Assembled {
    if (plain.length < 5) return refuse('chunk too short');
    const number = plain.readUInt32BE(0);
    if (this.#open.has(number)) return this.#add(number, plain.subarray(4), plain);
    if (number !== this.#next) return refuse('message number out of turn');
    if (plain.length < 8) return refuse('chunk too short');
    this.#next++;
    const length = plain.readUInt32BE(4);
    // Most messages are one chunk.
    if (length === plain.length - 8 && length > 0 && this.#open.size === 0)
      return { ok: true, value: plain.subarray(8) };
    const begun = this.#begin(number, length);
    return begun.ok ? this.#add(number, plain.subarray(8), plain) : begun;
  }

  #begin(number: number, length: number): Assembled {
    if (length === 0) return refuse('empty message');
    if (length > messageBytesMax(this.#framing)) return refuse('message too long');
    const fits = this.#open.size === 0 || this.#openBytes + length <= MUX_OPEN_BYTES_MAX;
    if (this.#open.size >= MUX_OPEN_MAX || !fits) return refuse('too many messages open');
    this.#open.set(number, { length, received: 0, pieces: [], chunks: [] });
    this.#openBytes += length;
    return NOTHING;
  }

  #add(number: number, data: Uint8Array, chunk: Uint8Array): Assembled {
    const partial = this.#open.get(number);
    if (partial === undefined) return refuse('message number out of turn');
    partial.received += data.length;
    // What is over is the decoder's to ignore where the reference lets it be (§4.2).
    if (partial.received > partial.length && this.#framing !== 'sealed')
      return refuse('chunk past its message');
    partial.pieces.push(data);
    partial.chunks.push(chunk);
    if (partial.received < partial.length) return NOTHING;
    this.#open.delete(number);
    this.#openBytes -= partial.length;
    const [only] = partial.pieces;
    if (partial.pieces.length === 1) return { ok: true, value: only };
    const whole = Buffer.concat(partial.pieces);
    for (const each of partial.chunks) release(each);
    return { ok: true, value: whole };
  }
}
