/** The listening socket: which port, which address, TLS or not, and limits on what a client may make it wait for. */
import { createServer, type IncomingMessage, type Server, type ServerOptions } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import {
  CONNECTIONS_MAX,
  HEADER_BYTES_MAX,
  HEADERS_MS_MAX,
  KEEP_ALIVE_MS,
  PORT_FIRST,
  PORT_LAST,
  REQUEST_CHECK_MS,
  REQUEST_MS_MAX,
} from './limits.ts';
import { Reply } from './requests/reply.ts';

/** A certificate chain and its key, both PEM. */
export interface Tls {
  readonly cert: string | Uint8Array;
  readonly key: string | Uint8Array;
}

/** Why the web server cannot listen. The message says what to do next. */
export class ListenError extends Error {
  readonly code: 'port-taken' | 'no-port' | 'address' | 'tls';

  constructor(code: ListenError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ListenError';
    this.code = code;
  }
}

export type WebServer = Server<typeof IncomingMessage, typeof Reply>;

export interface ServerLimits {
  /** Default `CONNECTIONS_MAX`. */
  readonly connectionsMax?: number | undefined;
  /** Default `HEADERS_MS_MAX`. */
  readonly headersMs?: number | undefined;
  /** Default `REQUEST_MS_MAX`. */
  readonly requestMs?: number | undefined;
}

/** A server that does not listen yet. `upgrades`: whether a request for an upgrade is one that will be granted. */
export function webServer(
  tls: Tls | undefined,
  upgrades: (request: IncomingMessage) => boolean,
  { connectionsMax, headersMs, requestMs }: ServerLimits = {},
): WebServer {
  const requestTimeout = requestMs ?? REQUEST_MS_MAX;
  const options: ServerOptions<typeof IncomingMessage, typeof Reply> = {
    ServerResponse: Reply,
    // Anything looser lets two readers of one stream of bytes see different requests in it.
    insecureHTTPParser: false,
    requireHostHeader: true,
    maxHeaderSize: HEADER_BYTES_MAX,
    headersTimeout: Math.min(headersMs ?? HEADERS_MS_MAX, requestTimeout),
    requestTimeout,
    connectionsCheckingInterval: Math.min(REQUEST_CHECK_MS, headersMs ?? REQUEST_CHECK_MS),
    keepAliveTimeout: KEEP_ALIVE_MS,
    noDelay: true,
    optimizeEmptyRequests: true,
    shouldUpgradeCallback: upgrades,
  };
  let server: WebServer;
  try {
    server = tls === undefined ? createServer(options) : secure(tls, options);
  } catch (cause) {
    const reason = (cause as Error).message;
    throw new ListenError('tls', `the TLS certificate or key cannot be used: ${reason}`, { cause });
  }
  // Bounded in bytes already; Node would leave further headers out without a word, those of a proxy among them.
  server.maxHeadersCount = 0;
  server.maxConnections = connectionsMax ?? CONNECTIONS_MAX;
  return server;
}

function secure(tls: Tls, options: ServerOptions<typeof IncomingMessage, typeof Reply>): WebServer {
  return createTlsServer({
    ...options,
    cert: Buffer.from(tls.cert),
    key: Buffer.from(tls.key),
    minVersion: 'TLSv1.2',
    handshakeTimeout: HEADERS_MS_MAX,
    ALPNProtocols: ['http/1.1'],
  });
}

/**
 * Listens and says where. `port` undefined: the first free of PORT_FIRST to PORT_LAST (M236); 0: any.
 * @throws ListenError `port-taken` naming the next free one, `no-port`, or `address`
 */
export async function listen(
  server: WebServer,
  host: string,
  port: number | undefined,
): Promise<AddressInfo> {
  if (port === undefined) {
    const free = await firstFree(server, host, PORT_FIRST);
    if (free !== undefined) return free;
    throw new ListenError(
      'no-port',
      `no port from ${PORT_FIRST} to ${PORT_LAST} is free on ${host}; name another one with --port.`,
    );
  }
  if (await bound(server, host, port)) return server.address() as AddressInfo;
  const next = await firstFree(server, host, port + 1);
  server.close();
  const advice = next === undefined ? 'name another one' : `the next free one is ${next.port}`;
  throw new ListenError('port-taken', `port ${port} is taken; ${advice} (--port).`);
}

async function firstFree(
  server: WebServer,
  host: string,
  from: number,
): Promise<AddressInfo | undefined> {
  const last = from > PORT_LAST ? Math.min(from + (PORT_LAST - PORT_FIRST), 65_535) : PORT_LAST;
  for (let port = from; port <= last; port++) {
    if (await bound(server, host, port)) return server.address() as AddressInfo;
  }
  return undefined;
}

/** False: the port is taken, or not ours to take. */
async function bound(server: WebServer, host: string, port: number): Promise<boolean> {
  try {
    server.listen({ host, port, exclusive: true });
    await once(server, 'listening');
    return true;
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'EADDRINUSE' || code === 'EACCES') return false;
    throw new ListenError('address', `cannot listen on ${host}: ${(cause as Error).message}`, {
      cause,
    });
  }
}
