/**
 * What happens because time has passed (compute-market.md §3.5): every wait of a job has an end, and what was asked and not answered is
 * asked again. One look at all jobs that are not over, every second or so; nothing is kept between two looks, so a restart loses nothing.
 */
import { PULL_S_MAX, START_S_MAX, VERDICT_S_MAX } from '../../../contracts/compute.ts';
import type { FaultCode } from '../../../wit/jobs/result.ts';
import type { Completion } from './completion.ts';
import type { Dispatch } from './dispatch.ts';
import type { Endings } from './endings.ts';
import type { Jobs } from './jobs.ts';
import { ACCEPT_S } from './offer-lines.ts';
import type { KnownProvider, Providers } from './providers.ts';
import type { JobRecord } from './record.ts';

/** A node that was not heard of so long has lost its jobs, in milliseconds. */
export const OFFLINE_MS = 180_000;
/** The same without its extension. */
export const UNPAIRED_MS = 60_000;
/** For a run that has timed out to be killed, its outputs hashed and its receipt sent, in milliseconds. */
export const COLLECT_MS = 600_000;
/** What was asked is asked again after so long, in milliseconds. */
export const AGAIN_MS = 20_000;
/** What a cancelled run is given to send its receipt, in milliseconds. */
export const CANCELLED_MS = 60_000;

export interface SweepNeeds {
  readonly jobs: Jobs;
  readonly providers: Providers;
  readonly dispatch: Dispatch;
  readonly endings: Endings;
  readonly completion: Completion;
  /** Of a run that waits for those of other nodes. */
  readonly compare: (job: JobRecord) => void;
  readonly now: () => number;
  readonly closeOnChain: (job: JobRecord, code: FaultCode, mayRetry: boolean) => void;
  readonly failed: (job: JobRecord, error: unknown) => void;
}

/** When what was asked last is asked again, by job; lost with the process, which asks everything anew. */
type Asked = Map<string, number>;

export class Sweep {
  readonly #needs: SweepNeeds;
  readonly #asked: Asked = new Map();

  constructor(needs: SweepNeeds) {
    this.#needs = needs;
  }

  /** Looks at every job once. */
  run(): void {
    const { jobs, dispatch } = this.#needs;
    for (const job of [...jobs.all()]) {
      this.#look(job).catch((error: unknown) => this.#needs.failed(job, error));
    }
    for (const jobId of this.#asked.keys())
      if (jobs.live(jobId) === undefined) this.#asked.delete(jobId);
    dispatch.kick();
  }

  async #look(job: JobRecord): Promise<void> {
    const { endings, now } = this.#needs;
    const at = now();
    switch (job.state) {
      case 'pending':
        // Nobody funds it any more: its terms say so.
        if (at > (job.times.fundBy ?? Infinity)) await endings.cancel(job, 'payment_expired');
        return;
      case 'escrowed':
        return this.#waiting(job, at);
      case 'assigned':
        return this.#preparing(job, at);
      case 'running':
        return this.#running(job, at);
      case 'verifying':
        return this.#verifying(job, at);
      case 'failed':
      case 'cancelled':
        return this.#moneyBack(job, at);
      case 'completed':
      case 'refunded':
        return undefined;
    }
  }

  async #waiting(job: JobRecord, at: number): Promise<void> {
    const free = job.payment.state === 'free';
    if (free && at > (job.times.deadline ?? Infinity)) {
      await this.#needs.endings.cancel(job, 'deadline');
      return;
    }
    // The oracle may not have heard that the attempt before is over.
    if (job.substate === 'releasing' && this.#mayAsk(job, at)) {
      this.#needs.closeOnChain({ ...job, attempt: job.attempt - 1 }, codeOf(job), true);
      return;
    }
    const { node } = job;
    // After a restart: the answer to the offer did not reach us.
    if (node !== undefined && at - node.offeredAt > ACCEPT_S * 1_000 && this.#mayAsk(job, at)) {
      this.#needs.dispatch.resume(job);
    }
  }

  async #preparing(job: JobRecord, at: number): Promise<void> {
    const since = job.times.assigned ?? job.times.created;
    if (at - since > (PULL_S_MAX + START_S_MAX) * 1_000) {
      return this.#fail(job, 'START_TIMEOUT', 'it did not start in time');
    }
    const gone = this.#gone(job, at);
    if (gone !== undefined) return this.#fail(job, ...gone);
    if (at - since > AGAIN_MS && this.#mayAsk(job, at)) this.#needs.dispatch.resume(job);
  }

  async #running(job: JobRecord, at: number): Promise<void> {
    const since = job.times.started ?? job.times.created;
    if (at - since > job.timeoutS * 1_000 + COLLECT_MS) {
      return this.#fail(job, 'NODE_LOST', 'its time is over, and no receipt came');
    }
    const gone = this.#gone(job, at);
    if (gone !== undefined) return this.#fail(job, ...gone);
    return undefined;
  }

  async #verifying(job: JobRecord, at: number): Promise<void> {
    const { completion } = this.#needs;
    const since = job.times.finished ?? job.times.created;
    const checking = job.substate === 'checking';
    if (checking && job.payment.state === 'free' && at - since > VERDICT_S_MAX * 1_000) {
      return this.#fail(job, 'VERDICT_FAIL', 'its outputs could not be fetched in time');
    }
    if (job.substate === 'comparing' && this.#mayAsk(job, at)) this.#needs.compare(job);
    if (at - since > AGAIN_MS && checking && this.#mayAsk(job, at)) await completion.check(job);
  }

  /** Money on its way back: whoever has to do with it is told again. */
  async #moneyBack(job: JobRecord, at: number): Promise<void> {
    const since = job.times.finished ?? job.times.created;
    if (at - since < AGAIN_MS || !this.#mayAsk(job, at)) return;
    if (job.result !== undefined) await this.#needs.completion.judge(job.jobId);
    else if (job.node?.acceptance !== undefined && at - since > CANCELLED_MS) {
      const code = job.state === 'cancelled' ? 'CANCELLED' : codeOf(job);
      this.#needs.closeOnChain(job, code, false);
    }
  }

  /** Why a node is taken to have lost its jobs. */
  #gone(job: JobRecord, at: number): [FaultCode, string] | undefined {
    const provider: KnownProvider | undefined = this.#needs.providers.get(job.node?.name ?? '');
    if (provider === undefined) return ['NODE_LOST', 'its node is not known any more'];
    const { unpairedSince } = provider;
    if (unpairedSince !== undefined && at - unpairedSince > UNPAIRED_MS) {
      return ['EXT_DISCONNECTED', 'its node has no extension any more'];
    }
    // A market that has just started has heard of nobody.
    const since = Math.max(provider.seenAt, job.node?.offeredAt ?? 0, this.#startedAt);
    return at - since > OFFLINE_MS ? ['NODE_LOST', 'its node is not heard of any more'] : undefined;
  }

  #startedAt = 0;

  /** From now on providers are heard. */
  start(): void {
    this.#startedAt = this.#needs.now();
  }

  async #fail(job: JobRecord, code: FaultCode, message: string): Promise<void> {
    await this.#needs.endings.failed(job, { code, message });
  }

  #mayAsk(job: JobRecord, at: number): boolean {
    if ((this.#asked.get(job.jobId) ?? 0) > at) return false;
    this.#asked.set(job.jobId, at + AGAIN_MS);
    return true;
  }
}

function codeOf({ failures }: JobRecord): FaultCode {
  return failures?.at(-1)?.code ?? 'INTERNAL';
}
