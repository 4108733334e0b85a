/**
 * One open WebSocket of a process (runtime-modules.md §7.2). What arrives becomes requests to the process; while its mailbox is full the
 * socket is not read, and if that lasts the channel ends.
 *
 *   open --own close--> closing --peer confirms, or CLOSE_MS_MAX--> closed: one WebSocketClose event
 *    |---peer closes, error, cut short by us------------------------^
 *    `---its process ends, or opens the same channel again--> silent: no event (H20)
 */
import { isUtf8 } from 'node:buffer';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { WebSocket } from 'ws';
import type { Offered } from '../../kernel/module.ts';
import type { HttpClientRequest } from '../../wit/http-client-api.ts';
import type { WsMessageType } from '../../wit/http-server-api.ts';
import type { ProcessId } from '../../wit/types.ts';
import type { Clock } from '../shared/clock.ts';
import type { ByteBudget } from './byte-budget.ts';
import type { OpenSocket } from './handshake.ts';
import {
  CLOSE_MS_MAX,
  FRAGMENT_BYTES,
  MESSAGE_BYTES_MAX,
  SENDING_BYTES_HIGH,
  WAITING_MESSAGE_BYTES,
} from './limits.ts';

/** Why a channel was ended from this side without its process wanting it; it stands in the metadata of the WebSocketClose event. */
export type CutReason =
  | 'mailbox-full'
  | 'no-room-for-message'
  | 'message-too-long'
  | 'not-websocket'
  | 'peer-does-not-read';

export interface ChannelEvent {
  readonly body: HttpClientRequest;
  readonly payload: Uint8Array | undefined;
  readonly reason: CutReason | undefined;
}

export interface ChannelNeeds {
  readonly process: ProcessId;
  readonly channelId: number;
  /** Sends an event to the process. */
  readonly offer: (event: ChannelEvent) => Offered | Promise<Offered>;
  /** The process has been told of its end, or cannot be. */
  readonly gone: () => void;
  readonly receiving: ByteBudget;
  readonly sending: ByteBudget;
  readonly clock: Clock;
}

export class Channel {
  readonly process: ProcessId;
  readonly #needs: ChannelNeeds;
  readonly #ws: WebSocket;
  readonly #transport: OpenSocket['transport'];
  #state: 'open' | 'closing' | 'closed' | 'silent' = 'open';
  #reason: CutReason | undefined;
  /** Events that wait for room in the mailbox. */
  #waiting: ChannelEvent[] = [];
  #delivering = false;
  /** Bytes counted for the message that is arriving. */
  #arriving = 0;
  #waitingBytes = 0;

  constructor({ ws, transport }: OpenSocket, needs: ChannelNeeds) {
    this.process = needs.process;
    this.#needs = needs;
    this.#ws = ws;
    this.#transport = transport;
    ws.on('error', (error: NodeJS.ErrnoException) => this.#failed(error.code));
  }

  /**
   * From now on there are events. Not before the process has its acknowledgement: a request under the id of the response it awaits
   * would end it.
   */
  start(): void {
    const ws = this.#ws;
    if (this.#state === 'silent') return;
    if (ws.readyState === ws.CLOSED) return this.#ended();
    ws.on('message', (data: Buffer, isBinary) => this.#message(data, isBinary));
    ws.on('ping', () => this.#receive({ kind: 'Ping' }));
    ws.on('pong', () => this.#receive({ kind: 'Pong' }));
    ws.on('close', () => this.#ended());
    this.#transport.on('data', (piece: Uint8Array) => this.#arrived(piece.length));
    ws.resume();
  }

  /** Whether pushes and closes still mean this one. */
  get isOpen(): boolean {
    return this.#state === 'open';
  }

  /** Whether its process is still to hear of it. */
  get isHeard(): boolean {
    return this.#state !== 'silent';
  }

  /** Resolves when the peer keeps up again, or `signal` aborts. What cannot be sent is lost, as a later close event tells. */
  async push(type: WsMessageType, payload: Uint8Array, signal: AbortSignal): Promise<void> {
    switch (type) {
      case 'Text':
      case 'Binary':
        return this.#send(payload, type === 'Binary', signal);
      case 'Ping':
        return this.#ws.readyState === this.#ws.OPEN ? this.#ws.ping() : undefined;
      case 'Pong':
        return this.#ws.readyState === this.#ws.OPEN ? this.#ws.pong() : undefined;
      case 'Close':
        return this.#askToClose();
    }
  }

  /** Asks the peer to close; the event comes when it has. */
  close(): void {
    if (this.#state === 'open') this.#state = 'closing';
    this.#askToClose();
  }

  /** Its process hears nothing more of it. The peer is told, unless the node itself ends. */
  silence(options: { readonly atOnce?: boolean } = {}): void {
    this.#state = 'silent';
    this.#forget();
    if (options.atOnce === true) return this.#ws.terminate();
    this.#askToClose();
  }

  #askToClose(): void {
    const { clock } = this.#needs;
    this.#ws.close();
    // A close frame is only seen when it is read.
    this.#ws.resume();
    const timer = clock.schedule(() => this.#ws.terminate(), CLOSE_MS_MAX);
    this.#ws.once('close', () => clock.cancel(timer));
  }

  async #send(payload: Uint8Array, binary: boolean, signal: AbortSignal): Promise<void> {
    const { process, sending } = this.#needs;
    if (this.#ws.readyState !== this.#ws.OPEN) return;
    if (!sending.take(process, payload.length)) return this.#cut('peer-does-not-read');
    const { promise, resolve } = Promise.withResolvers<void>();
    const left = (): void => {
      sending.give(process, payload.length);
      resolve();
    };
    for (let at = 0; ; at += FRAGMENT_BYTES) {
      const fin = at + FRAGMENT_BYTES >= payload.length;
      const part = fin && at === 0 ? payload : payload.subarray(at, at + FRAGMENT_BYTES);
      if (fin) {
        this.#ws.send(part, { binary, fin }, left);
        break;
      }
      this.#ws.send(part, { binary, fin }, () => undefined);
      await nextTurn();
    }
    if (signal.aborted || this.#ws.bufferedAmount <= SENDING_BYTES_HIGH) return;
    signal.addEventListener('abort', () => resolve(), { once: true });
    await promise;
  }

  #message(data: Buffer, isBinary: boolean): void {
    const { process, receiving } = this.#needs;
    receiving.give(process, this.#arriving);
    this.#arriving = 0;
    // A small message is a view of a large piece, which it would keep alive in the mailbox.
    const payload = data.length < data.buffer.byteLength ? new Uint8Array(data) : data;
    this.#receive({ kind: isBinary ? 'Binary' : 'Text' }, payload);
  }

  /** Bytes came in that belong to a message not yet complete, or to no message at all, which is counted as one. */
  #arrived(bytes: number): void {
    const { process, receiving } = this.#needs;
    if (this.#state === 'silent' || this.#state === 'closed') return;
    if (this.#arriving + bytes > MESSAGE_BYTES_MAX) return;
    if (!receiving.take(process, bytes)) return this.#cut('no-room-for-message');
    this.#arriving += bytes;
  }

  #receive(type: { readonly kind: WsMessageType }, payload?: Uint8Array): void {
    if (this.#state === 'silent' || this.#state === 'closed' || this.#reason !== undefined) return;
    const { channelId } = this.#needs;
    const message_type = { kind: type.kind, value: undefined };
    this.#deliver({
      body: { kind: 'WebSocketPush', value: { channel_id: channelId, message_type } },
      payload,
      reason: undefined,
    });
  }

  /** Events reach the process one after another. */
  #deliver(event: ChannelEvent): void {
    if (this.#delivering) return this.#wait(event);
    const offered = this.#needs.offer(event);
    if (offered !== 'taken') void this.#deliverLater(event, offered);
    else if (event.body.kind === 'WebSocketClose') this.#needs.gone();
  }

  #wait(event: ChannelEvent): void {
    const { process, receiving } = this.#needs;
    const bytes = waitingBytes(event);
    const isClose = event.body.kind === 'WebSocketClose';
    if (!isClose && !receiving.take(process, bytes)) return this.#cut('no-room-for-message');
    if (!isClose) this.#waitingBytes += bytes;
    this.#waiting.push(event);
  }

  /** The mailbox is full: the socket is not read until everything that came in has been taken. */
  async #deliverLater(first: ChannelEvent, offered: Offered | Promise<Offered>): Promise<void> {
    this.#delivering = true;
    this.#ws.pause();
    let event: ChannelEvent | undefined = first;
    let outcome = await offered;
    while (event !== undefined && this.isHeard) {
      const isClose = event.body.kind === 'WebSocketClose';
      if (outcome === 'refused') {
        // It cannot be told anything: not even that it is open has reached it.
        this.silence();
        this.#needs.gone();
      } else if (outcome === 'taken') {
        if (isClose) this.#needs.gone();
        event = this.#nextWaiting();
      } else if (!isClose) {
        this.#dropWaiting();
        this.#cut('mailbox-full');
        event = this.#nextWaiting();
      }
      // A close event is offered until it is taken: the process must not believe in a dead channel.
      if (event !== undefined && this.isHeard) outcome = await this.#needs.offer(event);
    }
    this.#delivering = false;
    if (this.isHeard) this.#ws.resume();
  }

  #nextWaiting(): ChannelEvent | undefined {
    const event = this.#waiting.shift();
    if (event !== undefined && event.body.kind === 'WebSocketPush') {
      const bytes = waitingBytes(event);
      this.#needs.receiving.give(this.process, bytes);
      this.#waitingBytes -= bytes;
    }
    return event;
  }

  #dropWaiting(): void {
    this.#waiting = this.#waiting.filter(({ body }) => body.kind === 'WebSocketClose');
    this.#needs.receiving.give(this.process, this.#waitingBytes);
    this.#waitingBytes = 0;
  }

  #failed(code: string | undefined): void {
    if (code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH') this.#reason ??= 'message-too-long';
    else if (code?.startsWith('WS_ERR_') === true) this.#reason ??= 'not-websocket';
  }

  /** Ends it from this side. */
  #cut(reason: CutReason): void {
    this.#reason ??= reason;
    this.#ws.terminate();
  }

  #ended(): void {
    if (this.#state === 'silent' || this.#state === 'closed') return;
    this.#state = 'closed';
    this.#needs.receiving.give(this.process, this.#arriving);
    this.#arriving = 0;
    const { channelId } = this.#needs;
    this.#deliver({
      body: { kind: 'WebSocketClose', value: { channel_id: channelId } },
      payload: undefined,
      reason: this.#reason,
    });
  }

  #forget(): void {
    this.#waiting = [];
    this.#needs.receiving.give(this.process, this.#arriving + this.#waitingBytes);
    this.#arriving = 0;
    this.#waitingBytes = 0;
  }
}

function waitingBytes({ payload }: ChannelEvent): number {
  return (payload?.length ?? 0) + WAITING_MESSAGE_BYTES;
}

/** Whether a push can be sent at all: the error that answers it, or undefined. */
export function pushRefusal(
  type: WsMessageType,
  payload: Uint8Array | undefined,
): 'WsPushNoBlob' | 'WsPushBadText' | undefined {
  if (type !== 'Text' && type !== 'Binary') return undefined;
  if (payload === undefined) return 'WsPushNoBlob';
  return type === 'Text' && !isUtf8(payload) ? 'WsPushBadText' : undefined;
}
