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

export type Framing = 'clear' | 'sealed' | 'mux';

/** A chunk with this number is no part of a message: its next byte is a `Signal`. */
export const SIGNAL_NUMBER = 0xffff_ffff;
export const PING = 1;
export const PONG = 2;
/** I do not read for now: processes here have no room. Not to be taken for dead. */
export const HOLD = 3;
export type Signal = typeof PING | typeof PONG | typeof HOLD;

export interface Chunk {
  /** At most CHUNK_BYTES_MAX bytes, to be sealed. */
  readonly plain: Uint8Array;
  /** To be sent before it, unsealed; the first chunk of a `clear` message only. */
  readonly clearLength: number | undefined;
}

export function messageBytesMax(framing: Framing): number {
  return framing === 'mux' ? MUX_MESSAGE_BYTES_MAX : MESSAGE_BYTES_MAX;
}

export function signalChunk(signal: Signal): Uint8Array {
  return Uint8Array.of(0xff, 0xff, 0xff, 0xff, signal);
}

/** One message being cut. */
export class Cutter {
  readonly #encoded: Uint8Array;
  readonly #framing: Framing;
  readonly #number: number;
  #at = 0;

  /** `number`: of this message on its connection, from 0; `mux` only. */
  constructor(encoded: Uint8Array, framing: Framing, number = 0) {
    this.#encoded = encoded;
    this.#framing = framing;
    this.#number = number;
  }

  get done(): boolean {
    return this.#at === this.#encoded.length;
  }

  /** The next chunk; not to be asked for when done. */
  next(): Chunk {
    const first = this.#at === 0;
    const length = this.#encoded.length;
    const head = [
      ...(this.#framing === 'mux' ? [this.#number] : []),
      ...(first && this.#framing !== 'clear' ? [length] : []),
    ];
    const data = this.#encoded.subarray(this.#at, this.#at + CHUNK_BYTES_MAX - 4 * head.length);
    this.#at += data.length;
    const clearLength = first && this.#framing === 'clear' ? length : undefined;
    if (head.length === 0) return { plain: data, clearLength };
    const plain = Buffer.allocUnsafe(4 * head.length + data.length);
    for (const [index, value] of head.entries()) plain.writeUInt32BE(value, 4 * index);
    plain.set(data, 4 * head.length);
    return { plain, clearLength };
  }
}

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

  /** An opened chunk; the message when it is complete. */
  chunk(plain: Uint8Array): Assembled {
    if (this.#framing === 'clear') return this.#add(0, plain);
    const head = Buffer.from(plain.buffer, plain.byteOffset, plain.length);
    if (this.#framing === 'mux') return this.#numbered(head);
    if (this.#open.size > 0) return this.#add(0, plain);
    if (plain.length < 4) return refuse('chunk too short');
    const begun = this.#begin(0, head.readUInt32BE(0));
    return begun.ok ? this.#add(0, plain.subarray(4)) : begun;
  }

  #numbered(plain: Buffer): Assembled {
    if (plain.length < 5) return refuse('chunk too short');
    const number = plain.readUInt32BE(0);
    if (this.#open.has(number)) return this.#add(number, plain.subarray(4));
    if (number !== this.#next) return refuse('message number out of turn');
    if (plain.length < 8) return refuse('chunk too short');
    this.#next++;
    const begun = this.#begin(number, plain.readUInt32BE(4));
    return begun.ok ? this.#add(number, plain.subarray(8)) : begun;
  }

  #begin(number: number, length: number): Assembled {
    if (length === 0) return refuse('empty message');
    if (length > messageBytesMax(this.#framing)) return refuse('message too long');
    const fits = this.#open.size === 0 || this.#openBytes + length <= MUX_OPEN_BYTES_MAX;
    if (this.#open.size >= MUX_OPEN_MAX || !fits) return refuse('too many messages open');
    this.#open.set(number, { length, received: 0, pieces: [] });
    this.#openBytes += length;
    return NOTHING;
  }

  #add(number: number, data: Uint8Array): Assembled {
    const partial = this.#open.get(number);
    if (partial === undefined) return refuse('message number out of turn');
    partial.received += data.length;
    // What is over is the decoder's to ignore where the reference lets it be (§4.2).
    if (partial.received > partial.length && this.#framing !== 'sealed')
      return refuse('chunk past its message');
    partial.pieces.push(data);
    if (partial.received < partial.length) return NOTHING;
    this.#open.delete(number);
    this.#openBytes -= partial.length;
    const [only] = partial.pieces;
    const whole = partial.pieces.length === 1 ? only : Buffer.concat(partial.pieces);
    return { ok: true, value: whole };
  }
}
