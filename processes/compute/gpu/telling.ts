/**
 * What markets are told of their jobs: one thing after another for each job, each until it is answered (compute-market.md §10.5). As long
 * as a market does not take a job's log, the extension gets no credit for more, and its program waits.
 */
import { client } from '../../lib/client.ts';
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
  readonly told: (lease: Lease) => Promise<void>;
  /** The market does not know the job, or not this attempt of it. */
  readonly unwanted: (lease: Lease) => Promise<void>;
}

const events = contract(jobEventMethods);
const ANSWER_S = 20;
const RETRY_MS = 1_000;
const RETRY_MS_MAX = 30_000;
/** A market's answers that mean: this attempt is none of mine. */
const UNWANTED = ['NoSuchLease', 'NoSuchJob', 'StaleLease', 'UnknownLease', 'NotAssigned'];

export class Telling {
  readonly #needs: TellingNeeds;

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
    const market = client(this.#needs.process, events, lease.market, { timeoutS: ANSWER_S });
    const state = lease.states[0];
    if (state !== undefined) {
      return async () => {
        const { detail } = state;
        await market.JobState({ ...lease.id, state: { kind: state.state }, detail });
        lease.states = lease.states.filter((each) => each !== state);
      };
    }
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

  #end(
    lease: Lease,
    market: ReturnType<typeof client<typeof jobEventMethods>>,
  ): (() => Promise<void>) | undefined {
    const { lost, result } = lease;
    if (lost !== undefined) {
      return async () => {
        await market.JobLost({ ...lease.id, ...lost });
        await this.#needs.told(lease);
      };
    }
    // After the last record of its log: a result whose log is missing could not be checked.
    const read = result === undefined ? undefined : runResult.decode(result);
    if (read?.ok !== true || lease.logSeq < read.value.logs.count) return undefined;
    return async () => {
      await market.JobResult({ ...lease.id, result: read.value });
      await this.#needs.told(lease);
    };
  }
}
