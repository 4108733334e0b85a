/** The channel to the paired extension: counted frames out and in, and whether it is alive (compute-market.md §10.5). */
import { Counting } from '../../../wit/hn-ext/counting.ts';
import { decodeFrame, encodeFrame } from '../../../wit/hn-ext/frames.ts';
import { BAD_FRAMES_MAX, PING_EVERY_MS, SILENCE_MS_MAX } from '../../../wit/hn-ext/limits.ts';
import { type Body, type Frame, FRAMES, type FrameType } from '../../../wit/hn-ext/schema.ts';
import { type ExtChannel, hexOf, type Paired } from './pairing.ts';

export interface SessionEvents {
  frame(frame: Frame): void;
  /** The channel is gone; what was sent and not acknowledged is kept for the next. */
  down(): void;
}

export interface SessionNeeds {
  readonly nowMs: () => number;
  readonly print: (text: string) => void;
}

const EPOCH_BYTES = 16;

export class Session {
  readonly #needs: SessionNeeds;
  readonly #events: SessionEvents;
  #channel: ExtChannel | undefined;
  #session = '';
  #epoch = '';
  #counting = new Counting();
  #heardMs = 0;
  #pingedMs = 0;
  #downSinceMs: number;
  #bad = 0;
  #many = false;

  constructor(needs: SessionNeeds, events: SessionEvents) {
    this.#needs = needs;
    this.#events = events;
    this.#downSinceMs = needs.nowMs();
  }

  get up(): boolean {
    return this.#channel !== undefined;
  }

  /** Of the channel that frames go through now. */
  get channelId(): number | undefined {
    return this.#channel?.id;
  }

  /** Whether the extension takes what is said of several attempts in one frame. */
  get many(): boolean {
    return this.#many;
  }

  /** Milliseconds without a channel; 0 with one. */
  get downMs(): number {
    return this.#channel === undefined ? this.#needs.nowMs() - this.#downSinceMs : 0;
  }

  /** A proven extension takes the place of whoever was there. @returns whether both go on counting from where they were */
  welcome({ channel, session, auth }: Paired, orphanMs: number): boolean {
    const old = this.#channel;
    if (old !== undefined) {
      const reason = session === this.#session ? 'reconnected' : 'superseded';
      old.tell(encodeFrame('bye', { reason }));
      this.#lose();
      void old.close();
    }
    const resume =
      session === this.#session &&
      this.#epoch !== '' &&
      auth.epoch === this.#epoch &&
      this.#counting.acked(auth.lastSeq);
    if (!resume) {
      this.#counting = new Counting();
      this.#epoch = hexOf(crypto.getRandomValues(new Uint8Array(EPOCH_BYTES)));
    }
    this.#session = session;
    this.#channel = channel;
    this.#bad = 0;
    this.#many = auth.many === true;
    this.#heardMs = this.#pingedMs = this.#needs.nowMs();
    const lastSeq = this.#counting.lastSeq;
    channel.tell(
      encodeFrame('welcome', { resume, epoch: this.#epoch, lastSeq, orphanMs, many: true }),
    );
    for (const bytes of this.#counting.unsent()) channel.tell(bytes);
    return resume;
  }

  /** Reliable frames are kept until the extension has them, others lost without a channel. */
  send<T extends FrameType>(t: T, body: Body<T>): void {
    const channel = this.#channel;
    if (FRAMES[t].reliable) {
      const bytes = this.#counting.send((n, a) => encodeFrame(t, body, { n, a }));
      channel?.tell(bytes);
    } else channel?.tell(encodeFrame(t, body, { a: this.#counting.acknowledge() }));
  }

  /** False: not of this channel. */
  received(channel: ExtChannel, bytes: Uint8Array): boolean {
    if (channel.id !== this.#channel?.id) return false;
    this.#heardMs = this.#needs.nowMs();
    const decoded = decodeFrame(bytes);
    if (!decoded.ok) {
      this.send('error', { code: decoded.error.code, message: decoded.error.message });
      if (decoded.error.code !== 'unknown_type' && (this.#bad += 1) >= BAD_FRAMES_MAX)
        this.#end('malformed frames');
      return true;
    }
    this.#take(decoded.value);
    return true;
  }

  closed(channel: ExtChannel): void {
    if (channel.id === this.#channel?.id) this.#lose();
  }

  tick(): void {
    if (this.#channel === undefined) return;
    const now = this.#needs.nowMs();
    if (now - this.#heardMs > SILENCE_MS_MAX) return this.#end('silence');
    if (now - this.#pingedMs < PING_EVERY_MS) return;
    this.#pingedMs = now;
    this.send('ping', { x: now % 2 ** 32 });
  }

  #take(frame: Frame): void {
    if (frame.a !== undefined && !this.#counting.acked(frame.a))
      return this.#end('an acknowledgement of what was never sent');
    if (frame.n !== undefined) {
      const order = this.#counting.receive(frame.n);
      if (order === 'gap') return this.#end('seq_gap');
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
          `the extension says: ${JSON.stringify(frame.body.message.slice(0, 200))}`,
        );
      case 'bye':
        return this.#end('goodbye', false);
      default:
        this.#events.frame(frame);
        if (this.#counting.ackDue) this.send('ack', {});
    }
  }

  #end(reason: string, say = true): void {
    const channel = this.#channel;
    if (channel === undefined) return;
    if (say) channel.tell(encodeFrame('bye', { reason }));
    this.#lose();
    void channel.close();
  }

  #lose(): void {
    this.#channel = undefined;
    this.#downSinceMs = this.#needs.nowMs();
    this.#events.down();
  }
}
