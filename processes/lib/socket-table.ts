/** Every WebSocket of a process by its channel: what the module tells of them goes to the handlers of their path. */
import type { Context } from './context.ts';
import { describe } from './engine/console.ts';
import { normalPath } from './http-paths.ts';
import { callHttpServer, HTTP_SERVER } from './http-server-calls.ts';
import type { Process } from './process.ts';
import { textOf } from './utf8.ts';
import {
  Channel,
  type FrameType,
  type Opened,
  type SocketHandlers,
  type SocketOptions,
  WebSockets,
} from './web-sockets.ts';

type Awaitable<T> = T | Promise<T>;

/** What the module tells, as in wit/http-server-api.ts. */
export type WireSocketEvent =
  | {
      readonly WebSocketOpen: Opened;
    }
  | { readonly WebSocketPush: { readonly channel_id: number; readonly message_type: FrameType } }
  | { readonly WebSocketClose: number };

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
        const { authenticated, secure, extension = false } = sockets.options;
        const path = sockets.path === '' ? '/' : sockets.path;
        const action = secure
          ? { WebSocketSecureBind: { path, extension } }
          : { WebSocketBind: { path, authenticated, extension } };
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

  tell(action: Readonly<Record<string, unknown>>, bytes: Uint8Array): void {
    const blob = { mime: undefined, bytes };
    this.#running().send(HTTP_SERVER, JSON.stringify(action), { blob });
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
    if (message_type === 'Close') channel.explain(textOf(bytesIn(context)));
    if (message_type !== 'Text' && message_type !== 'Binary') return undefined;
    const { onMessage, receives } = sockets.handlers;
    if (onMessage === undefined) return undefined;
    const frame = message_type === 'Text' ? textOf(bytesIn(context)) : bytesIn(context);
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
