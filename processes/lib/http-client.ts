/**
 * Requests to other servers, through `http-client:distro:sys` (runtime-modules.md §7.1). `import { fetch } from 'hyperware/http-client'`.
 * WebSockets to other servers are in `hyperware/web-socket`.
 */
import type { Codec } from '../../wit/codec.ts';
import { callModule, type Caller, member, ModuleError } from './modules.ts';
import { type Fields, HeaderFields } from './http-request.ts';
import { bytesOf, textOf } from './utf8.ts';

/** Seconds that `fetch` waits, unless told otherwise. */
export const FETCH_TIMEOUT_S = 30;

/**
 * `code`: as in runtime-modules.md §7 (`BadUrl`, `ExecuteRequestFailed`, `WsOpenFailed`, ...), or `NoMessaging`, or `BadData` for a body
 * that its codec refuses. Whether the server was reached is not known after `ExecuteRequestFailed`.
 */
export class HttpClientError extends ModuleError {
  override readonly name = 'HttpClientError';
}

export interface FetchOptions {
  /** Default GET. */
  readonly method?: string;
  /** Illegal ones are left out by the module. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Text is sent as UTF-8. */
  readonly body?: Uint8Array | string;
  /** Sent as JSON, with its content type. */
  readonly json?: unknown;
  /** Until the whole answer is there; then `NoResponse`. Default 30. */
  readonly timeoutS?: number;
  /** Ends the wait with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** A server's answer, whatever its status. */
export class FetchResponse {
  readonly status: number;
  /** Names in any case. */
  readonly headers: Fields;
  readonly #what: string;
  readonly #body: Uint8Array;

  constructor(what: string, status: number, headers: Fields, body: Uint8Array) {
    this.#what = what;
    this.status = status;
    this.headers = headers;
    this.#body = body;
  }

  /** Whether the status is 200 to 299. */
  get ok(): boolean {
    return this.status >= 200 && this.status < 300;
  }

  bytes(): Uint8Array {
    return this.#body;
  }

  text(): string {
    return textOf(this.#body);
  }

  /** The body as JSON of that shape; without a codec whatever it is. @throws HttpClientError BadData */
  json(): unknown;
  json<T>(codec: Codec<T>): T;
  json<T>(codec?: Codec<T>): unknown {
    if (codec === undefined) {
      try {
        return JSON.parse(this.text());
      } catch {
        throw new HttpClientError('BadData', this.#what, 'the body is not JSON');
      }
    }
    const decoded = codec.decode(this.#body);
    if (decoded.ok) return decoded.value;
    const { path, expected } = decoded.error;
    throw new HttpClientError('BadData', this.#what, `body ${path}: expected ${expected}`);
  }
}

/** Asks a server; up to ten redirects are followed. @throws HttpClientError; NoResponse */
export async function fetch(
  caller: Caller,
  url: string,
  options: FetchOptions = {},
): Promise<FetchResponse> {
  const { method = 'GET', json, timeoutS = FETCH_TIMEOUT_S, signal } = options;
  const headers: Record<string, string> = {};
  if (json !== undefined) headers['content-type'] = 'application/json';
  for (const [name, value] of Object.entries(options.headers ?? {})) {
    headers[name.toLowerCase()] = value;
  }
  const body = json === undefined ? options.body : JSON.stringify(json);
  // Without its query, which may hold what no log should.
  const what = `${method} ${url.split('?', 1).join()}`;
  const calls = { module: 'http-client', timeoutS, signal, error: HttpClientError } as const;
  const answer = await callModule(caller, calls, {
    what,
    body: { Http: { method, version: null, url, headers } },
    blob: bytesOf(body ?? ''),
  });
  const http = member(member(answer.body, 'Ok'), 'Http');
  const received = member(http, 'headers') as Readonly<Record<string, string>>;
  const lower = Object.entries(received).map(([name, value]) => [name.toLowerCase(), value]);
  return new FetchResponse(
    what,
    Number(member(http, 'status')),
    new HeaderFields('header', Object.fromEntries(lower) as Record<string, string>),
    answer.bytes,
  );
}
