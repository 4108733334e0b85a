/** A process in memory behind a real HTTP server, which can vanish or ask for a password: for tests of pages without a node. */
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { FakeVfs } from '../../processes/lib/testing/fake-vfs.ts';
import { TestProcess } from '../../processes/lib/testing/test-process.ts';
import type { ProcessModule } from '../../processes/lib/process.ts';
import type { Methods } from '../../processes/lib/contract.ts';
import { address } from '../../wit/address.ts';
import { httpResponse, httpServerAction } from '../../wit/http-server-api.ts';
import type { LazyLoadBlob, ProcessId } from '../../wit/types.ts';

const NODE = 'alice.os';

export interface ServedOptions<M extends Methods, S> {
  readonly module: ProcessModule<M, S>;
  readonly id: ProcessId;
  /** What its `pkg` drive holds. */
  readonly pkgFolder: string;
  /** Answers of the kernel, undefined for silence. */
  readonly kernel: (command: string) => string | undefined;
}

export class ServedProcess implements AsyncDisposable {
  /** `gone`: connections break. `login`: every answer is a page that is none of the process's. */
  mode: 'serving' | 'gone' | 'login' = 'serving';
  /** Answered in the place of the process, by path. */
  readonly instead = new Map<string, { readonly status: number; readonly body: string }>();
  readonly #bound = new Map<string, LazyLoadBlob | undefined>();
  readonly #server: Server;
  #process!: TestProcess<Methods, unknown>;
  /** The process in memory works on one thing at a time. */
  #turn: Promise<unknown> = Promise.resolve();

  private constructor() {
    this.#server = createServer((request, response) => void this.#serve(request, response));
  }

  static async start<M extends Methods, S>(options: ServedOptions<M, S>): Promise<ServedProcess> {
    const { module, id, pkgFolder, kernel } = options;
    const served = new ServedProcess();
    const vfs = new FakeVfs();
    await load(vfs, pkgFolder, `${id.split(':').slice(1).join(':')}/pkg`);
    const started = await TestProcess.start(module, {
      our: `${NODE}@${id}`,
      peers: {
        'vfs:distro:sys': vfs.peer,
        'http-server:distro:sys': ({ request, blob }) => {
          const action = httpServerAction.decode(request.body);
          if (action.ok && action.value.kind === 'Bind') {
            served.#bound.set(action.value.value.path, blob);
          }
          return '{"Ok":null}';
        },
        'kernel:distro:sys': ({ request }) => kernel(new TextDecoder().decode(request.body)),
      },
    });
    // Proof of the type: it is only asked in text from here on.
    served.#process = started as unknown as TestProcess<Methods, unknown>;
    served.#server.listen(0, '127.0.0.1');
    await once(served.#server, 'listening');
    return served;
  }

  /** `localhost`, where apps open in tabs; `name` is another host that resolves to it. */
  url(name = 'localhost'): string {
    return `http://${name}:${(this.#server.address() as AddressInfo).port}`;
  }

  /** A request of another process. */
  say(from: string, body: unknown): Promise<string | undefined> {
    return this.#inTurn(() =>
      this.#process.ask(JSON.stringify(body), { source: address(`${NODE}@${from}`) }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://x');
    if (this.mode === 'gone') return void request.socket.destroy();
    if (this.mode === 'login') return void response.end('<title>login</title>');
    const instead = this.instead.get(url.pathname);
    if (instead !== undefined) {
      response.writeHead(instead.status, { 'content-type': 'application/json' }).end(instead.body);
      return;
    }
    const content = this.#bound.get(url.pathname);
    if (content !== undefined && request.method === 'GET') {
      response.writeHead(200, { 'content-type': content.mime ?? 'text/plain' }).end(content.bytes);
      return;
    }
    if (!this.#bound.has(url.pathname)) {
      response.writeHead(200, { 'content-type': 'text/html' }).end(`<h1>at ${url.pathname}</h1>`);
      return;
    }
    const { status, headers, body } = await this.#inTurn(() => this.#forward(request, url));
    response.writeHead(status, headers).end(body);
  }

  async #forward(
    request: IncomingMessage,
    url: URL,
  ): Promise<{ status: number; headers: Record<string, string>; body: Uint8Array | undefined }> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const headers = Object.entries(request.headers).map(([name, value]) => [name, String(value)]);
    const http = {
      source_socket_addr: null,
      method: request.method,
      url: `http://localhost${url.pathname}`,
      bound_path: url.pathname,
      headers: Object.fromEntries(headers) as unknown,
      url_params: {},
      query_params: Object.fromEntries(url.searchParams),
    };
    const said = await this.#process.ask(JSON.stringify({ Http: http }), {
      source: address(`${NODE}@http-server:distro:sys`),
      blob: { mime: undefined, bytes: new Uint8Array(Buffer.concat(chunks)) },
    });
    const answered = httpResponse.decode(said ?? '');
    if (!answered.ok) return { status: 408, headers: {}, body: undefined };
    const { responses } = this.#process.host;
    return {
      status: answered.value.status,
      headers: Object.fromEntries(answered.value.headers),
      body: responses.at(-1)?.blob?.bytes,
    };
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => {});
    return done;
  }
}

async function load(vfs: FakeVfs, folder: string, at: string): Promise<void> {
  vfs.folders.add(at);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const from = join(folder, entry.name);
    if (entry.isDirectory()) await load(vfs, from, `${at}/${entry.name}`);
    else vfs.files.set(`${at}/${entry.name}`, await readFile(from));
  }
}
