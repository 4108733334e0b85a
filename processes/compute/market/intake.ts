/**
 * What providers tell of the jobs they have (compute-market.md §10.4): who is heard, and what follows. An answer says that it is on disk:
 * whoever gets none tells again, so everything here is fine to hear twice.
 */
import { Refusal } from '../../lib/index.ts';
import type { Signer } from '../../lib/signer.ts';
import type { LogRecord } from '../../../wit/jobs/log-records.ts';
import { runResult } from '../shared/job-events-contract.ts';
import type { Completion, RunResult } from './completion.ts';
import type { Endings } from './endings.ts';
import type { Change, Jobs } from './jobs.ts';
import type { Logs } from './logs.ts';
import type { Providers } from './providers.ts';
import type { JobProgress, JobRecord } from './record.ts';
import { codeOfStatus, isFaultCode, STATUS_MAX } from './retry.ts';
import type { Settlement } from './settlement.ts';
import { specOf } from './specs.ts';
import { typedDigest } from '../shared/typed-digest.ts';

/** Outputs that one job may have, whatever its spec says: the record of each is kept in memory. */
const OUTPUTS_MAX = 20_000;
const NOTE_CHARS_MAX = 200;

export interface IntakeNeeds {
  readonly jobs: Jobs;
  readonly providers: Providers;
  readonly endings: Endings;
  readonly completion: Completion;
  readonly settlement: Settlement;
  readonly signer: Signer;
  readonly logs: Logs;
  readonly now: () => number;
  readonly progress: (job: JobRecord, progress: JobProgress) => void;
  readonly logged: (job: JobRecord, records: readonly LogRecord[]) => void;
}

interface Leased {
  readonly jobId: string;
  readonly lease: string;
}

export class Intake {
  readonly #needs: IntakeNeeds;

  constructor(needs: IntakeNeeds) {
    this.#needs = needs;
  }

  async state(
    node: string,
    leased: Leased,
    state: 'Preparing' | 'Started' | 'Collecting',
  ): Promise<void> {
    const job = this.#job(node, leased);
    if (state === 'Started' && job.state === 'assigned') {
      await this.#needs.jobs.change(job.jobId, this.#started(job));
    } else if (state === 'Collecting' && job.state === 'running' && job.substate !== 'collecting') {
      await this.#needs.jobs.change(job.jobId, {
        cause: 'collecting',
        patch: { substate: 'collecting' },
      });
    }
  }

  progress(node: string, leased: Leased, ppm: number, note: string | undefined): void {
    const job = this.#job(node, leased);
    const shown = note?.slice(0, NOTE_CHARS_MAX);
    const progress = {
      ppm: Math.min(1_000_000, ppm),
      ...(shown === undefined ? {} : { note: shown }),
      at: this.#needs.now(),
    };
    this.#needs.jobs.noteProgress(job.jobId, progress);
    this.#needs.progress(job, progress);
  }

  async logs(node: string, leased: Leased, firstSeq: number, bytes: Uint8Array): Promise<void> {
    const job = this.#job(node, leased);
    const { logKiB } = specOf(job).limits;
    const fresh = await this.#needs.logs.append(
      { ...leased, attempt: job.attempt, logKiB },
      firstSeq,
      bytes,
    );
    if (fresh.length > 0) this.#needs.logged(job, fresh);
  }

  /** Only a receipt that the assigned executor signed for this attempt changes anything (CM19). */
  async result(node: string, leased: Leased, result: RunResult): Promise<void> {
    const { jobs, settlement, signer, endings, completion, now } = this.#needs;
    const known = await jobs.find(leased.jobId);
    if (known?.result !== undefined && receiptHashIn(known) === result.receiptHash) {
      // It is told again.
      return;
    }
    const job = this.#job(node, leased);
    const problem = receiptProblem(job, result);
    if (problem !== undefined) throw new Refusal('BadReceipt', problem);
    const executor = job.node?.executor ?? '';
    const { receiptHash, signature } = result;
    // At once: hashing takes a guest milliseconds, so the signer does it.
    const [digest, [signed]] = await Promise.all([
      typedDigest(signer, settlement.domainOf(job), 'JobReceipt', result.receipt),
      signer.verify([{ digest: receiptHash, signature, address: executor }]),
    ]);
    if (digest !== receiptHash) throw new Refusal('BadReceipt', 'its hash is another');
    if (signed !== true) throw new Refusal('BadReceipt', `${executor} has not signed it`);
    // It may have been cancelled meanwhile.
    const still = this.#job(node, leased);
    this.#needs.logs.close(still.jobId, still.attempt);
    const code = codeOfStatus(result.receipt.status);
    const clientFault = code !== undefined && code !== 'INTERNAL' && code !== 'CANCELLED';
    const stored = {
      result: runResult.stringify(result),
      times: { finished: now() },
    } as const;
    if (still.state === 'cancelled') {
      await completion.cancelled(still, stored);
      return;
    }
    const started = still.state === 'assigned' ? [this.#started(still)] : [];
    // Of several runs: whether the program fails is what they have to agree on.
    if (code === undefined || (clientFault && still.replica !== undefined)) {
      await completion.arrived(still, result, started, stored);
      return;
    }
    if (started.length > 0) await jobs.change(still.jobId, ...started);
    const running = jobs.live(still.jobId);
    if (running === undefined) return;
    await endings.failed(running, {
      code,
      message: `the program ended with status ${result.receipt.status} and exit code ${result.receipt.exitCode}`,
      exitCode: result.receipt.exitCode,
      ...(clientFault ? { patch: stored } : {}),
    });
    if (clientFault) await completion.judge(still.jobId);
  }

  async lost(node: string, leased: Leased, code: string, message: string): Promise<void> {
    const job = this.#job(node, leased);
    if (job.state === 'cancelled') return;
    await this.#needs.endings.failed(job, { code: isFaultCode(code) ? code : 'INTERNAL', message });
  }

  /** The job that runs there under that lease. @throws Refusal NoSuchLease: the node should forget it */
  jobOf(node: string, leased: Leased): JobRecord {
    return this.#job(node, leased);
  }

  #job(node: string, { jobId, lease }: Leased): JobRecord {
    const job = this.#needs.jobs.live(jobId.toLowerCase());
    if (job?.node?.name !== node || job.node.lease !== lease) {
      throw new Refusal('NoSuchLease', 'the job is not there, or not yours any more');
    }
    this.#needs.providers.seen(node);
    return job;
  }

  #started(job: JobRecord): Change {
    return {
      transition: 'T6',
      cause: `started by ${job.node?.name}`,
      patch: { substate: 'executing', times: { started: this.#needs.now() } },
    };
  }
}

/** What a receipt says that the job does not. */
function receiptProblem(job: JobRecord, { receipt, outputs }: RunResult): string | undefined {
  if (job.state !== 'assigned' && job.state !== 'running' && job.state !== 'cancelled') {
    return `another receipt came before: the job is ${job.state}`;
  }
  if (receipt.jobId.toLowerCase() !== job.jobId) return 'it is for another job';
  if (receipt.nodeId.toLowerCase() !== job.node?.nodeId) return 'it is of another node';
  if (receipt.attempt !== job.attempt) return 'it is for another attempt';
  if (receipt.specHash.toLowerCase() !== job.specHash) return 'it is for another spec';
  if (receipt.claimed > BigInt(job.payment.price)) return 'it claims more than was agreed';
  if (receipt.status > STATUS_MAX) return `there is no status ${receipt.status}`;
  if (receipt.finishedAt < receipt.startedAt) return 'it ended before it began';
  if (outputs.length > OUTPUTS_MAX) return `it has more than ${OUTPUTS_MAX} outputs`;
  return undefined;
}

function receiptHashIn({ result }: JobRecord): string | undefined {
  if (result === undefined) return undefined;
  // Proof of the type: `runResult` as it was stored.
  return (JSON.parse(result) as { readonly receiptHash: string }).receiptHash;
}
