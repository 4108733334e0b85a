/**
 * One answer on its way: status, headers and body handed to Node in as few steps as possible, with what has to be freed when it is
 * over or the client leaves.
 */
import { ServerResponse } from 'node:http';
import type { Counters } from '../counters.ts';
import { PIECE_BYTES } from '../limits.ts';
import type { Peer } from './peer.ts';

/** Name and value in turn, as Node takes them without looking. */
export type RawHeaders = readonly string[];

/** What is given up when the client leaves. */
export interface Abandonable {
  abandon(): void;
}

const utf8 = new TextEncoder();
const NO_BYTES = new Uint8Array();

export class Reply extends ServerResponse {
  /** The request that is answered by somebody else, until it is. */
  waiting: Abandonable | undefined = undefined;
  counters: Counters | undefined = undefined;
  peer: Peer | undefined = undefined;
  /** Bytes of the request's body that are counted as held. */
  heldBytes = 0;
  /** The connection ends after this answer. */
  last = false;
  /** Sent beside the answer's own headers, whatever those are. */
  beside: RawHeaders | undefined = undefined;

  /** Somebody will answer later: until then, or until the client leaves, it counts as under way. */
  hold(): void {
    this.peer?.held.add(this);
  }

  /** It is being answered, or nobody is there any more to answer: what was kept for it is free. */
  release(): void {
    if (this.peer?.held.delete(this) !== true) return;
    if (this.counters !== undefined) this.counters.heldBytes -= this.heldBytes;
    this.heldBytes = 0;
    this.waiting?.abandon();
  }

  /** Sends all of it. `headers` has no Content-Length. */
  answer(status: number, headers: RawHeaders, body: Uint8Array = NO_BYTES): void {
    if (body.length > PIECE_BYTES && this.req.method !== 'HEAD') {
      this.answerInPieces(status, headers, body.length, pieces(body));
      return;
    }
    this.#head(status, headers, body.length);
    if (body.length === 0) this.end();
    else this.end(body);
  }

  /** Sends what is complete, Content-Length included. */
  answerReady(status: number, headers: RawHeaders, body: Uint8Array | undefined): void {
    this.release();
    if (this.last) this.shouldKeepAlive = false;
    this.counters?.answered(status, body?.length ?? 0);
    this.writeHead(
      status,
      (this.beside === undefined ? headers : [...headers, ...this.beside]) as string[],
    );
    if (body === undefined) this.end();
    else this.end(body);
  }

  /**
   * Empty, with the type that the reference's empty answers have (§6.5). To somebody who typed an address or followed a link a sentence,
   * as a browser would take the other for an empty file and save it.
   */
  answerEmpty(status: number, sentence = SENTENCES.get(status), headers: RawHeaders = []): void {
    if (sentence !== undefined && this.req.headers.accept?.startsWith('text/html') === true) {
      this.answerText(status, sentence, headers);
    } else this.answer(status, EMPTY);
  }

  /** One sentence for whoever reads it. */
  answerText(status: number, text: string, headers: RawHeaders = []): void {
    this.answer(status, [...TEXT, ...headers], utf8.encode(text));
  }

  /**
   * Sends a body as the client takes it, `bytes` long together if that is known. The pieces are made when they are needed, at most one in a
   * turn of the event loop.
   */
  answerInPieces(
    status: number,
    headers: RawHeaders,
    bytes: number | undefined,
    body: Iterator<Uint8Array>,
  ): void {
    this.#head(status, headers, bytes);
    const next = (): void => {
      if (this.destroyed) return;
      const piece = body.next();
      if (piece.done === true) {
        this.end();
        return;
      }
      if (this.write(piece.value)) setImmediate(next);
      else this.once('drain', next);
    };
    next();
  }

  /** Sends the head and the first bytes of a body that comes in pieces, `bytes` long together if that is known. From then on it counts as under way again. */
  begin(status: number, headers: RawHeaders, first: Uint8Array, bytes?: number): void {
    this.#head(status, headers, bytes);
    this.hold();
    if (first.length > 0) this.write(first);
    else this.flushHeaders();
  }

  /** The connection closes after this answer: the rest of the request was not read. */
  answerLast(status: number, text: string): void {
    this.last = true;
    if (this.peer !== undefined) this.peer.ended = true;
    this.answerText(status, text);
  }

  #head(status: number, headers: RawHeaders, bytes: number | undefined): void {
    this.release();
    if (this.last) this.shouldKeepAlive = false;
    this.counters?.answered(status, bytes ?? 0);
    const length = bytes !== undefined && hasBody(status) ? ['Content-Length', String(bytes)] : [];
    this.writeHead(status, [...headers, ...length, ...(this.beside ?? [])]);
  }
}

/** Statuses that cannot have a body have no length either. */
export function hasBody(status: number): boolean {
  return status >= 200 && status !== 204 && status !== 304;
}

const EMPTY: RawHeaders = ['Content-Type', 'application/octet-stream'];
const SENTENCES: ReadonlyMap<number, string> = new Map([
  [403, 'This is for programs on the machine of the node, if its owner lets them.'],
  [404, 'There is nothing at this address.'],
  [408, 'The app did not answer in time.'],
  [500, 'What the app answered cannot be shown.'],
]);
const TEXT: RawHeaders = [
  'Content-Type',
  'text/plain; charset=utf-8',
  'X-Content-Type-Options',
  'nosniff',
];

function* pieces(body: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < body.length; at += PIECE_BYTES) yield body.subarray(at, at + PIECE_BYTES);
}
