/**
 * `http-server:distro:sys` in memory, for tests of processes: what they bind is found as runtime-modules.md §6.3-§6.5 say, and
 * browsers are played by the test. It speaks through wit/http-server-api.ts.
 */
import {
  type HttpServerAction,
  httpResponse,
  httpServerAction,
  httpServerRequest,
  httpServerResponse,
  type HttpServerError,
  type WsMessageType,
} from '../../../wit/http-server-api.ts';
import { address } from '../../../wit/address.ts';
import { boundPath, PathPattern } from '../http-paths.ts';
import type { Answered, MemoryHost, Peer, Sent } from './memory-host.ts';

/** What is bound to a path. */
export interface Binding {
  readonly authenticated: boolean;
  readonly localOnly: boolean;
  readonly secure: boolean;
  /** Content kept by the module. */
  readonly content: { readonly type: string; readonly bytes: Uint8Array } | undefined;
}

export interface FakeRequest {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
  /** Whether the browser has a session. Default true. */
  readonly loggedIn?: boolean;
}

export interface FakeResponse {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Uint8Array;
  readonly text: string;
}

/** An answer in pieces. */
interface FakeStream {
  readonly pieces: Uint8Array[];
  end: 'fin' | 'abort' | undefined;
}

/** A `TestProcess`, whatever it is. */
interface AnyProcess {
  readonly host: MemoryHost;
  run(): Promise<void>;
}

const ORIGIN = 'http://alice.localhost';
const BROWSER = '127.0.0.1:51000';
/** How long a process has for its answer, on the clock of the in-memory host. */
const TIMEOUT_S = 15;
/** As the reference answers in place of what needs a login. */
export const LOGIN_PAGE = 'the login page';

export class FakeHttpServer {
  /** By the whole path. */
  readonly bindings = new Map<string, Binding>();
  readonly sockets = new Map<
    string,
    { readonly authenticated: boolean; readonly secure: boolean }
  >();
  readonly channels = new Map<number, FakeSocket>();
  /** Answers in pieces under way, by the id of the request. */
  readonly streams = new Map<string, FakeStream>();
  /** Kinds of what the process asked for. */
  readonly log: HttpServerAction['kind'][] = [];
  /** What answers by file are read from, as `FakeVfs` has it; without ranges, which are the module's own. */
  files: ReadonlyMap<string, Uint8Array> = new Map();
  #nextChannel = 1;
  #nextRequest = 1;

  readonly peer: Peer = (sent, host) => {
    const decoded = httpServerAction.decode(sent.request.body);
    const error = decoded.ok
      ? this.#act(decoded.value, sent, host)
      : ({ kind: 'MalformedRequest' } as const);
    return httpServerResponse.encode(
      error === undefined ? { kind: 'Ok' } : { kind: 'Err', value: error },
    );
  };

  /** What a browser gets. `path`: of the site, with the process's prefix. The clock moves while it is unanswered. */
  async request(
    process: AnyProcess,
    path: string,
    options: FakeRequest = {},
  ): Promise<FakeResponse> {
    const { method = 'GET', headers = {}, body = '', loggedIn = true } = options;
    const [whole = '', query = ''] = path.split('?');
    const at = whole.endsWith('/') ? whole.slice(0, -1) : whole;
    const found = find(this.bindings, at) ?? find(this.bindings, `/${at.split('/')[1] ?? ''}`);
    if (found === undefined) return response(404);
    const { binding, bound, params } = found;
    if ((binding.authenticated || binding.secure) && !loggedIn) {
      return response(200, {}, new TextEncoder().encode(LOGIN_PAGE));
    }
    if (method === 'GET' && binding.content !== undefined) {
      const { type, bytes } = binding.content;
      return response(200, { 'content-type': type }, bytes);
    }
    const id = `${this.#nextRequest++}`;
    const lower = Object.entries({ ...headers, 'x-hyperware-request-id': id }).map(
      ([name, value]) => [name.toLowerCase(), value],
    );
    const message = httpServerRequest.encode({
      kind: 'Http',
      value: {
        source_socket_addr: BROWSER,
        method,
        url: ORIGIN + at,
        bound_path: bound,
        headers: new Map(lower as [string, string][]),
        url_params: new Map(Object.entries(params)),
        query_params: new Map(new URLSearchParams(query)),
      },
    });
    const bytes = typeof body === 'string' ? new TextEncoder().encode(body) : body;
    // Pieces may come as soon as the head is given.
    const stream: FakeStream = { pieces: [], end: undefined };
    this.streams.set(id, stream);
    const messageId = arrive(process, message, bytes, TIMEOUT_S);
    await process.run();
    const answered = (): Answered | undefined =>
      process.host.responses.find((one) => one.id === messageId);
    for (let second = 0; second < TIMEOUT_S && answered() === undefined; second++) {
      process.host.advance(1);
      await process.run();
    }
    const answer = answered();
    if (answer === undefined) return response(408);
    const head = httpResponse.decode(answer.response.body);
    if (!head.ok) return response(500);
    const content = method === 'HEAD' ? undefined : answer.blob?.bytes;
    const {
      'x-hyperware-stream': pieces,
      'x-hyperware-file': file,
      ...shown
    } = Object.fromEntries(head.value.headers);
    if (file !== undefined) return this.#file(file, shown, headers['if-none-match']);
    if (pieces !== '1' || method === 'HEAD') return response(head.value.status, shown, content);
    for (let second = 0; second < TIMEOUT_S && stream.end === undefined; second++) {
      process.host.advance(1);
      await process.run();
    }
    this.streams.delete(id);
    if (stream.end !== 'fin') throw new Error('the connection was cut');
    const all = await new Blob([content ?? '', ...stream.pieces] as BlobPart[]).bytes();
    return response(head.value.status, shown, all);
  }

  #file(path: string, shown: Readonly<Record<string, string>>, known?: string): FakeResponse {
    if (known !== undefined && known === shown['etag']) return response(304, shown);
    const content = this.files.get(path.split('/').filter(Boolean).join('/'));
    return content === undefined ? response(404) : response(200, shown, content);
  }

  /** Opens a socket as a browser does; undefined when it is refused. */
  async connect(
    process: AnyProcess,
    path: string,
    { loggedIn = true }: { readonly loggedIn?: boolean } = {},
  ): Promise<FakeSocket | undefined> {
    const found = find(this.sockets, path.endsWith('/') ? path.slice(0, -1) : path);
    if (found === undefined || ((found.binding.authenticated || found.binding.secure) && !loggedIn))
      return undefined;
    const socket = new FakeSocket(this, process, this.#nextChannel++);
    this.channels.set(socket.channelId, socket);
    const event = {
      path: `/${path.split('/').slice(2).join('/')}`,
      channel_id: socket.channelId,
      source_socket_addr: BROWSER,
      forwarded_for: undefined,
    };
    arrive(process, httpServerRequest.encode({ kind: 'WebSocketOpen', value: event }));
    await process.run();
    return socket;
  }

  #act(action: HttpServerAction, sent: Sent, host: MemoryHost): HttpServerError | undefined {
    const our = host.our().process;
    this.log.push(action.kind);
    switch (action.kind) {
      case 'Bind':
      case 'SecureBind': {
        const { path, cache } = action.value;
        if (cache && sent.blob === undefined) return { kind: 'NoBlob' };
        const { bytes = new Uint8Array(), mime } = sent.blob ?? {};
        this.bindings.set(boundPath(our, path), {
          authenticated: action.kind === 'SecureBind' || action.value.authenticated,
          localOnly: action.kind === 'Bind' && action.value.local_only,
          secure: action.kind === 'SecureBind',
          content: cache ? { type: mime ?? 'text/plain', bytes } : undefined,
        });
        return undefined;
      }
      case 'Unbind':
        this.bindings.delete(boundPath(our, action.value.path));
        return undefined;
      case 'WebSocketBind':
      case 'WebSocketSecureBind':
        this.sockets.set(boundPath(our, action.value.path), {
          authenticated: action.kind === 'WebSocketSecureBind' || action.value.authenticated,
          secure: action.kind === 'WebSocketSecureBind',
        });
        return undefined;
      case 'WebSocketUnbind':
        this.sockets.delete(boundPath(our, action.value.path));
        return undefined;
      case 'WebSocketPush': {
        const { channel_id, message_type } = action.value;
        if (sent.blob === undefined) return { kind: 'NoBlob' };
        const socket = this.channels.get(channel_id);
        if (socket === undefined) return { kind: 'WsChannelNotFound' };
        socket.took(message_type.kind, sent.blob.bytes);
        return undefined;
      }
      case 'HttpStreamPush': {
        const { request_id, fin, abort } = action.value;
        const stream = this.streams.get(request_id);
        if (stream === undefined || stream.end !== undefined) return { kind: 'StreamClosed' };
        if (sent.blob !== undefined) stream.pieces.push(sent.blob.bytes);
        if (fin || abort === true) stream.end = fin ? 'fin' : 'abort';
        return undefined;
      }
      case 'WebSocketClose':
        this.channels.get(action.value)?.closedByProcess();
        return undefined;
      default:
        return { kind: 'MalformedRequest' };
    }
  }
}

/** The browser's end of a socket. */
export class FakeSocket {
  readonly channelId: number;
  /** Frames received and not taken yet. */
  readonly received: (string | Uint8Array)[] = [];
  isOpen = true;
  readonly #server: FakeHttpServer;
  readonly #process: AnyProcess;

  constructor(server: FakeHttpServer, process: AnyProcess, channelId: number) {
    this.#server = server;
    this.#process = process;
    this.channelId = channelId;
  }

  /** Sends a frame and lets the process work. */
  async send(frame: string | Uint8Array): Promise<void> {
    this.#push(typeof frame === 'string' ? 'Text' : 'Binary', bytesOf(frame));
    await this.#process.run();
  }

  /** Sends a ping, whose answer is the module's business; the process is told of it (M177). */
  async ping(): Promise<void> {
    this.#push('Ping', new Uint8Array());
    await this.#process.run();
  }

  /** Closes as browsers do: the process is told twice (M178). */
  async close(reason = ''): Promise<void> {
    this.#push('Close', bytesOf(reason));
    await this.drop();
  }

  /** The connection breaks. */
  async drop(): Promise<void> {
    this.#end();
    await this.#process.run();
  }

  /** The connection breaks, and the process does not learn of it in time. */
  vanish(): void {
    this.isOpen = false;
    this.#server.channels.delete(this.channelId);
  }

  /** The oldest frame received, as text; undefined when there is none. */
  next(): string | undefined {
    const frame = this.received.shift();
    return frame instanceof Uint8Array ? new TextDecoder().decode(frame) : frame;
  }

  /** For the server: the process has sent something. */
  took(type: WsMessageType, bytes: Uint8Array): void {
    if (type === 'Text') this.received.push(new TextDecoder().decode(bytes));
    if (type === 'Binary') this.received.push(bytes);
    if (type === 'Close') this.closedByProcess();
  }

  /** For the server: the process has closed it. */
  closedByProcess(): void {
    this.#push('Close', new Uint8Array());
    this.#end();
  }

  #end(): void {
    this.vanish();
    const message = { kind: 'WebSocketClose', value: this.channelId } as const;
    arrive(this.#process, httpServerRequest.encode(message));
  }

  #push(message_type: WsMessageType, bytes: Uint8Array): void {
    const value = { channel_id: this.channelId, message_type: { kind: message_type } };
    arrive(this.#process, httpServerRequest.encode({ kind: 'WebSocketPush', value }), bytes);
  }
}

function arrive(
  { host }: AnyProcess,
  body: Uint8Array,
  blob?: Uint8Array,
  expectsResponse?: number,
): number {
  return host.arrive({
    source: address(`${host.our().node}@http-server:distro:sys`),
    body,
    blob: blob && { mime: undefined, bytes: blob },
    expectsResponse,
  });
}

interface Found<B> {
  readonly binding: B;
  readonly bound: string;
  readonly params: Readonly<Record<string, string>>;
}

/** The binding whose pattern fits best; of equals the earlier. */
function find<B>(bindings: ReadonlyMap<string, B>, path: string): Found<B> | undefined {
  let best: (Found<B> & { readonly pattern: PathPattern }) | undefined;
  for (const [bound, binding] of bindings) {
    const pattern = new PathPattern(bound);
    const params = pattern.match(path);
    if (params === undefined || (best !== undefined && best.pattern.compare(pattern) <= 0))
      continue;
    best = { binding, bound, params, pattern };
  }
  return best;
}

function response(
  status: number,
  headers: Readonly<Record<string, string>> = {},
  body: Uint8Array = new Uint8Array(),
): FakeResponse {
  const all = new Map([['content-type', 'application/octet-stream'], ...Object.entries(headers)]);
  return { status, headers: all, body, text: new TextDecoder().decode(body) };
}

function bytesOf(frame: string | Uint8Array): Uint8Array {
  return typeof frame === 'string' ? new TextEncoder().encode(frame) : frame;
}
