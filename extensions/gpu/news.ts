/**
 * What is said of the attempts, gathered for a few milliseconds, so that the node hears of what happens at the same time in one frame: what an
 * attempt that is quick had to say before it ended is not said. To a node that does not take such frames everything is said at once.
 */
import { list } from '../../wit/codec.ts';
import { FILES_PER_FRAME } from '../../wit/hn-ext/limits.ts';
import { type JobNews, NEWS_MAX } from '../../wit/hn-ext/job-news.ts';
import type { JsonObject } from '../../wit/json.ts';
import { outputFile } from '../../wit/jobs/result.ts';
import type { Clock } from '../link/clock.ts';
import type { Link } from '../link/link.ts';
import type { KeptResult } from './attempt.ts';

export interface Leased {
  readonly jobId: string;
  readonly lease: string;
}

/** How long what there is to say waits for more: what somebody waits for, and what is worth nothing once it has ended. */
const SOON_MS = 3;
const LATER_MS = 40;
/** Bytes of logs after which nothing waits: with the rest they fit a frame. */
const LOGS_BYTES_MAX = 128 * 1024;
/** Results with more outputs go by themselves. */
const OUTPUTS_MAX = 100;

type Gathered = { -readonly [K in keyof JobNews]: JobNews[K] };

export class News {
  readonly #link: Link;
  readonly #clock: Clock;
  /** By lease. */
  readonly #gathered = new Map<string, { news: Gathered; records: Uint8Array[]; dueMs: number }>();
  #logBytes = 0;
  #cancel: (() => void) | undefined;
  /** When what waits is due first. */
  #waitsForMs = Infinity;
  #many = false;

  constructor(link: Link, clock: Clock) {
    this.#link = link;
    this.#clock = clock;
  }

  /** There is a channel. @param many  its other end takes frames of several attempts. @param resumed  what was to be said still is */
  up(many: boolean, resumed: boolean): void {
    this.#many = many;
    if (resumed) return;
    this.#gathered.clear();
    this.#logBytes = 0;
  }

  accepted({ jobId, lease }: Leased, acceptance: string | undefined, started: boolean): void {
    const said = acceptance === undefined ? {} : { acceptance };
    if (!this.#many) return this.#link.send('job.accept', { jobId, lease, ...said });
    return this.#say(
      { jobId, lease },
      { accepted: { ...said, ...(started ? { started } : {}) } },
      SOON_MS,
    );
  }

  rejected(leased: Leased, { code, message }: { code: string; message: string }): void {
    if (!this.#many) return this.#link.send('job.reject', { ...leased, code, message });
    return this.#say(leased, { rejected: { code, message } }, SOON_MS);
  }

  state(leased: Leased, state: string, detail?: string): void {
    if (this.#many && detail === undefined) return this.#say(leased, { state }, LATER_MS);
    this.flush();
    const more = detail === undefined ? {} : { detail };
    return this.#link.send('job.state', { ...leased, state, ...more });
  }

  /** Records from that number on, behind those that were said before. */
  log(leased: Leased, seq: number, records: Uint8Array): void {
    if (!this.#many) return this.#link.send('log.chunk', { ...leased, seq, records });
    this.#say(leased, {}, LATER_MS);
    const { news, records: parts } = this.#gathered.get(leased.lease)!;
    news.log = { seq: news.log?.seq ?? seq, bytes: (news.log?.bytes ?? 0) + records.length };
    parts.push(records);
    this.#logBytes += records.length;
    if (this.#logBytes >= LOGS_BYTES_MAX) this.flush();
    return undefined;
  }

  result(leased: Leased, { end, outputs }: KeptResult): void {
    const text = list(outputFile).stringify([...outputs]);
    if (this.#many && outputs.length <= OUTPUTS_MAX) {
      // Proof of the types: JSON of an object and of a list, as codecs write them.
      const result = { end: JSON.parse(end) as JsonObject, outputs: JSON.parse(text) as [] };
      return this.#say(leased, { result }, SOON_MS);
    }
    this.flush();
    for (let from = 0; from < outputs.length; from += FILES_PER_FRAME) {
      const files = list(outputFile).stringify(outputs.slice(from, from + FILES_PER_FRAME));
      this.#link.send('job.files', { ...leased, from, files });
    }
    return this.#link.send('job.result', { ...leased, result: end, files: outputs.length });
  }

  lost(leased: Leased, code: string, message: string): void {
    if (!this.#many) return this.#link.send('job.lost', { ...leased, code, message });
    return this.#say(leased, { lost: { code, message } }, SOON_MS);
  }

  /** Says all that there is to say now. */
  flush(): void {
    this.#send(Infinity);
  }

  /** Says what is due by then. */
  #send(dueMs: number): void {
    this.#cancel?.();
    this.#cancel = undefined;
    // What is as urgent goes along.
    const due = [...this.#gathered].filter(([, one]) => one.dueMs <= dueMs + SOON_MS);
    for (const [lease, { records }] of due) {
      this.#gathered.delete(lease);
      this.#logBytes -= bytesOf(records);
    }
    this.#wait();
    if (due.length === 0) return;
    const news = JSON.stringify(due.map(([, one]) => withoutPassed(one.news)));
    const logs = Buffer.concat(due.flatMap(([, { records }]) => records));
    this.#link.send('jobs.news', { news, logs });
  }

  #say({ jobId, lease }: Leased, more: Partial<JobNews>, waitMs: number): void {
    const dueMs = this.#clock.nowMs() + waitMs;
    const known = this.#gathered.get(lease);
    if (known === undefined && this.#gathered.size >= NEWS_MAX) this.flush();
    if (known === undefined)
      this.#gathered.set(lease, { news: { jobId, lease, ...more }, records: [], dueMs });
    else {
      Object.assign(known.news, more);
      known.dueMs = Math.min(known.dueMs, dueMs);
    }
    this.#wait();
  }

  /** For what is due first. */
  #wait(): void {
    const first = Math.min(...[...this.#gathered.values()].map(({ dueMs }) => dueMs));
    if (first >= this.#waitsForMs && this.#cancel !== undefined) return;
    this.#cancel?.();
    this.#cancel = undefined;
    if (first === Infinity) return;
    this.#waitsForMs = first;
    const inMs = Math.max(0, first - this.#clock.nowMs());
    this.#cancel = this.#clock.after(inMs, () => this.#send(first));
  }
}

function bytesOf(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, { length }) => sum + length, 0);
}

/** Of what has ended nobody asks what it did before. */
function withoutPassed({ state, ...news }: Gathered): JobNews {
  const ended = news.result !== undefined || news.lost !== undefined;
  return state === undefined || ended ? news : { ...news, state };
}
