/** A kernel with the web server in it, on a port of its own, processes that bind paths, and clients that look at every byte. */
import { once } from 'node:events';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { connect, type Socket } from 'node:net';
import {
  bytesOf,
  settle,
  type GuestApi,
  type StartOptions,
  TestNode,
  textOf,
} from '../../kernel/testing.ts';
import type { KernelPort } from '../../kernel/module.ts';
import type { KernelMessage, ProcessId } from '../../wit/types.ts';
import {
  httpServer,
  type HttpServerModule,
  type HttpServerNeeds,
  type HttpServerOptions,
  type Listening,
} from './index.ts';
import type { Login } from './parts.ts';

/** An HTTP request as a process sees it. */
export interface SeenRequest {
  readonly source_socket_addr: string | null;
  readonly method: string;
  readonly url: string;
  readonly bound_path: string;
  readonly headers: Record<string, string>;
  readonly url_params: Record<string, string>;
  readonly query_params: Record<string, string>;
}

/** What a process answers with; undefined: nothing. */
export type Served =
  | { readonly body: string; readonly blob?: string | Uint8Array | undefined }
  | undefined;

export type Serve = (
  request: SeenRequest,
  blob: Uint8Array,
  guest: GuestApi,
) => Served | Promise<Served>;

/** One action with its blob; the reply is what the web server said. */
export interface Action {
  readonly body: unknown;
  readonly blob?: string | Uint8Array;
  readonly mime?: string;
}

export interface Got {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
  readonly body: Buffer;
  readonly text: string;
}

export interface Ask {
  readonly method?: string;
  readonly headers?: Record<string, string | string[]>;
  readonly body?: string | Uint8Array;
  readonly localAddress?: string;
}

export class WebNode implements AsyncDisposable {
  readonly node: TestNode;
  readonly web: HttpServerModule;
  readonly listening: Listening;
  /** Ids of the messages the web server sent. */
  readonly sent: KernelMessage['id'][];

  private constructor(
    node: TestNode,
    web: HttpServerModule,
    listening: Listening,
    sent: KernelMessage['id'][],
  ) {
    this.node = node;
    this.web = web;
    this.listening = listening;
    this.sent = sent;
  }

  static async start(
    options: HttpServerOptions = {},
    needs: Partial<HttpServerNeeds> = {},
  ): Promise<WebNode> {
    const node = new TestNode();
    const sent: KernelMessage['id'][] = [];
    const real = node.kernel.port('http-server');
    const port: KernelPort = {
      ...real,
      send: (message) => {
        const id = real.send(message);
        sent.push(id);
        return id;
      },
    };
    const web = httpServer({ port: 0, host: '127.0.0.1', ...options })({
      port,
      clock: node.clock,
      ...needs,
    });
    node.kernel.registerModule(web);
    await node.kernel.boot([]);
    return new WebNode(node, web, await web.listen(), sent);
  }

  get port(): number {
    return this.listening.port;
  }

  /** Starts a process that performs `actions`, then answers requests with `serve`. Resolves with the replies to the actions. */
  async app(
    id: string,
    actions: readonly (Action | object)[],
    serve: Serve = () => undefined,
    options: StartOptions = {},
  ): Promise<string[]> {
    const replies: string[] = [];
    const done = Promise.withResolvers<void>();
    await this.node.start(
      id,
      async (guest) => {
        for (const action of actions) replies.push(await act(guest, action));
        done.resolve();
        for (;;) await serveOne(guest, serve);
      },
      { public: true, holds: ['http-server:distro:sys'], ...options },
    );
    await done.promise;
    await this.web.prepared();
    return replies;
  }

  /** Resolves when as many requests have been sent on as this. */
  async forwarded(count: number): Promise<void> {
    while (this.sent.length < count) await settle();
  }

  kill(id: string): Promise<boolean> {
    return this.node.kernel.kill(id as ProcessId);
  }

  /** One request on a connection of its own. */
  get(path: string, { method = 'GET', headers = {}, body, localAddress }: Ask = {}): Promise<Got> {
    return new Promise((resolve, reject) => {
      const sent = httpRequest({
        host: '127.0.0.1',
        port: this.port,
        path,
        method,
        headers,
        agent: false,
        ...(localAddress === undefined ? {} : { localAddress }),
      });
      sent.on('error', reject);
      sent.on('response', (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const all = Buffer.concat(chunks);
          const { statusCode: status = 0, headers: got, rawHeaders } = response;
          resolve({ status, headers: got, rawHeaders, body: all, text: all.toString() });
        });
      });
      sent.end(body);
    });
  }

  /** Sends bytes as they are and returns everything that comes back until the server closes. */
  async raw(text: string): Promise<string> {
    const socket = await this.connect();
    // Not ended: to Node a client that ends its side has left.
    socket.write(text, 'latin1');
    return readAll(socket);
  }

  async connect(): Promise<Socket> {
    const socket = connect(this.port, '127.0.0.1');
    await once(socket, 'connect');
    return socket;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.node.kernel.shutdown();
  }
}

/** Everything a connection brings until it ends. */
export async function readAll(socket: Socket): Promise<string> {
  let text = '';
  socket.setEncoding('latin1');
  socket.on('data', (chunk: string) => {
    text += chunk;
  });
  socket.on('error', () => undefined);
  await once(socket, 'close');
  return text;
}

/** Reads until the text matches. */
export async function readUntil(socket: Socket, pattern: RegExp): Promise<string> {
  let text = '';
  socket.setEncoding('latin1');
  for (;;) {
    if (pattern.test(text)) return text;
    const [chunk] = (await once(socket, 'data')) as [string];
    text += chunk;
  }
}

/** An answer in the shape that processes give it. */
export function answer(
  status: number,
  headers: Record<string, string> = {},
  blob?: string | Uint8Array,
): Served {
  return { body: JSON.stringify({ status, headers }), blob };
}

/** The usual one: 200, with what was seen as JSON. */
export const echo: Serve = (request, blob) =>
  answer(
    200,
    { 'Content-Type': 'application/json' },
    JSON.stringify({ ...request, blob: textOf(blob) }),
  );

function actionOf(action: Action | object): Action {
  return 'body' in action ? action : { body: action };
}

async function act(guest: GuestApi, action: Action | object): Promise<string> {
  const { body, blob, mime } = actionOf(action);
  const awaited = await guest.sendAndAwait(
    'our@http-server:distro:sys',
    { body: bytesOf(typeof body === 'string' ? body : JSON.stringify(body)) },
    blob === undefined ? undefined : { mime, bytes: bytesOf(blob) },
  );
  if (!awaited.ok) return awaited.error.kind;
  const { message } = awaited.value;
  return message.kind === 'response' ? textOf(message.response.body) : 'a request';
}

async function serveOne(guest: GuestApi, serve: Serve): Promise<void> {
  const { body } = await guest.request();
  const blob = guest.host.getBlob();
  const parsed = JSON.parse(body) as { Http?: SeenRequest };
  if (parsed.Http === undefined) return;
  const served = await serve(parsed.Http, blob?.bytes ?? new Uint8Array(), guest);
  if (served === undefined) return;
  await guest.respond(
    served.body,
    {},
    served.blob === undefined ? undefined : { mime: undefined, bytes: bytesOf(served.blob) },
  );
}

export function bind(
  path: string,
  more: { authenticated?: boolean; local_only?: boolean } = {},
): object {
  return { Bind: { path, authenticated: false, local_only: false, cache: false, ...more } };
}

export function bindStatic(
  path: string,
  blob: string | Uint8Array,
  mime?: string,
  more: { authenticated?: boolean; local_only?: boolean } = {},
): Action {
  const body = { Bind: { path, authenticated: false, local_only: false, cache: true, ...more } };
  return { body, blob, ...(mime === undefined ? {} : { mime }) };
}

/** Requests that look local, and are not quite. */
export const NOT_LOCAL: [string, Record<string, string>][] = [
  ['x-forwarded-for', { 'X-Forwarded-For': '127.0.0.1' }],
  ['x-forwarded-proto', { 'X-Forwarded-Proto': 'http' }],
  ['x-forwarded-host', { 'X-Forwarded-Host': 'localhost' }],
  ['x-real-ip', { 'X-Real-IP': '127.0.0.1' }],
  ['forwarded', { Forwarded: 'for=127.0.0.1' }],
  ['via', { Via: '1.1 proxy' }],
  ['another name', { Host: 'rebound.example' }],
  ['a name that contains localhost', { Host: 'localhost.evil.example' }],
  ['a subdomain', { Host: 'app.localhost' }],
  ['an origin', { Origin: 'https://evil.example' }],
  ['a null origin', { Origin: 'null' }],
  ['another port’s origin', { Host: 'localhost:1', Origin: 'http://localhost:2' }],
  ['a cross-site fetch', { 'Sec-Fetch-Site': 'cross-site' }],
  ['a same-site fetch', { 'Sec-Fetch-Site': 'same-site' }],
];

/** A login whose page is a text, and that lets nobody in. */
export function loginOf(): Login {
  return {
    page: () => bytesOf('the page'),
    pageHeaders: () => [['Cache-Control', 'no-store']],
    asset: () => undefined,
    submit: () => Promise.resolve(undefined),
    session: () => ({ status: 200, headers: [], body: bytesOf('false') }),
    logout: () => ({ status: 204, headers: [], body: bytesOf('') }),
  };
}
