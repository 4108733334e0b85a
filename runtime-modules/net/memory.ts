/**
 * A network in memory (findings section 6; issue item 7): both transports' ways over links with latency, jitter, stalls and partitions, all
 * drawn from a seed and run by a clock that a test advances. Frames are delivered in order or the connection ends, as over TCP. Ships, so
 * that simulations of hundreds of nodes are anybody's to run.
 */
import type { Result } from '../../wit/types.ts';
import type { Clock } from '../shared/clock.ts';
import type {
  Connection,
  ConnectionHandler,
  DialRefusal,
  Listener,
  NetAddress,
  SpliceWatch,
  Transport,
  TransportKind,
} from './transport.ts';

/** How the links of a network behave. */
export interface MemoryNetworkOptions {
  readonly clock: Clock;
  /** Of everything random. */
  readonly seed?: number;
  /** One way, in ms; default 1. */
  readonly latencyMs?: number;
  /** Up to this is added at random; default 0. */
  readonly jitterMs?: number;
  /** Chance that a frame is lost: it arrives after RETRANSMIT_MS, and all behind it with it. Default 0. */
  readonly loss?: number;
}

/** What a lost packet costs. */
const RETRANSMIT_MS = 200;
/** How long a dial into nothing takes to be refused where nobody listens. */
const DIRECTIONS = 2;

/** A generator of numbers from 0 up to 1, the same for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b_79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export class MemoryNetwork {
  readonly clock: Clock;
  readonly #random: () => number;
  readonly #latencyMs: number;
  readonly #jitterMs: number;
  readonly #loss: number;
  readonly #listeners = new Map<string, (connection: Connection) => void>();
  readonly #cut = new Set<string>();
  readonly #connections = new Set<MemoryConnection>();
  #ports = 40_000;
  /** Frames carried so far, both ways. */
  frames = 0;
  /** What becomes of a frame between two addresses, for who in between changes, drops or repeats it; undefined: it passes. */
  tamper: ((frame: Uint8Array, from: string, to: string) => readonly Uint8Array[]) | undefined;

  constructor(options: MemoryNetworkOptions) {
    this.clock = options.clock;
    this.#random = seededRandom(options.seed ?? 1);
    this.#latencyMs = options.latencyMs ?? 1;
    this.#jitterMs = options.jitterMs ?? 0;
    this.#loss = options.loss ?? 0;
  }

  /** Connections that are open; each has two ends. */
  get open(): number {
    return this.#connections.size / DIRECTIONS;
  }

  /** The transport of a host with this address. */
  transport(kind: TransportKind, ip: string): Transport {
    return {
      kind,
      dial: (to, signal) => this.#dial(kind, ip, to, signal),
      listen: async (at, accept) => this.#listen(kind, ip, at, accept),
    };
  }

  /** No frame passes between the two from now on, and none is refused: what a cut cable does. */
  partition(a: string, b: string): void {
    this.#cut.add(pair(a, b));
  }

  /** What was held back by a partition goes on. */
  heal(a: string, b: string): void {
    this.#cut.delete(pair(a, b));
    for (const connection of this.#connections) connection.flush();
  }

  /** The host is gone: its connections end, nobody answers there. */
  kill(ip: string): void {
    for (const key of this.#listeners.keys())
      if (key.includes(` ${ip} `)) this.#listeners.delete(key);
    for (const connection of this.#connections) if (connection.ip === ip) connection.destroy();
  }

  isCut(a: string, b: string): boolean {
    return this.#cut.has(pair(a, b));
  }

  /** Ms that the next frame takes. */
  delayMs(): number {
    const lost = this.#random() < this.#loss ? RETRANSMIT_MS : 0;
    return this.#latencyMs + this.#random() * this.#jitterMs + lost;
  }

  forget(connection: MemoryConnection): void {
    this.#connections.delete(connection);
  }

  #listen(
    kind: TransportKind,
    ip: string,
    at: NetAddress,
    accept: (connection: Connection) => void,
  ): Listener {
    const port = at.port === 0 ? this.#ports++ : at.port;
    const key = `${kind} ${ip} ${port}`;
    if (this.#listeners.has(key)) throw new Error(`${key} is taken`);
    this.#listeners.set(key, accept);
    return {
      port,
      close: async () => {
        if (this.#listeners.get(key) === accept) this.#listeners.delete(key);
      },
    };
  }

  #dial(
    kind: TransportKind,
    from: string,
    to: NetAddress,
    signal: AbortSignal,
  ): Promise<Result<Connection, DialRefusal>> {
    return new Promise((resolve) => {
      const onAbort = (): void => resolve({ ok: false, error: 'no answer in time' });
      if (signal.aborted) return onAbort();
      signal.addEventListener('abort', onAbort, { once: true });
      // Into a partition nothing comes back, not even a refusal.
      if (this.isCut(from, to.ip)) return;
      this.clock.schedule(() => {
        const accept = this.#listeners.get(`${kind} ${to.ip} ${to.port}`);
        signal.removeEventListener('abort', onAbort);
        if (signal.aborted) return;
        if (accept === undefined) return resolve({ ok: false, error: 'ECONNREFUSED' });
        const ours = new MemoryConnection(this, kind, { ip: from, remoteIp: to.ip });
        const theirs = new MemoryConnection(this, kind, { ip: to.ip, remoteIp: from });
        ours.join(theirs);
        this.#connections.add(ours).add(theirs);
        accept(theirs);
        resolve({ ok: true, value: ours });
      }, this.delayMs());
    });
  }
}

function pair(a: string, b: string): string {
  return a < b ? `${a} ${b}` : `${b} ${a}`;
}

interface Sent {
  readonly frame: Uint8Array;
  readonly clearLength: number | undefined;
}

/** One end. */
class MemoryConnection implements Connection {
  readonly kind: TransportKind;
  readonly lengths: 'clear' | 'sealed';
  readonly ip: string;
  readonly remoteIp: string;
  lengthNext = false;
  readonly #network: MemoryNetwork;
  #other: MemoryConnection | undefined;
  #handler: ConnectionHandler | undefined;
  /** On their way to this end, in order. */
  readonly #arriving: Sent[] = [];
  /** Of those, how many are due. */
  #due = 0;
  #lastDueMs = 0;
  #paused = false;
  #ended: string | undefined;
  #told = false;
  #watch: ((frame: Uint8Array) => void) | undefined;

  constructor(
    network: MemoryNetwork,
    kind: TransportKind,
    { ip, remoteIp }: { readonly ip: string; readonly remoteIp: string },
  ) {
    this.#network = network;
    this.kind = kind;
    this.lengths = kind === 'tcp' ? 'clear' : 'sealed';
    this.ip = ip;
    this.remoteIp = remoteIp;
  }

  join(other: MemoryConnection): void {
    this.#other = other;
    other.#other = this;
  }

  get bufferedBytes(): number {
    let bytes = 0;
    if (this.#other !== undefined)
      for (const { frame } of this.#other.#arriving) bytes += frame.length;
    return bytes;
  }

  attach(handler: ConnectionHandler): void {
    this.#handler = handler;
    this.#network.clock.schedule(() => this.flush(), 0);
  }

  send(pieces: readonly Uint8Array[], clearLength?: number): void {
    const other = this.#other;
    if (other === undefined || this.#ended !== undefined || other.#ended !== undefined) return;
    this.#network.frames++;
    // Copied, as a socket would: the sender may use its buffer again.
    const frame = Buffer.concat(pieces);
    const { tamper } = this.#network;
    if (tamper === undefined) return other.#expect({ frame, clearLength });
    for (const [index, passed] of tamper(frame, this.ip, this.remoteIp).entries())
      other.#expect({ frame: passed, clearLength: index === 0 ? clearLength : undefined });
  }

  stayAwake(): void {}

  ping(): void {}

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.flush();
  }

  end(): void {
    this.#endBoth('closed by us', 'closed by the peer');
  }

  destroy(): void {
    this.#endBoth('closed by us', 'ECONNRESET');
  }

  spliceWith(other: Connection, watch: SpliceWatch): boolean {
    if (!(other instanceof MemoryConnection) || other.kind !== this.kind) return false;
    if (this.#ended !== undefined || other.#ended !== undefined) return false;
    let over = false;
    const end = (): void => {
      if (over) return;
      over = true;
      this.destroy();
      other.destroy();
      watch.onEnd();
    };
    const join = (from: MemoryConnection, to: MemoryConnection): void => {
      from.#watch = (frame) => watch.onBytes(frame.length);
      from.#handler = {
        onFrame: () => undefined,
        onLength: () => undefined,
        onDrain: () => undefined,
        onEnd: end,
      };
      from.#spliceTo = to;
      from.flush();
    };
    join(this, other);
    join(other, this);
    return true;
  }

  #spliceTo: MemoryConnection | undefined;

  /** Hands over what is due. */
  flush(): void {
    while (this.#canRead() && this.#due > 0) {
      const sent = this.#arriving.shift();
      this.#due--;
      if (sent !== undefined) this.#hand(sent);
    }
    const handler = this.#handler;
    if (this.#ended === undefined || handler === undefined || this.#told) return;
    if (this.#arriving.length > 0 && !this.#cut() && this.#ended === 'closed by the peer') return;
    this.#told = true;
    this.#network.forget(this);
    handler.onEnd(this.#ended);
  }

  #canRead(): boolean {
    const reads = this.#ended === undefined || this.#ended === 'closed by the peer';
    return this.#handler !== undefined && !this.#paused && !this.#cut() && reads;
  }

  #cut(): boolean {
    return this.#network.isCut(this.ip, this.remoteIp);
  }

  #hand({ frame, clearLength }: Sent): void {
    if (this.#spliceTo !== undefined) {
      this.#watch?.(frame);
      this.#spliceTo.send([frame], clearLength);
    } else if (this.lengths === 'clear' && (clearLength !== undefined) !== this.lengthNext) {
      // The bytes of a stream would be read as something else.
      this.destroy();
    } else {
      if (clearLength !== undefined) {
        this.lengthNext = false;
        this.#handler?.onLength(clearLength);
      }
      if (this.#ended === undefined || this.#ended === 'closed by the peer')
        this.#handler?.onFrame(frame);
    }
    if (this.#other !== undefined) this.#other.#handler?.onDrain();
  }

  #expect(sent: Sent): void {
    const { clock } = this.#network;
    const dueMs = Math.max(this.#lastDueMs, clock.nowMs() + this.#network.delayMs());
    this.#lastDueMs = dueMs;
    this.#arriving.push(sent);
    clock.schedule(() => {
      this.#due++;
      this.flush();
    }, dueMs - clock.nowMs());
  }

  #endBoth(ours: string, theirs: string): void {
    if (this.#ended !== undefined) return;
    this.#ended = ours;
    const { clock } = this.#network;
    clock.schedule(() => this.flush(), 0);
    const other = this.#other;
    if (other === undefined || other.#ended !== undefined) return;
    const afterMs = Math.max(0, other.#lastDueMs - clock.nowMs());
    clock.schedule(() => {
      other.#ended ??= theirs;
      other.flush();
    }, afterMs + this.#network.delayMs());
  }
}
