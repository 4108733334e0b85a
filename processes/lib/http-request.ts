/** One HTTP request, as its handler sees it (runtime-modules.md §6.6). Nothing is read before it is asked for. */
import { type Codec, refined, text } from '../../wit/codec.ts';
import type { Context } from './context.ts';
import { HttpError } from './http-reply.ts';
import { type ParametersOf, pathIn } from './http-paths.ts';
import { textOf } from './utf8.ts';

/** The body that the module sends: of `incomingHttpRequest` in wit/http-server-api.ts, parsed by the engine. */
export interface WireRequest {
  readonly source_socket_addr: string | null;
  readonly method: string;
  readonly url: string;
  readonly bound_path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly url_params: Readonly<Record<string, string>>;
  readonly query_params: Readonly<Record<string, string>>;
}

/** Names and texts: headers, a query, a form. */
export class Fields {
  readonly #fields: Readonly<Record<string, string>>;
  readonly #what: string;

  constructor(what: string, fields: Readonly<Record<string, string>>) {
    this.#what = what;
    this.#fields = fields;
  }

  get(name: string): string | undefined {
    return Object.hasOwn(this.#fields, name) ? this.#fields[name] : undefined;
  }

  has(name: string): boolean {
    return Object.hasOwn(this.#fields, name);
  }

  entries(): [name: string, value: string][] {
    return Object.entries(this.#fields);
  }

  /** All of them at once: `t.record({ q: t.text, page: t.option(wholeNumber) })`. @throws HttpError 400 */
  as<T>(codec: Codec<T>): T {
    const decoded = codec.decode(JSON.stringify(this.#fields));
    if (decoded.ok) return decoded.value;
    throw new HttpError(400, mismatch(this.#what, decoded.error));
  }
}

/** The names of headers in lower case, as they come. */
export class HeaderFields extends Fields {
  override get(name: string): string | undefined {
    return super.get(name.toLowerCase());
  }
  override has(name: string): boolean {
    return super.has(name.toLowerCase());
  }
}

export class HttpRequest<P extends string = string> {
  readonly #wire: WireRequest;
  readonly #context: Context;
  readonly #prefix: string;
  #params: Readonly<Record<string, string>> | undefined;
  #headers: Fields | undefined;
  #query: Fields | undefined;

  constructor(wire: WireRequest, context: Context, prefix: string) {
    this.#wire = wire;
    this.#context = context;
    this.#prefix = prefix;
  }

  /** As received: `GET`, `POST`, ... */
  get method(): string {
    return this.#wire.method;
  }

  /** `http://host/path`, without port and query. */
  get url(): string {
    return this.#wire.url;
  }

  /** Percent-encoded, from the process's own root on: `/items/7`. */
  get path(): string {
    return pathIn(this.#wire.url).slice(this.#prefix.length) || '/';
  }

  /** The values of the pattern's parameters, decoded. @throws HttpError 400 for a value that is no UTF-8 */
  get params(): ParametersOf<P> {
    if (this.#params === undefined) {
      const params: Record<string, string> = {};
      for (const [name, value] of Object.entries(this.#wire.url_params)) {
        params[name] = decodeComponent(value);
      }
      this.#params = params;
    }
    // Proof of the type: the module gives a value to each parameter of the pattern that it bound.
    return this.#params as ParametersOf<P>;
  }

  /** Names in any case; of a repeated header the last. */
  get headers(): Fields {
    return (this.#headers ??= new HeaderFields('header', this.#wire.headers));
  }

  /** Of a repeated name the last. */
  get query(): Fields {
    return (this.#query ??= new Fields('query', this.#wire.query_params));
  }

  /** `ip:port` of whoever is connected: a proxy, if there is one. */
  get sourceAddress(): string | undefined {
    return this.#wire.source_socket_addr ?? undefined;
  }

  /** The body. */
  bytes(): Uint8Array {
    return this.#context.blob()?.bytes ?? new Uint8Array();
  }

  /** The body as UTF-8. */
  text(): string {
    return textOf(this.bytes());
  }

  /** The body as JSON of that shape; without a codec whatever it is. @throws HttpError 400, saying where it differs */
  json(): unknown;
  json<T>(codec: Codec<T>): T;
  json<T>(codec?: Codec<T>): unknown {
    if (codec === undefined) {
      try {
        return JSON.parse(this.text());
      } catch {
        throw new HttpError(400, 'the body is not JSON');
      }
    }
    const decoded = codec.decode(this.bytes());
    if (decoded.ok) return decoded.value;
    throw new HttpError(400, mismatch('body', decoded.error));
  }

  /** The body as an HTML form sends it (`application/x-www-form-urlencoded`). @throws HttpError 400 */
  form(): Fields {
    const fields: [string, string][] = [];
    for (const pair of this.text().split('&')) {
      if (pair === '') continue;
      const equals = pair.indexOf('=');
      const name = equals < 0 ? pair : pair.slice(0, equals);
      const value = equals < 0 ? '' : pair.slice(equals + 1);
      fields.push([formText(name), formText(value)]);
    }
    return new Fields('form', Object.fromEntries(fields));
  }

  /** Aborted when the client has stopped waiting, so that work for nobody can end. */
  get signal(): AbortSignal {
    return this.#context.signal;
  }
}

function formText(text: string): string {
  return decodeComponent(text.replaceAll('+', ' '));
}

/** @throws HttpError 400 */
export function decodeComponent(text: string): string {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    throw new HttpError(400, `${JSON.stringify(text)} is not percent-encoded UTF-8`);
  }
}

function mismatch(
  what: string,
  { path, expected }: { readonly path: string; readonly expected: string },
): string {
  return `${what}${path === '' ? '' : ` ${path}`}: expected ${expected}`;
}

/** A number without sign or fraction, up to 2^53-1, in a query, a form or a path. */
export const wholeNumber: Codec<number> = refined(
  text,
  'a whole number',
  (digits) => {
    const number = /^\d{1,16}$/.test(digits) ? Number(digits) : Number.NaN;
    return Number.isSafeInteger(number) ? number : undefined;
  },
  String,
);
