/** Opens WebSockets of guests (RFC 6455 §4.1; runtime-modules.md §7.2): exactly the fields given, no extensions, no redirects. */
import type { RequestOptions } from 'node:http';
import type { Socket } from 'node:net';
import { WebSocket } from 'ws';
import type { Result } from '../../wit/types.ts';
import { ConnectError, type Connector } from '../shared/outbound/connector.ts';
import type { Field } from '../shared/outbound/exchange.ts';
import { hostPortOf } from '../shared/outbound/host-pattern.ts';
import { RESPONSE_HEAD_BYTES_MAX } from '../shared/outbound/limits.ts';
import { basicAuthorization } from '../shared/outbound/proxy.ts';
import { fieldOf } from './header-fields.ts';
import { CLOSE_MS_MAX, MESSAGE_BYTES_MAX } from './limits.ts';

/** An open one, paused: nothing of it has been read yet. */
export interface OpenSocket {
  readonly ws: WebSocket;
  readonly transport: Socket;
}

/**
 * @param url ws or wss
 * @param fields legal ones, none of the handshake's own
 * @returns or in words why there is none
 */
export async function openSocket(
  url: URL,
  fields: readonly Field[],
  connector: Connector,
  signal: AbortSignal,
): Promise<Result<OpenSocket, string>> {
  let transport: Socket | undefined;
  let ws: WebSocket;
  try {
    ws = start(url, fields, async () => {
      const hop = { target: hostPortOf(url), secure: url.protocol === 'wss:', forwardable: false };
      transport = await connector.connect(hop, signal);
      return transport;
    });
  } catch (error) {
    return { ok: false, error: error instanceof Error ? error.message : String(error) };
  }
  const { promise, resolve } = Promise.withResolvers<Result<OpenSocket, string>>();
  ws.once('open', () => {
    ws.pause();
    // It is there: the socket opened on it.
    if (transport !== undefined) resolve({ ok: true, value: { ws, transport } });
  });
  ws.on('error', (error) =>
    resolve({
      ok: false,
      error: error instanceof ConnectError ? error.message : `no WebSocket: ${error.message}`,
    }),
  );
  const abort = (): void => ws.terminate();
  signal.addEventListener('abort', abort, { once: true });
  if (signal.aborted) abort();
  return promise.finally(() => signal.removeEventListener('abort', abort));
}

type Opened = (error: Error | null, socket?: Socket) => void;

/** @throws when a subprotocol is malformed */
function start(url: URL, fields: readonly Field[], connect: () => Promise<Socket>): WebSocket {
  const protocols = (fieldOf(fields, 'sec-websocket-protocol') ?? '')
    .split(',')
    .map((protocol) => protocol.trim())
    .filter((protocol) => protocol !== '');
  const headers = Object.fromEntries(
    fields.filter(([name]) => name.toLowerCase() !== 'sec-websocket-protocol'),
  );
  const authorization = basicAuthorization(url);
  if (authorization !== undefined && fieldOf(fields, 'authorization') === undefined)
    headers['Authorization'] = authorization;
  const bare = new URL(url);
  bare.username = '';
  bare.password = '';
  bare.hash = '';
  const createConnection = (_options: unknown, opened: Opened): undefined => {
    connect().then(
      (socket) => opened(null, socket),
      (error: Error) => opened(error),
    );
    return undefined;
  };
  const options: WebSocket.ClientOptions &
    Pick<RequestOptions, 'maxHeaderSize'> & { readonly closeTimeout: number } = {
    headers,
    perMessageDeflate: false,
    followRedirects: false,
    maxPayload: MESSAGE_BYTES_MAX,
    maxHeaderSize: RESPONSE_HEAD_BYTES_MAX,
    // Channels have a timer of their own, on the node's clock.
    closeTimeout: 2 * CLOSE_MS_MAX,
    // Proof of the type: node:http also takes connections that come later, by callback.
    createConnection: createConnection as unknown as NonNullable<
      WebSocket.ClientOptions['createConnection']
    >,
  };
  return new WebSocket(bare, protocols, options);
}
