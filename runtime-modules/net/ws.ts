/** Frames over WebSocket (networking.md §4.2): one Binary message each, at `/`, without extensions. Text ends the connection (N16). */
import { createServer } from 'node:http';
import { isIPv6 } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';
import type { Result } from '../../wit/types.ts';
import {
  FRAME_BYTES_MAX,
  HANDSHAKE_MS_MAX,
  SOCKET_BYTES_MAX,
  WS_FRAGMENTS_MAX,
  WS_READS_MAX,
} from './limits.ts';
import { release } from './release.ts';
import type {
  Connection,
  ConnectionHandler,
  DialRefusal,
  Listener,
  NetAddress,
  SpliceWatch,
  Transport,
} from './transport.ts';
import { wakeful } from './wakeful.ts';

/** Where an upgrade is refused, RFC 9110 §15.5.22. */
const UPGRADE_REQUIRED = 426;
const CHECK_MS = 1_000;
/** Time for a close to be answered before the socket is cut. */
const CLOSE_MS = 2_000;
export const WS_OPTIONS = {
  perMessageDeflate: false,
  maxPayload: FRAME_BYTES_MAX,
  skipUTF8Validation: true,
  closeTimeout: CLOSE_MS,
  maxFragments: WS_FRAGMENTS_MAX,
  maxBufferedChunks: WS_READS_MAX,
} as const;

/** `shared`: nodes come in there, and no port is opened. */
export function wsTransport(shared?: Pick<Transport, 'listen'>): Transport {
  return {
    kind: 'ws',
    dial,
    listen: shared === undefined ? listen : (...at) => shared.listen(...at),
  };
}

function dial(to: NetAddress, signal: AbortSignal): Promise<Result<Connection, DialRefusal>> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve({ ok: false, error: 'given up' });
    const host = isIPv6(to.ip) ? `[${to.ip}]` : to.ip;
    const socket = new WebSocket(`ws://${host}:${to.port}/`, {
      ...WS_OPTIONS,
      handshakeTimeout: HANDSHAKE_MS_MAX,
    });
    // Before it is open: what comes with the answer to the upgrade is not to be lost.
    const connection = new WsConnection(socket, to.ip);
    const settle = (result: Result<Connection, DialRefusal>): void => {
      signal.removeEventListener('abort', onAbort);
      if (!result.ok) socket.terminate();
      resolve(result);
    };
    const onAbort = (): void => settle({ ok: false, error: 'no answer in time' });
    signal.addEventListener('abort', onAbort, { once: true });
    socket.once('open', () => settle({ ok: true, value: connection }));
    socket.once('error', (error: NodeJS.ErrnoException) =>
      settle({ ok: false, error: error.code ?? 'no WebSocket there' }),
    );
  });
}

async function listen(at: NetAddress, accept: (connection: Connection) => void): Promise<Listener> {
  const server = createServer(
    {
      headersTimeout: HANDSHAKE_MS_MAX,
      requestTimeout: HANDSHAKE_MS_MAX,
      connectionsCheckingInterval: CHECK_MS,
      noDelay: true,
    },
    (_request, response) => response.writeHead(UPGRADE_REQUIRED).end(),
  );
  const sockets = new WebSocketServer({ ...WS_OPTIONS, server, clientTracking: false });
  sockets.on('connection', (socket, request) =>
    accept(new WsConnection(socket, request.socket.remoteAddress ?? '')),
  );
  await new Promise<void>((resolve, reject) => {
    sockets.once('error', reject);
    server.listen({ host: at.ip, port: at.port }, () => {
      sockets.off('error', reject);
      resolve();
    });
  });
  sockets.on('error', () => undefined);
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : at.port,
    close: () =>
      new Promise((resolve) => {
        sockets.close();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

export class WsConnection implements Connection {
  readonly kind = 'ws';
  readonly lengths = 'sealed';
  readonly remoteIp: string;
  /** Lengths are sealed: never. */
  lengthNext = false;
  readonly #socket: WebSocket;
  #handler: ConnectionHandler | undefined;
  /** Come before there was a handler, or while paused. */
  readonly #early: Buffer[] = [];
  #paused = false;
  #reason = 'closed by the peer';
  #over = false;
  #onPassed: (() => void) | undefined;
  readonly #wakeful = wakeful();

  constructor(socket: WebSocket, remoteIp: string) {
    this.#socket = socket;
    this.remoteIp = remoteIp;
    socket.on('message', (data: Buffer, isBinary: boolean) => this.#message(data, isBinary));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#reason = error.code ?? 'socket error';
      socket.terminate();
    });
    socket.on('close', () => {
      this.#over = true;
      this.#handler?.onEnd(this.#reason);
    });
  }

  get bufferedBytes(): number {
    return this.#socket.bufferedAmount;
  }

  attach(handler: ConnectionHandler): void {
    const first = this.#handler === undefined;
    this.#handler = handler;
    if (!first) return;
    queueMicrotask(() => {
      if (!this.#paused) this.#flush();
      if (this.#over) this.#handler?.onEnd(this.#reason);
    });
  }

  send(pieces: readonly Uint8Array[]): void {
    const [only] = pieces;
    if (pieces.length === 1 && only !== undefined) return this.#pass(only);
    this.#pass(Buffer.concat(pieces));
    for (const piece of pieces) release(piece);
  }

  stayAwake(): void {
    this.#wakeful.sent();
  }

  ping(): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.ping();
  }

  pause(): void {
    this.#paused = true;
    this.#socket.pause();
  }

  resume(): void {
    this.#paused = false;
    if (this.#early.length === 0) this.#socket.resume();
    else queueMicrotask(() => this.#flush());
  }

  end(): void {
    this.#reason = 'closed by us';
    this.#socket.close();
  }

  destroy(): void {
    this.#reason = 'closed by us';
    this.#socket.terminate();
  }

  spliceWith(other: Connection, watch: SpliceWatch): boolean {
    if (!(other instanceof WsConnection) || this.#over || other.#over) return false;
    let ended = false;
    const end = (): void => {
      if (ended) return;
      ended = true;
      this.#socket.terminate();
      other.#socket.terminate();
      watch.onEnd();
    };
    join(this, other, watch, end);
    join(other, this, watch, end);
    return true;
  }

  /** For a splice: whoever reads the other side wants to know when there is room again. */
  onPassed(tell: () => void): void {
    this.#onPassed = tell;
  }

  #pass(frame: Uint8Array): void {
    if (this.#socket.readyState !== WebSocket.OPEN) return;
    this.#socket.send(frame, { binary: true }, () => {
      if (this.#socket.bufferedAmount >= SOCKET_BYTES_MAX) return;
      this.#handler?.onDrain();
      this.#onPassed?.();
    });
  }

  #message(data: Buffer, isBinary: boolean): void {
    this.#wakeful.heard();
    if (!isBinary) {
      this.#reason = 'sent text';
      this.#socket.terminate();
    } else if (this.#handler === undefined || this.#paused || this.#early.length > 0) {
      // Several may have come in one read.
      this.#early.push(data);
      this.#socket.pause();
    } else this.#handler.onFrame(data);
  }

  /** What came too early, until the handler wants no more. */
  #flush(): void {
    while (!this.#paused && this.#early.length > 0) {
      const frame = this.#early.shift();
      if (frame !== undefined) this.#handler?.onFrame(frame);
    }
    if (!this.#paused) this.#socket.resume();
  }
}

/** One direction of a splice. */
function join(from: WsConnection, to: WsConnection, watch: SpliceWatch, end: () => void): void {
  to.onPassed(() => from.resume());
  from.attach({
    onFrame: (frame) => {
      watch.onBytes(frame.length);
      to.send([frame]);
      if (to.bufferedBytes >= SOCKET_BYTES_MAX) from.pause();
    },
    onLength: () => undefined,
    onDrain: () => undefined,
    onEnd: end,
  });
}
