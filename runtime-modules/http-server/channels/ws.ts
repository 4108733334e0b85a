/**
 * One WebSocket of the server, on `ws` (RFC 6455; runtime-modules.md §6.11): its frames in and out, how much of them is in memory,
 * and whether its peer is alive. No timers, closures or buffers of its own until it is used: thousands may be idle.
 *
 *   upgrade -> open --peer's close frame, error, end of the connection--> gone
 *                   `--close()--> closing --peer answers, or CLOSE_WAIT_MS--> gone
 */
import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocket, WebSocketServer } from 'ws';
import type { WsMessageType } from '../../../wit/http-server-api.ts';
import {
  CLOSE_WAIT_MS,
  FRAGMENTS_MAX,
  FRAME_BYTES_MAX,
  HELD_OVERHEAD_BYTES,
  MESSAGE_BYTES_MAX,
  MISSED_PONGS_MAX,
  PIECES_MAX,
  QUEUED_BYTES_MAX,
  QUEUED_FRAMES_MAX,
  QUEUED_SMALL_BYTES,
  QUEUED_SMALL_FRAMES_MAX,
  READ_BYTES,
  UNANSWERED_PINGS_MAX,
} from './limits.ts';

/** Who a socket tells. */
export interface WsEvents {
  /** A frame of the peer, but for close frames. Whoever gets the bytes may keep them. */
  received(type: WsMessageType, bytes: Uint8Array): void;
  /** The peer broke the protocol or the connection did; `closed` follows. */
  failed(reason: string): void;
  /** The last call. `reason`: of the peer's close frame; undefined when none came. */
  closed(reason: Uint8Array | undefined): void;
  /** What is in memory for this socket has changed by so many bytes. */
  held(changeBytes: number): void;
}

export interface WsOptions {
  /** Default `MESSAGE_BYTES_MAX`. */
  readonly messageBytesMax?: number;
  /** Default `FRAME_BYTES_MAX`. */
  readonly frameBytesMax?: number;
  /** Default `QUEUED_BYTES_MAX`. */
  readonly queuedBytesMax?: number;
}

/** Whether a request is an opening handshake that can be accepted; if not it is an ordinary request. */
export function isHandshake({ method, headers }: IncomingMessage): boolean {
  return (
    method === 'GET' &&
    headers.upgrade?.toLowerCase() === 'websocket' &&
    headers['sec-websocket-version'] === '13' &&
    /^[+/0-9A-Za-z]{22}==$/.test(headers['sec-websocket-key'] ?? '')
  );
}

/** Makes sockets of requests. */
export class WsUpgrader {
  readonly #server: WebSocketServer;
  readonly #options: WsOptions;

  constructor(options: WsOptions) {
    this.#options = options;
    this.#server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: options.messageBytesMax ?? MESSAGE_BYTES_MAX,
      WebSocket: LinkedWebSocket,
      ...LIBRARY_LIMITS,
    });
  }

  /** Answers with 101 and calls `opened` in the same turn, before any frame, unless the connection has ended already. */
  upgrade(
    request: IncomingMessage,
    stream: Duplex,
    head: Buffer,
    opened: (socket: WsSocket) => void,
  ): void {
    // No subprotocol is negotiated, and so none is malformed.
    delete request.headers['sec-websocket-protocol'];
    this.#server.handleUpgrade(request, stream, head, (ws) => {
      // The server was told to make these.
      const linked = ws as LinkedWebSocket;
      linked.link = new WsSocket(linked, stream, this.#options);
      opened(linked.link);
    });
  }
}

/** Options of the library that its published types do not have yet. */
const LIBRARY_LIMITS: Record<string, number> = {
  maxFragments: FRAGMENTS_MAX,
  maxBufferedChunks: PIECES_MAX,
  maxPendingAutoPongs: UNANSWERED_PINGS_MAX,
  closeTimeout: CLOSE_WAIT_MS,
};

/** Knows its socket, so that one set of listeners serves all. */
class LinkedWebSocket extends WebSocket {
  link: WsSocket | undefined = undefined;
}

/** Streams of sockets, for the listener that counts what arrives. */
const links = new WeakMap<Duplex, WsSocket>();

export class WsSocket {
  readonly #ws: WebSocket;
  readonly #options: WsOptions;
  #events!: WsEvents;
  /** Bytes read since the last whole message, about; and the reads since the last whole frame that shows. */
  #unfinishedBytes = 0;
  #pieces = 0;
  /** Set by what completes within the read that is being parsed. */
  #completed: 'nothing' | 'control' | 'message' = 'nothing';
  /** Bytes of frames that wait for their process. */
  #waitingBytes = 0;
  #toldBytes = 0;
  /** Frames sent; of those the ones that are known to have left; and the ones that were reported to have. */
  #sent = 0;
  #left = 0;
  #reported = 0;
  #written: (() => void) | undefined = undefined;
  #missedPongs = 0;
  /** Broken, or being ended: what is in memory goes soon, and what arrives is thrown away. */
  #over = false;

  constructor(ws: WebSocket, stream: Duplex, options: WsOptions) {
    this.#ws = ws;
    this.#options = options;
    links.set(stream, this);
    stream.on('data', onData);
    ws.on('message', onMessage);
    ws.on('ping', onPing);
    ws.on('pong', onPong);
    ws.on('error', onError);
    ws.on('close', onClose);
  }

  /** Whom it tells from now on: once, before anything else is done with it. */
  tell(events: WsEvents): void {
    this.#events = events;
  }

  /** Whether frames can be sent. */
  get open(): boolean {
    return this.#ws.readyState === WebSocket.OPEN;
  }

  /** Bytes in memory for it. */
  get heldBytes(): number {
    return this.#toldBytes;
  }

  /**
   * Sends a frame: text with its invalid UTF-8 replaced, binary, ping or pong. False, and it is not sent: the peer does not keep up.
   * The bytes must not change afterwards.
   */
  send(type: Exclude<WsMessageType, 'Close'>, bytes: Uint8Array): boolean {
    const queuedBytes = this.#ws.bufferedAmount;
    if (queuedBytes === 0) this.#left = this.#sent;
    const queued = this.#sent - this.#left;
    if (overruns(queued, queuedBytes, bytes.length, this.#options.queuedBytesMax)) return false;
    this.#sent++;
    this.#written ??= () => this.#leaves();
    if (type === 'Ping') this.#ws.ping(bytes, false, this.#written);
    else if (type === 'Pong') this.#ws.pong(bytes, false, this.#written);
    else if (type === 'Text') this.#sendMessage(validText(bytes), false, this.#written);
    else this.#sendMessage(bytes, true, this.#written);
    if (this.#ws.bufferedAmount > 0 || queuedBytes > 0) this.#count();
    return true;
  }

  /** Sends a binary frame that waits for nobody else's room: whoever sends it waits for the promise. False: the socket has ended. */
  sendBulk(bytes: Uint8Array): Promise<boolean> {
    if (!this.open) return Promise.resolve(false);
    this.#sent++;
    return new Promise((resolve) => {
      this.#ws.send(bytes, { binary: true, compress: false }, (error) => {
        this.#leaves();
        resolve(error === undefined || error === null);
      });
    });
  }

  /** Sends a close frame and waits for that of the peer. Without a code the frame is empty. */
  close(code?: number): void {
    this.resume();
    this.#ws.close(code);
  }

  /** Ends the connection; what it kept in memory counts no more. */
  terminate(): void {
    this.#ws.terminate();
    this.#over = true;
    this.#unfinishedBytes = this.#pieces = 0;
    this.#count();
  }

  /** Reads no further. What has been read already still arrives. */
  pause(): void {
    this.#ws.pause();
  }

  resume(): void {
    if (this.#ws.isPaused) this.#ws.resume();
  }

  /** Counts bytes that wait for the process, or waited (negative). */
  waits(changeBytes: number): void {
    this.#waitingBytes += changeBytes;
    this.#count();
  }

  /** Pings, or ends the connection when too many pings in a row brought no sign of life. One that is not read is not asked. */
  beat(payload: Uint8Array): void {
    if (!this.open || this.#ws.isPaused) return;
    if (this.#missedPongs >= MISSED_PONGS_MAX) {
      this.terminate();
      return;
    }
    this.#missedPongs++;
    this.#ws.ping(payload, false);
  }

  // --- what the library says

  arrived(bytes: number): void {
    this.#missedPongs = 0;
    if (this.#over) return;
    if (this.#completed === 'message') this.#unfinishedBytes = 0;
    this.#unfinishedBytes += bytes;
    this.#pieces = this.#completed === 'nothing' ? this.#pieces + 1 : 0;
    this.#completed = 'nothing';
    if (this.#unfinishedBytes > READ_BYTES || this.#pieces > 1 || this.#toldBytes > 0)
      this.#count();
  }

  message(data: Buffer, binary: boolean): void {
    this.#completed = 'message';
    this.#events.received(binary ? 'Binary' : 'Text', ownBytes(data));
  }

  control(type: 'Ping' | 'Pong', data: Buffer): void {
    // It may stand within an unfinished message.
    if (this.#completed === 'nothing') this.#completed = 'control';
    this.#unfinishedBytes -= CONTROL_HEAD_BYTES + data.length;
    this.#events.received(type, ownBytes(data));
  }

  broke(error: Error): void {
    this.#over = true;
    this.#unfinishedBytes = this.#pieces = 0;
    this.#events.failed(error.message);
  }

  gone(code: number, reason: Buffer): void {
    this.#unfinishedBytes = this.#pieces = 0;
    this.#count();
    this.#events.closed(code === NO_CLOSE_FRAME ? undefined : ownBytes(reason));
  }

  #sendMessage(bytes: Uint8Array, binary: boolean, written: () => void): void {
    const max = this.#options.frameBytesMax ?? FRAME_BYTES_MAX;
    for (let from = 0; ; from += max) {
      const fin = from + max >= bytes.length;
      const part = bytes.length <= max ? bytes : bytes.subarray(from, from + max);
      this.#ws.send(part, { binary, fin, compress: false }, fin ? written : undefined);
      if (fin) return;
    }
  }

  #leaves(): void {
    // Reports come late: frames that all went out at once were known to have left before.
    this.#reported++;
    this.#left = Math.max(this.#left, this.#reported);
    if (this.#toldBytes > 0) this.#count();
  }

  #count(): void {
    const read = this.#unfinishedBytes + this.#pieces * HELD_OVERHEAD_BYTES;
    const unfinished = Math.max(0, read - READ_BYTES);
    const gone = this.#over || this.#ws.readyState === WebSocket.CLOSED;
    const queued = gone ? 0 : this.#ws.bufferedAmount;
    const heldBytes = unfinished + queued + this.#waitingBytes;
    const changeBytes = heldBytes - this.#toldBytes;
    if (changeBytes === 0) return;
    this.#toldBytes = heldBytes;
    this.#events.held(changeBytes);
  }
}

/** Whether one more frame is too much for a peer that has not read `frames` frames of `bytes` bytes yet. */
export function overruns(
  frames: number,
  bytes: number,
  nextBytes: number,
  bytesMax = QUEUED_BYTES_MAX,
): boolean {
  if (frames === 0) return false;
  const allBytes = bytes + nextBytes;
  if (allBytes > bytesMax || frames >= QUEUED_SMALL_FRAMES_MAX) return true;
  return frames >= QUEUED_FRAMES_MAX && allBytes > QUEUED_SMALL_BYTES;
}

/** Head and mask of a client's ping, pong or close frame. */
const CONTROL_HEAD_BYTES = 6;
/** What the library reports as code when the connection ended without a close frame. */
const NO_CLOSE_FRAME = 1006;

const lossy = new TextDecoder('utf-8', { ignoreBOM: true });
const utf8 = new TextEncoder();

function validText(bytes: Uint8Array): Uint8Array {
  return isUtf8(bytes) ? bytes : utf8.encode(lossy.decode(bytes));
}

/** The payload itself when it is most of the read it came in, else a copy: a small one must not keep 64 KiB alive, or travel with it. */
function ownBytes(data: Buffer): Uint8Array {
  if (2 * data.length < data.buffer.byteLength) return new Uint8Array(data);
  return new Uint8Array(data.buffer, data.byteOffset, data.length);
}

function onData(this: Duplex, chunk: Buffer): void {
  links.get(this)?.arrived(chunk.length);
}

function linkOf(ws: WebSocket): WsSocket | undefined {
  return (ws as LinkedWebSocket).link;
}

function onMessage(this: WebSocket, data: WebSocket.RawData, binary: boolean): void {
  // The binary type is left at its default, so it is one buffer.
  linkOf(this)?.message(data as Buffer, binary);
}

function onPing(this: WebSocket, data: Buffer): void {
  linkOf(this)?.control('Ping', data);
}

function onPong(this: WebSocket, data: Buffer): void {
  linkOf(this)?.control('Pong', data);
}

function onError(this: WebSocket, error: Error): void {
  linkOf(this)?.broke(error);
}

function onClose(this: WebSocket, code: number, reason: Buffer): void {
  linkOf(this)?.gone(code, reason);
}
