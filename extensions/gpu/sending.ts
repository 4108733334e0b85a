/**
 * What is sent of one attempt, and how far (compute-market.md §10.5): its log from the file, as credit allows; its result as often as it is
 * asked for. After a new beginning of the channel nothing is sent before the process has said what it has.
 */
import { LOG_CHUNK_BYTES, LOG_WINDOW_BYTES } from '../../wit/hn-ext/limits.ts';
import type { Body } from '../../wit/hn-ext/schema.ts';
import type { Clock } from '../link/clock.ts';
import type { Link } from '../link/link.ts';
import type { Attempt } from './attempt.ts';
import type { News } from './news.ts';

export interface SendingNeeds {
  readonly link: Link;
  readonly news: News;
  readonly clock: Clock;
  readonly print: (text: string) => void;
}

/** Between two reports of progress. */
const PROGRESS_MS = 500;

export class Sending {
  readonly attempt: Attempt;
  readonly #needs: SendingNeeds;
  /** The next record to send, and the bytes that may be sent. */
  #seq = 0;
  #credit = LOG_WINDOW_BYTES;
  #synced = false;
  #pumping = false;
  /** Records wait for room in the link. */
  #crowded = false;
  #progressMs = -Infinity;

  constructor(attempt: Attempt, needs: SendingNeeds) {
    this.attempt = attempt;
    this.#needs = needs;
  }

  /** The next record that is sent. */
  get seq(): number {
    return this.#seq;
  }

  /** It begins: the process has nothing of it. */
  begin(): void {
    this.#synced = true;
  }

  /** The process may miss anything. */
  unsynced(): void {
    this.#synced = false;
  }

  /** The process has said what it has: the rest is sent. */
  sync({ jobId, lease, logSeq, result }: Body<'job.sync'>): void {
    const { attempt } = this;
    this.#synced = true;
    this.#seq = logSeq;
    this.#credit = LOG_WINDOW_BYTES;
    attempt.log?.taken(logSeq);
    const { state } = attempt;
    if (state === 'preparing' || state === 'started' || state === 'collecting')
      this.#needs.news.state({ jobId, lease }, state);
    if (state === 'lost') {
      const { code, message } = attempt.fault;
      this.#needs.news.lost({ jobId, lease }, code, message);
    }
    if (!result) this.result();
    void this.log();
  }

  credited({ seq, bytes }: Body<'log.credit'>): void {
    this.#credit += bytes;
    this.attempt.log?.taken(seq);
    void this.log();
  }

  /** There may be room for what had none. */
  room(): void {
    if (this.#crowded) void this.log();
  }

  /** Sends records for as long as there are some, and room for them. */
  async log(): Promise<void> {
    const { log } = this.attempt;
    if (this.#pumping || !this.#synced || log === undefined) return;
    this.#pumping = true;
    const { link, news } = this.#needs;
    try {
      while (this.#credit > 0 && this.#synced) {
        this.#crowded = !link.room(LOG_CHUNK_BYTES);
        if (this.#crowded) break;
        const seq = this.#seq;
        const part = await log.read(seq, Math.min(LOG_CHUNK_BYTES, this.#credit));
        if (part === undefined || !link.open) break;
        // While it was read the process may have said that it wants others.
        if (this.#seq !== seq) continue;
        this.#seq = part.next;
        this.#credit -= part.records.length;
        news.log(this.attempt.offer, seq, part.records);
      }
    } catch (error) {
      this.#needs.print(`log of ${this.attempt.offer.jobId}: ${String(error)}`);
    } finally {
      this.#pumping = false;
    }
  }

  /** The result, if there is one. */
  result(): void {
    const { result, offer } = this.attempt;
    if (result !== undefined) this.#needs.news.result(offer, result);
  }

  progress(ppm: number, note: string | undefined): void {
    const now = this.#needs.clock.nowMs();
    if (now - this.#progressMs < PROGRESS_MS) return;
    this.#progressMs = now;
    const { jobId, lease } = this.attempt.offer;
    const whole = Math.max(0, Math.min(1_000_000, Math.floor(ppm)));
    const said = note === undefined ? {} : { note: note.slice(0, 200) };
    this.#needs.link.send('job.progress', { jobId, lease, ppm: whole, ...said });
  }
}
