/**
 * Content that processes had bound, served without asking them (runtime-modules.md §6.5 step 4): whole and byte for byte as bound
 * (M130, H26), or by what the client already has (ETag), wants of it (one range) or can unpack (br, gzip). Header sets are made once.
 */
import { createHash, webcrypto } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { HASH_AT_ONCE_BYTES_MAX, PIECE_BYTES } from '../limits.ts';
import type { RawHeaders, Reply } from '../requests/reply.ts';

/** One form of the content. */
interface Variant {
  readonly bytes: Uint8Array;
  /** Undefined until it is worked out. */
  readonly tag: string | undefined;
  /** For 200, complete. */
  readonly headers: RawHeaders;
  /** For 304. */
  readonly unchanged: RawHeaders;
}

export type Encoding = 'br' | 'gzip';

export interface ContentOptions {
  /** The blob's; undefined or no header value: `text/plain`. */
  readonly mime: string | undefined;
  /** Only for those who may see it: no shared cache may keep it. */
  readonly private: boolean;
}

/** Characters of a header value, the tab among them. */
const VALUE = /^[\t\x20-\x7e\x80-\xff]+$/;
const NO_HEADERS: RawHeaders = [];

export class StaticContent {
  readonly bytes: Uint8Array;
  readonly mime: string;
  readonly #cache: string;
  #hash: string | undefined;
  #varies = false;
  #plain: Variant;
  #br: Variant | undefined;
  #gzip: Variant | undefined;

  /** `bytes` belongs to it from now on. */
  constructor(bytes: Uint8Array, options: ContentOptions) {
    const { mime } = options;
    this.bytes = bytes;
    this.mime = mime !== undefined && VALUE.test(mime) ? mime : 'text/plain';
    // Always asked about again: what a process binds may change at any time, and a logout must show.
    this.#cache = options.private ? 'private, no-cache' : 'no-cache';
    if (bytes.length <= HASH_AT_ONCE_BYTES_MAX) {
      this.#hash = tagText(createHash('sha256').update(bytes).digest());
    }
    this.#plain = this.#variant(bytes, undefined);
  }

  /** Works out the ETag of large content, beside the thread. */
  async hash(): Promise<void> {
    if (this.#hash !== undefined) return;
    const digest = await webcrypto.subtle.digest('SHA-256', this.bytes as Uint8Array<ArrayBuffer>);
    this.#hash = tagText(new Uint8Array(digest));
    this.#plain = this.#variant(this.bytes, undefined);
  }

  /** Adds a compressed form; comes after `hash`. */
  add(encoding: Encoding, bytes: Uint8Array): void {
    // From now on the answer depends on what the client accepts, and every form says so.
    this.#varies = true;
    const variant = this.#variant(bytes, encoding);
    if (encoding === 'br') this.#br = variant;
    else this.#gzip = variant;
    this.#plain = this.#variant(this.bytes, undefined);
  }

  /** Answers a GET. */
  serve(headers: IncomingHttpHeaders, reply: Reply): void {
    const { range } = headers;
    const variant = range === undefined ? this.#accepted(headers['accept-encoding']) : this.#plain;
    const known = headers['if-none-match'];
    if (known !== undefined && variant.tag !== undefined && matchesTag(known, variant.tag)) {
      return reply.answerReady(304, variant.unchanged, undefined);
    }
    if (range !== undefined && this.#answeredRange(range, first(headers['if-range']), reply))
      return;
    if (variant.bytes.length <= PIECE_BYTES) {
      return reply.answerReady(200, variant.headers, variant.bytes);
    }
    reply.answer(200, variant.headers.slice(0, -2), variant.bytes);
  }

  #accepted(header: string | undefined): Variant {
    if (header === undefined || (this.#br === undefined && this.#gzip === undefined)) {
      return this.#plain;
    }
    const { br, gzip } = acceptedEncodings(header);
    if (this.#br !== undefined && br > 0 && br >= gzip) return this.#br;
    if (this.#gzip !== undefined && gzip > 0) return this.#gzip;
    return this.#plain;
  }

  /** False: the whole is to be sent. */
  #answeredRange(range: string, condition: string | undefined, reply: Reply): boolean {
    if (condition !== undefined && condition !== this.#plain.tag) return false;
    const { length } = this.bytes;
    const wanted = parseRange(range, length);
    if (wanted === undefined) return false;
    if (wanted === 'none') {
      reply.answerText(416, 'nothing there', ['Content-Range', `bytes */${length}`]);
      return true;
    }
    const { from, to } = wanted;
    reply.answer(
      206,
      [...this.#common(), 'Content-Range', `bytes ${from}-${to}/${length}`],
      this.bytes.subarray(from, to + 1),
    );
    return true;
  }

  #variant(bytes: Uint8Array, encoding: Encoding | undefined): Variant {
    const tag = this.#tagOf(encoding);
    const encoded = encoding === undefined ? NO_HEADERS : ['Content-Encoding', encoding];
    const validators = this.#validators(tag);
    return {
      bytes,
      tag,
      headers: [
        'Content-Type',
        this.mime,
        ...encoded,
        ...validators,
        'Accept-Ranges',
        'bytes',
        'Content-Length',
        String(bytes.length),
      ],
      unchanged: validators,
    };
  }

  #common(): RawHeaders {
    return [
      'Content-Type',
      this.mime,
      ...this.#validators(this.#plain.tag),
      'Accept-Ranges',
      'bytes',
    ];
  }

  #validators(tag: string | undefined): RawHeaders {
    return [
      ...(tag === undefined ? [] : ['ETag', tag]),
      'Cache-Control',
      this.#cache,
      ...(this.#varies ? ['Vary', 'Accept-Encoding'] : []),
    ];
  }

  #tagOf(encoding: Encoding | undefined): string | undefined {
    if (this.#hash === undefined) return undefined;
    return encoding === undefined ? `"${this.#hash}"` : `"${this.#hash}-${encoding}"`;
  }
}

/** 132 bits are plenty to tell versions of a file apart. */
function tagText(digest: Uint8Array): string {
  return Buffer.from(digest).toString('base64url').slice(0, 22);
}

/** Whether an If-None-Match names a tag; weak comparison. */
function matchesTag(header: string, tag: string): boolean {
  if (header === tag || header === '*') return true;
  return header.split(',').some((each) => each.trim().replace(/^W\//, '') === tag);
}

/**
 * One range of bytes, both ends included. Undefined: not one range of bytes, so the whole is sent; `none`: it begins after the end.
 */
export function parseRange(
  header: string,
  length: number,
): { readonly from: number; readonly to: number } | 'none' | undefined {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header.trim());
  if (match === null) return undefined;
  const [, first = '', last = ''] = match;
  if (first === '') {
    if (last === '') return undefined;
    const count = Math.min(Number(last), length);
    return count === 0 ? 'none' : { from: length - count, to: length - 1 };
  }
  const from = Number(first);
  if (last !== '' && Number(last) < from) return undefined;
  if (from >= length) return 'none';
  return { from, to: last === '' ? length - 1 : Math.min(Number(last), length - 1) };
}

interface Accepted {
  readonly br: number;
  readonly gzip: number;
}

const ACCEPTED_KEPT_MAX = 256;
const accepted = new Map<string, Accepted>();

/** How much a client wants each encoding, 0 to 1. Browsers send the same few headers over and over. */
export function acceptedEncodings(header: string): Accepted {
  const known = accepted.get(header);
  if (known !== undefined) return known;
  const weights = new Map<string, number>();
  for (const each of header.toLowerCase().split(',')) {
    const [name = '', ...parameters] = each.split(';').map((part) => part.trim());
    const quality = parameters.find((part) => part.startsWith('q='))?.slice(2);
    const weight = quality === undefined ? 1 : Number(quality);
    weights.set(name, Number.isFinite(weight) ? weight : 0);
  }
  const any = weights.get('*') ?? 0;
  const made = { br: weights.get('br') ?? any, gzip: weights.get('gzip') ?? any };
  if (accepted.size >= ACCEPTED_KEPT_MAX) accepted.clear();
  accepted.set(header, made);
  return made;
}

function first(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header;
}
