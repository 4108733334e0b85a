/** What processes ask of the web server, done: bind and unbind paths, write to channels (runtime-modules.md §6.2, §6.11). */
import type { ModuleRequest } from '../../kernel/module.ts';
import { packageOf } from '../../wit/address.ts';
import type { HttpServerAction, HttpServerError } from '../../wit/http-server-api.ts';
import type { LazyLoadBlob, ProcessId } from '../../wit/types.ts';
import type { FileStreams } from '../shared/file-streams.ts';
import { type Bindings, boundPath, type HttpBinding, type WsBinding } from './bindings/bindings.ts';
import { secureLabel } from './bindings/host-label.ts';
import type { Compressor } from './static/compressor.ts';
import type { Channels } from './parts.ts';
import type { Streams } from './requests/streams.ts';
import { StaticContent } from './static/static.ts';

export interface ActionParts {
  readonly bindings: Bindings;
  readonly channels: Channels | undefined;
  readonly streams: Streams;
  /** Of vfs; without them no file passes. */
  readonly files: (() => FileStreams | undefined) | undefined;
  readonly compressor: Compressor;
  readonly print: (verbosity: number, text: string) => void;
}

type BindAction = HttpServerAction & { kind: 'Bind' | 'SecureBind' | 'Unbind' };
type WsBindAction = HttpServerAction & {
  kind: 'WebSocketBind' | 'WebSocketSecureBind' | 'WebSocketUnbind';
};

type TransferAction = HttpServerAction & { kind: 'ChannelReceive' | 'ChannelSend' };

const NO_CHANNEL: HttpServerError = { kind: 'WsChannelNotFound' };

export class Actions {
  readonly #parts: ActionParts;

  constructor(parts: ActionParts) {
    this.#parts = parts;
  }

  /** Undefined: done. A promise for what waits for a client. */
  perform(
    action: HttpServerAction,
    request: ModuleRequest,
  ): HttpServerError | undefined | Promise<HttpServerError | undefined> {
    const { channels } = this.#parts;
    const { blob } = request;
    const source = request.source.process;
    switch (action.kind) {
      case 'Bind':
      case 'SecureBind':
      case 'Unbind':
        return this.#bind(source, action, blob);
      case 'WebSocketBind':
      case 'WebSocketSecureBind':
      case 'WebSocketUnbind':
        return this.#bindWs(source, action);
      case 'WebSocketPush': {
        const { channel_id: channel, message_type: type } = action.value;
        if (channels === undefined) return NO_CHANNEL;
        return channels.push(source, channel, type.kind, blob?.bytes);
      }
      case 'WebSocketExtPushOutgoing': {
        const { channel_id: channel, message_type: type, desired_reply_type: reply } = action.value;
        if (channels === undefined) return NO_CHANNEL;
        return channels.pushExtension(source, channel, type.kind, reply.kind, blob?.bytes, request);
      }
      case 'HttpStreamPush': {
        const { request_id: id, fin, abort = false } = action.value;
        return this.#parts.streams.push(source, { id, bytes: blob?.bytes, fin, abort });
      }
      case 'ChannelReceive':
      case 'ChannelSend':
        return this.#transfer(action, request);
      case 'WebSocketClose':
        // An unknown channel is closed already (M182).
        return channels?.close(source, action.value);
      default:
        return { kind: 'MalformedRequest' };
    }
  }

  /** Who may is decided here, before anything is opened. */
  #transfer(
    action: TransferAction,
    request: ModuleRequest,
  ): HttpServerError | Promise<HttpServerError | undefined> {
    const { channel_id: channel, transfer, path, size } = action.value;
    const files = this.#parts.files?.();
    const transfers = this.#parts.channels?.transfers(request.source.process, channel);
    if (transfers === undefined || files === undefined) return NO_CHANNEL;
    const bytes = Number(size);
    if (!Number.isSafeInteger(bytes)) return { kind: 'MalformedRequest' };
    const refused = (why: 'malformed' | 'forbidden'): HttpServerError =>
      why === 'malformed'
        ? { kind: 'MalformedRequest' }
        : { kind: 'TransferFailed', value: 'no right to that drive' };
    if (action.kind === 'ChannelSend') {
      const source = files.source(request, path);
      if (!source.ok) return refused(source.error);
      return transfers.send({ transfer, bytes, open: source.value });
    }
    const { sha256 } = action.value;
    const sink = files.sink(request, path, bytes);
    if (!sink.ok) return refused(sink.error);
    return transfers.receive({ transfer, bytes, sha256, open: sink.value });
  }

  #bind(
    process: ProcessId,
    action: BindAction,
    blob: LazyLoadBlob | undefined,
  ): HttpServerError | undefined {
    const { bindings, compressor, print } = this.#parts;
    const path = boundPath(process, action.value.path);
    const secure = action.kind === 'SecureBind';
    const authenticated = secure || (action.kind === 'Bind' && action.value.authenticated);
    const localOnly = action.kind === 'Bind' && action.value.local_only;
    const cached = action.kind !== 'Unbind' && action.value.cache;
    const binding: HttpBinding = {
      process,
      path,
      pathJson: JSON.stringify(path),
      live: action.kind !== 'Unbind',
      authenticated,
      localOnly,
      secureSubdomain: secure ? secureLabel(packageOf(process)) : undefined,
      content:
        cached && blob !== undefined
          ? new StaticContent(blob.bytes, { mime: blob.mime, private: authenticated || localOnly })
          : undefined,
    };
    const refusal = bindings.bindHttp(binding);
    if (refusal !== undefined) return this.#tooMuch(process, path, refusal);
    if (binding.content !== undefined) {
      compressor.add(binding.content, () => bindings.http.at(path) === binding);
    }
    print(3, `http-server: ${binding.live ? 'bound' : 'unbound'} ${path}`);
    return undefined;
  }

  #bindWs(process: ProcessId, action: WsBindAction): HttpServerError | undefined {
    const { bindings, print } = this.#parts;
    const path = boundPath(process, action.value.path);
    const secure = action.kind === 'WebSocketSecureBind';
    const binding: WsBinding = {
      process,
      path,
      live: action.kind !== 'WebSocketUnbind',
      authenticated: secure || (action.kind === 'WebSocketBind' && action.value.authenticated),
      secureSubdomain: secure ? secureLabel(packageOf(process)) : undefined,
      extension: action.kind !== 'WebSocketUnbind' && action.value.extension,
    };
    const refusal = bindings.bindWs(binding);
    if (refusal !== undefined) return this.#tooMuch(process, path, refusal);
    print(3, `http-server: ${binding.live ? 'bound' : 'unbound'} WebSocket ${path}`);
    return undefined;
  }

  #tooMuch(process: ProcessId, path: string, refusal: string): HttpServerError {
    const shown = path.length > 200 ? `${path.slice(0, 200)}…` : path;
    this.#parts.print(0, `http-server: ${process} cannot bind ${shown}: ${refusal}`);
    return { kind: 'MalformedRequest' };
  }
}
