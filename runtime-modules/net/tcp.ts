/**
 * Frames over TCP (networking.md §4.1): a 16-bit length before each, and a 32-bit one before the first chunk of a message. Not used: `onread`, which
 * reads into one buffer again and again. It saves 1 µs of 26 a round trip, only the side that dials may have it, and what is kept or
 * passed on would have to be copied.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Result } from '../../wit/types.ts';
import { FRAME_BYTES_MAX } from './limits.ts';
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

/** The host probes a silent peer after this (§4.3), then every second. */
const KEEPALIVE_MS = 30_000;
/** Frames up to this are copied into one buffer: cheaper than several writes. */
const COPIED_BYTES_MAX = 16_384;
const LENGTH_BYTES = { clear: 4, frame: 2 } as const;
const BACKLOG = 512;

export function tcpTransport(): Transport {
  return { kind: 'tcp', dial, listen };
}

function dial(to: NetAddress, signal: AbortSignal): Promise<Result<Connection, DialRefusal>> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve({ ok: false, error: 'given up' });
    const socket = connect({ host: to.ip, port: to.port, noDelay: true });
    const settle = (result: Result<Connection, DialRefusal>): void => {
      signal.removeEventListener('abort', onAbort);
      socket.off('error', onError);
      if (!result.ok) socket.destroy();
      resolve(result);
    };
    const onAbort = (): void => {
      socket.on('error', () => undefined);
      settle({ ok: false, error: 'no answer in time' });
    };
    const onError = (error: NodeJS.ErrnoException): void => {
      socket.on('error', () => undefined);
      settle({ ok: false, error: error.code ?? 'cannot connect' });
    };
    signal.addEventListener('abort', onAbort, { once: true });
    socket.once('error', onError);
    socket.once('connect', () => settle({ ok: true, value: new TcpConnection(socket) }));
  });
}

async function listen(at: NetAddress, accept: (connection: Connection) => void): Promise<Listener> {
  const server: Server = createServer({ noDelay: true, pauseOnConnect: false }, (socket) =>
    accept(new TcpConnection(socket)),
  );
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: at.ip, port: at.port, backlog: BACKLOG }, () => {
      server.off('error', reject);
      resolve();
    });
  });
  // A connection that was gone before it was accepted.
  server.on('error', () => undefined);
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : at.port,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

/** Buffers for frames that come in parts; used again, since a frame is its handler's only while it is told of it. */
class FrameBuffers {
  readonly #free: Buffer[] = [];

  take(bytes: number): Buffer {
    if (bytes < POOLED_BYTES_MIN) return Buffer.allocUnsafe(bytes);
    return (this.#free.pop() ?? Buffer.allocUnsafeSlow(FRAME_BYTES_MAX)).subarray(0, bytes);
  }

  giveBack(frame: Buffer): void {
    if (frame.buffer.byteLength !== FRAME_BYTES_MAX || this.#free.length >= POOLED_MAX) return;
    this.#free.push(Buffer.from(frame.buffer));
  }
}

const POOLED_BYTES_MIN = 8_192;
const POOLED_MAX = 32;
const buffers = new FrameBuffers();

class TcpConnection implements Connection {
  readonly kind = 'tcp';
  readonly lengths = 'clear';
  readonly remoteIp: string;
  lengthNext = false;
  readonly #socket: Socket;
  #handler: ConnectionHandler | undefined;
  /** Read and not handed over: the beginning of a length, or what came while paused. */
  #head: Buffer | undefined;
  /** A frame of which a part has come. */
  #frame: Buffer | undefined;
  #filled = 0;
  #reason = 'closed by the peer';
  #over = false;
  /** Read, and not looked at yet, while frames are handed over. */
  #rest: Buffer | undefined;
  #spliced = false;
  #paused = false;
  readonly #wakeful = wakeful();

  constructor(socket: Socket) {
    this.#socket = socket;
    this.remoteIp = socket.remoteAddress ?? '';
    socket.setKeepAlive(true, KEEPALIVE_MS);
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#reason = error.code ?? 'socket error';
    });
    socket.on('drain', () => this.#handler?.onDrain());
    socket.on('close', () => {
      this.#over = true;
      this.#handler?.onEnd(this.#reason);
    });
  }

  get bufferedBytes(): number {
    return this.#socket.writableLength;
  }

  attach(handler: ConnectionHandler): void {
    const first = this.#handler === undefined;
    this.#handler = handler;
    if (this.#socket.destroyed) queueMicrotask(() => this.#lateEnd(handler));
    if (first) this.#socket.on('data', this.#onData);
  }

  send(pieces: readonly Uint8Array[], clearLength?: number): void {
    if (this.#over || this.#spliced) return;
    let bytes = 0;
    for (const piece of pieces) bytes += piece.length;
    const headBytes = LENGTH_BYTES.frame + (clearLength === undefined ? 0 : LENGTH_BYTES.clear);
    const copied = bytes <= COPIED_BYTES_MAX;
    const head = Buffer.allocUnsafe(copied ? headBytes + bytes : headBytes);
    if (clearLength !== undefined) head.writeUInt32BE(clearLength, 0);
    head.writeUInt16BE(bytes, headBytes - LENGTH_BYTES.frame);
    if (copied) {
      let at = headBytes;
      for (const piece of pieces) {
        head.set(piece, at);
        at += piece.length;
      }
      this.#socket.write(head);
      return;
    }
    this.#socket.cork();
    this.#socket.write(head);
    for (const piece of pieces)
      this.#socket.write(piece, (error) => {
        if (!error) release(piece);
      });
    this.#socket.uncork();
  }

  stayAwake(): void {
    this.#wakeful.sent();
  }

  /** The host does it. */
  ping(): void {}

  pause(): void {
    this.#paused = true;
    this.#socket.pause();
  }

  resume(): void {
    this.#paused = false;
    if (this.#spliced) return;
    if (this.#head === undefined) return void this.#socket.resume();
    // Not from within the caller, who may be in the middle of something.
    queueMicrotask(() => {
      if (this.#paused || this.#spliced) return;
      this.#parse(this.#head ?? Buffer.alloc(0));
      if (!this.#paused) this.#socket.resume();
    });
  }

  end(): void {
    this.#reason = 'closed by us';
    this.#socket.end();
  }

  destroy(): void {
    this.#reason = 'closed by us';
    this.#socket.destroy();
  }

  spliceWith(other: Connection, watch: SpliceWatch): boolean {
    if (!(other instanceof TcpConnection) || this.#over || other.#over) return false;
    let ended = false;
    const end = (): void => {
      if (ended) return;
      ended = true;
      this.#socket.destroy();
      other.#socket.destroy();
      watch.onEnd();
    };
    for (const [from, to] of [
      [this, other],
      [other, this],
    ] as const) {
      const received = from.#unread();
      from.#handler = undefined;
      from.#spliced = true;
      from.#socket.off('data', from.#onData);
      if (received.length > 0) to.#socket.write(received);
      // As `pipe` does it, and the memory is given back at once.
      from.#socket.on('data', (chunk: Buffer) => {
        watch.onBytes(chunk.length);
        const open = to.#socket.write(chunk, (error) => {
          if (!error) release(chunk);
        });
        if (!open) from.#socket.pause();
      });
      to.#socket.on('drain', () => from.#socket.resume());
      from.#socket.once('end', () => to.#socket.end());
      from.#socket.once('close', end);
      if (!to.#socket.writableNeedDrain) from.#socket.resume();
    }
    return true;
  }

  readonly #onData = (read: Buffer): void => {
    this.#wakeful.heard();
    this.#parse(this.#head === undefined ? read : Buffer.concat([this.#head, read]));
    // Frames are their handler's during the call only, and parts have been copied.
    if (this.#head === undefined && !this.#spliced) release(read);
  };

  /** Hands frames over until there is none, or the handler wants no more. */
  #parse(read: Buffer): void {
    this.#rest = read;
    this.#head = undefined;
    while (this.#rest !== undefined && this.#rest.length > 0) {
      if (this.#paused || this.#socket.destroyed || !this.#take(this.#rest)) break;
    }
    if (this.#spliced) return;
    if (this.#rest !== undefined && this.#rest.length > 0) this.#head = this.#rest;
    this.#rest = undefined;
  }

  /** Takes one length or frame, or as much of it as there is. False: less than a length is left. */
  #take(rest: Buffer): boolean {
    if (this.#frame !== undefined) {
      const part = rest.subarray(0, this.#frame.length - this.#filled);
      this.#frame.set(part, this.#filled);
      this.#filled += part.length;
      this.#rest = rest.subarray(part.length);
      if (this.#filled === this.#frame.length) {
        const frame = this.#frame;
        this.#whole(frame);
        buffers.giveBack(frame);
      }
      return true;
    }
    if (rest.length < (this.lengthNext ? LENGTH_BYTES.clear : LENGTH_BYTES.frame)) return false;
    if (this.lengthNext) {
      this.#rest = rest.subarray(LENGTH_BYTES.clear);
      this.lengthNext = false;
      this.#handler?.onLength(rest.readUInt32BE(0));
      return true;
    }
    const bytes = rest.readUInt16BE(0);
    const start = LENGTH_BYTES.frame;
    if (rest.length >= start + bytes) {
      this.#rest = rest.subarray(start + bytes);
      this.#whole(rest.subarray(start, start + bytes));
    } else {
      this.#frame = buffers.take(bytes);
      this.#filled = 0;
      this.#rest = rest.subarray(start);
    }
    return true;
  }

  #whole(frame: Buffer): void {
    this.#frame = undefined;
    this.#handler?.onFrame(frame);
  }

  /** All that was read and not handed over; nobody else will. */
  #unread(): Buffer {
    const rest = this.#rest ?? this.#head ?? Buffer.alloc(0);
    this.#rest = undefined;
    this.#head = undefined;
    if (this.#frame === undefined) return rest;
    const length = Buffer.alloc(LENGTH_BYTES.frame);
    length.writeUInt16BE(this.#frame.length);
    return Buffer.concat([length, this.#frame.subarray(0, this.#filled), rest]);
  }

  /** The socket was over before anybody could be told. */
  #lateEnd(handler: ConnectionHandler): void {
    if (this.#over && this.#handler === handler) handler.onEnd(this.#reason);
  }
}
