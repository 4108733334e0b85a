/** The table of an `HttpServer`: which handler answers a path and method, what is kept by the module, and what is not bound yet. */
import { normalPath } from './http-paths.ts';
import { type HttpHeaders, HttpReply, reply } from './http-reply.ts';
import type { HttpRequest } from './http-request.ts';
import type { Process } from './process.ts';

type Awaitable<T> = T | Promise<T>;

/** Who may ask. Of one path, whatever the method. */
export interface BindOptions {
  /** Only the node's owner, logged in. Default true. */
  readonly authenticated?: boolean;
  /** Only from this machine, and only if the operator exposes it there. Default false. */
  readonly localOnly?: boolean;
  /** On the package's own subdomain, where no page of another package can reach it with the owner's cookie. Default false. */
  readonly secure?: boolean;
}

export type HttpHandler<P extends string, S> = (
  request: HttpRequest<P>,
  process: Process<S>,
) => Awaitable<HttpReply>;

/** A file to be served as it is. */
export interface StaticFile {
  /** Percent-encoded, as browsers ask for it. */
  readonly path: string;
  readonly type: string;
  readonly read: () => Awaitable<Uint8Array>;
  /** Given with each answer; the file is then read anew for each request, for the module adds no headers to what it keeps. */
  readonly headers?: HttpHeaders | undefined;
  readonly options?: BindOptions | undefined;
}

/** Where static files come from: see `folder` in `hyperware/http-folder`. */
export type StaticFiles = (process: Process<unknown>) => AsyncIterable<StaticFile>;

interface StaticContent {
  readonly type: string;
  /** Forgotten once it is with the module. */
  bytes: (() => Awaitable<Uint8Array>) | undefined;
  length: number;
}

/** What is served at one path. */
export interface Route<S> {
  /** Without a trailing slash; the root is empty. */
  readonly path: string;
  readonly options: Required<BindOptions>;
  readonly methods: Map<string, HttpHandler<string, S>>;
  content: StaticContent | undefined;
  bound: boolean;
}

/** Stands for every method that has no handler of its own. */
export const ANY = '*';

/** Everything that is served. What a module declares at its top level is where every run of a process begins. */
export class Routes<S> {
  readonly #defaults: Required<BindOptions>;
  #byPath = new Map<string, Route<S>>();
  #declared: readonly Route<S>[] | undefined;

  constructor(defaults: Required<BindOptions>) {
    this.#defaults = defaults;
  }

  /** A process begins: nothing is bound. */
  reset(): void {
    this.#declared ??= [...this.#byPath.values()];
    this.#byPath = new Map(this.#declared.map((route) => [route.path, copyOf(route)]));
  }

  /** @throws Error when the path has that method, or other options, already */
  on(
    method: string,
    path: string,
    handler: HttpHandler<string, S>,
    options: BindOptions | undefined,
  ): void {
    const route = this.#route(path, options);
    if (route.methods.has(method)) throw new Error(`${method} ${path} has a handler already`);
    route.methods.set(method, handler);
    if (method !== 'GET' || route.content === undefined) return;
    route.content = undefined;
    route.bound = false;
  }

  /** Serves a file, in the place of whatever answered GET there. */
  serve({ path, type, read, headers, options }: StaticFile): Route<S> {
    const route = this.#route(path, options);
    route.bound = false;
    route.methods.delete('GET');
    if (headers === undefined) {
      route.content = { type, bytes: read, length: 0 };
      return route;
    }
    route.content = undefined;
    route.methods.set('GET', async () => reply.bytes(await read(), { type, headers }));
    return route;
  }

  /** @param path without a trailing slash */
  remove(path: string): void {
    this.#byPath.delete(path);
  }

  unbound(): readonly Route<S>[] {
    return [...this.#byPath.values()].filter((route) => !route.bound);
  }

  #route(path: string, options: BindOptions | undefined): Route<S> {
    const normal = normalPath(path);
    const known = this.#byPath.get(normal);
    const wanted = { ...this.#defaults, ...options };
    if (known === undefined) {
      const methods = new Map<string, HttpHandler<string, S>>();
      const route = { path: normal, options: wanted, methods, content: undefined, bound: false };
      this.#byPath.set(normal, route);
      return route;
    }
    // A handler without options joins whatever the path has.
    if (options !== undefined && !sameOptions(known.options, wanted)) {
      throw new Error(`${path} is bound with other options already`);
    }
    return known;
  }
}

/** Undefined: see `withoutHandler`. */
export function handlerFor<S>(route: Route<S>, method: string): HttpHandler<string, S> | undefined {
  const { methods } = route;
  const own = methods.get(method);
  if (own !== undefined) return own;
  // The body of an answer to HEAD is left out by the module, which needs it for the length.
  return (method === 'HEAD' ? methods.get('GET') : undefined) ?? methods.get(ANY);
}

/** The answer for a method that the path has no handler for. */
export function withoutHandler<S>({ methods, content }: Route<S>, method: string): HttpReply {
  if (method === 'HEAD' && content !== undefined) {
    const headers = { 'content-length': String(content.length) };
    return new HttpReply(undefined, content.type, { headers });
  }
  const names = new Set(methods.keys());
  if (content !== undefined) names.add('GET');
  if (names.has('GET')) names.add('HEAD');
  names.add('OPTIONS');
  const headers = { allow: [...names].join(', ') };
  if (method === 'OPTIONS') return reply.empty({ headers });
  return reply.error(405, 'MethodNotAllowed', `not ${method}: ${headers.allow}`, headers);
}

function copyOf<S>(route: Route<S>): Route<S> {
  const { methods, content } = route;
  return { ...route, methods: new Map(methods), content: content && { ...content } };
}

function sameOptions(a: Required<BindOptions>, b: Required<BindOptions>): boolean {
  return (
    a.authenticated === b.authenticated && a.localOnly === b.localOnly && a.secure === b.secure
  );
}
