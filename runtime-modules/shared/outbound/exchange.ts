/**
 * One HTTP request and its response (RFC 9110, 9112): exactly the header fields given, the body whole and as it came, no redirects, no
 * decompression. A response that is cut off, malformed or too long is a failure (runtime-modules.md §7.1).
 */
import { request as startRequest, type ClientRequest, type IncomingMessage } from 'node:http';
import { BodyCollector } from './body-collector.ts';
import { ConnectError, explain, type Hop } from './connector.ts';
import type { ConnectionPool, PooledOptions } from './connection-pool.ts';
import { hostPortOf } from './host-pattern.ts';
import {
  IGNORED_BODY_BYTES_MAX,
  INTERIM_RESPONSES_MAX,
  RESPONSE_HEAD_BYTES_MAX,
  STALE_RETRIES_MAX,
} from './limits.ts';
import type { Result } from '../../../wit/types.ts';

/** Sending them twice is as good as once. */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);

export type Field = readonly [name: string, value: string];

export interface OutgoingHttp {
  readonly method: string;
  /** http or https. User, password and fragment are not sent. */
  readonly url: URL;
  /** Legal ones. Host and the length of the body are added. */
  readonly headers: readonly Field[];
  readonly body: Uint8Array;
}

export interface IncomingHead {
  readonly status: number;
  /** In order, values as Latin-1. */
  readonly headers: readonly Field[];
}

export interface IncomingHttp extends IncomingHead {
  readonly body: Uint8Array;
}

export interface ExchangeOptions {
  readonly pool: ConnectionPool;
  /** Whose connections are used. */
  readonly owner: string;
  readonly bodyBytesMax: number;
  /** False: the body is not needed, and is empty. */
  readonly wantsBody?: (head: IncomingHead) => boolean;
  /** Told of every piece before it is kept; false: there is no more room, and the exchange fails. */
  readonly charge?: (bytes: number) => boolean;
  readonly signal: AbortSignal;
}

/** The response, or in words why there is none. */
export async function exchange(
  outgoing: OutgoingHttp,
  options: ExchangeOptions,
): Promise<Result<IncomingHttp, string>> {
  for (let retries = 0; ; retries += 1) {
    const attempt = new Attempt(outgoing, options);
    const outcome = await attempt.outcome;
    // The server closed a kept connection while the request was on its way; RFC 9110 §9.2.2 lets some be sent again.
    const again = attempt.wasStale && IDEMPOTENT.has(outgoing.method);
    if (outcome.ok || !again || retries >= STALE_RETRIES_MAX || options.signal.aborted)
      return outcome;
  }
}

export function hopOf(url: URL): Hop {
  return { target: hostPortOf(url), secure: url.protocol === 'https:', forwardable: true };
}

/** A request on one connection. */
class Attempt {
  readonly outcome: Promise<Result<IncomingHttp, string>>;
  /** It failed on a kept connection before anything came back. */
  wasStale = false;
  readonly #outgoing: OutgoingHttp;
  readonly #options: ExchangeOptions;
  readonly #request: ClientRequest;
  readonly #settle: (outcome: Result<IncomingHttp, string>) => void;
  #answered = false;
  #interim = 0;

  constructor(outgoing: OutgoingHttp, options: ExchangeOptions) {
    this.#outgoing = outgoing;
    this.#options = options;
    const { promise, resolve } = Promise.withResolvers<Result<IncomingHttp, string>>();
    this.outcome = promise;
    this.#settle = resolve;
    this.#request = this.#start();
  }

  #start(): ClientRequest {
    const { method, url, body } = this.#outgoing;
    const { pool, owner, signal } = this.#options;
    const hop = hopOf(url);
    const options: PooledOptions = {
      agent: pool,
      outbound: { hop, owner, signal },
      method,
      path: this.#path(hop),
      setHost: false,
      maxHeaderSize: RESPONSE_HEAD_BYTES_MAX,
      insecureHTTPParser: false,
    };
    const request = startRequest(options);
    // node:http writes methods in capitals; they go out as they were given.
    request.method = method;
    // All of them: their bytes are limited.
    request.maxHeadersCount = 0;
    for (const [name, value] of this.#fields(hop)) request.setHeader(name, value);
    const abort = (): void => void request.destroy(new Error('aborted'));
    signal.addEventListener('abort', abort, { once: true });
    request.on('close', () => {
      signal.removeEventListener('abort', abort);
      // A body that ends with its connection is still being read.
      if (!this.#answered) this.#fail('the connection was closed without a response');
    });
    request.on('error', (error: NodeJS.ErrnoException) => this.#failed(error));
    request.on('information', () => {
      this.#interim += 1;
      if (this.#interim > INTERIM_RESPONSES_MAX) this.#abandon('too many interim responses');
    });
    request.on('upgrade', (_response, socket) => {
      socket.destroy();
      this.#fail('the server changed to another protocol, which nobody asked for');
    });
    request.on('response', (response) => this.#respond(response));
    if (signal.aborted) abort();
    else request.end(body.length === 0 ? undefined : body);
    return request;
  }

  /** What follows the method: the path, or to a proxy the whole URL. */
  #path(hop: Hop): string {
    const { url } = this.#outgoing;
    const path = `${url.pathname}${url.search}`;
    return this.#options.pool.connector.forwarder(hop) === undefined
      ? path
      : `http://${url.host}${path}`;
  }

  #fields(hop: Hop): Field[] {
    const { method, url, headers, body } = this.#outgoing;
    const has = (name: string): boolean => headers.some(([each]) => each.toLowerCase() === name);
    const fields: Field[] = has('host') ? [] : [['Host', url.host]];
    fields.push(...headers);
    const authorization = this.#options.pool.connector.forwarder(hop)?.authorization;
    if (authorization !== undefined) fields.push(['Proxy-Authorization', authorization]);
    // A body of no bytes is said where one is usual, so that no server waits for it.
    if (body.length > 0 || /^(POST|PUT|PATCH)$/.test(method))
      fields.push(['Content-Length', String(body.length)]);
    return fields;
  }

  #respond(response: IncomingMessage): void {
    this.#answered = true;
    const head: IncomingHead = {
      status: response.statusCode ?? 0,
      headers: pairs(response.rawHeaders),
    };
    if (this.#options.wantsBody?.(head) === false) {
      response.on('error', () => undefined);
      return this.#ignore(response, head);
    }
    response.on('error', (error) => this.#failed(error));
    const collector = new BodyCollector();
    const { bodyBytesMax, charge } = this.#options;
    response.on('data', (piece: Buffer) => {
      if (collector.length + piece.length > bodyBytesMax)
        return this.#abandon(`the response is longer than ${bodyBytesMax} bytes`);
      if (charge?.(piece.length) === false)
        return this.#abandon('too many responses at once: there is no room for this one');
      collector.add(piece);
    });
    response.on('end', () => {
      if (!response.complete) return this.#fail('the response was cut off');
      this.#settle({ ok: true, value: { ...head, body: collector.take() } });
    });
    response.on('close', () => this.#fail('the response was cut off'));
  }

  /** A short body is read, so that the connection can be used again; of a longer one, or one that breaks off, nobody needs more. */
  #ignore(response: IncomingMessage, head: IncomingHead): void {
    const done = (): void => this.#settle({ ok: true, value: { ...head, body: new Uint8Array() } });
    let length = 0;
    response.on('data', (piece: Buffer) => {
      length += piece.length;
      if (length > IGNORED_BODY_BYTES_MAX) this.#request.destroy();
    });
    response.on('end', done);
    response.on('close', done);
  }

  #failed(error: NodeJS.ErrnoException): void {
    if (error instanceof ConnectError) return this.#fail(error.message);
    this.wasStale = this.#request.reusedSocket && !this.#answered && isBroken(error);
    if (error.code === 'HPE_HEADER_OVERFLOW')
      return this.#fail(`the response's header is longer than ${RESPONSE_HEAD_BYTES_MAX} bytes`);
    if (error.code?.startsWith('HPE_') === true)
      return this.#fail(`the response is not HTTP: ${error.message}`);
    if (this.#answered && isBroken(error)) return this.#fail('the response was cut off');
    this.#fail(explain(error, hostPortOf(this.#outgoing.url)));
  }

  /** The first failure counts; after a success there is none. */
  #fail(error: string): void {
    this.#settle({ ok: false, error });
  }

  #abandon(error: string): void {
    this.#fail(error);
    this.#request.destroy();
  }
}

function isBroken(error: NodeJS.ErrnoException): boolean {
  return error.code === 'ECONNRESET' || error.code === 'EPIPE';
}

function pairs(raw: readonly string[]): Field[] {
  const fields: Field[] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) fields.push([raw[at] ?? '', raw[at + 1] ?? '']);
  return fields;
}
