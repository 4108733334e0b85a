/**
 * Blobs that are larger than one message (findings F24): `sendLarge` cuts up to 64 MiB into messages of at most 256 KiB, `receiveLarge` puts
 * them together. `import … from 'hyperware/large'`. The receiver says how many may be under way at once (credits), so it is never sent more
 * than it has agreed to keep, and what others send to it meanwhile waits for one piece at most. Works with every node that carries messages.
 *
 * On the wire, JSON: `{"LargeBegin":{"id","bytes","about"}}` is answered `{"Credits":n}`; then `{"LargePiece":{"id","index"}}`, the piece in
 * the blob, each answered `"Kept"`, and the last one to be kept when the receiver is done with the whole: `"Done"`. Refusals as of contracts.
 */
import { formatAddress } from '../../wit/address.ts';
import { type Decoded, record, refined, text, u16, u32, union, unit } from '../../wit/codec.ts';
import type { Address } from '../../wit/types.ts';
import type { Requester } from './client.ts';
import type { Context } from './context.ts';
import { encodeError, errorIn, ERROR_METADATA } from './contract.ts';
import type { Reply } from './conversation.ts';
import { errorBodyOf, NoResponse, Refusal, RemoteError } from './errors.ts';
import type { Target } from './process.ts';

/** Longest blob, in bytes. */
export const LARGE_BYTES_MAX = 64 * 1024 * 1024;
/** Longest message of a transfer: body, blob and all around them, in bytes (findings F24). */
export const LARGE_MESSAGE_BYTES_MAX = 256 * 1024;
/** Of those, the piece; the rest is for the body and what net puts around. */
export const PIECE_BYTES_MAX = LARGE_MESSAGE_BYTES_MAX - 4 * 1024;
/** Pieces of one transfer that may be under way at once. */
export const CREDITS_MAX = 4;
/** Transfers that a process receives at once, of all senders. */
export const TRANSFERS_MAX = 8;
/** Of those, from one node. */
export const TRANSFERS_PER_NODE_MAX = 2;
/** A transfer of which nothing was heard for so long is forgotten when somebody needs its place, in ms. */
export const TRANSFER_IDLE_MS_MAX = 60_000;
/** Transfers that are done and remembered, so that a last piece sent again is not a second blob. */
const DONE_MAX = 64;
/** Longest text that describes a blob, in UTF-16 units. */
const ABOUT_CHARS_MAX = 1_024;
/** Seconds for each piece, unless told otherwise. */
export const PIECE_TIMEOUT_S = 30;
/** Times that a piece is sent, when no answer came in time. */
export const PIECE_TRIES_MAX = 3;

const ID = /^[0-9a-z-]{1,64}$/;
const id = refined(
  text,
  'a name of a transfer',
  (value) => (ID.test(value) ? value : undefined),
  (value: string) => value,
);
const begin = record({ id, bytes: u32, about: text });
const largeRequest = union({ LargeBegin: begin, LargePiece: record({ id, index: u16 }) });
const largeResponse = union({ Credits: u16, Kept: unit, Done: unit });

type LargeResponse = Decoded<typeof largeResponse>;

// ---- sending

export interface SendLargeOptions {
  /** What the receiver is told of the blob before it comes; 1,024 UTF-16 units at most. Default none. */
  readonly about?: string;
  /** Of each piece, in seconds; default 30. A piece that was not answered in time is sent again, twice. */
  readonly timeoutS?: number;
  /** Ends it with the signal's reason. What is under way still arrives; the receiver forgets it. */
  readonly signal?: AbortSignal;
}

/**
 * Sends a blob in pieces. Resolves when the receiver's handler is done with it.
 * @param bytes 64 MiB at most, unchanged until this is over
 * @throws RangeError for a blob or a description that is too long; NoResponse; RemoteError, with the kind of the receiver's `Refusal`, such as
 *     `TooLarge`, `Busy` or `UnknownTransfer` (the receiver has restarted: begin again)
 */
export async function sendLarge(
  requester: Requester,
  target: Target,
  bytes: Uint8Array,
  options: SendLargeOptions = {},
): Promise<void> {
  const { about = '' } = options;
  if (bytes.length > LARGE_BYTES_MAX) throw new RangeError(`at most ${LARGE_BYTES_MAX} bytes`);
  if (about.length > ABOUT_CHARS_MAX) throw new RangeError(`at most ${ABOUT_CHARS_MAX} characters`);
  const outgoing = new Outgoing(requester, target, bytes, options);
  await outgoing.send(about);
}

class Outgoing {
  readonly #id = crypto.randomUUID();
  readonly #requester: Requester;
  readonly #target: Target;
  readonly #bytes: Uint8Array;
  readonly #options: SendLargeOptions;
  /** The first failure ends all of it. */
  readonly #failed = new AbortController();

  constructor(requester: Requester, target: Target, bytes: Uint8Array, options: SendLargeOptions) {
    this.#requester = requester;
    this.#target = target;
    this.#bytes = bytes;
    this.#options = options;
  }

  async send(about: string): Promise<void> {
    const value = { id: this.#id, bytes: this.#bytes.length, about };
    const begun = await this.#ask({ kind: 'LargeBegin', value }, undefined);
    if (begun.kind !== 'Credits') throw unexpected();
    const credits = Math.min(Math.max(1, begun.value), CREDITS_MAX);
    const pieces = piecesOf(this.#bytes.length);
    const kept: Promise<void>[] = [];
    try {
      for (let index = 0; index < pieces; index++) {
        // No further ahead of the oldest one under way than there are credits.
        if (index >= credits) await kept[index - credits];
        const sent = this.#piece(index, pieces);
        sent.catch((reason: unknown) => this.#failed.abort(reason));
        kept.push(sent);
      }
      await Promise.all(kept);
    } catch (error) {
      this.#failed.abort(error);
      throw error;
    }
  }

  async #piece(index: number, pieces: number): Promise<void> {
    const start = index * PIECE_BYTES_MAX;
    const piece = this.#bytes.subarray(start, start + PIECE_BYTES_MAX);
    const answer = await this.#ask({ kind: 'LargePiece', value: { id: this.#id, index } }, piece);
    // Whichever piece completes it is the one that is answered `Done`; with retries that need not be the last.
    const fits = answer.kind === 'Kept' ? pieces > 1 : answer.kind === 'Done';
    if (!fits) throw unexpected();
  }

  async #ask(
    request: Decoded<typeof largeRequest>,
    piece: Uint8Array | undefined,
  ): Promise<LargeResponse> {
    const body = largeRequest.encode(request);
    const { timeoutS = PIECE_TIMEOUT_S, signal } = this.#options;
    const both =
      signal === undefined ? this.#failed.signal : AbortSignal.any([signal, this.#failed.signal]);
    const blob = piece && { mime: undefined, bytes: piece };
    for (let tries = 1; ; tries++) {
      try {
        const options = { timeoutS, blob, signal: both };
        return readAnswer(await this.#requester.request(this.#target, body, options));
      } catch (error) {
        const late = error instanceof NoResponse && error.kind === 'timeout';
        if (!late || tries === PIECE_TRIES_MAX) throw error;
      }
    }
  }
}

function readAnswer({ body, metadata }: Reply): LargeResponse {
  const error = errorIn(body, metadata);
  if (error !== undefined) throw error;
  const decoded = largeResponse.decode(body);
  if (!decoded.ok) throw unexpected();
  return decoded.value;
}

function unexpected(): RemoteError {
  return new RemoteError('BadResponse', 'the other side does not receive blobs in pieces');
}

/** An empty blob is one empty piece. */
function piecesOf(bytes: number): number {
  return Math.max(1, Math.ceil(bytes / PIECE_BYTES_MAX));
}

// ---- receiving

/** A blob that is offered. */
export interface LargeOffer {
  readonly source: Address;
  readonly about: string;
  readonly length: number;
}

/** A blob that is there. */
export interface LargeBlob extends LargeOffer {
  readonly bytes: Uint8Array;
}

export interface ReceiveLargeOptions {
  /** Asked when one begins; a `Refusal` that it throws is what its sender gets. Default: everybody who may send to us. */
  readonly accept?: (offer: LargeOffer) => void;
  /** Longest blob that is accepted, in bytes; default 64 MiB. */
  readonly bytesMax?: number;
  /** What the time is, in ms; default `Date.now`. */
  readonly nowMs?: () => number;
}

interface Incoming {
  readonly offer: LargeOffer;
  readonly pieces: (Uint8Array | undefined)[];
  /** The first that is missing. */
  next: number;
  missing: number;
  heardMs: number;
}

/** What one process receives in pieces; one for the life of the process. */
export class LargeReceiver {
  readonly #options: ReceiveLargeOptions;
  readonly #incoming = new Map<string, Incoming>();
  /** The end of each that is complete: a piece that is sent again waits for the same. */
  readonly #done = new Map<string, Promise<void>>();

  constructor(options: ReceiveLargeOptions = {}) {
    this.#options = options;
  }

  /** Transfers under way. */
  get open(): number {
    return this.#incoming.size;
  }

  /**
   * For `onMessage` of the process. Resolves with false when the request is no part of a transfer. Else it is answered, the piece that completes
   * a blob after `use` is done with it; what `use` throws is what the sender gets. What `use` changes of the state is to be stored in it
   * (`process.flush()`), as the answer leaves before the handler's end.
   */
  async receive(
    context: Context,
    use: (blob: LargeBlob) => void | Promise<void>,
  ): Promise<boolean> {
    const request = largeRequest.decode(context.body);
    if (!request.ok) return false;
    try {
      const { kind, value } = request.value;
      const answer: LargeResponse =
        kind === 'LargeBegin'
          ? this.#begin(context, value)
          : await this.#piece(context, value, use);
      context.reply(largeResponse.encode(answer));
    } catch (error) {
      const { kind, message } = errorBodyOf(error);
      context.reply(encodeError({ kind, message }), { metadata: ERROR_METADATA });
    }
    return true;
  }

  #begin(context: Context, { id: name, bytes, about }: Decoded<typeof begin>): LargeResponse {
    const { accept, bytesMax = LARGE_BYTES_MAX } = this.#options;
    const key = keyOf(context, name);
    const length = Math.min(bytesMax, LARGE_BYTES_MAX);
    if (bytes > length) throw new Refusal('TooLarge', `at most ${length} bytes are accepted`);
    if (about.length > ABOUT_CHARS_MAX)
      throw new Refusal('TooLarge', 'its description is too long');
    // Sent again, as its answer was late.
    if (this.#incoming.has(key) || this.#done.has(key)) return credits();
    const offer = { source: context.source, about, length: bytes };
    accept?.(offer);
    const nowMs = this.#nowMs();
    this.#makeRoom(context.source.node, nowMs);
    const missing = piecesOf(bytes);
    this.#incoming.set(key, { offer, pieces: [], next: 0, missing, heardMs: nowMs });
    return credits();
  }

  async #piece(
    context: Context,
    { id: name, index }: { readonly id: string; readonly index: number },
    use: (blob: LargeBlob) => void | Promise<void>,
  ): Promise<LargeResponse> {
    const key = keyOf(context, name);
    const done = this.#done.get(key);
    if (done !== undefined) {
      await done;
      return { kind: 'Done' };
    }
    const transfer = this.#incoming.get(key);
    if (transfer === undefined)
      throw new Refusal('UnknownTransfer', 'it has not begun, or is over');
    transfer.heardMs = this.#nowMs();
    if (transfer.pieces[index] !== undefined) return { kind: 'Kept' };
    keep(transfer, index, context.blob()?.bytes ?? new Uint8Array());
    if (transfer.missing > 0) return { kind: 'Kept' };
    this.#incoming.delete(key);
    const used = Promise.resolve(use({ ...transfer.offer, bytes: joined(transfer) }));
    this.#remember(key, used);
    await used;
    return { kind: 'Done' };
  }

  /** @throws Refusal when there is none */
  #makeRoom(node: string, nowMs: number): void {
    for (const [key, { heardMs }] of this.#incoming)
      if (nowMs - heardMs > TRANSFER_IDLE_MS_MAX) this.#incoming.delete(key);
    const ofNode = [...this.#incoming.values()].filter(({ offer }) => offer.source.node === node);
    if (this.#incoming.size >= TRANSFERS_MAX || ofNode.length >= TRANSFERS_PER_NODE_MAX)
      throw new Refusal('Busy', 'too many blobs are under way');
  }

  #remember(key: string, used: Promise<void>): void {
    // Its sender is told; nobody else waits for it, perhaps.
    used.catch(() => undefined);
    this.#done.set(key, used);
    const [oldest] = this.#done.keys();
    if (this.#done.size > DONE_MAX && oldest !== undefined) this.#done.delete(oldest);
  }

  #nowMs(): number {
    return (this.#options.nowMs ?? Date.now)();
  }
}

/** Takes a piece. @throws Refusal for one that is not what the sender said, or was not paid for by a credit */
function keep(transfer: Incoming, index: number, bytes: Uint8Array): void {
  const { offer, pieces } = transfer;
  const count = piecesOf(offer.length);
  const last = offer.length - (count - 1) * PIECE_BYTES_MAX;
  const expected = index === count - 1 ? last : PIECE_BYTES_MAX;
  if (index >= count || bytes.length !== expected)
    throw new Refusal('BadPiece', `piece ${index} has ${bytes.length} bytes`);
  if (index >= transfer.next + CREDITS_MAX)
    throw new Refusal('NoCredit', `piece ${index} is early`);
  pieces[index] = bytes;
  transfer.missing -= 1;
  while (pieces[transfer.next] !== undefined) transfer.next += 1;
}

function joined({ offer, pieces }: Incoming): Uint8Array {
  const bytes = new Uint8Array(offer.length);
  for (const [index, piece] of pieces.entries())
    if (piece !== undefined) bytes.set(piece, index * PIECE_BYTES_MAX);
  return bytes;
}

/** A sender cannot touch what another one sends. */
function keyOf({ source }: Context, name: string): string {
  return `${formatAddress(source)} ${name}`;
}

function credits(): LargeResponse {
  return { kind: 'Credits', value: CREDITS_MAX };
}
