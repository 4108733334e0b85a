/**
 * What markets are told of their jobs: one thing after another for each job, each until it is answered (compute-market.md §10.5). As long
 * as a market does not take a job's log, the extension gets no credit for more, and its program waits.
 */
import { client, type Client } from '../../lib/client.ts';
import { contract } from '../../lib/contract.ts';
import { NoResponse, RemoteError } from '../../lib/errors.ts';
import type { Process } from '../../lib/process.ts';
import { sleep } from '../../lib/timers.ts';
import { jobEventMethods, runResult } from '../shared/job-events-contract.ts';
import type { Lease } from './lease.ts';

export interface TellingNeeds {
  readonly process: Process<unknown>;
  /** Whether it is still a lease of ours. */
  readonly known: (lease: Lease) => boolean;
  /** The market has so many bytes of records more. */
  readonly logTaken: (lease: Lease, bytes: number) => void;
  /** The market knows how it ended. */
  readonly told: (lease: Lease) => void;
  /** The market does not know the job, or not this attempt of it. */
  readonly unwanted: (lease: Lease) => Promise<void>;
}

const events = contract(jobEventMethods);
type Market = Client<typeof jobEventMethods>;
const ANSWER_S = 20;
/** Bytes of log in one message. */
const LOG_BYTES_MAX = 256 * 1024;
const MARKETS_MAX = 1_000;
const RETRY_MS = 1_000;
const RETRY_MS_MAX = 30_000;
/** A market's answers that mean: this attempt is none of mine. */
const UNWANTED = ['NoSuchLease', 'NoSuchJob', 'StaleLease', 'UnknownLease', 'NotAssigned'];

export class Telling {
  readonly #needs: TellingNeeds;
  /** By address. */
  readonly #markets = new Map<string, Market>();

  constructor(needs: TellingNeeds) {
    this.#needs = needs;
  }

  /** There may be something new to tell. */
  wake(lease: Lease): void {
    if (lease.telling) return;
    lease.telling = true;
    void this.#run(lease).finally(() => (lease.telling = false));
  }

  async #run(lease: Lease): Promise<void> {
    let waitMs = RETRY_MS;
    while (this.#needs.known(lease)) {
      let next: (() => Promise<void>) | undefined;
      try {
        next = this.#next(lease);
        if (next === undefined) return;
        await next();
        waitMs = RETRY_MS;
      } catch (error) {
        if (error instanceof RemoteError && UNWANTED.includes(error.kind))
          return this.#needs.unwanted(lease);
        if (!(error instanceof RemoteError || error instanceof NoResponse)) throw error;
        // Not there, or not able to take it now: asked again, for as long as the lease is known.
        await sleep(this.#needs.process, waitMs);
        waitMs = Math.min(RETRY_MS_MAX, waitMs * 2);
      }
    }
  }

  /** What is due first; undefined: nothing. */
  #next(lease: Lease): (() => Promise<void>) | undefined {
    const market = this.#market(lease);
    this.#passOver(lease);
    const state = lease.states[0];
    if (state !== undefined) {
      return async () => {
        const { detail } = state;
        await market.JobState({ ...lease.id, state: { kind: state.state }, detail });
        lease.states = lease.states.filter((each) => each !== state);
      };
    }
    joinLogs(lease);
    const part = lease.logs[0];
    if (part !== undefined) {
      return async () => {
        const { seq, next, records } = part;
        const blob = { mime: undefined, bytes: records };
        await market.Logs({ ...lease.id, firstSeq: seq }, { blob });
        // Meanwhile the extension may have come back, and what it had sent been forgotten.
        if (lease.logs[0] !== part) return;
        lease.logs = lease.logs.slice(1);
        lease.logSeq = next;
        this.#needs.logTaken(lease, records.length);
      };
    }
    const { progress } = lease;
    if (progress !== undefined) {
      return async () => {
        lease.progress = undefined;
        await market.Progress({ ...lease.id, ...progress });
      };
    }
    return lease.told ? undefined : this.#end(lease, market);
  }

  #market({ market, marketText }: Lease): Market {
    let known = this.#markets.get(marketText);
    if (known === undefined) {
      if (this.#markets.size >= MARKETS_MAX) this.#markets.clear();
      known = client(this.#needs.process, events, market, { timeoutS: ANSWER_S });
      this.#markets.set(marketText, known);
    }
    return known;
  }

  /** States that something later makes nothing new: a market that hears of a start knows that it was prepared. */
  #passOver(lease: Lease): void {
    const { states, result } = lease;
    if (states.length === 0) return;
    if (result !== undefined) lease.states = [];
    else if (states.some(({ state }) => state === 'Started'))
      lease.states = states.filter(({ state }) => state !== 'Preparing');
  }

  #end(lease: Lease, market: Market): (() => Promise<void>) | undefined {
    const { lost, result } = lease;
    if (lost !== undefined) {
      return async () => {
        await market.JobLost({ ...lease.id, ...lost });
        this.#needs.told(lease);
      };
    }
    // After the last record of its log: a result whose log is missing could not be checked.
    const read = result === undefined ? undefined : runResult.decode(result);
    if (read?.ok !== true || lease.logSeq < read.value.logs.count) return undefined;
    return async () => {
      await market.JobResult({ ...lease.id, result: read.value });
      this.#needs.told(lease);
    };
  }
}

/** Records that arrived while others were on their way go together. */
function joinLogs(lease: Lease): void {
  const [first, ...others] = lease.logs;
  if (first === undefined || others.length === 0) return;
  const joined = [first];
  let bytes = first.records.length;
  for (const part of others) {
    bytes += part.records.length;
    if (bytes > LOG_BYTES_MAX) break;
    joined.push(part);
  }
  if (joined.length === 1) return;
  const records = new Uint8Array(joined.reduce((sum, part) => sum + part.records.length, 0));
  let at = 0;
  for (const part of joined) {
    records.set(part.records, at);
    at += part.records.length;
  }
  const next = joined.at(-1)?.next ?? first.next;
  lease.logs = [{ seq: first.seq, next, records }, ...lease.logs.slice(joined.length)];
}
