/**
 * Channels in a module of their own, with the bindings and the listener of `node:http` that they need: for tests of
 * channels without the rest of the HTTP server. It checks no sessions.
 */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type {
  Answer,
  ProcessEnding,
  KernelPort,
  ModuleRequest,
  RuntimeModule,
} from '../../../kernel/module.ts';
import {
  httpServerAction,
  type HttpServerAction,
  type HttpServerError,
} from '../../../wit/http-server-api.ts';
import type { ProcessId, Result } from '../../../wit/types.ts';
import type { Clock } from '../../shared/clock.ts';
import { forwardedFor } from '../requests/visit.ts';
import { decodePush } from '../channels/channel-bodies.ts';
import { Channels, channelsNeeds, type ChannelsOptions } from '../channels/channels.ts';

interface Work {
  readonly action: HttpServerAction;
  readonly request: ModuleRequest;
}

const OK: Answer = { body: new TextEncoder().encode('{"Ok":null}') };

/** `http-server:distro:sys` with its WebSockets only. */
export class WsModule implements RuntimeModule<Work> {
  readonly name = 'http-server';
  readonly public = true;
  readonly channels: Channels;
  readonly server: Server;
  readonly #bound = new Map<string, { readonly process: ProcessId; readonly extension: boolean }>();

  constructor(
    options: ChannelsOptions,
    needs: { readonly port: KernelPort; readonly clock: Clock },
  ) {
    this.channels = new Channels(options, channelsNeeds(needs.port, needs.clock));
    // What is not upgraded gets the ordinary answer of its path; there is none here.
    this.server = createServer((_, response) => {
      response.writeHead(404).end();
    });
    this.server.on('upgrade', (request, stream, head) => {
      const [url = '/'] = (request.url ?? '/').split('?', 1);
      const [, segment = ''] = url.split('/', 2);
      const bound = this.#bound.get(url);
      const accepted =
        bound !== undefined &&
        this.channels.accept(request, stream, head, {
          ...bound,
          path: url.slice(segment.length + 1) || '/',
          sourceSocketAddr: `${request.socket.remoteAddress}:${request.socket.remotePort}`,
          forwardedFor: forwardedFor(request),
        });
      if (!accepted) stream.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n');
    });
  }

  /** Its port on 127.0.0.1. */
  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    // It listens on TCP.
    return (this.server.address() as AddressInfo).port;
  }

  /** Whether a process has bound this path, its own id included. */
  binds(path: string): boolean {
    return this.#bound.has(path);
  }

  decode(request: ModuleRequest): Result<Work, Answer> {
    const push = decodePush(request.body);
    if (push !== undefined) {
      const value = { channel_id: push.channelId, message_type: { kind: push.type } } as const;
      return { ok: true, value: { action: { kind: 'WebSocketPush', value }, request } };
    }
    const action = httpServerAction.decode(request.body);
    if (action.ok) return { ok: true, value: { action: action.value, request } };
    return { ok: false, error: refusal({ kind: 'MalformedRequest' }) };
  }

  handle({ action, request }: Work): Promise<Answer | undefined> {
    const error = this.#act(action, request);
    if (error !== undefined) return Promise.resolve(refusal(error));
    return Promise.resolve(action.kind === 'WebSocketExtPushOutgoing' ? undefined : OK);
  }

  onProcessGone(process: ProcessId, ending: ProcessEnding): void {
    this.channels.processGone(process, ending);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    await this.channels.shutdown();
    this.server.closeAllConnections();
    await closed;
  }

  #act(action: HttpServerAction, request: ModuleRequest): HttpServerError | undefined {
    const { process } = request.source;
    const bytes = request.blob?.bytes;
    switch (action.kind) {
      case 'WebSocketBind': {
        const path = `/${process}${action.value.path}`.replace(/\/$/, '');
        this.#bound.set(path, { process, extension: action.value.extension });
        return undefined;
      }
      case 'WebSocketUnbind':
        this.#bound.delete(`/${process}${action.value.path}`.replace(/\/$/, ''));
        return undefined;
      case 'WebSocketPush': {
        const { channel_id: id, message_type: type } = action.value;
        return this.channels.push(process, id, type.kind, bytes);
      }
      case 'WebSocketExtPushOutgoing': {
        const { channel_id: id, message_type: type, desired_reply_type: reply } = action.value;
        return this.channels.pushExtension(process, id, type.kind, reply.kind, bytes, request);
      }
      case 'WebSocketClose':
        return this.channels.close(process, action.value);
      default:
        return { kind: 'MalformedRequest' };
    }
  }
}

function refusal(error: HttpServerError): Answer {
  const body = new TextEncoder().encode(`{"Err":"${error.kind}"}`);
  return { body, send: 'always-to-source' };
}
