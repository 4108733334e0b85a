/**
 * `HttpServer`: what a process serves to browsers, through `http-server:distro:sys` (runtime-modules.md §6).
 * `import … from 'hyperware/http-server'`; pass it to `defineProcess({ http })`.
 *
 * The module decides which bound path a request is for and says so, so that here a request costs one parse and one look-up.
 */
import { boundPath, normalPath, pathIn, prefixOf } from './http-paths.ts';
import { contentType } from './content-types.ts';
import type { Contract, Methods, ArgsOf, ResultOf } from './contract.ts';
import { describe } from './engine/console.ts';
import { NoResponse } from './errors.ts';
import {
  type HttpHeaders,
  HttpReply,
  HttpStreamReply,
  reply,
  ReplyEncoder,
  replyTo,
} from './http-reply.ts';
import { HttpStream } from './http-stream.ts';
import { HttpRequest, type WireRequest } from './http-request.ts';
import {
  ANY,
  type BindOptions,
  handlerFor,
  type HttpHandler,
  type Route,
  Routes,
  type StaticFiles,
  withoutHandler,
} from './http-routes.ts';
import { callHttpServer, HTTP_SERVER } from './http-server-calls.ts';
import type { Context } from './context.ts';
import type { Part, PartAnswer, Process } from './process.ts';
import { SocketTable, type WireSocketEvent } from './socket-table.ts';
import { bytesOf } from './utf8.ts';
import type { SocketHandlers, WebSockets } from './web-sockets.ts';

export { escapeHtml, HttpError, HttpReply, reply, strictHeaders } from './http-reply.ts';
export { HttpStream, sseEvent } from './http-stream.ts';
export { Fields, HttpRequest, wholeNumber } from './http-request.ts';
export { HttpServerError } from './http-server-calls.ts';
export type { BindOptions, HttpHandler, StaticFile, StaticFiles } from './http-routes.ts';
export type { Channel, SocketHandlers, WebSockets } from './web-sockets.ts';

export interface HttpServerOptions extends BindOptions {
  /** Of every answer that this process gives, unless the answer says otherwise. Names in lower case. See `strictHeaders`. */
  readonly headers?: HttpHeaders;
}

type Awaitable<T> = T | Promise<T>;

/** One handler for every method of a contract, as `on` of `defineProcess` has them, with the HTTP request in the place of the context. */
export type HttpContractHandlers<M extends Methods, S> = {
  readonly [K in keyof M]: (
    args: ArgsOf<M[K]>,
    request: HttpRequest,
    process: Process<S>,
  ) => Awaitable<[ResultOf<M[K]>] extends [undefined] ? ResultOf<M[K]> | void : ResultOf<M[K]>>;
};

/** A process of its own has one, at its module's top level. `S`: the type of the process's state. */
export class HttpServer<S = unknown> implements Part<S> {
  readonly #defaults: Required<BindOptions>;
  readonly #routes: Routes<S>;
  readonly #replies: ReplyEncoder;
  #sources: StaticFiles[] = [];
  readonly #sockets = new SocketTable<S>();
  /** By the name that the module gives a path. */
  #byBoundPath = new Map<string, Route<S>>();
  #fallback: HttpHandler<string, S> | undefined;
  /** Answers in pieces under way, by the module's id of the request. */
  readonly #streams = new Map<string, HttpStream>();
  #process: Process<S> | undefined;
  #prefix = '';
  /** Of the module's top level. */
  #declaredSources: readonly StaticFiles[] | undefined;

  constructor(options: HttpServerOptions = {}) {
    const { authenticated = true, localOnly = false, secure = false, headers } = options;
    this.#defaults = { authenticated, localOnly, secure };
    this.#routes = new Routes(this.#defaults);
    this.#replies = new ReplyEncoder(headers);
  }

  // ---- what is served

  /** Paths are patterns: `/items/:id` gives `request.params.id`, `/files/*rest` everything below. HEAD is answered too. */
  get<const P extends string>(path: P, handler: HttpHandler<P, S>, options?: BindOptions): void {
    this.on('GET', path, handler, options);
  }
  post<const P extends string>(path: P, handler: HttpHandler<P, S>, options?: BindOptions): void {
    this.on('POST', path, handler, options);
  }
  put<const P extends string>(path: P, handler: HttpHandler<P, S>, options?: BindOptions): void {
    this.on('PUT', path, handler, options);
  }
  patch<const P extends string>(path: P, handler: HttpHandler<P, S>, options?: BindOptions): void {
    this.on('PATCH', path, handler, options);
  }
  delete<const P extends string>(path: P, handler: HttpHandler<P, S>, options?: BindOptions): void {
    this.on('DELETE', path, handler, options);
  }
  /** Every method that the path has no handler for. */
  all<const P extends string>(path: P, handler: HttpHandler<P, S>, options?: BindOptions): void {
    this.on(ANY, path, handler, options);
  }

  /** Any method by its name. @throws Error when the path has that method, or other options, already */
  on<const P extends string>(
    method: string,
    path: P,
    handler: HttpHandler<P, S>,
    options?: BindOptions,
  ): void {
    // Proof of the type: a request of this path has the parameters of this path.
    this.#routes.on(method, path, handler as unknown as HttpHandler<string, S>, options);
  }

  /**
   * A contract over HTTP: POST of a request's body, such as `{"Add":{"text":"milk"}}`, is answered with the response's. A refusal is
   * the status and JSON that its kind stands for.
   */
  contract<const M extends Methods>(
    path: string,
    contract: Contract<M>,
    handlers: HttpContractHandlers<M, S>,
    options?: BindOptions,
  ): void {
    this.post(
      path,
      (request, process) => {
        const call = request.json(contract.requests);
        const { kind, value } = call;
        // Proof of the type: the contract decoded the argument of that method.
        const handler = handlers[kind] as (a: unknown, r: unknown, p: Process<S>) => unknown;
        const answer = (result: unknown): HttpReply =>
          reply.coded(contract.responses, { kind, value: result });
        const result = handler(value, request, process);
        return result instanceof Promise ? result.then(answer) : answer(result);
      },
      options,
    );
  }

  /** Content that the module keeps and answers GET with, without asking this process. The type is that of the path's ending. */
  static(
    path: string,
    content: Uint8Array | string,
    { type = contentType(path), ...options }: BindOptions & { readonly type?: string } = {},
  ): void {
    this.#routes.serve({ path, type, read: () => bytesOf(content), options });
  }

  /** Files read when the process starts: `http.files(folder('ui'))`. */
  files(source: StaticFiles): void {
    this.#sources.push(source);
  }

  /** WebSockets to that path. The result knows all that are open. */
  sockets<In = string | Uint8Array, Out = string | Uint8Array>(
    path: string,
    handlers: SocketHandlers<In, Out, S>,
    options: Omit<BindOptions, 'localOnly'> = {},
  ): WebSockets<In, Out, S> {
    const { authenticated = this.#defaults.authenticated, secure = this.#defaults.secure } =
      options;
    return this.#sockets.add(path, handlers, { authenticated, secure });
  }

  /**
   * A channel for a native program of this machine (runtime-modules.md §8): the http-server lets it in from there only, and nobody has
   * proven anything by being let in. Frames are bytes, sent with `channel.tell`.
   */
  extension(path: string, handlers: SocketHandlers<string | Uint8Array, never, S>): void {
    const options = { authenticated: false, secure: false, extension: true };
    this.#sockets.add(path, handlers, options);
  }

  /** Answers for paths below this process that are bound to nothing; asked only while `/` is bound. Default: 404. */
  fallback(handler: HttpHandler<string, S>): void {
    this.#fallback = handler;
  }

  // ---- while the process runs

  /** Binds what has been added since the last time. The process loop calls it once. @throws HttpServerError */
  async bind(): Promise<void> {
    const process = this.#running();
    const fresh = this.#routes.unbound();
    await Promise.all([...fresh.map((route) => this.#bind(route)), this.#sockets.bind(process)]);
    // Last: once a page is bound to the root, whatever is not bound yet shows that page.
    for (const source of this.#sources.splice(0)) {
      for await (const file of source(process)) {
        const route = this.#routes.serve(file);
        // One at a time, so that no more than one file is held here.
        await this.#bind(route);
      }
    }
  }

  /** The path answers 404 from now on. @throws HttpServerError */
  async unbind(path: string): Promise<void> {
    const process = this.#running();
    const normal = normalPath(path);
    this.#routes.remove(normal);
    this.#byBoundPath.delete(this.#prefix + normal);
    await callHttpServer(process, { Unbind: { path: normal === '' ? '/' : normal } });
  }

  /** For the process loop. */
  async start(process: Process<S>): Promise<void> {
    this.#process = process;
    this.#prefix = prefixOf(process.our.process);
    this.#byBoundPath = new Map();
    this.#declaredSources ??= [...this.#sources];
    this.#sources = [...this.#declaredSources];
    this.#routes.reset();
    this.#sockets.reset(process);
    process.take(HTTP_SERVER, (context) => this.#take(context));
    await this.bind();
  }

  // ---- routes

  #running(): Process<S> {
    if (this.#process === undefined) {
      throw new Error('the server has not started: pass it to defineProcess as `http`');
    }
    return this.#process;
  }

  async #bind(route: Route<S>): Promise<void> {
    const process = this.#running();
    const { authenticated, localOnly: local_only, secure } = route.options;
    const path = route.path === '' ? '/' : route.path;
    const { content } = route;
    const bytes = await content?.bytes?.();
    const cache = bytes !== undefined;
    const action = secure
      ? { SecureBind: { path, cache } }
      : { Bind: { path, authenticated, local_only, cache } };
    // First, so that a request that comes before the answer does is served.
    this.#byBoundPath.set(boundPath(process.our.process, route.path), route);
    await callHttpServer(process, action, bytes && { mime: content?.type, bytes });
    route.bound = true;
    if (content === undefined || bytes === undefined) return;
    content.length = bytes.length;
    content.bytes = undefined;
  }

  // ---- requests

  #take(context: Context): Awaitable<PartAnswer | undefined> {
    const event = JSON.parse(context.text) as {
      readonly Http?: WireRequest;
      readonly HttpStreamClosed?: { readonly request_id: string };
    };
    if (event.Http !== undefined) return this.#answer(event.Http, context);
    if (event.HttpStreamClosed !== undefined) {
      this.#streams.get(event.HttpStreamClosed.request_id)?.left();
      return undefined;
    }
    // Proof of the type: wit/http-server-api.ts, `httpServerRequest`.
    return this.#sockets.receive(event as WireSocketEvent, context);
  }

  #answer(wire: WireRequest, context: Context): Awaitable<PartAnswer | undefined> {
    const process = this.#running();
    const request = new HttpRequest(wire, context, this.#prefix);
    const route = this.#byBoundPath.get(wire.bound_path);
    // What matches nothing comes as if it were for the root (M123).
    const lost = route === undefined || (route.path === '' && this.#isBelow(wire.url));
    const handler = lost ? this.#fallback : handlerFor(route, wire.method);
    if (handler === undefined)
      return this.#replies.encode(lost ? NOT_FOUND : withoutHandler(route, wire.method));
    let result: Awaitable<HttpReply>;
    try {
      result = handler(request, process);
    } catch (error) {
      return this.#replies.encode(this.#failure(error, wire));
    }
    if (!(result instanceof Promise)) return this.#finish(result, wire, context);
    return result.then(
      (answer) => this.#finish(answer, wire, context),
      (error: unknown) => this.#replies.encode(this.#failure(error, wire)),
    );
  }

  #isBelow(url: string): boolean {
    const path = pathIn(url);
    return path.length > this.#prefix.length && path !== `${this.#prefix}/`;
  }

  #finish(answer: HttpReply, wire: WireRequest, context: Context): PartAnswer | undefined {
    if (answer instanceof HttpStreamReply) return this.#stream(answer, wire, context);
    if (answer instanceof HttpReply) return this.#replies.encode(answer);
    const fault = new TypeError(`the handler returned ${typeof answer}, not a reply`);
    return this.#replies.encode(this.#failure(fault, wire));
  }

  /** The head goes out now; pieces can only follow it. */
  #stream(answer: HttpStreamReply, wire: WireRequest, context: Context): undefined {
    const { body } = this.#replies.encode(answer);
    context.deferReply().resolve(body);
    const id = wire.headers[REQUEST_ID];
    if (id === undefined || wire.method === 'HEAD') return undefined;
    const process = this.#running();
    const stream = new HttpStream(process, id);
    this.#streams.set(id, stream);
    void answer
      .produce(stream)
      .then(
        () => stream.end(),
        (error: unknown) => {
          if (!stream.signal.aborted) {
            process.print(`${wire.method} ${pathIn(wire.url)}: ${describe(error)}`);
          }
          return stream.cut();
        },
      )
      .catch((error: unknown) => process.print(`http-server: ${describe(error)}`, 1))
      .finally(() => this.#streams.delete(id));
    return undefined;
  }

  /** The client learns of a fault that there was one, the owner which. */
  #failure(reason: unknown, { method, url }: WireRequest): HttpReply {
    const told = replyTo(reason);
    if (told !== undefined) return told;
    this.#running().print(`${method} ${pathIn(url)}: ${describe(reason)}`);
    if (reason instanceof NoResponse) {
      return reply.error(503, 'Unavailable', 'what answers this does not respond; try again');
    }
    return reply.error(500, 'Internal', 'the server failed to answer this');
  }
}

/** What the module calls a request, in its headers. */
const REQUEST_ID = 'x-hyperware-request-id';
const NOT_FOUND = reply.error(404, 'NotFound', 'there is nothing here');
