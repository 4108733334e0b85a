/** WebSockets that browsers open to this process (runtime-modules.md §6.11). `http.sockets(path, …)` makes them. */
import type { Codec } from '../../wit/codec.ts';
import { normalPath, PathPattern } from './http-paths.ts';
import { HttpServerError } from './http-server-calls.ts';
import type { Process } from './process.ts';
import type { SocketTable } from './socket-table.ts';
import { bytesOf } from './utf8.ts';

type Awaitable<T> = T | Promise<T>;
type Raw = string | Uint8Array;
export type FrameType = 'Text' | 'Binary' | 'Ping' | 'Pong' | 'Close';

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

export interface SocketOptions {
  readonly authenticated: boolean;
  readonly secure: boolean;
  /** For a native program of this machine instead of browsers (runtime-modules.md §8). */
  readonly extension?: boolean;
}

/** How the module tells of a new one. */
export interface Opened {
  readonly path: string;
  readonly channel_id: number;
  readonly source_socket_addr?: string | null;
  readonly forwarded_for?: string | null;
}

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
    opened: Opened & { readonly params: Readonly<Record<string, string>> },
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

  /**
   * Sends a binary frame to the extension at the other end. Nobody says whether it arrives: the extension's own answer does, or `onClose`.
   */
  tell(frame: Uint8Array): void {
    if (this.#open) this.#sockets.tell(this.id, frame);
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

  tell(channel_id: number, bytes: Uint8Array): void {
    const to = { channel_id, message_type: 'Binary', desired_reply_type: 'Request' };
    this.#table.tell({ WebSocketExtPushOutgoing: to }, bytes);
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
