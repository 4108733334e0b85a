/**
 * A cable to a port of this machine that a test can make bad: a proxy of our own for TCP, with delay, bandwidth, stalls and resets (findings F27).
 * Bytes stay in order and whole, or their connection ends, as over any TCP.
 */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** Bytes of one direction of a connection that are on their way before more is read. */
const HELD_BYTES_MAX = 256 * 1024;
/** A long read is let go bit by bit, so that bandwidth is even. */
const PIECE_BYTES = 16 * 1024;

export interface CableQuality {
  /** One way, in ms. */
  readonly delayMs?: number;
  /** Each way and connection, in bytes a second. */
  readonly bytesPerS?: number;
}

/** One direction of one connection. */
class Way {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #cable: Cable;
  readonly #queue: { readonly bytes: Buffer; readonly dueMs: number }[] = [];
  #held = 0;
  #freeMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #over = false;

  constructor(cable: Cable, from: Socket, to: Socket) {
    this.#cable = cable;
    this.#from = from;
    this.#to = to;
    from.on('data', (bytes: Buffer) => this.#take(bytes));
    from.on('end', () => this.#take(undefined));
    to.on('drain', () => this.flush());
  }

  /** Passes on what is due. */
  flush(): void {
    clearTimeout(this.#timer);
    if (this.#cable.isCut || this.#to.destroyed) return;
    for (;;) {
      const [next] = this.#queue;
      if (next === undefined) break;
      const leftMs = next.dueMs - performance.now();
      if (leftMs > 0) {
        this.#timer = setTimeout(() => this.flush(), leftMs);
        break;
      }
      this.#queue.shift();
      this.#held -= next.bytes.length;
      if (!this.#to.write(next.bytes)) break;
    }
    if (this.#over && this.#queue.length === 0) this.#to.end();
    if (this.#held < HELD_BYTES_MAX) this.#from.resume();
  }

  #take(bytes: Buffer | undefined): void {
    this.#over ||= bytes === undefined;
    const { delayMs = 0, bytesPerS = Infinity } = this.#cable.quality;
    for (let at = 0; bytes !== undefined && at < bytes.length; at += PIECE_BYTES) {
      const piece = bytes.subarray(at, at + PIECE_BYTES);
      this.#freeMs = Math.max(this.#freeMs, performance.now()) + (piece.length / bytesPerS) * 1_000;
      this.#queue.push({ bytes: piece, dueMs: this.#freeMs + delayMs });
      this.#held += piece.length;
    }
    if (this.#held >= HELD_BYTES_MAX) this.#from.pause();
    this.flush();
  }
}

export class Cable implements AsyncDisposable {
  /** May be changed at any time; what is under way keeps what it had. */
  quality: CableQuality;
  /** Where to connect in place of what is behind. */
  readonly port: number;
  readonly #server: Server;
  readonly #ways = new Set<Way>();
  readonly #sockets = new Set<Socket>();
  /** Ends that nobody has heard of, as the cable was cut. */
  readonly #unheard = new Set<() => void>();
  #cut = false;

  private constructor(server: Server, port: number, behind: number, quality: CableQuality) {
    this.#server = server;
    this.port = port;
    this.quality = quality;
    server.on('connection', (socket) => this.#join(socket, behind));
  }

  /** A cable to a port of 127.0.0.1. */
  static async to(behind: number, quality: CableQuality = {}): Promise<Cable> {
    const server = createServer({ allowHalfOpen: true, noDelay: true });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new Cable(server, (server.address() as { port: number }).port, behind, quality);
  }

  get isCut(): boolean {
    return this.#cut;
  }

  /** Connections through it. */
  get connections(): number {
    return this.#sockets.size / 2;
  }

  /** Nothing passes from now on, and nothing is refused; also not a new connection. */
  cut(): void {
    this.#cut = true;
  }

  /** What was held up goes on. */
  heal(): void {
    this.#cut = false;
    for (const way of this.#ways) way.flush();
    for (const end of this.#unheard) end();
    this.#unheard.clear();
  }

  /** Ends all connections with a reset, in the middle of whatever they carry. */
  reset(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #join(near: Socket, behind: number): void {
    const far = connect({ port: behind, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    const ways = [new Way(this, near, far), new Way(this, far, near)];
    const end = (): void => {
      for (const socket of [near, far]) {
        this.#sockets.delete(socket);
        if (!socket.destroyed) socket.resetAndDestroy();
      }
      for (const way of ways) this.#ways.delete(way);
    };
    for (const way of ways) this.#ways.add(way);
    for (const socket of [near, far]) {
      this.#sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        if (this.#cut) this.#unheard.add(end);
        else end();
      });
    }
  }
}
