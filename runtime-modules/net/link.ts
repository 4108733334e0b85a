/**
 * One authenticated connection (networking.md §4, §9): takes messages out of the peer's outbox, seals them chunk by chunk as the socket
 * has room, and puts together what comes.
 *
 *   open -> closing (finishes what it has begun) -> dead (gives back what it has not sent)
 */
import { isSafeProcessId, OUR } from '../../wit/address.ts';
import type { KernelMessage, NodeId } from '../../wit/types.ts';
import type { Clock } from '../shared/clock.ts';
import type { Beat } from './beat.ts';
import {
  Assembler,
  type Chunk,
  Cutter,
  type Framing,
  HOLD,
  messageBytesMax,
  PING,
  PONG,
  type Signal,
  signalChunk,
  SINGLE_BYTES_MAX,
  SIGNAL_NUMBER,
} from './frames.ts';
import type { Session } from './handshake.ts';
import {
  CLOSING_MS_MAX,
  CONNECTION_MS_MAX,
  HANDSHAKE_MS_MAX,
  MESSAGE_MS_MAX,
  MUX_OPEN_BYTES_MAX,
  MUX_OPEN_MAX,
  PING_MS,
  SOCKET_BYTES_MAX,
} from './limits.ts';
import type { Entry, Outbox } from './outbox.ts';
import { isLong, releaseAround } from './release.ts';
import type { Connection } from './transport.ts';
import { decodeMessage, encodePieces, encodeShort, sharesMemory } from './wire.ts';

/** Sealed in one turn of the event loop; then others have theirs. */
const TURN_BYTES = 262_144;
/** How often a link looks at its clocks, in ms. */
export const LOOK_MS = 1_000;
/** A peer that understands pings is asked after this long without a word while we wait for one, in ms … */
const PROBE_AFTER_MS = 2_000;
/** … and given up after this long without an answer: a dead router or a cut cable says nothing (F29). */
const PROBE_MS_MAX = 4_000;

/** Told of a message that is longer than its receiver's node takes; both in bytes, as on the wire. */
export type TooLong = (message: KernelMessage, bytes: number, bytesMax: number) => void;

export interface LinkNeeds {
  readonly our: NodeId;
  readonly clock: Clock;
  /** Of LOOK_MS. */
  readonly beat: Beat;
  readonly outbox: Outbox;
  /** Whether this link is the one that sends. */
  readonly sends: () => boolean;
  readonly receive: (message: KernelMessage) => void;
  readonly tooLong: TooLong;
  /** Something has left the outbox. */
  readonly room: () => void;
  /** It is dead; `delivered`: whether it ever finished sending a message. */
  readonly dead: (reason: string) => void;
}

interface Active {
  readonly entry: Entry;
  readonly cutter: Cutter;
  readonly bytes: number;
  /** The part of it that was made to be sent. */
  readonly encoded: Uint8Array;
}

export class Link {
  readonly session: Session;
  readonly role: 'initiator' | 'responder';
  readonly connection: Connection;
  readonly #needs: LinkNeeds;
  readonly #framing: Framing;
  readonly #assembler: Assembler;
  readonly #active: Active[] = [];
  readonly #busy = new Set<string>();
  readonly #openedMs: number;
  #state: 'open' | 'closing' | 'dead' = 'open';
  #activeBytes = 0;
  #numbers = 0;
  #turn = false;
  #stopLooking: (() => void) | undefined;
  /** Looked at with every tick only: a clock asked for every chunk shows in the throughput. */
  #said = false;
  #heard = false;
  #sentMs: number;
  #receivedMs: number;
  /** Whether anything has come since we last sent something. */
  #unanswered = false;
  /** Since when messages have begun and none has ended, and how many had ended then. */
  #begun: { readonly sinceMs: number; readonly received: number } | undefined;
  #probedMs: number | undefined;
  /** We do not read; the peer does not. */
  #paused = false;
  #held = false;
  #closingMs = 0;
  /**
   * Whether the other side has taken us. A responder may refuse after our last word, and what was sent by then would be lost; between
   * hyperloom nodes it says so, with the reference we cannot know.
   */
  #accepted: boolean;
  /** Messages sent and received as a whole. */
  sent = 0;
  received = 0;

  constructor(
    connection: Connection,
    session: Session,
    role: 'initiator' | 'responder',
    needs: LinkNeeds,
  ) {
    this.connection = connection;
    this.session = session;
    this.role = role;
    this.#needs = needs;
    this.#framing = session.features.mux ? 'mux' : connection.lengths;
    this.#assembler = new Assembler(this.#framing);
    this.#openedMs = needs.clock.nowMs();
    this.#sentMs = this.#openedMs;
    this.#receivedMs = this.#openedMs;
    this.#accepted = role === 'responder' || this.#framing !== 'mux';
    connection.lengthNext = this.#framing === 'clear';
    connection.attach({
      onFrame: (frame) => this.#frame(frame),
      onLength: (length) => this.#length(length),
      onDrain: () => this.pump(),
      onEnd: (reason) => this.#dead(reason),
    });
    if (role === 'responder') this.#say(PONG);
    // Its connection may have ended at our first word.
    if (this.#state !== 'dead') this.#stopLooking = needs.beat.every(() => this.#look());
  }

  get state(): 'open' | 'closing' | 'dead' {
    return this.#state;
  }

  /** Since when nothing has been sent and nothing is being sent, in ms of the clock; undefined while something is. */
  get quietSinceMs(): number | undefined {
    const busy = this.#said || this.#active.length > 0 || this.connection.bufferedBytes > 0;
    return busy ? undefined : this.#sentMs;
  }

  /** Sends a short message before which nothing waits, when all of it can go at once. False: it is for the outbox. */
  sendNow(message: KernelMessage): boolean {
    if (this.#state !== 'open' || !this.#accepted || this.#turn || this.#active.length > 0)
      return false;
    if (this.connection.bufferedBytes >= SOCKET_BYTES_MAX) return false;
    const encoded = encodeShort(message, this.session.features);
    if (encoded === undefined || encoded.length > SINGLE_BYTES_MAX) return false;
    this.#sendPart(new Cutter([encoded], this.#framing, this.#numbers++).next());
    this.connection.stayAwake();
    this.sent++;
    return true;
  }

  /** Sends what there is room for. */
  pump(): void {
    if (this.#state === 'dead' || this.#turn) return;
    let left = TURN_BYTES;
    while (left > 0 && this.connection.bufferedBytes < SOCKET_BYTES_MAX) {
      const active = this.#next();
      if (active === undefined) return this.#idle();
      left -= this.#sendChunk(active);
    }
    if (this.connection.bufferedBytes >= SOCKET_BYTES_MAX) return;
    this.#turn = true;
    this.#needs.clock.schedule(() => {
      this.#turn = false;
      this.pump();
    }, 0);
  }

  /** Not read until resumed. */
  pause(): void {
    this.#paused = true;
    this.#say(HOLD);
    this.connection.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#say(PONG);
    this.connection.resume();
  }

  /** Finishes what it has begun, then ends. */
  close(): void {
    if (this.#state !== 'open') return;
    this.#state = 'closing';
    this.#closingMs = this.#needs.clock.nowMs();
    this.pump();
  }

  /** Ends now; what was not sent is back in the outbox when this returns. */
  destroy(reason: string): void {
    this.#dead(reason);
  }

  #next(): Active | undefined {
    const fresh = this.#begin();
    if (fresh !== undefined) return fresh;
    // The one that has waited longest; it goes to the end again.
    const oldest = this.#active.shift();
    if (oldest !== undefined) this.#active.push(oldest);
    return oldest;
  }

  /** A message that may begin. It goes before the parts of those under way: a short one waits for what the socket holds, no more. */
  #begin(): Active | undefined {
    const mux = this.#framing === 'mux';
    if (this.#state !== 'open' || !this.#accepted || !this.#needs.sends()) return undefined;
    if (this.#active.length >= (mux ? MUX_OPEN_MAX : 1)) return undefined;
    const { outbox } = this.#needs;
    const fits = ({ bytes }: Entry): boolean =>
      this.#active.length === 0 || this.#activeBytes + bytes <= MUX_OPEN_BYTES_MAX;
    for (;;) {
      const entry = outbox.take(this.#busy, fits);
      if (entry === undefined) return undefined;
      const active = this.#encode(entry);
      if (active === undefined) continue;
      this.#active.push(active);
      this.#busy.add(entry.lane);
      this.#activeBytes += active.bytes;
      return active;
    }
  }

  #encode(entry: Entry): Active | undefined {
    const max = messageBytesMax(this.#framing);
    let bytes = entry.bytes;
    // Looked at before it is encoded: what cannot fit is not worth the time.
    if (bytes <= max + 1_024) {
      const pieces = encodePieces(entry.message, this.session.features);
      const cutter = new Cutter(pieces, this.#framing, this.#numbers);
      bytes = cutter.length;
      if (bytes <= max) {
        this.#numbers++;
        return { entry, cutter, bytes, encoded: pieces[0] };
      }
    }
    this.#needs.outbox.done(entry);
    this.#needs.tooLong(entry.message, bytes, max);
    return undefined;
  }

  #sendChunk(active: Active): number {
    const chunk = active.cutter.next();
    this.#sendPart(chunk);
    if (active.cutter.done) {
      this.#active.splice(this.#active.indexOf(active), 1);
      this.#busy.delete(active.entry.lane);
      this.#activeBytes -= active.bytes;
      releaseAround(active.encoded);
      this.sent++;
      this.#needs.outbox.done(active.entry);
      this.#needs.room();
    }
    return chunk.bytes;
  }

  #sendPart({ plain, clearLength }: Chunk): void {
    this.connection.send(this.session.send.sealPieces(plain), clearLength);
    this.#said = true;
    this.#unanswered = true;
  }

  #idle(): void {
    if (this.#state === 'closing' && this.connection.bufferedBytes === 0) this.connection.end();
  }

  #length(length: number): void {
    this.#heard = true;
    const refusal = this.#assembler.length(length);
    if (refusal !== undefined) this.#dead(refusal);
  }

  #frame(frame: Uint8Array): void {
    if (this.#state === 'dead') return;
    const plain = this.session.receive.open(frame);
    if (plain === undefined) return this.#dead('cannot be decrypted');
    this.#heard = true;
    this.#unanswered = false;
    this.#probedMs = undefined;
    this.#held = false;
    if (!this.#accepted) {
      this.#accepted = true;
      this.pump();
    }
    if (this.#framing === 'mux' && plain.length >= 4 && plain.readUInt32BE(0) === SIGNAL_NUMBER)
      return this.#signal(plain[4]);
    const assembled = this.#assembler.chunk(plain);
    if (!assembled.ok) return this.#dead(assembled.error);
    const encoded = assembled.value;
    if (encoded === undefined) return;
    this.connection.lengthNext = this.#framing === 'clear';
    this.#message(encoded);
  }

  /** The checks of networking.md §6: what fails them ends the connection. */
  #message(encoded: Uint8Array): void {
    const message = decodeMessage(encoded);
    if (message === undefined) return this.#dead('undecodable message');
    // Integers have become bytes.
    if (isLong(encoded) && !sharesMemory(message, encoded)) releaseAround(encoded);
    if (message.source.node !== this.session.peer) return this.#dead('speaks for another node');
    if (!isSafeProcessId(message.source.process)) return this.#dead('unsafe process name');
    const { node } = message.target;
    // Ours only: nobody's messages are passed on.
    if (node !== this.#needs.our && node !== OUR) return;
    this.received++;
    this.#needs.receive(message);
  }

  #signal(signal: number | undefined): void {
    if (signal === PING) this.#say(PONG);
    this.#held = signal === HOLD;
  }

  #say(signal: Signal): void {
    if (this.#framing !== 'mux' || this.#state === 'dead') return;
    this.connection.send(this.session.send.sealPieces([signalChunk(signal)]));
  }

  /** Whatever waits has an end. */
  #look(): void {
    const nowMs = this.#needs.clock.nowMs();
    if (this.#said) this.#sentMs = nowMs;
    if (this.#heard) this.#receivedMs = nowMs;
    this.#said = false;
    this.#heard = false;
    if (this.#state === 'closing') {
      if (nowMs - this.#closingMs >= CLOSING_MS_MAX) return this.#dead('closed by us');
      return this.pump();
    }
    if (!this.#accepted && nowMs - this.#openedMs >= HANDSHAKE_MS_MAX)
      return this.#dead('never took us');
    // Whoever dialled ends it, and the other side only if that did not: one of them is still listening then.
    const lifeMs = CONNECTION_MS_MAX + (this.role === 'initiator' ? 0 : CLOSING_MS_MAX);
    if (nowMs - this.#openedMs >= lifeMs) return this.close();
    if (this.#stalled(nowMs)) return this.#dead('message not finished in time');
    if (nowMs - this.#sentMs >= PING_MS) {
      this.#sentMs = nowMs;
      this.connection.ping();
    }
    if (this.#framing === 'mux') this.#probe(nowMs);
    this.pump();
  }

  /** Whether messages have begun long ago and none has ended since. */
  #stalled(nowMs: number): boolean {
    const { open } = this.#assembler;
    if (open === 0 || this.#paused) this.#begun = undefined;
    else if (this.#begun?.received !== this.received)
      this.#begun = { sinceMs: nowMs, received: this.received };
    return this.#begun !== undefined && nowMs - this.#begun.sinceMs >= MESSAGE_MS_MAX;
  }

  /** Asks whether the peer is there when we have sent something that it has not reacted to. */
  #probe(nowMs: number): void {
    if (this.#probedMs !== undefined) {
      if (nowMs - this.#probedMs >= PROBE_MS_MAX) this.#dead('does not answer any more');
      return;
    }
    const waits = this.#unanswered || this.connection.bufferedBytes > 0;
    if (!waits || this.#paused || this.#held || nowMs - this.#receivedMs < PROBE_AFTER_MS) return;
    this.#probedMs = nowMs;
    this.#say(PING);
  }

  #dead(reason: string): void {
    if (this.#state === 'dead') return;
    this.#state = 'dead';
    this.#stopLooking?.();
    this.connection.destroy();
    this.#needs.outbox.giveBack(this.#active.splice(0).map(({ entry }) => entry));
    this.#needs.dead(reason);
  }
}
