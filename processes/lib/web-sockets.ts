/** WebSockets that browsers open to this process (runtime-modules.md §6.11). `http.sockets(path, …)` makes them. */
import type { Codec } from '../../wit/codec.ts';
import type { Context } from './context.ts';
import { describe } from './engine/console.ts';
import { normalPath, PathPattern } from './http-paths.ts';
import { callHttpServer, HTTP_SERVER, HttpServerError } from './http-server-calls.ts';
import type { Process } from './process.ts';
import { bytesOf } from './process.ts';

type Awaitable<T> = T | Promise<T>;
type Raw = string | Uint8Array;
type FrameType = 'Text' | 'Binary' | 'Ping' | 'Pong' | 'Close';

/** What happens on the sockets of one path. Handlers may be asynchronous; messages of a channel then overlap. */
export interface SocketHandlers<In, Out, S> {
  /** What messages are: JSON of that shape, in text frames. A message that is not closes its channel. Without: texts and bytes. */
  readonly receives?: Codec<In>;
  /** What `send` takes, sent as JSON text. Without: texts and bytes. */
  readonly sends?: Codec<Out>;
  readonly onOpen?: (channel: Channel<Out>, process: Process<S>) => Awaitable<void>;
  readonly onMessage?: (channel: Channel<Out>, message: In, process: Process<S>) => Awaitable<void>;
  /** Once for each channel that was opened, whoever ended it. */
  readonly onClose?: (channel: Channel<Out>, process: Process<S>) => Awaitable<void>;
}

interface SocketOptions {
  readonly authenticated: boolean;
  readonly secure: boolean;
}

/** What the module tells, as in wit/http-server-api.ts. */
export type WireSocketEvent =
  | {
      readonly WebSocketOpen: {
        readonly path: string;
        readonly channel_id: number;
        readonly source_socket_addr?: string | null;
        readonly forwarded_for?: string | null;
      };
    }
  | { readonly WebSocketPush: { readonly channel_id: number; readonly message_type: FrameType } }
  | { readonly WebSocketClose: number };

/** One open socket. */
export class Channel<Out = Raw> {
  readonly id: number;
  /** That the browser opened, from the process's root on. */
  readonly path: string;
  /** Of the pattern in the path, percent-encoded as they came. */
  readonly params: Readonly<Record<string, string>>;
  /** `ip:port` of whoever is connected: a proxy, if there is one. */
  readonly sourceAddress: string | undefined;
  /** Whom a proxy says it speaks for; anybody can say so. */
  readonly forwardedFor: string | undefined;
  readonly #sockets: WebSockets<unknown, Out, never>;
  #open = true;
  #reason = '';

  constructor(
    sockets: WebSockets<unknown, Out, never>,
    opened: {
      readonly channel_id: number;
      readonly path: string;
      readonly params: Readonly<Record<string, string>>;
      readonly source_socket_addr?: string | null;
      readonly forwarded_for?: string | null;
    },
  ) {
    this.#sockets = sockets;
    this.id = opened.channel_id;
    this.path = opened.path;
    this.params = opened.params;
    this.sourceAddress = opened.source_socket_addr ?? undefined;
    this.forwardedFor = opened.forwarded_for ?? undefined;
  }

  get isOpen(): boolean {
    return this.#open;
  }

  /** What the browser said when it closed, '' if nothing. */
  get reason(): string {
    return this.#reason;
  }

  /**
   * Sends a message. Resolves when the module has taken it: with true, or with false when the channel is no more.
   * Rejects when the module cannot take it now, with an `HttpServerError`: await it, and who is slow is not flooded.
   */
  send(message: Out): Promise<boolean> {
    return this.push(this.#sockets.encode(message));
  }

  /** As `send`, of a frame: a text in a text frame, bytes in a binary one. */
  async push(frame: Raw): Promise<boolean> {
    if (!this.#open) return false;
    const message_type: FrameType = typeof frame === 'string' ? 'Text' : 'Binary';
    try {
      const action = { WebSocketPush: { channel_id: this.id, message_type } };
      await this.#sockets.call(action, bytesOf(frame));
      return true;
    } catch (error) {
      if (!(error instanceof HttpServerError) || error.code !== 'WsChannelNotFound') throw error;
      await this.#sockets.forget(this);
      return false;
    }
  }

  /** Ends the socket; `onClose` runs. Fine if it has ended. */
  async close(): Promise<void> {
    if (!this.#open) return;
    await this.#sockets.forget(this);
    await this.#sockets.call({ WebSocketClose: this.id });
  }

  /** For the table: false when it had ended. */
  end(): boolean {
    const ended = this.#open;
    this.#open = false;
    return ended;
  }

  /** For the table: what the browser gave as its reason. */
  explain(reason: string): void {
    this.#reason = reason;
  }
}

/** The sockets of one path, those that are open. */
export class WebSockets<In = Raw, Out = Raw, S = unknown> {
  /** Without a trailing slash; the root is empty. */
  readonly path: string;
  readonly pattern: PathPattern;
  readonly options: SocketOptions;
  readonly handlers: SocketHandlers<In, Out, S>;
  readonly #open = new Set<Channel<Out>>();
  readonly #table: SocketTable<S>;
  /** For the table. */
  bound = false;

  constructor(
    table: SocketTable<S>,
    path: string,
    handlers: SocketHandlers<In, Out, S>,
    options: SocketOptions,
  ) {
    this.#table = table;
    this.path = normalPath(path);
    this.pattern = new PathPattern(this.path);
    this.handlers = handlers;
    this.options = options;
  }

  /** Those that are open. */
  get channels(): ReadonlySet<Channel<Out>> {
    return this.#open;
  }

  /**
   * Sends a message to all of them, encoded once; `except` one. Those that are gone are forgotten. Resolves with those that could not
   * be handed theirs, because the module does not keep up.
   */
  async broadcast(
    message: Out,
    options: { readonly except?: Channel<Out> | undefined } = {},
  ): Promise<readonly Channel<Out>[]> {
    const frame = this.encode(message);
    const failed: Channel<Out>[] = [];
    await Promise.all(
      [...this.#open]
        .filter((channel) => channel !== options.except)
        .map((channel) => channel.push(frame).catch(() => void failed.push(channel))),
    );
    return failed;
  }

  /** Accepts no more sockets; those that are open stay. @throws HttpServerError */
  async unbind(): Promise<void> {
    await this.#table.remove(this);
  }

  // ---- for channels and the table

  encode(message: Out): Raw {
    const { sends } = this.handlers;
    // Proof of the type: without a codec `Out` is text or bytes.
    return sends === undefined ? (message as Raw) : sends.stringify(message);
  }

  call(action: Readonly<Record<string, unknown>>, bytes?: Uint8Array): Promise<void> {
    return this.#table.call(action, bytes);
  }

  remember(channel: Channel<Out>): void {
    this.#open.add(channel);
  }

  /** Resolves when `onClose` is done. */
  forget(channel: Channel<Out>): Promise<undefined> | undefined {
    this.#open.delete(channel);
    if (!channel.end()) return undefined;
    const { onClose } = this.handlers;
    return this.#table.closed(
      channel.id,
      onClose && ((process: Process<S>) => onClose(channel, process)),
    );
  }

  clear(): void {
    this.#open.clear();
    this.bound = false;
  }
}

type AnySockets<S> = WebSockets<unknown, unknown, S>;

/** Every socket of a process, by its channel. */
export class SocketTable<S> {
  /** The more particular pattern first. */
  #sockets: AnySockets<S>[] = [];
  /** With what every run of a process begins. */
  #declared: readonly AnySockets<S>[] | undefined;
  readonly #channels = new Map<number, { channel: Channel<unknown>; sockets: AnySockets<S> }>();
  #process: Process<S> | undefined;

  add<In, Out>(
    path: string,
    handlers: SocketHandlers<In, Out, S>,
    options: SocketOptions,
  ): WebSockets<In, Out, S> {
    const sockets = new WebSockets(this, path, handlers, options);
    if (this.#sockets.some((known) => known.path === sockets.path)) {
      throw new Error(`sockets of ${path} are bound already`);
    }
    // Proof of the type: what its codecs read and write stays within these sockets.
    this.#sockets.push(sockets as unknown as AnySockets<S>);
    this.#sockets.sort((a, b) => a.pattern.compare(b.pattern));
    return sockets;
  }

  /** A process begins. */
  reset(process: Process<S>): void {
    this.#process = process;
    this.#channels.clear();
    this.#declared ??= [...this.#sockets];
    this.#sockets = [...this.#declared];
    for (const sockets of this.#sockets) sockets.clear();
  }

  async bind(process: Process<S>): Promise<void> {
    const fresh = this.#sockets.filter((sockets) => !sockets.bound);
    await Promise.all(
      fresh.map(async (sockets) => {
        const { authenticated, secure } = sockets.options;
        const path = sockets.path === '' ? '/' : sockets.path;
        const action = secure
          ? { WebSocketSecureBind: { path, extension: false } }
          : { WebSocketBind: { path, authenticated, extension: false } };
        await callHttpServer(process, action);
        sockets.bound = true;
      }),
    );
  }

  async remove<In, Out>(sockets: WebSockets<In, Out, S>): Promise<void> {
    this.#sockets = this.#sockets.filter((known) => known.path !== sockets.path);
    await this.call({ WebSocketUnbind: { path: sockets.path === '' ? '/' : sockets.path } });
  }

  call(action: Readonly<Record<string, unknown>>, bytes?: Uint8Array): Promise<void> {
    return callHttpServer(this.#running(), action, bytes && { mime: undefined, bytes });
  }

  receive(event: WireSocketEvent, context: Context): Promise<undefined> | undefined {
    if ('WebSocketPush' in event) return this.#pushed(event.WebSocketPush, context);
    if ('WebSocketOpen' in event) return this.#opened(event.WebSocketOpen);
    if ('WebSocketClose' in event) {
      const known = this.#channels.get(event.WebSocketClose);
      return known?.sockets.forget(known.channel);
    }
    return undefined;
  }

  /** A channel has ended: runs its handler. */
  closed(
    id: number,
    handler: ((process: Process<S>) => Awaitable<void>) | undefined,
  ): Promise<undefined> | undefined {
    this.#channels.delete(id);
    return handler && this.#run('onClose', () => handler(this.#running()));
  }

  #running(): Process<S> {
    if (this.#process === undefined) {
      throw new Error('the server has not started: pass it to defineProcess as `http`');
    }
    return this.#process;
  }

  #opened(opened: {
    readonly path: string;
    readonly channel_id: number;
  }): Promise<undefined> | undefined {
    const path = normalPath(opened.path);
    for (const sockets of this.#sockets) {
      const params = sockets.pattern.match(path);
      if (params === undefined) continue;
      const channel = new Channel<unknown>(sockets as never, { ...opened, params });
      this.#channels.set(channel.id, { channel, sockets });
      sockets.remember(channel);
      const { onOpen } = sockets.handlers;
      return onOpen && this.#run('onOpen', () => onOpen(channel, this.#running()));
    }
    this.#hangUp(opened.channel_id);
    return undefined;
  }

  #pushed(
    { channel_id, message_type }: { readonly channel_id: number; readonly message_type: FrameType },
    context: Context,
  ): Promise<undefined> | undefined {
    const known = this.#channels.get(channel_id);
    if (known === undefined) {
      // Opened before this process was restarted: closed, it is opened anew, and `onOpen` runs.
      if (message_type !== 'Close') this.#hangUp(channel_id);
      return undefined;
    }
    const { channel, sockets } = known;
    if (message_type === 'Close') channel.explain(textOf(context));
    if (message_type !== 'Text' && message_type !== 'Binary') return undefined;
    const { onMessage, receives } = sockets.handlers;
    if (onMessage === undefined) return undefined;
    const frame = message_type === 'Text' ? textOf(context) : bytesIn(context);
    if (receives === undefined) {
      return this.#run('onMessage', () => onMessage(channel, frame, this.#running()));
    }
    const message = receives.decode(frame);
    if (message.ok) {
      return this.#run('onMessage', () => onMessage(channel, message.value, this.#running()));
    }
    const { path, expected } = message.error;
    const what = path === '' ? 'message' : path;
    this.#running().print(`a socket of ${channel.path} sent no ${what}: expected ${expected}`, 2);
    return this.#run('close', () => channel.close());
  }

  #hangUp(channelId: number): void {
    const process = this.#running();
    process.send(HTTP_SERVER, JSON.stringify({ WebSocketClose: channelId }));
  }

  /** What a handler throws is shown to the owner; the channel goes on. */
  #run(name: string, handler: () => Awaitable<void>): Promise<undefined> | undefined {
    const failed = (reason: unknown): undefined => {
      this.#running().print(`${name} of a socket: ${describe(reason)}`);
    };
    try {
      const result = handler();
      return result instanceof Promise ? result.then(() => undefined, failed) : undefined;
    } catch (error) {
      return failed(error);
    }
  }
}

function bytesIn(context: Context): Uint8Array {
  return context.blob()?.bytes ?? new Uint8Array();
}

function textOf(context: Context): string {
  return new TextDecoder().decode(bytesIn(context));
}
