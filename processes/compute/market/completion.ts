/**
 * From the receipt to the end of a job (compute-market.md §3.5 T7, T12 to T16): outputs are fetched and hashed, the verdict is asked for,
 * and what the chain says of the money closes the job. A free job is judged here: its receipt is signed, and its outputs are what the
 * receipt's list says.
 */
import { NoResponse, type Process, RemoteError } from '../../lib/index.ts';
import type { Decoded } from '../../../wit/codec.ts';
import type { FaultCode } from '../../../wit/jobs/result.ts';
import type { JobMoney } from '../shared/facilitator-contract.ts';
import { runResult } from '../shared/job-events-contract.ts';
import type { Evidence, GivenVerdict } from '../shared/oracle-contract.ts';
import { type Artifacts, WrongArtifact } from './artifacts.ts';
import type { Endings } from './endings.ts';
import type { Change, Jobs } from './jobs.ts';
import type { Logs } from './logs.ts';
import { isDisowned, moneyChange } from './money-changes.ts';
import type { Providers } from './providers.ts';
import type { JobPatch, JobRecord } from './record.ts';
import { isFaultCode } from './retry.ts';
import { codeOfStatus } from './run-end.ts';
import type { Settlement } from './settlement.ts';
import { specOf } from './specs.ts';

export type RunResult = Decoded<typeof runResult>;

export interface CompletionNeeds {
  readonly process: Process<unknown>;
  readonly jobs: Jobs;
  readonly providers: Providers;
  readonly endings: Endings;
  readonly settlement: Settlement;
  readonly artifacts: Artifacts;
  readonly logs: Logs;
  /** The folder of inputs in vfs. */
  readonly inputs: string;
  readonly now: () => number;
  readonly outcome: (job: JobRecord, success: boolean) => void;
  readonly freed: () => void;
  /** Another node has run it again, and came to the same or not. */
  readonly audited: (job: JobRecord, passed: boolean) => void;
  /** Of a run that was outvoted: who came to what most came to; undefined: nobody did. */
  readonly against: (job: JobRecord) => Parameters<Settlement['outvoted']>[0]['others'] | undefined;
  /** Has the attempt of a paid job ended on the chain. */
  readonly closeOnChain: (job: JobRecord, code: FaultCode, mayRetry: boolean) => void;
  /** The chain says that a job is assigned, and to whom. */
  readonly assigned: (job: JobRecord) => void;
}

export class Completion {
  readonly #needs: CompletionNeeds;
  /** Jobs whose outputs are being fetched. */
  readonly #fetching = new Set<string>();

  constructor(needs: CompletionNeeds) {
    this.#needs = needs;
  }

  /** A run that ended well. A free one that left no files is done with it. @returns whether nothing more is wanted of it */
  async arrived(
    job: JobRecord,
    result: RunResult,
    before: readonly Change[],
    stored: JobPatch,
  ): Promise<boolean> {
    const verifying: Change = {
      transition: 'T7',
      cause: 'the receipt is valid',
      patch: { ...stored, substate: 'checking' },
    };
    const missing = missingOutputs(job, result);
    const alone = job.replica === undefined && job.payment.state === 'free';
    if (alone && result.outputs.length === 0 && missing === undefined) {
      await this.#needs.jobs.change(job.jobId, ...before, verifying, this.#accepted());
      this.#needs.outcome(job, true);
      this.#needs.freed();
      return true;
    }
    const after = await this.#needs.jobs.change(job.jobId, ...before, verifying);
    this.#needs.freed();
    if (after !== undefined) void this.check(after);
    return false;
  }

  /** Fetches what a job left and has it judged; fine to call again. */
  async check(job: JobRecord): Promise<void> {
    const { node } = job;
    if (job.substate !== 'checking' || node?.lease === undefined || this.#fetching.has(job.jobId)) {
      return;
    }
    this.#fetching.add(job.jobId);
    try {
      const result = resultOf(job);
      const { providers, artifacts, endings, jobs } = this.#needs;
      const wrong = result === undefined ? 'it has no result' : missingOutputs(job, result);
      if (wrong === undefined && result !== undefined) {
        await artifacts.pull(providers.gpu(node.name), {
          jobId: job.jobId,
          lease: node.lease,
          outputs: result.outputs,
        });
      }
      const still = jobs.live(job.jobId);
      if (still?.substate !== 'checking' || still.attempt !== job.attempt) return;
      if (wrong !== undefined)
        await endings.failed(still, { code: 'VERDICT_FAIL', message: wrong });
      else if (still.replica !== undefined && still.replica.agrees === undefined)
        await jobs.change(job.jobId, {
          cause: 'it waits for the other runs',
          patch: { substate: 'comparing' },
        });
      else if (job.payment.state !== 'free') await this.judge(job.jobId);
      else await this.accept(job);
    } catch (error) {
      await this.#unfetched(job, error);
    } finally {
      this.#fetching.delete(job.jobId);
    }
  }

  /** Asks the oracle; the sweep asks again until there is a verdict. */
  async judge(jobId: string): Promise<void> {
    const { jobs, settlement, process } = this.#needs;
    const job = jobs.live(jobId);
    const evidence = job && this.#evidence(job);
    if (job === undefined || evidence === undefined || job.payment.state === 'free') return;
    const outvoted = job.replica?.agrees === false;
    const others = outvoted ? this.#needs.against(job) : undefined;
    if (outvoted && others === undefined) {
      this.#needs.closeOnChain(job, 'NO_MAJORITY', false);
      return;
    }
    // Whose the others are is not known before the registry is read.
    if (others?.length === 0) return;
    try {
      const refused = await (others === undefined
        ? settlement.verify(evidence)
        : settlement.outvoted({ run: evidence, others }));
      if (refused !== undefined) process.print(`job ${jobId}: no verdict: ${refused}`);
    } catch (error) {
      if (!(error instanceof NoResponse)) throw error;
    }
  }

  /** A free run counts. @param patch  what else is noted */
  async accept(job: JobRecord, patch: JobPatch = {}): Promise<void> {
    const accepted = this.#accepted();
    await this.#needs.jobs.change(job.jobId, {
      ...accepted,
      patch: { ...accepted.patch, ...patch },
    });
    this.#closed(job, true);
  }

  /** A receipt of a job that its client has cancelled: what was used is paid (§3.9). */
  async cancelled(job: JobRecord, stored: JobPatch): Promise<void> {
    await this.#needs.jobs.change(job.jobId, { cause: 'the run has ended', patch: stored });
    await this.judge(job.jobId);
  }

  async verdict(verdict: GivenVerdict): Promise<void> {
    const { jobs, endings, now } = this.#needs;
    const job = jobs.live(verdict.jobId.toLowerCase());
    if (job === undefined || job.attempt !== verdict.attempt) return;
    const kept = {
      outcome: verdict.outcome.kind,
      payout: String(verdict.payout),
      scoreBps: verdict.scoreBps,
      checks: verdict.checks,
      gates: verdict.gates.map(({ gate, message }) => ({ gate, message })),
      ...(verdict.audit === undefined ? {} : { audit: verdict.audit.kind }),
    };
    const audit = verdict.audit?.kind;
    if (audit === 'Agreed' || audit === 'Differed') this.#needs.audited(job, audit === 'Agreed');
    const paid = verdict.outcome.kind === 'Pay';
    if (paid || job.state !== 'verifying') {
      await jobs.change(job.jobId, {
        cause: `verdict ${verdict.outcome.kind}`,
        patch: {
          verdict: kept,
          ...(job.state === 'verifying' ? { substate: 'challenge-window' } : {}),
          times: { verified: now() },
        },
      });
      return;
    }
    const said = verdict.gates.map(({ gate, message }) => `${gate}: ${message}`).join('; ');
    const code: FaultCode =
      verdict.code !== undefined && isFaultCode(verdict.code) ? verdict.code : 'VERDICT_FAIL';
    const again = verdict.outcome.kind === 'Retry';
    await endings.failed(job, {
      code,
      message: said || `score ${verdict.scoreBps}`,
      patch: { verdict: kept, times: { verified: now() } },
      verdict: again ? 'retry' : 'refund',
    });
  }

  /** What the chain says of a job. What is told twice, or late, is nothing new. */
  async money(money: JobMoney): Promise<void> {
    const { jobs, endings } = this.#needs;
    const job = jobs.live(money.jobId.toLowerCase());
    if (job === undefined || job.payment.state === 'free') return;
    if (Number(money.rev) <= (job.payment.rev ?? -1)) return;
    const change = moneyChange(job, money, {
      queue: () => jobs.nextQueueEntry(job.base ?? 0),
      now: this.#needs.now(),
    });
    if (change !== undefined) {
      const { node } = job;
      const after = await jobs.change(job.jobId, change);
      if (change.transition === 'T17' && node?.lease !== undefined) {
        this.#needs.providers.release(node.name, { jobId: job.jobId, lease: node.lease }, 'reorg');
      }
      if (after?.state === 'completed') this.#closed(job, true);
      else if (after !== undefined && money.state === 'assigned') this.#needs.assigned(after);
      this.#needs.freed();
    }
    const now = jobs.live(job.jobId);
    if (now === undefined) return;
    const { trouble, nodeId } = money;
    if (trouble?.action === 'assign' && money.state === 'funded') {
      const message = `the chain does not take the assignment: ${trouble.message}`;
      const full = trouble.code === 'CapacityExceeded';
      if (full && now.node !== undefined) this.#needs.providers.stakeTaken(now.node.name);
      const ranOut = this.#needs.settlement.hasRunOut(now, this.#needs.now());
      await endings.unassigned(now, message, full || ranOut);
    }
    if (isDisowned(now, money) && nodeId !== undefined) await endings.disowned(now, nodeId);
  }

  #accepted(): Change {
    return {
      transition: 'T12',
      cause: 'the outputs are what the receipt says',
      patch: { substate: null, error: null, times: { verified: this.#needs.now() } },
    };
  }

  #closed(job: JobRecord, success: boolean): void {
    const { node } = job;
    this.#needs.outcome(job, success);
    if (node?.lease !== undefined) {
      this.#needs.providers.drop(node.name, { jobId: job.jobId, lease: node.lease });
    }
    this.#needs.freed();
  }

  async #unfetched(job: JobRecord, error: unknown): Promise<void> {
    const { jobs, endings, process } = this.#needs;
    const still = jobs.live(job.jobId);
    if (still?.substate !== 'checking' || still.attempt !== job.attempt) return;
    const message = error instanceof Error ? error.message : String(error);
    if (error instanceof WrongArtifact || error instanceof RemoteError) {
      await endings.failed(still, { code: 'VERDICT_FAIL', message });
      return;
    }
    // The sweep tries again, until the time for a verdict is over.
    process.print(`job ${job.jobId}: its outputs do not come: ${message}`, 1);
  }

  #evidence(job: JobRecord): Evidence | undefined {
    const { node, times, payment } = job;
    const result = resultOf(job);
    if (node?.executor === undefined || result === undefined) return undefined;
    return {
      jobId: job.jobId,
      attempt: job.attempt,
      terms: this.#needs.settlement.termsOf(job),
      spec: job.spec,
      node: { name: node.name, nodeId: node.nodeId, executor: node.executor },
      price: BigInt(payment.price),
      seen: {
        assignedAt: times.assigned ?? times.created,
        startedAt: times.started ?? times.created,
        receivedAt: times.finished ?? this.#needs.now(),
        leaseAgrees: true,
        beatsSeen: true,
      },
      result,
      device: this.#needs.providers.get(node.name)?.state?.device,
      medianMs: undefined,
      cancelled: job.state === 'cancelled',
      artifacts: this.#needs.artifacts.folder,
      inputs: this.#needs.inputs,
      logs: this.#needs.logs.wholePath(job.jobId, job.attempt),
    };
  }
}

export function resultOf({ result }: JobRecord): RunResult | undefined {
  const read = result === undefined ? undefined : runResult.decode(result);
  return read?.ok === true ? read.value : undefined;
}

function missingOutputs(job: JobRecord, result: RunResult): string | undefined {
  const { outputs } = result;
  if (codeOfStatus(result.receipt.status) !== undefined) return undefined;
  const spec = specOf(job);
  const paths = new Set(outputs.map(({ path }) => path));
  if (paths.size < outputs.length) return 'it has two outputs of one path';
  const missing = spec.outputs?.required?.find((path) => !paths.has(path));
  if (missing !== undefined) return `it left no ${missing}`;
  const most = spec.outputs?.maxFiles ?? MAX_FILES;
  if (outputs.length > most) return `it left more than ${most} files`;
  const bytes = outputs.reduce((sum, { size }) => sum + size, 0);
  if (bytes > spec.limits.outMiB * 1024 * 1024)
    return `it left more than ${spec.limits.outMiB} MiB`;
  return undefined;
}

/** Where a spec says nothing. */
const MAX_FILES = 1_000;
