/** How attempts and jobs end without success (compute-market.md §3.5, §3.8, §3.9): another try, failure, cancellation. */
import { FAULTS, type FaultCode } from '../../../wit/jobs/result.ts';
import { PULL_S_MAX, START_S_MAX } from '../../../contracts/compute.ts';
import type { Jobs } from './jobs.ts';
import type { Providers } from './providers.ts';
import type { JobPatch, JobRecord } from './record.ts';
import { afterFailure, backoffMs } from './retry.ts';
import { specOf } from './specs.ts';
import type { PaymentState, State, TransitionId } from './states.ts';

export interface Failure {
  readonly code: FaultCode;
  readonly message: string;
  readonly exitCode?: number;
  /** What a receipt or a verdict tells: kept with the job. The chain is told by the oracle then. */
  readonly patch?: JobPatch;
  /** The oracle has decided. */
  readonly verdict?: 'retry' | 'refund';
}

export interface EndingsNeeds {
  readonly jobs: Jobs;
  readonly providers: Providers;
  readonly now: () => number;
  /** From 0 to below 1. */
  readonly random: () => number;
  /** Has the attempt of a paid job ended on the chain. */
  readonly closeOnChain: (job: JobRecord, code: FaultCode, mayRetry: boolean) => void;
  /** A node has done well or badly. */
  readonly outcome: (job: JobRecord, success: boolean) => void;
  /** Slots may be free. */
  readonly freed: () => void;
}

const MESSAGE_CHARS_MAX = 2_000;

export class Endings {
  readonly #needs: EndingsNeeds;

  constructor(needs: EndingsNeeds) {
    this.#needs = needs;
  }

  /** An attempt has failed: the job is tried again, or has failed with it. */
  async failed(job: JobRecord, failure: Failure): Promise<void> {
    const { jobs, providers, now, random } = this.#needs;
    const { code, message, exitCode } = failure;
    const node = job.node?.name ?? '';
    const failures = [
      ...(job.failures ?? []),
      { node, code, ...(exitCode === undefined ? {} : { exitCode }) },
    ];
    const once = code === 'VERDICT_FAIL' && specOf(job).retry?.onVerdictFail !== 'retry';
    const refund = failure.verdict === undefined ? once : failure.verdict === 'refund';
    const decided = refund ? ('final' as const) : undefined;
    const next =
      decided ??
      afterFailure(
        code,
        {
          attempt: job.attempt,
          maxAttempts: job.maxAttempts,
          failures,
          deadline: job.times.deadline,
          attemptMs: (job.timeoutS + PULL_S_MAX + START_S_MAX) * 1_000,
        },
        now(),
      );
    const onChain = job.node?.acceptance !== undefined;
    const error = {
      code,
      fault: FAULTS[code].fault,
      message: message.slice(0, MESSAGE_CHARS_MAX),
      retryable: next === 'retry',
    };
    const excluded = [...new Set([...(job.excluded ?? []), node])];
    const cause = `${code}: ${message}`.slice(0, 200);
    if (next === 'retry') {
      const delayMs = backoffMs(job.attempt + 1, random());
      await jobs.change(job.jobId, {
        transition: AGAIN[job.state] ?? 'T8',
        cause,
        patch: {
          ...NOT_RUN,
          attempt: job.attempt + 1,
          // A paid job goes back to the queue when the chain has taken it from its node.
          substate: onChain ? 'releasing' : null,
          excluded,
          failures,
          error,
          queue: { notBefore: now() + delayMs },
        },
      });
    } else {
      await jobs.change(job.jobId, {
        transition: job.state === 'verifying' ? 'T13' : 'T9',
        cause: next === 'final' ? cause : `${next}: ${cause}`.slice(0, 200),
        patch: {
          ...failure.patch,
          substate: null,
          excluded,
          failures,
          error,
          payment: { state: job.payment.state === 'free' ? 'free' : 'refunding' },
          times: { ...failure.patch?.times, finished: now() },
        },
      });
    }
    const lease = job.node?.lease;
    if (lease !== undefined) {
      const leased = { jobId: job.jobId, lease };
      if (failure.patch === undefined) providers.release(node, leased, code);
      else if (!onChain) providers.drop(node, leased);
    }
    if (FAULTS[code].fault === 'provider') this.#needs.outcome(job, false);
    // What a client's program did is told by its receipt, which the oracle has already.
    if (onChain && failure.patch === undefined) {
      this.#needs.closeOnChain(job, code, next === 'retry');
    }
    this.#needs.freed();
  }

  /**
   * The chain has the money of a job and not its assignment, and will not have that: the same attempt is offered again, for there none was
   * made.
   * @param again  its node may have it once more, as when the acceptance came too late for the chain; else it is for others
   */
  async unassigned(job: JobRecord, message: string, again: boolean): Promise<void> {
    const { jobs, providers, now } = this.#needs;
    const { node, excluded = [] } = job;
    const transition = AGAIN[job.state];
    if (node === undefined || transition === undefined) return;
    await jobs.change(job.jobId, {
      transition,
      cause: message.slice(0, 200),
      patch: {
        ...NOT_RUN,
        substate: null,
        excluded: again ? excluded : [...new Set([...excluded, node.name])],
        error: { code: 'REJECTED', fault: 'none', message, retryable: true },
        payment: { state: 'escrowed' },
        queue: { notBefore: now() },
      },
    });
    if (node.lease !== undefined)
      providers.release(node.name, { jobId: job.jobId, lease: node.lease }, 'not assigned');
    this.#needs.freed();
  }

  /**
   * The chain has a job as assigned that nobody runs here: it took the funding back, and has it and the assignment again. That attempt ends
   * there, and here with it.
   * @param nodeId  whom it is assigned to
   */
  async disowned(job: JobRecord, nodeId: string): Promise<void> {
    const { jobs, providers, closeOnChain, freed } = this.#needs;
    const { node: ours, excluded = [], failures = [] } = job;
    const node = providers.byId(nodeId)?.node ?? '';
    const cause = 'the chain has an attempt that was ended when it took the funding back';
    const left = job.attempt + 1 < job.maxAttempts;
    const transition = left ? AGAIN[job.state] : CANCELLED[job.state];
    await jobs.change(job.jobId, {
      cause,
      ...(transition === undefined ? {} : { transition }),
      patch: {
        ...NOT_RUN,
        excluded: [...new Set([...excluded, node])],
        failures: [...failures, { node, code: 'NODE_LOST' }],
        ...(left
          ? { attempt: job.attempt + 1, substate: 'releasing' }
          : { substate: null, reason: cause, payment: { state: 'refunding' } }),
      },
    });
    if (ours?.lease !== undefined)
      providers.release(ours.name, { jobId: job.jobId, lease: ours.lease }, 'reorg');
    closeOnChain(job, 'NODE_LOST', left);
    freed();
  }

  /** The client does not want it any more, or its time is over. @returns undefined when it was over already */
  async cancel(job: JobRecord, reason: string): Promise<JobRecord | undefined> {
    const { jobs, providers, now } = this.#needs;
    const transition = CANCELLED[job.state];
    if (transition === undefined) return undefined;
    const after = await jobs.change(job.jobId, {
      transition,
      cause: reason,
      patch: {
        substate: null,
        reason,
        payment: { state: moneyOfCancelled(job.payment.state) },
        times: { finished: now() },
      },
    });
    const { node } = job;
    if (node?.lease !== undefined) {
      providers.release(node.name, { jobId: job.jobId, lease: node.lease }, reason);
    }
    this.#needs.freed();
    return after;
  }
}

/** What an attempt leaves of itself that was not the last. */
export const NOT_RUN: JobPatch = {
  node: null,
  result: null,
  times: { assigned: null, started: null, finished: null },
};

/** Back to the queue. */
const AGAIN: Readonly<Partial<Record<State, TransitionId>>> = {
  assigned: 'T5',
  running: 'T8',
  verifying: 'T14',
};
const CANCELLED: Readonly<Partial<Record<State, TransitionId>>> = {
  pending: 'T3',
  escrowed: 'T10',
  assigned: 'T11',
  running: 'T11',
};

function moneyOfCancelled(state: PaymentState): PaymentState {
  if (state === 'free') return 'free';
  return state === 'escrowed' ? 'refunding' : 'none';
}
