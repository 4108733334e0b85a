/**
 * What providers tell of the jobs they have (compute-market.md §10.4): who is heard, and what follows. An answer says that it is on disk:
 * whoever gets none tells again, so everything here is fine to hear twice.
 */
import { Refusal } from '../../lib/index.ts';
import type { Signer } from '../../lib/signer.ts';
import { RAN, readRunEnd, USED } from '../../../contracts/compute-result.ts';
import { list } from '../../../wit/codec.ts';
import type { LogRecord } from '../../../wit/jobs/log-records.ts';
import { sha256Hex } from '../../../wit/jobs/digest.ts';
import { outputFile, type Runtime, type Usage } from '../../../wit/jobs/result.ts';
import type { News, NewsAnswer } from '../shared/job-events-contract.ts';
import type { Completion, RunResult } from './completion.ts';
import type { Endings } from './endings.ts';
import type { Change, Jobs } from './jobs.ts';
import type { Logs } from './logs.ts';
import type { Providers } from './providers.ts';
import { Receipts } from './receipts.ts';
import type { JobProgress, JobRecord } from './record.ts';
import { isFaultCode } from './retry.ts';
import { codeOfStatus, reasonOf, STATUS_MAX } from './run-end.ts';
import type { Settlement } from './settlement.ts';
import { specOf } from './specs.ts';

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
  /** A node has accepted a free job that it is offered. */
  readonly accepted: (
    job: JobRecord,
    by: { readonly lease: string; readonly executor: string },
  ) => Promise<void>;
  readonly progress: (job: JobRecord, progress: JobProgress) => void;
  readonly logged: (job: JobRecord, records: readonly LogRecord[]) => void;
  /** A fault of ours. What was told is told again. */
  readonly failed: (jobId: string, error: unknown) => void;
}

interface Leased {
  readonly jobId: string;
  readonly lease: string;
}

export class Intake {
  readonly #needs: IntakeNeeds;
  readonly #receipts: Receipts;

  constructor(needs: IntakeNeeds) {
    this.#needs = needs;
    this.#receipts = new Receipts(needs.signer);
  }

  /** What is new of several jobs of a node. Each is answered for itself, in their order. @param logs  the records of all, one after another */
  told(node: string, all: readonly News[], logs: Uint8Array): Promise<NewsAnswer[]> {
    let at = 0;
    return Promise.all(
      all.map((news) => {
        const from = at;
        at += news.log?.bytes ?? 0;
        return this.#told(node, news, logs.subarray(from, at));
      }),
    );
  }

  async #told(node: string, news: News, records: Uint8Array): Promise<NewsAnswer> {
    try {
      // Its changes go to disk together with those that follow.
      const [, over] = await Promise.all([
        this.#accepted(node, news),
        this.#take(node, news, records),
      ]);
      return { kind: over ? 'Over' : 'Taken' };
    } catch (error) {
      const refused = error instanceof Refusal;
      if (!refused) this.#needs.failed(news.jobId, error);
      const kind = refused ? error.kind : 'Internal';
      return { kind: 'Refused', value: { kind, message: refused ? error.message : '' } };
    }
  }

  /** @returns whether nothing more is wanted of the attempt */
  async #take(node: string, news: News, records: Uint8Array): Promise<boolean> {
    const { jobId, lease, state, progress, log, lost } = news;
    const leased = { jobId, lease };
    const result = news.result && resultIn(news.result);
    if (state !== undefined) await this.#state(node, leased, state.kind);
    if (progress !== undefined) this.#progress(node, leased, progress.ppm, progress.note);
    if (log !== undefined && !(await this.#isKeptWhole(node, news, result, records)))
      await this.#logs(node, leased, log.firstSeq, records);
    if (lost !== undefined) await this.#lost(node, leased, lost.code, lost.message);
    return result !== undefined && this.result(node, leased, result);
  }

  /** The log of a free run that is told at once with its end. The oracle reads those of paid ones from their files. */
  async #isKeptWhole(
    node: string,
    news: News,
    result: RunResult | undefined,
    records: Uint8Array,
  ): Promise<boolean> {
    const { logs, logged } = this.#needs;
    if (result === undefined || news.log?.firstSeq !== 0) return false;
    const job = this.#job(node, news);
    if (job.payment.state !== 'free') return false;
    const kept = await logs.keepWhole(job, result.logs.count, records);
    if (kept !== undefined) logged(job, kept);
    return kept !== undefined;
  }

  /** Of a job that is offered to it, and whose answer is not here: as after a crash, or because others that were offered with it take longer. */
  async #accepted(node: string, { jobId, lease, accepted }: News): Promise<void> {
    const job = this.#needs.jobs.live(jobId.toLowerCase());
    if (accepted === undefined || job?.state !== 'escrowed' || job.node?.name !== node) return;
    if (job.attempt !== accepted.attempt) return;
    if (job.payment.state !== 'free')
      throw new Refusal('NotYet', 'the job is offered to you, and your answer is not here');
    await this.#needs.accepted(job, { lease, executor: accepted.executor });
  }

  async #state(
    node: string,
    leased: Leased,
    state: 'Preparing' | 'Started' | 'Collecting',
  ): Promise<void> {
    const job = this.#job(node, leased);
    const started = state !== 'Preparing' && job.state === 'assigned' ? [this.#started(job)] : [];
    const collects = state === 'Collecting' && job.substate !== 'collecting';
    const collecting = { cause: 'collecting', patch: { substate: 'collecting' } };
    const runs = job.state === 'assigned' || job.state === 'running';
    const changes = [...started, ...(collects && runs ? [collecting] : [])];
    if (changes.length > 0) await this.#needs.jobs.change(job.jobId, ...changes);
  }

  #progress(node: string, leased: Leased, ppm: number, note: string | undefined): void {
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

  async #logs(node: string, leased: Leased, firstSeq: number, bytes: Uint8Array): Promise<void> {
    const job = this.#job(node, leased);
    const { logKiB } = specOf(job).limits;
    const fresh = await this.#needs.logs.append(
      { ...leased, attempt: job.attempt, logKiB },
      firstSeq,
      bytes,
    );
    if (fresh.length > 0) this.#needs.logged(job, fresh);
  }

  /**
   * Only a receipt that the assigned executor signed for this attempt changes anything (CM19).
   * @returns whether nothing more is wanted of the attempt
   */
  async result(node: string, leased: Leased, result: RunResult): Promise<boolean> {
    const { jobs, settlement, endings, completion, now } = this.#needs;
    const known = await jobs.find(leased.jobId);
    if (known?.result !== undefined && receiptHashIn(known) === result.receiptHash) {
      // It is told again.
      return false;
    }
    const job = this.#job(node, leased);
    const problem = receiptProblem(job, result);
    if (problem !== undefined) throw new Refusal('BadReceipt', problem);
    const executor = job.node?.executor ?? '';
    const domain = settlement.domainOf(job);
    const lie = await this.#receipts.problem({ ...result, domain, executor });
    if (lie !== undefined) throw new Refusal('BadReceipt', lie);
    // It may have been cancelled meanwhile.
    const still = this.#job(node, leased);
    this.#needs.logs.close(still.jobId, still.attempt);
    const code = codeOfStatus(result.receipt.status);
    const clientFault = code !== undefined && code !== 'INTERNAL' && code !== 'CANCELLED';
    const stored = {
      result: textOf(result),
      times: { finished: now() },
    } as const;
    if (still.state === 'cancelled') {
      await completion.cancelled(still, stored);
      return false;
    }
    const started = still.state === 'assigned' ? [this.#started(still)] : [];
    // Of several runs: whether the program fails is what they have to agree on.
    if (code === undefined || (clientFault && still.replica !== undefined))
      return completion.arrived(still, result, started, stored);
    if (started.length > 0) await jobs.change(still.jobId, ...started);
    const running = jobs.live(still.jobId);
    if (running === undefined) return false;
    await endings.failed(running, {
      code,
      message: reasonOf(result.receipt, specOf(running).limits),
      exitCode: result.receipt.exitCode,
      ...(clientFault ? { patch: stored } : {}),
    });
    if (clientFault) await completion.judge(still.jobId);
    return false;
  }

  async #lost(node: string, leased: Leased, code: string, message: string): Promise<void> {
    const job = this.#job(node, leased);
    if (job.state === 'cancelled') return;
    await this.#needs.endings.failed(job, { code: isFaultCode(code) ? code : 'INTERNAL', message });
  }

  /** The job that runs there under that lease. @throws Refusal NoSuchLease: the node should forget it; NotYet: it should ask again */
  jobOf(node: string, leased: Leased): JobRecord {
    const job = this.#needs.jobs.live(leased.jobId.toLowerCase());
    if (job?.state === 'escrowed' && job.node?.name === node)
      throw new Refusal('NotYet', 'your answer to the offer is not here');
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
function receiptProblem(
  job: JobRecord,
  { receipt, outputs, usage, runtime }: RunResult,
): string | undefined {
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
  if (receipt.usageHash !== hashOf(usage, USED_SORTED)) return 'it is of another usage';
  if (receipt.runtimeHash !== hashOf(runtime, RAN_SORTED)) return 'something else ran it';
  if (outputs.length > OUTPUTS_MAX) return `it has more than ${OUTPUTS_MAX} outputs`;
  return undefined;
}

/** In the order of canonical JSON. */
const USED_SORTED = USED.toSorted();
const RAN_SORTED = RAN.toSorted();

/** The same as `documentHash`, whose canonical text the engine writes itself from members in their order. */
function hashOf<T extends Usage | Runtime>(
  document: T,
  names: readonly (keyof T & string)[],
): string {
  return `0x${sha256Hex(JSON.stringify(document, [...names]))}`;
}

const outputFiles = list(outputFile);

/** @throws Refusal */
function resultIn({ end, outputs }: NonNullable<News['result']>): RunResult {
  const read = readRunEnd(end);
  const files = outputFiles.decode(outputs);
  if (read === undefined || !files.ok) throw new Refusal('BadReceipt', 'the result cannot be read');
  return { ...read, outputs: files.value };
}

/** As `runResult` writes it, by the engine: its only wide numbers are those of the receipt. */
function textOf(result: RunResult): string {
  const { startedAt, finishedAt, claimed } = result.receipt;
  const receipt = {
    ...result.receipt,
    startedAt: String(startedAt),
    finishedAt: String(finishedAt),
    claimed: String(claimed),
  };
  return JSON.stringify({ ...result, receipt });
}

function receiptHashIn({ result }: JobRecord): string | undefined {
  if (result === undefined) return undefined;
  // Proof of the type: `runResult` as it was stored.
  return (JSON.parse(result) as { readonly receiptHash: string }).receiptHash;
}
