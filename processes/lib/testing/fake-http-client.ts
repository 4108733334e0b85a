/**
 * `http-client:distro:sys` in memory, for tests of processes: the test says what servers answer, and plays the other end of sockets. It
 * speaks through wit/http-client-api.ts.
 */
import {
  type HttpClientAction,
  type HttpClientError,
  httpClientAction,
  httpClientRequest,
  httpClientResponse,
} from '../../../wit/http-client-api.ts';
import { address } from '../../../wit/address.ts';
import type { WsMessageType } from '../../../wit/http-server-api.ts';
import type { MemoryHost, Peer, PeerAnswer, Sent } from './memory-host.ts';

/** A request as the server sees it. */
export interface Received {
  readonly method: string;
  readonly url: string;
  /** Names as the process wrote them. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Uint8Array;
  readonly text: string;
}

export interface ServerAnswer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
}

/** A server: what it answers, or what the client says instead; undefined: it never answers. */
export type FakeServer = (request: Received) => ServerAnswer | HttpClientError | undefined;

export class FakeHttpClient {
  /** Requests, in order. */
  readonly requests: Received[] = [];
  /** By channel. */
  readonly sockets = new Map<number, FakeRemoteSocket>();
  readonly #server: FakeServer;
  /** Decides about sockets; default: every one is accepted. */
  accepts: (url: string, headers: ReadonlyMap<string, string>) => boolean = () => true;
  /** Told of every socket that was accepted. */
  opened: (socket: FakeRemoteSocket) => void = () => undefined;

  constructor(server: FakeServer = () => ({ status: 404 })) {
    this.#server = server;
  }

  readonly peer: Peer = (sent, host) => {
    const decoded = httpClientAction.decode(sent.request.body);
    if (!decoded.ok) return failed({ kind: 'MalformedRequest' });
    return this.#act(decoded.value, sent, host);
  };

  #act(action: HttpClientAction, sent: Sent, host: MemoryHost): PeerAnswer | undefined {
    switch (action.kind) {
      case 'Http':
        return this.#ask(action.value, sent.blob?.bytes ?? new Uint8Array());
      case 'WebSocketOpen': {
        const { url, headers, channel_id } = action.value;
        if (!isUrl(url)) return failed({ kind: 'BadUrl', value: { url } });
        if (!this.accepts(url, headers)) return failed({ kind: 'WsOpenFailed', value: { url } });
        const socket = new FakeRemoteSocket(this, host, channel_id);
        this.sockets.set(channel_id, socket);
        // What it says comes after the answer to the opening.
        host.answer(sent, ACK);
        this.opened(socket);
        return undefined;
      }
      case 'WebSocketPush': {
        const { channel_id, message_type } = action.value;
        const socket = this.sockets.get(channel_id);
        if (socket === undefined) {
          return failed({ kind: 'WsPushUnknownChannel', value: { channel_id } });
        }
        if (sent.blob === undefined) return failed({ kind: 'WsPushNoBlob' });
        socket.took(message_type, sent.blob.bytes);
        return ACK;
      }
      case 'WebSocketClose': {
        const { channel_id } = action.value;
        const socket = this.sockets.get(channel_id);
        if (socket === undefined) return failed({ kind: 'WsCloseFailed', value: { channel_id } });
        socket.close();
        return ACK;
      }
    }
  }

  #ask(
    { method, url, headers }: Extract<HttpClientAction, { kind: 'Http' }>['value'],
    body: Uint8Array,
  ): PeerAnswer | undefined {
    if (!isUrl(url)) return failed({ kind: 'BadUrl', value: { url } });
    const received = { method, url, headers, body, text: new TextDecoder().decode(body) };
    this.requests.push(received);
    const answer = this.#server(received);
    if (answer === undefined) return undefined;
    if ('kind' in answer) return failed(answer);
    const { status = 200, headers: given = {}, body: content = '' } = answer;
    const recased = Object.entries(given).map(([name, value]) => [recase(name), value] as const);
    return {
      body: httpClientResponse.encode({
        kind: 'Ok',
        value: { kind: 'Http', value: { status, headers: new Map(recased) } },
      }),
      blob: typeof content === 'string' ? new TextEncoder().encode(content) : content,
    };
  }
}

/** The server's end of a socket. After each call the test runs the process. */
export class FakeRemoteSocket {
  readonly received: (string | Uint8Array)[] = [];
  readonly channelId: number;
  /** Told of every frame that the process sends. */
  onFrame: (frame: string | Uint8Array) => void = () => undefined;
  readonly #client: FakeHttpClient;
  readonly #host: MemoryHost;

  constructor(client: FakeHttpClient, host: MemoryHost, channelId: number) {
    this.#client = client;
    this.#host = host;
    this.channelId = channelId;
  }

  /** Sends a frame to the process. */
  send(frame: string | Uint8Array): void {
    const text = typeof frame === 'string';
    const type = text ? 'text/plain' : 'application/octet-stream';
    const bytes = text ? new TextEncoder().encode(frame) : frame;
    this.#tell(
      {
        kind: 'WebSocketPush',
        value: { channel_id: this.channelId, message_type: { kind: text ? 'Text' : 'Binary' } },
      },
      { mime: type, bytes },
    );
  }

  /** A ping, which comes without a blob (runtime-modules.md §7.2). */
  ping(): void {
    const value = { channel_id: this.channelId, message_type: { kind: 'Ping' } } as const;
    this.#tell({ kind: 'WebSocketPush', value });
  }

  close(): void {
    this.#client.sockets.delete(this.channelId);
    this.#tell({ kind: 'WebSocketClose', value: { channel_id: this.channelId } });
  }

  /** For the client: the process has sent something. */
  took({ kind }: { readonly kind: WsMessageType }, bytes: Uint8Array): void {
    if (kind !== 'Text' && kind !== 'Binary') return;
    const frame = kind === 'Text' ? new TextDecoder().decode(bytes) : bytes;
    this.received.push(frame);
    this.onFrame(frame);
  }

  #tell(
    event: Parameters<typeof httpClientRequest.encode>[0],
    blob?: { readonly mime: string; readonly bytes: Uint8Array },
  ): void {
    this.#host.arrive({
      source: address(`${this.#host.our().node}@http-client:distro:sys`),
      body: httpClientRequest.encode(event),
      blob,
    });
  }
}

const ACK = httpClientResponse.encode({ kind: 'Ok', value: { kind: 'WebSocketAck' } });

function failed(error: HttpClientError): PeerAnswer {
  return httpClientResponse.encode({ kind: 'Err', value: error });
}

function isUrl(text: string): boolean {
  return /^[a-z][a-z0-9+.-]*:/i.test(text);
}

/** `content-type` to `Content-Type`, as the module gives them (M204). */
function recase(name: string): string {
  return name.replaceAll(
    /[^-]+/g,
    (part) => part.charAt(0).toUpperCase() + part.slice(1).toLowerCase(),
  );
}
