/**
 * What this process needs of `http-server:distro:sys` (runtime-modules.md §6): binding paths, reading a request, answering it. The
 * server does not prefix this process's paths, so they are those of the node itself.
 */
import type { Context, Process } from '../../lib/index.ts';
import {
  httpServerAction,
  httpServerRequest,
  httpServerResponse,
  type HttpServerAction,
} from '../../../wit/http-server-api.ts';

export const HTTP_SERVER = 'http-server:distro:sys';

export interface WebRequest {
  readonly method: string;
  /** From the root, without query, and without a slash at its end; `/` for the root. */
  readonly path: string;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  readonly query: ReadonlyMap<string, string>;
  readonly body: () => Uint8Array;
}

export interface WebAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | string;
}

export interface StaticContent {
  readonly mime: string;
  readonly bytes: Uint8Array;
}

/**
 * The HTTP request in a message; undefined when it is none, or does not come from this node's HTTP server: nobody else may speak for
 * the owner's browser.
 */
export function webRequestIn(context: Context): WebRequest | undefined {
  if (!context.isLocal || context.source.process !== HTTP_SERVER) return undefined;
  const decoded = httpServerRequest.decode(context.body);
  if (!decoded.ok || decoded.value.kind !== 'Http') return undefined;
  const { method, url, headers, query_params: query } = decoded.value.value;
  const path = /^[a-z]+:\/\/[^/]*(\/.*?)\/?$/.exec(url)?.[1] ?? '/';
  return {
    method,
    path,
    headers,
    query,
    body: () => context.blob()?.bytes ?? new Uint8Array(),
  };
}

export function answer(context: Context, { status, headers, body }: WebAnswer): void {
  const bytes = typeof body === 'string' ? new TextEncoder().encode(body) : body;
  context.reply(JSON.stringify({ status, headers }), { blob: { mime: undefined, bytes } });
}

/** Serves `path` through this process or, with `content`, without asking it. @throws Error when the server refuses, or is not there */
export async function bind(
  process: Process<unknown>,
  path: string,
  options: { readonly authenticated: boolean; readonly content?: StaticContent },
): Promise<void> {
  const { authenticated, content } = options;
  const bindings = { path, authenticated, local_only: false, cache: content !== undefined };
  const action: HttpServerAction = { kind: 'Bind', value: bindings };
  const reply = await process.request(HTTP_SERVER, httpServerAction.encode(action), {
    blob: content,
  });
  const said = httpServerResponse.decode(reply.body);
  if (said.ok && said.value.kind === 'Ok') return;
  throw new Error(`${HTTP_SERVER} does not bind ${path}: ${new TextDecoder().decode(reply.body)}`);
}

/**
 * Whether a request that changes something may come from a page of this node: a browser says where it comes from, and another site's
 * page cannot make it lie. Without either header it is no browser, and nobody can be tricked.
 */
export function isSameOrigin(headers: ReadonlyMap<string, string>): boolean {
  const site = headers.get('sec-fetch-site');
  if (site !== undefined) return site === 'same-origin' || site === 'none';
  const origin = headers.get('origin');
  if (origin === undefined) return true;
  return /^https?:\/\/(.+)$/.exec(origin)?.[1] === headers.get('host');
}

export function json(status: number, value: unknown): WebAnswer {
  return jsonText(status, JSON.stringify(value));
}

/** As `json`, for what is JSON already. */
export function jsonText(status: number, body: Uint8Array | string): WebAnswer {
  const headers = { 'Content-Type': 'application/json', 'Cache-Control': 'no-store', ...GUARDS };
  return { status, headers, body };
}

export function plain(status: number, body: string): WebAnswer {
  const headers = { 'Content-Type': 'text/plain; charset=utf-8', ...GUARDS };
  return { status, headers, body };
}

/** On every answer: no guessing of types, and no address of this node told to others. */
export const GUARDS: Readonly<Record<string, string>> = {
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'same-origin',
};

const MIMES: Readonly<Record<string, string>> = {
  css: 'text/css; charset=utf-8',
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  json: 'application/json',
  png: 'image/png',
  svg: 'image/svg+xml',
};

/** By the ending of a file's name. */
export function mimeOf(name: string): string {
  if (name.endsWith('manifest.json')) return 'application/manifest+json';
  return MIMES[name.slice(name.lastIndexOf('.') + 1)] ?? 'application/octet-stream';
}
