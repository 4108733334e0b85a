/** Answers to HTTP requests (runtime-modules.md §6.6): a status, headers, and one body. */
import type { Codec } from '../../wit/codec.ts';
import { BYTES, HTML, JSON_TYPE, TEXT } from './content-types.ts';
import { INTERNAL, Refusal, RemoteError } from './errors.ts';
import type { HttpStream } from './http-stream.ts';
import type { PartAnswer } from './process.ts';
import { bytesOf } from './utf8.ts';

/** Names in any case; a name that is no legal HTTP header is left out by the module. */
export type HttpHeaders = Readonly<Record<string, string>>;

export interface ReplyOptions {
  /** Default 200. */
  readonly status?: number;
  readonly headers?: HttpHeaders;
}

/** An answer. Handlers make it with `reply`. */
export class HttpReply {
  readonly status: number;
  readonly type: string | undefined;
  readonly headers: HttpHeaders | undefined;
  /** Text is sent as UTF-8. */
  readonly body: Uint8Array | string | undefined;

  constructor(
    body: Uint8Array | string | undefined,
    type: string | undefined,
    options: ReplyOptions | undefined,
  ) {
    this.status = options?.status ?? 200;
    this.type = type;
    this.headers = options?.headers;
    this.body = body;
  }
}

/** Writes the pieces of an answer. What it throws cuts the connection, and is printed. */
export type Producer = (stream: HttpStream) => Promise<void>;

/** An answer whose body comes in pieces. */
export class HttpStreamReply extends HttpReply {
  readonly produce: Producer;

  constructor(produce: Producer, type: string, options: ReplyOptions) {
    const headers = { ...options.headers, 'x-hyperware-stream': '1' };
    super(undefined, type, { ...options, headers });
    this.produce = produce;
  }
}

/** Makes answers. */
export const reply = {
  /** `application/json` of any plain value, as `JSON.stringify` writes it. */
  json: (value: unknown, options?: ReplyOptions): HttpReply =>
    new HttpReply(JSON.stringify(value) ?? 'null', JSON_TYPE, options),

  /** `application/json` of a value as its codec writes it: what maps, wide integers and unions need. */
  coded: <T>(codec: Codec<T>, value: T, options?: ReplyOptions): HttpReply =>
    new HttpReply(codec.stringify(value), JSON_TYPE, options),

  /** A page. What stands in it is the caller's to escape; see `escapeHtml`. */
  html: (page: string, options?: ReplyOptions): HttpReply => new HttpReply(page, HTML, options),

  text: (text: string, options?: ReplyOptions): HttpReply => new HttpReply(text, TEXT, options),

  bytes: (
    bytes: Uint8Array,
    { type = BYTES, ...options }: ReplyOptions & { readonly type?: string } = {},
  ): HttpReply => new HttpReply(bytes, type, options),

  /** Sends the browser elsewhere: 303 by default, so that a form is not sent again. */
  redirect: (location: string, options: ReplyOptions = {}): HttpReply =>
    new HttpReply(undefined, undefined, {
      status: options.status ?? 303,
      headers: { ...options.headers, location },
    }),

  /** No body: 204 by default. */
  empty: (options: ReplyOptions = {}): HttpReply =>
    new HttpReply(undefined, undefined, { ...options, status: options.status ?? 204 }),

  /** A body that `produce` writes piece by piece, as fast as the client takes it; it starts once the head is on its way. */
  stream: (
    produce: Producer,
    { type = BYTES, ...options }: ReplyOptions & { readonly type?: string } = {},
  ): HttpReply => new HttpStreamReply(produce, type, options),

  /**
   * A file of this package's drives, by its whole path (`Drive.path`): sent by the module, one range of it if that is asked for, without a byte
   * of it passing through this process. `etag`: with its quotes.
   */
  file: (
    path: string,
    {
      type = BYTES,
      etag,
      ...options
    }: ReplyOptions & { readonly type?: string; readonly etag?: string } = {},
  ): HttpReply => {
    const tag = etag === undefined ? {} : { etag };
    const headers = { ...options.headers, ...tag, 'x-hyperware-file': path };
    return new HttpReply(undefined, type, { ...options, headers });
  },

  /** An error as JSON: `{"error":{"kind","message"}}`. */
  error: (status: number, kind: string, message: string, headers?: HttpHeaders): HttpReply =>
    reply.json(
      { error: { kind, message } },
      { status, ...(headers === undefined ? {} : { headers }) },
    ),
} as const;

/** Thrown by a handler to answer with that status; the client sees kind and message. */
export class HttpError extends Error {
  override readonly name = 'HttpError';
  readonly status: number;
  readonly kind: string;
  constructor(status: number, message: string, kind = KINDS[status] ?? 'Error') {
    super(message);
    this.status = status;
    this.kind = kind;
  }
}

const KINDS: Readonly<Record<number, string>> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  405: 'MethodNotAllowed',
  409: 'Conflict',
  413: 'TooLarge',
  415: 'UnsupportedMediaType',
  429: 'TooManyRequests',
  500: INTERNAL,
  501: 'NotImplemented',
  503: 'Unavailable',
};
/** What a `Refusal` of one of these kinds is over HTTP; any other is 400. */
const STATUSES = new Map(
  Object.entries(KINDS).map(([status, kind]) => [kind, Number(status)] as const),
);

/**
 * The answer to a request whose handler threw, or undefined when that is a fault of this process, of which a client learns nothing.
 * A refusal keeps its kind.
 */
export function replyTo(reason: unknown): HttpReply | undefined {
  if (reason instanceof HttpError) return reply.error(reason.status, reason.kind, reason.message);
  if (!(reason instanceof Refusal) && !(reason instanceof RemoteError)) return undefined;
  if (reason.kind === INTERNAL) return undefined;
  return reply.error(STATUSES.get(reason.kind) ?? 400, reason.kind, reason.message);
}

/** Heads of answers that are remembered. An ordinary process has a handful; types that callers choose must not fill its memory. */
const HEADS_MAX = 64;

/** Answers as the module takes them: a head as body, the content as blob. */
export class ReplyEncoder {
  readonly #always: HttpHeaders | undefined;
  /** By status and content type, for building one costs as much as a handler. */
  readonly #heads = new Map<string, Uint8Array>();

  /** @param always of every answer; names in lower case */
  constructor(always: HttpHeaders | undefined) {
    this.#always = always;
  }

  encode({ status, type, headers, body }: HttpReply): PartAnswer {
    const head =
      headers === undefined ? this.#head(status, type) : this.#build(status, type, headers);
    if (body === undefined) return { body: head };
    return { body: head, blob: { mime: undefined, bytes: bytesOf(body) } };
  }

  #head(status: number, type: string | undefined): Uint8Array {
    const key = `${status} ${type}`;
    const known = this.#heads.get(key);
    if (known !== undefined) return known;
    const head = this.#build(status, type, undefined);
    if (this.#heads.size >= HEADS_MAX) this.#heads.clear();
    this.#heads.set(key, head);
    return head;
  }

  #build(status: number, type: string | undefined, own: HttpHeaders | undefined): Uint8Array {
    const headers: Record<string, string> = { ...this.#always };
    if (type !== undefined) headers['content-type'] = type;
    for (const [name, value] of Object.entries(own ?? {})) headers[name.toLowerCase()] = value;
    return bytesOf(JSON.stringify({ status, headers }));
  }
}

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Text for use between tags and in quoted attributes. */
export function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => ESCAPES[character] ?? character);
}

/**
 * Headers for pages that need nothing from elsewhere: no inline script or style, nothing of other sites, no framing by them, no guessed
 * types. For `new HttpServer({ headers: strictHeaders })` and `folder(path, { headers: strictHeaders })`.
 */
export const strictHeaders: HttpHeaders = {
  'content-security-policy':
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'",
  'cross-origin-opener-policy': 'same-origin',
  'referrer-policy': 'same-origin',
  'x-content-type-options': 'nosniff',
};
