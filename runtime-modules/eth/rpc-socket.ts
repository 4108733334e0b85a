/**
 * One WebSocket to one RPC provider (eth.md §3). It does not reconnect: when it ends, everything that waits is told so, once, and its
 * owner decides.
 *
 *   open() -> open --close(), error, silence--> dead
 */
import { type RawData, WebSocket } from 'ws';
import type { Clock } from '../shared/clock.ts';
import type { RpcAuth, RpcErrorObject } from '../../wit/eth-api.ts';
import type { Result } from '../../wit/types.ts';
import { decodeFrame, encodeCall } from './rpc-frame.ts';

/** A provider that has not answered the handshake by then is unreachable, in milliseconds (eth.md §3). */
export const CONNECT_MS_MAX = 10_000;
/** An idle connection is pinged this often, in milliseconds; two pings without an answer end it. */
export const PING_MS = 10_000;
/** One frame of a provider; a larger one ends the connection. */
export const FRAME_BYTES_MAX = 32 * 1024 * 1024;
/** Calls that may wait on one connection; a further one fails at once. */
export const CALLS_WAITING_MAX = 4_096;

/** As ws calls a frame over `maxPayload`. */
const TOO_LARGE = 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH';
/** EIP-1474's code of an answer that is more than the provider, or we, put up with. */
const LIMIT_EXCEEDED = -32_005;

/** What became of a call. `result` is JSON text. */
export type CallOutcome =
  | { readonly kind: 'result'; readonly result: string }
  | { readonly kind: 'error'; readonly error: RpcErrorObject }
  | { readonly kind: 'timeout' }
  /** The connection ended first. */
  | { readonly kind: 'lost'; readonly reason: string };

export interface RpcSocketEvents {
  /** Something happened on a subscription; `result` is JSON text. */
  notified(subscription: string, result: string): void;
  /** Called once, after every waiting call has its outcome. */
  ended(reason: string): void;
}

interface Waiting {
  readonly method: string;
  readonly resolve: (outcome: CallOutcome) => void;
  /** Of the clock. */
  readonly endMs: number;
}

export class RpcSocket {
  readonly #socket: WebSocket;
  readonly #clock: Clock;
  readonly #events: RpcSocketEvents;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;
  /** One for all calls, for the earliest end of them or before: a timer of its own costs a call more than all else that is done for it. */
  #timeout: { readonly timer: object; readonly atMs: number } | undefined;
  #ping: object | undefined;
  #unanswered = 0;
  #dead: string | undefined;

  private constructor(socket: WebSocket, clock: Clock, events: RpcSocketEvents) {
    this.#socket = socket;
    this.#clock = clock;
    this.#events = events;
    socket.on('message', (data, isBinary) => this.#take(data, isBinary));
    socket.on('pong', () => (this.#unanswered = 0));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === TOO_LARGE) this.#refuseLogs();
      this.#end(error.message);
    });
    socket.on('close', (code, reason) =>
      this.#end(`closed with ${code}${reason.length > 0 ? ` ${shown(reason.toString())}` : ''}`),
    );
    this.#armPing();
  }

  /** Connects. The error is a sentence without the URL, which may hold a key. */
  static async open(
    { url, auth }: { readonly url: string; readonly auth?: RpcAuth | undefined },
    clock: Clock,
    events: RpcSocketEvents,
  ): Promise<Result<RpcSocket, string>> {
    let socket: WebSocket;
    try {
      socket = new WebSocket(url, {
        perMessageDeflate: false,
        maxPayload: FRAME_BYTES_MAX,
        followRedirects: false,
        headers: auth === undefined ? {} : { Authorization: authorization(auth) },
      });
    } catch {
      return { ok: false, error: 'the URL is not one of a WebSocket (ws:// or wss://)' };
    }
    const { promise, resolve } = Promise.withResolvers<string | undefined>();
    const timer = clock.schedule(
      () => resolve(`no answer in ${CONNECT_MS_MAX / 1000} s`),
      CONNECT_MS_MAX,
    );
    const onError = (error: Error): void => resolve(error.message);
    socket.once('open', () => resolve(undefined));
    socket.on('error', onError);
    const failure = await promise;
    clock.cancel(timer);
    if (failure === undefined) {
      const opened = new RpcSocket(socket, clock, events);
      socket.off('error', onError);
      return { ok: true, value: opened };
    }
    // The handler above stays: ending a socket that is connecting is an error event too.
    socket.terminate();
    return { ok: false, error: failure };
  }

  get alive(): boolean {
    return this.#dead === undefined;
  }

  /**
   * One call. `params` is JSON text. Never rejects.
   * @param timeoutMs after that the outcome is 'timeout', and an answer that comes later is dropped
   */
  call(method: string, params: string, timeoutMs: number): Promise<CallOutcome> {
    if (this.#dead !== undefined) return Promise.resolve({ kind: 'lost', reason: this.#dead });
    if (this.#waiting.size >= CALLS_WAITING_MAX) {
      return Promise.resolve({ kind: 'lost', reason: `${CALLS_WAITING_MAX} calls are waiting` });
    }
    const id = ++this.#lastId;
    const endMs = this.#clock.nowMs() + timeoutMs;
    this.#armTimeout(endMs);
    return new Promise((resolve) => {
      this.#waiting.set(id, { method, resolve, endMs });
      this.#socket.send(encodeCall(id, method, params));
    });
  }

  /** Sends without caring for the answer. */
  tell(method: string, params: string): void {
    if (this.#dead === undefined) this.#socket.send(encodeCall(++this.#lastId, method, params));
  }

  /** Ends it. Safe to call twice. */
  close(reason: string): void {
    this.#end(reason);
  }

  #take(data: RawData, isBinary: boolean): void {
    if (isBinary) return;
    // With one fragment, ws hands out a Buffer; several are joined by it.
    const frame = decodeFrame((data as Buffer).toString('utf8'));
    if (frame === undefined) return;
    if (frame.kind === 'notification') {
      this.#events.notified(frame.subscription, frame.result);
      return;
    }
    const waiting = this.#waiting.get(frame.id);
    if (waiting === undefined) return;
    this.#waiting.delete(frame.id);
    waiting.resolve(
      frame.kind === 'result'
        ? { kind: 'result', result: frame.result }
        : { kind: 'error', error: frame.error },
    );
  }

  /** A frame was too large, and nothing but logs is: asking for fewer helps, asking somebody else or again does not. */
  #refuseLogs(): void {
    const message = `too many results: the answer has more than ${FRAME_BYTES_MAX} bytes`;
    for (const [id, { method, resolve }] of this.#waiting) {
      if (method !== 'eth_getLogs') continue;
      this.#waiting.delete(id);
      resolve({ kind: 'error', error: { code: LIMIT_EXCEEDED, message, data: undefined } });
    }
  }

  #armTimeout(endMs: number): void {
    const armed = this.#timeout;
    if (armed !== undefined && armed.atMs <= endMs) return;
    if (armed !== undefined) this.#clock.cancel(armed.timer);
    const delayMs = Math.max(1, endMs - this.#clock.nowMs());
    this.#timeout = { timer: this.#clock.schedule(() => this.#timeOut(), delayMs), atMs: endMs };
  }

  /** Ends the calls that are due, and sleeps until the next of those that wait. */
  #timeOut(): void {
    this.#timeout = undefined;
    const nowMs = this.#clock.nowMs();
    let nextMs = Infinity;
    for (const [id, { resolve, endMs }] of this.#waiting) {
      if (endMs > nowMs) {
        nextMs = Math.min(nextMs, endMs);
        continue;
      }
      this.#waiting.delete(id);
      resolve({ kind: 'timeout' });
    }
    if (nextMs < Infinity) this.#armTimeout(nextMs);
  }

  #armPing(): void {
    this.#ping = this.#clock.schedule(() => {
      if (this.#unanswered >= 2) return this.#end('no answer to pings');
      this.#unanswered += 1;
      this.#socket.ping();
      this.#armPing();
    }, PING_MS);
  }

  #end(reason: string): void {
    if (this.#dead !== undefined) return;
    this.#dead = reason;
    if (this.#ping !== undefined) this.#clock.cancel(this.#ping);
    if (this.#timeout !== undefined) this.#clock.cancel(this.#timeout.timer);
    this.#socket.terminate();
    for (const { resolve } of this.#waiting.values()) resolve({ kind: 'lost', reason });
    this.#waiting.clear();
    this.#events.ended(reason);
  }
}

/** The Basic value is already base64: nothing is encoded for the owner (eth.md §3). */
function authorization(auth: RpcAuth): string {
  return auth.kind === 'Raw' ? auth.value : `${auth.kind} ${auth.value}`;
}

/** Text of a provider, fit for one line of the terminal. */
function shown(text: string): string {
  return text.replace(/\p{C}/gu, '').slice(0, 120);
}
