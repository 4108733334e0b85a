/**
 * `http-server:distro:sys` (runtime-modules.md §6): processes bind paths, and are asked for them; browsers and programs are answered.
 * This file is the module as the kernel sees it: actions in, answers and endings in; the rest is behind `Handler`.
 */
import { once } from 'node:events';
import type {
  Answer,
  KernelPort,
  ModuleRequest,
  ProcessEnding,
  RuntimeModule,
  SendFailure,
} from '../../kernel/module.ts';
import type { MaybePromise } from '../../kernel/process-host.ts';
import { isSafeProcessId } from '../../wit/address.ts';
import {
  httpServerAction,
  httpServerResponse,
  type HttpServerAction,
  type HttpServerError,
} from '../../wit/http-server-api.ts';
import type { KernelMessage, ProcessId, Result, SendError, U64 } from '../../wit/types.ts';
import type { Clock } from '../shared/clock.ts';
import type { FileStreams } from '../shared/file-streams.ts';
import { decodeBody, refuse } from '../shared/refuse.ts';
import { Actions } from './actions.ts';
import { Bindings } from './bindings/bindings.ts';
import { decodePush } from './channels/channel-bodies.ts';
import { Compressor } from './static/compressor.ts';
import { Counters } from './counters.ts';
import { Handler } from './handler.ts';
import {
  ACTION_BYTES_MAX,
  ANSWER_S_DEFAULT,
  DRAIN_MS_MAX,
  REQUEST_BYTES_MAX,
  REQUEST_CHECK_MS,
  REQUESTS_BYTES_MAX,
  STALLED_CLIENT_MS_MAX,
  STARTING_MS,
} from './limits.ts';
import { listen, webServer, type Tls, type WebServer } from './listen.ts';
import { type Figure, type MetricsServer, serveMetrics } from './metrics.ts';
import type { AccessTo, Channels, Login, PeerSockets } from './parts.ts';
import { proxyList } from './requests/peer.ts';
import { SecureLabels } from './bindings/secure-labels.ts';
import { Streams } from './requests/streams.ts';
import { WaitingTable } from './requests/waiting.ts';

export { ListenError, type Tls } from './listen.ts';
export type { Figure } from './metrics.ts';

export interface HttpServerOptions {
  /** Default: the first free of 8080 to 8998; 0: any. */
  readonly port?: number | undefined;
  /** Address to listen on; default `0.0.0.0`, of a development node `127.0.0.1`. */
  readonly host?: string | undefined;
  readonly tls?: Tls | undefined;
  /** Loopback only, in address and in Host (F21). */
  readonly development?: boolean;
  /** Answer RPC and local-only paths, on this machine. */
  readonly exposeLocal?: boolean;
  /** Let extensions open channels, on this machine (F40). */
  readonly extensions?: boolean;
  /** Proxies whose X-Forwarded headers count, as addresses or networks; those on this machine always do (F22). */
  readonly trustedProxies?: readonly string[] | undefined;
  /** Seconds an answer may take; default `ANSWER_S_DEFAULT`. */
  readonly answerS?: number | undefined;
  /** Default `REQUEST_BYTES_MAX`. */
  readonly bodyBytesMax?: number | undefined;
  /** Default `REQUESTS_BYTES_MAX`. */
  readonly bodiesBytesMax?: number | undefined;
  readonly connectionsMax?: number | undefined;
  /** How long headers and whole requests may take to arrive, in milliseconds. */
  readonly headersMs?: number | undefined;
  readonly requestMs?: number | undefined;
  /** Default `STALLED_CLIENT_MS_MAX`. */
  readonly stalledMs?: number | undefined;
  /** A listener of its own for /metrics and /health; default none. */
  readonly metrics?: { readonly port: number; readonly host?: string | undefined } | undefined;
}

export interface HttpServerNeeds {
  readonly port: KernelPort;
  readonly clock: Clock;
  /** Without it, authenticated paths are refused. */
  readonly accessTo?: AccessTo | undefined;
  readonly login?: Login | undefined;
  /** Which subdomains are whose; what the login is given too. */
  readonly labels?: SecureLabels | undefined;
  /** Without them, upgrades are answered as ordinary requests. */
  readonly channels?: Channels | undefined;
  /** Without it, other nodes do not connect here. */
  readonly peers?: PeerSockets | undefined;
  /** Files of vfs, for what passes by processes (findings F46); known when vfs is. */
  readonly files?: (() => FileStreams | undefined) | undefined;
  /** What the node adds to the metrics; the same names each time. */
  readonly figures?: (() => readonly Figure[]) | undefined;
  /** Shown by /health. */
  readonly version?: string | undefined;
}

/** Where the module listens. */
export interface Listening {
  readonly port: number;
  /** To type into a browser on this machine. */
  readonly url: string;
  /** Of the metrics, when they are on. */
  readonly metricsUrl: string | undefined;
}

export interface HttpWork {
  readonly action: HttpServerAction;
  readonly request: ModuleRequest;
}

export interface HttpServerModule extends RuntimeModule<HttpWork> {
  /** Opens the port. @throws ListenError */
  listen(): Promise<Listening>;
  /** Takes no new connections and lets requests under way finish, for at most DRAIN_MS_MAX; then ends the rest. Safe to call twice. */
  drain(): Promise<void>;
  /** Requests that wait for somebody's answer. */
  readonly waiting: number;
  /** Open connections, WebSockets not counted. */
  readonly connections: number;
  /** Bytes of bodies that requests under way hold. */
  readonly heldBytes: number;
  /** Resolves when all static content bound so far has its ETag and compressed forms. */
  prepared(): Promise<void>;
}

export const httpServer =
  (options: HttpServerOptions = {}) =>
  (needs: HttpServerNeeds): HttpServerModule =>
    new HttpServer(needs, options);

class HttpServer implements HttpServerModule {
  readonly name = 'http-server';
  readonly public = false;
  readonly #needs: HttpServerNeeds;
  readonly #options: HttpServerOptions;
  readonly #host: string;
  readonly #counters = new Counters();
  readonly #bindings: Bindings;
  readonly #compressor = new Compressor();
  readonly #actions: Actions;
  readonly #waiting: WaitingTable;
  readonly #streams: Streams;
  readonly #handler: Handler;
  #server: WebServer | undefined;
  #metrics: MetricsServer | undefined;
  #drained: Promise<void> | undefined;
  #watching: object | undefined;
  #starting: object | undefined;

  constructor(needs: HttpServerNeeds, options: HttpServerOptions) {
    this.#needs = needs;
    this.#options = options;
    const { port, clock } = needs;
    this.#bindings = new Bindings(needs.labels ?? new SecureLabels());
    const development = options.development ?? false;
    this.#host = options.host ?? (development ? '127.0.0.1' : '0.0.0.0');
    this.#streams = new Streams({ port, clock });
    this.#actions = new Actions({
      bindings: this.#bindings,
      channels: needs.channels,
      streams: this.#streams,
      files: needs.files,
      compressor: this.#compressor,
      print: (verbosity, text) => port.print(verbosity, text),
    });
    this.#waiting = new WaitingTable({ port, clock, counters: this.#counters });
    this.#handler = new Handler(
      {
        our: port.our.node,
        development,
        exposeLocal: options.exposeLocal ?? false,
        extensions: options.extensions ?? false,
        answerS: options.answerS ?? ANSWER_S_DEFAULT,
        trustedProxies: proxyList(options.trustedProxies ?? []),
        stalledMs: options.stalledMs ?? STALLED_CLIENT_MS_MAX,
      },
      {
        bindings: this.#bindings,
        waiting: this.#waiting,
        streams: this.#streams,
        files: needs.files,
        bodies: {
          counters: this.#counters,
          bytesMax: options.bodyBytesMax ?? REQUEST_BYTES_MAX,
          totalBytesMax: options.bodiesBytesMax ?? REQUESTS_BYTES_MAX,
        },
        print: (verbosity, text) => port.print(verbosity, text),
        accessTo: needs.accessTo,
        login: needs.login,
        channels: needs.channels,
        peers: needs.peers,
      },
    );
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  get connections(): number {
    return this.#handler.connections;
  }

  get heldBytes(): number {
    return this.#counters.heldBytes;
  }

  async listen(): Promise<Listening> {
    const handler = this.#handler;
    const { tls, port, connectionsMax, headersMs, requestMs, metrics } = this.#options;
    const limits = { connectionsMax, headersMs, requestMs };
    const server = webServer(tls, (request) => handler.grants(request), limits);
    this.#server = server;
    server.on(tls === undefined ? 'connection' : 'secureConnection', (socket) =>
      handler.connection(socket),
    );
    server.on('request', (request, reply) => handler.request(request, reply));
    server.on('clientError', (error, socket) => handler.malformed(error, socket));
    // The body is asked for when somebody wants it.
    server.on('checkContinue', (request, reply) => handler.request(request, reply));
    server.on('upgrade', (request, socket, head) => handler.upgrade(request, socket, head));
    const address = await listen(server, this.#host, port);
    // What goes wrong with one connection later, such as no file descriptor to accept it with, is no reason to stop.
    server.on('error', (error) => this.#needs.port.print(0, `http-server: ${error.message}`));
    this.#watch();
    this.#starting = this.#needs.clock.schedule(() => (handler.starting = false), STARTING_MS);
    if (metrics !== undefined) this.#metrics = await this.#serveMetrics(server, metrics);
    const at = this.#metrics?.address;
    return {
      port: address.port,
      url: `${tls === undefined ? 'http' : 'https'}://${shownHost(this.#host)}:${address.port}`,
      metricsUrl: at === undefined ? undefined : `http://${shownHost(at.address)}:${at.port}`,
    };
  }

  decode(request: ModuleRequest): Result<HttpWork, Answer | undefined> {
    const { process, node } = request.source;
    if (!request.local) {
      // Whoever is elsewhere may not take paths here, nor write to browsers (H2).
      this.#needs.port.print(1, `http-server: refused a request from node ${node}`);
      return { ok: false, error: errorAnswer({ kind: 'InvalidSourceProcess' }, 'if-expected') };
    }
    // The one action that comes by the thousand.
    const push = decodePush(request.body);
    if (push !== undefined) {
      const value = { channel_id: push.channelId, message_type: { kind: push.type } } as const;
      return { ok: true, value: { action: { kind: 'WebSocketPush', value }, request } };
    }
    const body = decodeBody(httpServerAction, request.body, ACTION_BYTES_MAX);
    if (!body.ok) return this.#malformed(process, body.error);
    const action = body.value;
    switch (action.kind) {
      case 'WebSocketOpen':
      case 'WebSocketExtPushData':
        return this.#malformed(process, `${action.kind} is for processes and extensions to get`);
      case 'Bind':
      case 'SecureBind':
      case 'WebSocketBind':
      case 'WebSocketSecureBind':
        if (!isSafeProcessId(process)) return refused({ kind: 'InvalidSourceProcess' });
        break;
      default:
    }
    const caches = (action.kind === 'Bind' || action.kind === 'SecureBind') && action.value.cache;
    if (caches && request.blob === undefined) return refused({ kind: 'NoBlob' });
    return { ok: true, value: { action, request } };
  }

  /** An answer that waits for its client holds up nothing else of its process. */
  orderKey({ action, request }: HttpWork): string {
    const { process } = request.source;
    if (action.kind === 'HttpStreamPush') return `${process} ${action.value.request_id}`;
    if (action.kind !== 'ChannelReceive' && action.kind !== 'ChannelSend') return process;
    return `${process} ${action.kind} ${action.value.channel_id} ${action.value.transfer}`;
  }

  handle({ action, request }: HttpWork): MaybePromise<Answer | undefined> {
    const done = this.#actions.perform(action, request);
    if (done instanceof Promise) {
      return done.then((error) => (error === undefined ? OK : errorAnswer(error)));
    }
    if (done !== undefined) return errorAnswer(done);
    // The extension answers, or nobody does (§8.2).
    return action.kind === 'WebSocketExtPushOutgoing' ? undefined : OK;
  }

  onProcessGone(process: ProcessId, ending: ProcessEnding): void {
    this.#waiting.processGone(process);
    this.#streams.processGone(process, ending);
    this.#needs.channels?.processGone(process, ending);
    if (ending === 'ended') this.#bindings.drop(process);
  }

  onResponse(message: KernelMessage): void {
    this.#waiting.answered(message);
  }

  onSendError(_error: SendError, id: U64, why: SendFailure): void {
    this.#waiting.failed(id, why);
  }

  prepared(): Promise<void> {
    return this.#compressor.idle();
  }

  drain(): Promise<void> {
    return (this.#drained ??= this.#drain(DRAIN_MS_MAX));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await (this.#drained ??= this.#drain(0));
    await this.#compressor.close();
    this.#waiting.close();
    this.#streams.close();
  }

  #watch(): void {
    this.#watching = this.#needs.clock.schedule(() => {
      this.#handler.watch();
      this.#watch();
    }, REQUEST_CHECK_MS);
  }

  async #drain(graceMs: number): Promise<void> {
    const server = this.#server;
    const { channels, clock, peers } = this.#needs;
    this.#handler.drain();
    peers?.close();
    for (const timer of [this.#watching, this.#starting])
      if (timer !== undefined) clock.cancel(timer);
    if (server?.listening === true) {
      const closed = once(server, 'close');
      server.close();
      if (graceMs === 0) server.closeAllConnections();
      else server.closeIdleConnections();
      const late = clock.schedule(() => server.closeAllConnections(), graceMs);
      await channels?.shutdown();
      await closed;
      clock.cancel(late);
    } else {
      await channels?.shutdown();
    }
    await this.#metrics?.[Symbol.asyncDispose]();
  }

  #malformed(process: ProcessId, why: string): Result<never, Answer> {
    this.#needs.port.print(1, `http-server: malformed request from ${process}: ${why}`);
    return refused({ kind: 'MalformedRequest' });
  }

  #serveMetrics(
    server: WebServer,
    { port, host }: NonNullable<HttpServerOptions['metrics']>,
  ): Promise<MetricsServer> {
    const { clock, channels, figures, version } = this.#needs;
    const startMs = clock.nowMs();
    return serveMetrics(host ?? '127.0.0.1', port, {
      node: this.#needs.port.our.node,
      version,
      counters: this.#counters,
      now: () => ({
        webSockets: channels?.size ?? 0,
        waiting: this.#waiting.size,
        bindings: this.#bindings.size,
        connections: this.#handler.connections,
      }),
      figures: figures ?? (() => []),
      upMs: () => clock.nowMs() - startMs,
    });
  }
}

/** Sent when somebody waits for it; never with the request's metadata (§1.2). */
const OK: Answer = {
  body: httpServerResponse.encode({ kind: 'Ok' }),
  echoMetadata: false,
};

/** Errors go to the source whether or not it waits. */
function errorAnswer(
  value: HttpServerError,
  send: NonNullable<Answer['send']> = 'always-to-source',
): Answer {
  return refuse(httpServerResponse.encode({ kind: 'Err', value }), send);
}

function refused(error: HttpServerError): { readonly ok: false; readonly error: Answer } {
  return { ok: false, error: errorAnswer(error) };
}

/** What a browser on this machine can type. */
function shownHost(host: string): string {
  if (host === '0.0.0.0' || host === '::' || host === '127.0.0.1' || host === '::1') {
    return 'localhost';
  }
  return host.includes(':') ? `[${host}]` : host;
}
