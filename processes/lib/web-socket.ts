/**
 * WebSockets to other servers, through `http-client:distro:sys` (runtime-modules.md §7.2). `import { connect } from
 * 'hyperware/web-socket'`. For sockets that browsers open to this process see `HttpServer.sockets`.
 *
 * The module tells what happens on a socket in requests under the id of the request that opened it, which is of no use in a guest:
 * they are told apart by the channel, a number of our choice.
 */
import type { Codec } from '../../wit/codec.ts';
import type { Context } from './context.ts';
import { describe } from './engine/console.ts';
import { HttpClientError } from './http-client.ts';
import { callModule, type Caller } from './modules.ts';
import type { Process } from './process.ts';
import { bytesOf, textOf } from './utf8.ts';

type Awaitable<T> = T | Promise<T>;
type Raw = string | Uint8Array;
type FrameType = 'Text' | 'Binary' | 'Ping' | 'Pong' | 'Close';

const HTTP_CLIENT = 'http-client:distro:sys';

export interface ConnectOptions<In, Out> {
  readonly headers?: Readonly<Record<string, string>>;
  /** What messages are: JSON of that shape. A message that is not closes the socket. Without: texts and bytes. */
  readonly receives?: Codec<In>;
  /** What `send` takes, sent as JSON text. Without: texts and bytes. */
  readonly sends?: Codec<Out>;
  readonly onMessage: (message: In, socket: WebSocket<In, Out>) => Awaitable<void>;
  /** Once, whoever ended it. Whoever wants to be connected again does so here, after a while. */
  readonly onClose?: (socket: WebSocket<In, Out>) => Awaitable<void>;
  /** Of the connecting, the sending and the closing; default 5. */
  readonly timeoutS?: number;
}

/** An open socket. */
export class WebSocket<In = Raw, Out = Raw> {
  readonly url: string;
  readonly channelId: number;
  readonly #caller: Caller;
  readonly #options: ConnectOptions<In, Out>;
  readonly #sockets: Sockets;
  #open = true;

  constructor(
    sockets: Sockets,
    opened: {
      readonly url: string;
      readonly channelId: number;
      readonly caller: Caller;
      readonly options: ConnectOptions<In, Out>;
    },
  ) {
    this.#sockets = sockets;
    this.url = opened.url;
    this.channelId = opened.channelId;
    this.#caller = opened.caller;
    this.#options = opened.options;
  }

  get isOpen(): boolean {
    return this.#open;
  }

  /** Sends a message; resolves when the module has taken it. @throws HttpClientError when the socket has ended; NoResponse */
  send(message: Out): Promise<void> {
    const { sends } = this.#options;
    // Proof of the type: without a codec `Out` is text or bytes.
    return this.push(sends === undefined ? (message as Raw) : sends.stringify(message));
  }

  /** As `send`, of a frame: a text in a text frame, bytes in a binary one. */
  async push(frame: Raw): Promise<void> {
    const message_type: FrameType = typeof frame === 'string' ? 'Text' : 'Binary';
    const action = { WebSocketPush: { channel_id: this.channelId, message_type } };
    await this.act(action, bytesOf(frame));
  }

  /** Ends it; `onClose` runs. Fine if it has ended. */
  async close(): Promise<void> {
    if (!this.#open) return;
    await this.ended();
    try {
      await this.act({ WebSocketClose: { channel_id: this.channelId } });
    } catch (error) {
      // The other side was quicker.
      if (!(error instanceof HttpClientError) || error.code !== 'WsCloseFailed') throw error;
    }
  }

  // ---- for what follows

  /** One action of runtime-modules.md §7.2. */
  async act(action: Readonly<Record<string, unknown>>, blob?: Uint8Array): Promise<void> {
    const { timeoutS } = this.#options;
    const calls = { module: 'http-client', timeoutS, error: HttpClientError } as const;
    const [kind = ''] = Object.keys(action);
    const what = `${kind} ${this.url.split('?', 1).join()}`;
    await callModule(this.#caller, calls, { what, body: action, blob });
  }

  /** A frame has come. */
  async received(type: FrameType, bytes: Uint8Array): Promise<void> {
    if (type !== 'Text' && type !== 'Binary') return;
    const frame = type === 'Text' ? textOf(bytes) : bytes;
    const { receives, onMessage } = this.#options;
    if (receives === undefined) {
      // Proof of the type: without a codec `In` is text or bytes.
      await onMessage(frame as In, this);
      return;
    }
    const message = receives.decode(frame);
    if (message.ok) {
      await onMessage(message.value, this);
      return;
    }
    const { path, expected } = message.error;
    await this.close();
    throw new HttpClientError('BadData', this.url, `message ${path}: expected ${expected}`);
  }

  /** It is no more. */
  async ended(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    this.#sockets.forget(this.channelId);
    await this.#options.onClose?.(this);
  }
}

/** Opens a socket to a server. @throws HttpClientError; NoResponse */
export async function connect<In = Raw, Out = Raw>(
  process: Process<unknown>,
  url: string,
  options: ConnectOptions<In, Out>,
): Promise<WebSocket<In, Out>> {
  const sockets = Sockets.of(process);
  const channelId = sockets.freeId();
  const socket = new WebSocket(sockets, { url, channelId, caller: process, options });
  // Known before it is open: what the server sends at once must find it.
  sockets.remember(socket);
  try {
    const { headers = {} } = options;
    await socket.act({ WebSocketOpen: { url, headers, channel_id: channelId } });
  } catch (error) {
    sockets.forget(channelId);
    throw error;
  }
  return socket;
}

/** What `Sockets` needs of a socket, whatever its messages are. */
interface AnySocket {
  readonly channelId: number;
  received(type: FrameType, bytes: Uint8Array): Promise<void>;
  ended(): Promise<void>;
}

const ofProcess = new WeakMap<Process<unknown>, Sockets>();

/** The open sockets of a process, by their channels. */
class Sockets {
  readonly #process: Process<unknown>;
  readonly #open = new Map<number, AnySocket>();

  private constructor(process: Process<unknown>) {
    this.#process = process;
    process.take(HTTP_CLIENT, (context) => this.#receive(context));
  }

  static of(process: Process<unknown>): Sockets {
    const known = ofProcess.get(process) ?? new Sockets(process);
    ofProcess.set(process, known);
    return known;
  }

  /** At random: the module may still know channels of an earlier run of this process, whose events must not be taken for ours. */
  freeId(): number {
    for (;;) {
      const id = Math.floor(Math.random() * 0x1_0000_0000);
      if (!this.#open.has(id)) return id;
    }
  }

  remember(socket: AnySocket): void {
    this.#open.set(socket.channelId, socket);
  }

  forget(channelId: number): void {
    this.#open.delete(channelId);
  }

  async #receive(context: Context): Promise<undefined> {
    // Proof of the type: wit/http-client-api.ts, `httpClientRequest`.
    const event = JSON.parse(context.text) as {
      readonly WebSocketPush?: { readonly channel_id: number; readonly message_type: FrameType };
      readonly WebSocketClose?: { readonly channel_id: number };
    };
    const { WebSocketPush: pushed, WebSocketClose: closed } = event;
    const channelId = pushed?.channel_id ?? closed?.channel_id;
    const socket = channelId === undefined ? undefined : this.#open.get(channelId);
    try {
      if (pushed === undefined) await socket?.ended();
      else if (socket !== undefined) {
        await socket.received(pushed.message_type, context.blob()?.bytes ?? new Uint8Array());
      } else {
        // Of an earlier run of this process.
        const close = { WebSocketClose: { channel_id: channelId } };
        this.#process.send(HTTP_CLIENT, JSON.stringify(close));
      }
    } catch (error) {
      this.#process.print(`a WebSocket: ${describe(error)}`);
    }
    return undefined;
  }
}
