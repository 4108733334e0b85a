/**
 * The extension's end of `hn-ext/1` (compute-market.md §10.3, §10.5; findings F40): connects, proves and is proven to, counts reliable
 * frames over reconnections, notices a dead channel.
 *
 *   down --dial--> challenged --hello--> proving --proof is right, auth--> waiting --welcome--> open --socket ends--> down
 *                                                                            `--denied--> down   `--superseded--> over
 */
import { randomBytes } from 'node:crypto';
import { isProof, NONCE_BYTES, proofOf, type Transcript } from '../../wit/hn-ext/handshake.ts';
import { Counting } from '../../wit/hn-ext/counting.ts';
import { decodeFrame, encodeFrame } from '../../wit/hn-ext/frames.ts';
import {
  BAD_FRAMES_MAX,
  HANDSHAKE_MS_MAX,
  PING_EVERY_MS,
  SILENCE_MS_MAX,
} from '../../wit/hn-ext/limits.ts';
import { type Body, type Frame, FRAMES, type FrameType, PROTO } from '../../wit/hn-ext/schema.ts';
import { backoffMs } from './backoff.ts';
import type { Clock } from './clock.ts';
import type { Dial, ExtensionSocket, SocketEvents } from './socket.ts';

export interface LinkOptions {
  /** `ws://localhost:PORT/gpu:compute:sys/ext`. */
  readonly url: string;
  readonly token: Uint8Array;
  readonly version: string;
  /** Longest wait between two tries; default 30 s. */
  readonly reconnectMsMax?: number;
}

export interface LinkNeeds {
  readonly clock: Clock;
  readonly dial: Dial;
  readonly print: (text: string) => void;
}

/** Who uses the link. */
export interface LinkUser {
  /** What `auth` says of us now. */
  describe(): Pick<Body<'auth'>, 'executor' | 'device' | 'slots' | 'jobs' | 'many'>;
  /** Frames pass from now on. Not `resumed`: what was under way is forgotten, and the other side asks for what it misses. */
  up(welcome: {
    readonly resumed: boolean;
    readonly orphanMs: number;
    readonly many: boolean;
  }): void;
  /** Frames that are sent now wait. */
  down(): void;
  frame(frame: Frame): void;
  bulk(bytes: Uint8Array): void;
  /** There is room again for whoever found none. */
  room(): void;
  /** Another extension has taken our place; the link is over. */
  superseded(): void;
}

type State = 'down' | 'challenged' | 'proving' | 'waiting' | 'open' | 'over';
const ABNORMAL = 1002;
const GOING = 1000;

export class Link {
  readonly #options: LinkOptions;
  readonly #needs: LinkNeeds;
  readonly #user: LinkUser;
  readonly #session = new Uint8Array(randomBytes(16));
  #state: State = 'down';
  #socket: ExtensionSocket | undefined;
  #socketName = '';
  #transcript: Transcript | undefined;
  #counting = new Counting();
  #epoch = '';
  #failures = 0;
  #bad = 0;
  #heardMs = 0;
  #cancelTimer: (() => void) | undefined;
  #lastTrouble = '';

  constructor(options: LinkOptions, needs: LinkNeeds, user: LinkUser) {
    this.#options = options;
    this.#needs = needs;
    this.#user = user;
  }

  get open(): boolean {
    return this.#state === 'open';
  }

  /** Bytes of the socket that the host has not taken. */
  get bufferedBytes(): number {
    return this.#socket?.bufferedBytes ?? 0;
  }

  start(): void {
    this.#connect();
  }

  /** Says goodbye; nothing is sent or called any more. */
  close(reason: string): void {
    if (this.#state === 'over') return;
    if (this.#state === 'open') this.#write(encodeFrame('bye', { reason }));
    this.#end();
  }

  /** Reliable frames are kept until the other side has them; others are lost while the link is down. */
  send<T extends FrameType>(t: T, body: Body<T>): void {
    if (this.#state === 'over') return;
    if (FRAMES[t].reliable) {
      const bytes = this.#counting.send((n, a) => encodeFrame(t, body, { n, a }));
      if (this.#state === 'open') this.#write(bytes);
    } else if (this.#state === 'open') {
      this.#write(encodeFrame(t, body, { a: this.#counting.acknowledge() }));
    }
  }

  /** Whether a frame of so many bytes may be sent by whoever can wait; `room` is called when that may have changed. */
  room(bytes: number): boolean {
    return this.#state === 'open' && this.#counting.room(bytes);
  }

  /** Past the process; false while the link is down. */
  sendBulk(bytes: Uint8Array): boolean {
    if (this.#state !== 'open') return false;
    this.#socket?.sendBulk(bytes);
    return true;
  }

  // --- connecting

  #connect(): void {
    if (this.#state === 'over') return;
    this.#state = 'challenged';
    this.#transcript = undefined;
    this.#bad = 0;
    // What an earlier socket says when it has been given up is not for us.
    const current = (): boolean => this.#socket === socket;
    const events: SocketEvents = {
      opened: (name) => {
        if (!current()) return;
        this.#socketName = name;
        this.#later(HANDSHAKE_MS_MAX, () => this.#giveUp('no handshake'));
      },
      frame: (bytes) => current() && this.#received(bytes),
      bulk: (bytes) => current() && this.#state === 'open' && this.#user.bulk(bytes),
      stray: () => current() && this.#stray(),
      closed: (reason) => current() && this.#lost(reason),
    };
    const socket = this.#needs.dial(this.#options.url, events);
    this.#socket = socket;
  }

  #lost(reason: string, waitMs = 0): void {
    if (this.#state === 'over') return;
    const wasOpen = this.#state === 'open';
    this.#state = 'down';
    this.#socket = undefined;
    if (wasOpen) this.#user.down();
    if (reason !== this.#lastTrouble) this.#needs.print(`not connected: ${reason}`);
    this.#lastTrouble = reason;
    const most = this.#options.reconnectMsMax ?? 30_000;
    const delay = Math.max(waitMs, backoffMs(this.#failures, most, Math.random()));
    this.#failures += 1;
    this.#later(delay, () => this.#connect());
  }

  #giveUp(reason: string, waitMs = 0): void {
    const socket = this.#socket;
    this.#lost(reason, waitMs);
    socket?.terminate();
  }

  #end(): void {
    this.#state = 'over';
    this.#cancelTimer?.();
    this.#socket?.close(GOING);
  }

  #later(ms: number, work: () => void): void {
    this.#cancelTimer?.();
    this.#cancelTimer = this.#needs.clock.after(ms, work);
  }

  // --- frames

  #received(bytes: Uint8Array): void {
    this.#heardMs = this.#needs.clock.nowMs();
    const decoded = decodeFrame(bytes);
    if (!decoded.ok) {
      if (this.#state === 'open')
        this.#write(
          encodeFrame('error', { code: decoded.error.code, message: decoded.error.message }),
        );
      return decoded.error.code === 'unknown_type' ? undefined : this.#stray();
    }
    const frame = decoded.value;
    if (this.#state === 'open') this.#passed(frame);
    else this.#handshake(frame);
  }

  /** Anything but the frame that is due is dropped. */
  #handshake(frame: Frame): void {
    if (this.#state === 'challenged' && frame.t === 'challenge') return this.#hello(frame.body);
    if (this.#state === 'proving' && frame.t === 'proof') return this.#authenticate(frame.body.mac);
    if (this.#state === 'waiting' && frame.t === 'welcome') return this.#welcomed(frame.body);
    if (frame.t === 'denied') this.#giveUp(`denied: ${frame.body.reason}`, frame.body.retryMs);
  }

  #hello({ proto, nonceP }: Body<'challenge'>): void {
    if (!proto.includes(PROTO)) return this.#giveUp(`the node does not speak ${PROTO}`);
    const nonceE = new Uint8Array(randomBytes(NONCE_BYTES));
    const session = this.#session;
    this.#transcript = { nonceP, nonceE, session, socket: this.#socketName };
    this.#state = 'proving';
    const { version } = this.#options;
    this.#write(encodeFrame('hello', { proto: PROTO, session, nonceE, version }));
  }

  #authenticate(mac: Uint8Array): void {
    const { token } = this.#options;
    if (this.#transcript === undefined || !isProof(mac, 'process', token, this.#transcript)) {
      return this.#giveUp(
        'what answers there does not know the token: is it the right node, and the right token file?',
      );
    }
    this.#state = 'waiting';
    this.#write(
      encodeFrame('auth', {
        mac: proofOf('extension', token, this.#transcript),
        ...this.#user.describe(),
        epoch: this.#epoch,
        lastSeq: this.#counting.lastSeq,
      }),
    );
  }

  #welcomed({ resume, epoch, lastSeq, orphanMs, many = false }: Body<'welcome'>): void {
    if (resume && (epoch !== this.#epoch || !this.#counting.acked(lastSeq)))
      return this.#giveUp('the node goes on from where we never were');
    if (!resume) this.#counting = new Counting();
    this.#epoch = epoch;
    this.#state = 'open';
    this.#failures = 0;
    this.#lastTrouble = '';
    this.#needs.print(resume ? 'connected again' : 'paired');
    for (const bytes of this.#counting.unsent()) this.#write(bytes);
    this.#beat();
    this.#user.up({ resumed: resume, orphanMs, many });
  }

  #passed(frame: Frame): void {
    if (frame.a !== undefined && frame.a > 0) {
      if (!this.#counting.acked(frame.a))
        return this.#giveUp('an acknowledgement of what was never sent');
      this.#user.room();
    }
    if (frame.n !== undefined) {
      const order = this.#counting.receive(frame.n);
      if (order === 'gap') return this.#giveUp('seq_gap');
      if (order === 'again') return;
    }
    switch (frame.t) {
      case 'ping':
        return this.send('pong', { x: frame.body.x });
      case 'pong':
      case 'ack':
        return;
      case 'error':
        return this.#needs.print(
          `the node says: ${JSON.stringify(frame.body.message.slice(0, 200))}`,
        );
      case 'bye':
        if (frame.body.reason !== 'superseded') return this.#giveUp('the node says goodbye');
        this.#end();
        return this.#user.superseded();
      default:
        this.#user.frame(frame);
        if (this.#counting.ackDue) this.send('ack', {});
    }
  }

  #stray(): void {
    this.#bad += 1;
    if (this.#bad < BAD_FRAMES_MAX) return;
    this.#socket?.close(ABNORMAL);
    this.#giveUp('what comes from the node is no frame');
  }

  #beat(): void {
    this.#heardMs = this.#needs.clock.nowMs();
    let x = 0;
    const next = (): void => {
      if (this.#needs.clock.nowMs() - this.#heardMs > SILENCE_MS_MAX)
        return this.#giveUp('the node is silent');
      this.send('ping', { x: x++ });
      this.#later(PING_EVERY_MS, next);
    };
    this.#later(PING_EVERY_MS, next);
  }

  #write(frame: Uint8Array): void {
    this.#socket?.send(frame);
  }
}
