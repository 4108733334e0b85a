/**
 * What markets are told of their jobs (compute-market.md §10.5): to each market one message at a time, with what is new of all its attempts
 * by then, each thing until it is answered. As long as a market does not take a job's log, the extension gets no credit for more, and its
 * program waits.
 */
import { client, type Client } from '../../lib/client.ts';
import { contract } from '../../lib/contract.ts';
import { NoResponse, RemoteError } from '../../lib/errors.ts';
import type { Process } from '../../lib/process.ts';
import { sleep } from '../../lib/timers.ts';
import { jobEventMethods, type News, type NewsAnswer } from '../shared/job-events-contract.ts';
import type { Lease, LogPart } from './lease.ts';

export interface TellingNeeds {
  readonly process: Process<unknown>;
  readonly nowMs: () => number;
  /** Whether it is still a lease of ours. */
  readonly known: (lease: Lease) => boolean;
  /** The market has so many bytes of records more. */
  readonly logTaken: (lease: Lease, bytes: number) => void;
  /** The market knows how it ended. `over`: and wants nothing more of it. */
  readonly told: (lease: Lease, over: boolean) => void;
  /** The market does not believe how it ended. */
  readonly disbelieved: (lease: Lease, why: string) => void;
  /** The market does not know the job, or not this attempt of it. */
  readonly unwanted: (lease: Lease) => void;
}

const events = contract(jobEventMethods);
const ANSWER_S = 20;
/** Bytes of log of one attempt in one message, and those of log and results together after which no more attempts are added to it. */
const LOG_BYTES_MAX = 256 * 1024;
const MESSAGE_BYTES_MAX = 256 * 1024;
const NEWS_MAX = 64;
const RETRY_MS = 1_000;
const RETRY_MS_MAX = 30_000;
/** A market's answers that mean: this attempt is none of mine. */
const UNWANTED = ['NoSuchLease', 'NoSuchJob', 'StaleLease', 'UnknownLease', 'NotAssigned'];
const DISBELIEVED = 'BadReceipt';

interface Line {
  readonly market: Client<typeof jobEventMethods>;
  /** Of these there may be something new. */
  readonly waiting: Set<Lease>;
  telling: boolean;
}

/** What is told of one lease in a message. */
interface Told {
  readonly lease: Lease;
  readonly news: News;
  readonly states: Lease['states'];
  readonly log: LogPart | undefined;
}

export class Telling {
  readonly #needs: TellingNeeds;
  /** By the market's address; those without attempts are forgotten. */
  readonly #lines = new Map<string, Line>();

  constructor(needs: TellingNeeds) {
    this.#needs = needs;
  }

  /** There may be something new to tell. */
  wake(lease: Lease): void {
    if (lease.notBefore > this.#needs.nowMs()) return;
    const { market, marketText } = lease;
    let line = this.#lines.get(marketText);
    if (line === undefined) {
      const asked = client(this.#needs.process, events, market, { timeoutS: ANSWER_S });
      line = { market: asked, waiting: new Set(), telling: false };
      this.#lines.set(marketText, line);
    }
    line.waiting.add(lease);
    if (line.telling) return;
    line.telling = true;
    void this.#run(marketText, line);
  }

  async #run(marketText: string, line: Line): Promise<void> {
    try {
      // What else there is by the end of this turn goes along.
      await Promise.resolve();
      for (;;) {
        const told = this.#collect(line.waiting);
        if (told.length === 0) return;
        await this.#tell(line, told);
      }
    } finally {
      line.telling = false;
      this.#lines.delete(marketText);
    }
  }

  #collect(waiting: Set<Lease>): readonly Told[] {
    const told: Told[] = [];
    let bytes = 0;
    for (const lease of waiting) {
      if (told.length >= NEWS_MAX || bytes > MESSAGE_BYTES_MAX) break;
      waiting.delete(lease);
      const next = this.#needs.known(lease) ? newsOf(lease) : undefined;
      if (next === undefined) continue;
      told.push(next);
      const { result } = next.news;
      bytes += (next.log?.records.length ?? 0) + (result?.outputs.length ?? 0);
    }
    return told;
  }

  async #tell({ market, waiting }: Line, told: readonly Told[]): Promise<void> {
    const logs = joined(told.flatMap(({ log }) => (log === undefined ? [] : [log.records])));
    const blob = logs.length === 0 ? {} : { blob: { mime: undefined, bytes: logs } };
    let answers: readonly NewsAnswer[];
    try {
      ({ answers } = await market.Told({ news: told.map(({ news }) => news) }, blob));
    } catch (error) {
      if (!(error instanceof RemoteError || error instanceof NoResponse)) throw error;
      // Not there, or not able to take it now.
      const value = { kind: error.name, message: error.message };
      answers = told.map(() => ({ kind: 'Refused' as const, value }));
    }
    for (const [at, one] of told.entries()) {
      // One that gives too few answers has not taken the rest.
      const answer = answers[at] ?? {
        kind: 'Refused',
        value: { kind: 'BadResponse', message: '' },
      };
      this.#answered(one, answer);
      waiting.add(one.lease);
    }
  }

  #answered({ lease, news, states, log }: Told, answer: NewsAnswer): void {
    const needs = this.#needs;
    if (!needs.known(lease)) return;
    if (answer.kind === 'Refused') {
      const { kind, message } = answer.value;
      if (UNWANTED.includes(kind)) needs.unwanted(lease);
      else if (kind === DISBELIEVED) needs.disbelieved(lease, message);
      else this.#later(lease);
      return;
    }
    lease.refusals = 0;
    lease.known = true;
    lease.states = lease.states.filter((each) => !states.includes(each));
    // Meanwhile the extension may have come back, and what it had sent been forgotten.
    if (log !== undefined && lease.logs[0] === log) {
      lease.logs = lease.logs.slice(1);
      lease.logSeq = log.next;
      needs.logTaken(lease, log.records.length);
    }
    if (news.result !== undefined || news.lost !== undefined)
      needs.told(lease, answer.kind === 'Over');
  }

  /** Told again, for as long as the lease is known, with more and more time in between. */
  #later(lease: Lease): void {
    const { process, nowMs } = this.#needs;
    const waitMs = Math.min(RETRY_MS_MAX, RETRY_MS * 2 ** lease.refusals);
    lease.refusals = Math.min(lease.refusals + 1, 30);
    lease.notBefore = nowMs() + waitMs;
    void sleep(process, waitMs).then(() => {
      lease.notBefore = 0;
      this.wake(lease);
    });
  }
}

/** What there is to tell; undefined: nothing. */
function newsOf(lease: Lease): Told | undefined {
  if (lease.notBefore !== 0) return undefined;
  passOver(lease);
  joinLogs(lease);
  const { states, progress, lost, result } = lease;
  const [log] = lease.logs;
  const state = states.at(-1)?.state;
  lease.progress = undefined;
  const logSeq = log?.next ?? lease.logSeq;
  // After the last record of its log: a result whose log is missing could not be checked.
  const ended = !lease.told && result !== undefined && logSeq >= result.logCount;
  const isLost = !lease.told && lost !== undefined;
  if (state === undefined && log === undefined && progress === undefined && !ended && !isLost)
    return undefined;
  const news: News = {
    ...lease.id,
    accepted: lease.known ? undefined : { attempt: lease.offer.attempt, executor: lease.executor },
    state: state && { kind: state },
    progress,
    log: log && { firstSeq: log.seq, bytes: log.records.length },
    result: ended ? { end: result.end, outputs: result.outputsText } : undefined,
    lost: isLost ? lost : undefined,
  };
  return { lease, news, states: [...states], log };
}

/** States that something later makes nothing new: a market that hears of an end knows that there was a beginning. */
function passOver(lease: Lease): void {
  if (lease.result !== undefined) lease.states = [];
}

/** Records that arrived while others were on their way go together. */
function joinLogs(lease: Lease): void {
  const [first, ...others] = lease.logs;
  if (first === undefined || others.length === 0) return;
  const parts = [first];
  let bytes = first.records.length;
  for (const part of others) {
    bytes += part.records.length;
    if (bytes > LOG_BYTES_MAX) break;
    parts.push(part);
  }
  if (parts.length === 1) return;
  const records = joined(parts.map((part) => part.records));
  const next = parts.at(-1)?.next ?? first.next;
  lease.logs = [{ seq: first.seq, next, records }, ...lease.logs.slice(parts.length)];
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const [only] = parts;
  if (parts.length === 1 && only !== undefined) return only;
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
