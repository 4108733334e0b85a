/**
 * One attempt of one job, from the start to its receipt (compute-market.md §9, §10.4). Knows nothing of sockets: it says what happens, and
 * its log and result are there to be sent as often as they are asked for.
 *
 *   accepted --start--> preparing --program runs--> started --it ended--> collecting --receipt on disk--> finished
 *      `------------------`--------------------------`----------------------`--without a receipt--> lost
 */
import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { RECEIPT_STATUS } from '../../contracts/compute.ts';
import { runEnd } from '../../contracts/compute-result.ts';
import { list } from '../../wit/codec.ts';
import { outputFile, type FaultCode, type OutputFile, type Usage } from '../../wit/jobs/result.ts';
import { STREAM } from '../../wit/jobs/log-records.ts';
import { domainOf, type Executor } from './executor.ts';
import type { JobFolder } from './job-folder.ts';
import { JobLog } from './job-log.ts';
import type { Offer } from './offer.ts';
import { collectOutputs, OutputRefused } from './outputs.ts';
import { receiptOf } from './receipt.ts';
import { type Run, type RunEnd, RunFault, type Runner } from './runners/runner.ts';
import type { SignedReceipts } from './signed-receipts.ts';
import { type Wanted, TransferFailed } from './transfers-in.ts';

export type AttemptState =
  | 'accepted'
  | 'preparing'
  | 'started'
  | 'collecting'
  | 'finished'
  | 'lost';

/** A result as it is sent and kept. */
export interface KeptResult {
  /** JSON of `runEnd`. */
  readonly end: string;
  readonly outputs: readonly OutputFile[];
}

/** As it is on disk, for a later run of this program. */
export interface KeptReceipt {
  /** JSON of `keptOffer`. */
  readonly offer: string;
  readonly end: string;
  /** JSON of a list of `outputFile`. */
  readonly outputs: string;
  /** Base64 of the records of a log that has no file. */
  readonly log?: string;
}

export interface AttemptNeeds {
  /** JSON of `keptOffer`. */
  readonly offerText: string;
  readonly executor: Executor;
  readonly receipts: SignedReceipts;
  readonly runner: Runner;
  /** Gets an input or the module. @throws TransferFailed */
  readonly fetch: (wanted: Wanted, signal: AbortSignal) => Promise<void>;
  /** Milliseconds since 1970. */
  readonly wallMs: () => number;
}

export interface AttemptEvents {
  state(state: 'preparing' | 'started' | 'collecting', detail?: string): void;
  progress(ppm: number, note?: string): void;
  /** There is more of the log. */
  logGrown(): void;
  finished(): void;
  lost(code: FaultCode, message: string): void;
}

/** Disk that must stay free. */
const FREE_BYTES_LEAST = 1024 * 1024 * 1024;
/** Characters of what a run ended with that go with its digest. */
const KEPT_CHARS_MAX = 64 * 1024;
/** Bytes of inputs that may wait until a job is dropped. */
const LITTLE_BYTES = 1024 * 1024;
/** Time that outputs may take to be copied. */
const COLLECT_MS_MAX = 900_000;
/** Time after a cancellation in which the program must have ended, beside the grace that it is given. */
const END_MS_MAX = 30_000;

export class Attempt {
  readonly offer: Offer;
  readonly folder: JobFolder;
  readonly #needs: AttemptNeeds;
  readonly #events: AttemptEvents;
  readonly #abort = new AbortController();
  #state: AttemptState = 'accepted';
  #log: JobLog | undefined;
  #result: KeptResult | undefined;
  #fault: { code: FaultCode; message: string } = { code: 'INTERNAL', message: 'it was lost' };
  #startedMs = 0;
  #dropped = false;
  #giveUpTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(offer: Offer, folder: JobFolder, needs: AttemptNeeds, events: AttemptEvents) {
    this.offer = offer;
    this.folder = folder;
    this.#needs = needs;
    this.#events = events;
  }

  get state(): AttemptState {
    return this.#state;
  }

  get log(): JobLog | undefined {
    return this.#log;
  }

  get result(): KeptResult | undefined {
    return this.#result;
  }

  /** Why it is lost. */
  get fault(): { readonly code: FaultCode; readonly message: string } {
    return this.#fault;
  }

  /** Whether a program of it runs, or is to. */
  get active(): boolean {
    return this.#state !== 'finished' && this.#state !== 'lost';
  }

  /** Takes up what an earlier run of this program finished. @param log  as in `KeptReceipt` */
  async restore(kept: KeptResult, log: string | undefined): Promise<void> {
    this.#result = kept;
    this.#log =
      log === undefined
        ? await JobLog.reopen(this.folder.log)
        : JobLog.restore(new Uint8Array(Buffer.from(log, 'base64')));
    this.#state = 'finished';
  }

  /** Runs it to its end. Never rejects: what goes wrong is told. */
  async start(): Promise<void> {
    if (this.#state !== 'accepted') return;
    try {
      this.#tell('preparing');
      const run = await this.#prepare();
      if (this.#needs.runner.ownFolders === true) this.folder.lent = true;
      const end = await this.#needs.runner.run(run);
      if (end.leftNothing === true) this.folder.lent = false;
      await this.#collect(end);
    } catch (error) {
      await this.#lose(error);
    }
    // Dropped while it ran: what its program wrote since.
    if (!this.#dropped) return;
    this.#needs.receipts.drop(this.offer.lease);
    await this.folder.remove().catch(() => undefined);
  }

  /** The program is told to end, and has the runner's grace for it. */
  cancel(reason: string, graceMs: number): void {
    if (!this.active) return;
    this.#abort.abort(new Error(reason));
    this.#log?.release();
    if (this.#state === 'accepted')
      return this.#give('CANCELLED', `cancelled before it started: ${reason}`);
    this.#giveUpTimer ??= setTimeout(
      () => this.#give('INTERNAL', 'the program did not end when it was told to'),
      graceMs + END_MS_MAX,
    );
    return undefined;
  }

  /** It ends without a receipt: nothing of it is anybody's fault but ours. */
  abandon(code: FaultCode, reason: string): void {
    this.#give(code, reason);
  }

  /** Everything of it goes. */
  async remove(): Promise<void> {
    this.#dropped = true;
    clearTimeout(this.#giveUpTimer);
    this.#abort.abort(new Error('dropped'));
    await this.#log?.close();
    await this.folder.remove();
    this.#needs.receipts.drop(this.offer.lease);
  }

  async #prepare(): Promise<Run> {
    const { offer, folder } = this;
    const { spec } = offer;
    const { signal } = this.#abort;
    const { bavail, bsize } = await statfs(dirname(folder.path));
    const needed = spec.inputs.reduce((sum, { size }) => sum + size, 0) * 2;
    if (bavail * bsize < needed + FREE_BYTES_LEAST)
      throw new RunFault('INTERNAL', 'too little space on the disk of the provider');
    const wanted = new Map<string, number>();
    for (const { sha256, size } of spec.inputs) wanted.set(sha256, size);
    if (wanted.size > 0) await folder.createFor('blobs');
    for (const [sha256, size] of wanted)
      await this.#needs.fetch({ sha256, size, path: folder.blob(sha256) }, signal);
    await folder.layOut(spec.inputs);
    this.#log = new JobLog({
      path: folder.log,
      bytesMax: spec.limits.logKiB * 1024,
      atMs: () => (this.#startedMs === 0 ? 0 : this.#needs.wallMs() - this.#startedMs),
    });
    const log = this.#log;
    log.grown = () => this.#events.logGrown();
    const run: Run = {
      jobId: offer.jobId,
      attempt: offer.attempt,
      lease: offer.lease,
      spec,
      inputs: folder.inputs,
      outputs: folder.outputs,
      module: spec.module === undefined ? undefined : folder.blob(spec.module.sha256),
      timeoutS: offer.timeoutS,
      gpus: offer.gpus,
      log: (stream, bytes) => {
        // A program that is quick writes before its runner hears that it was started; its log begins with the start all the same.
        this.#started(log);
        return log.write(stream, bytes);
      },
      progress: (ppm, note) => this.#events.progress(ppm, note),
      started: () => this.#started(log),
      signal,
    };
    const { module } = spec;
    if (module !== undefined && this.#needs.runner.has?.(module) !== true) {
      await folder.createFor('blobs');
      const { sha256, size } = module;
      await this.#needs.fetch({ sha256, size, path: folder.blob(sha256) }, signal);
    }
    await this.#needs.runner.prepare(run);
    return run;
  }

  #started(log: JobLog): void {
    if (this.#startedMs !== 0) return;
    this.#startedMs = this.#needs.wallMs();
    log.system({ ev: 'start' });
    this.#tell('started');
  }

  async #collect(ran: RunEnd): Promise<void> {
    if (this.#startedMs === 0) throw new RunFault('INTERNAL', 'the program never started');
    const finishedMs = Math.max(this.#startedMs, this.#needs.wallMs());
    this.#tell('collecting');
    const { offer, folder } = this;
    const { outputs, end } = await this.#outputs(ran);
    const log = this.#log!;
    const { root, stdoutHash } = await log.end(end.exitCode);
    const { held } = log;
    const bytesIn = offer.spec.inputs.reduce((sum, { size }) => sum + size, 0);
    const usage: Usage = {
      ...end.usage,
      wallMs: Math.floor(finishedMs - this.#startedMs),
      bytesIn,
      bytesOut: outputs.reduce((sum, { size }) => sum + size, 0),
      tokensIn: 0,
      tokensOut: 0,
    };
    // Given up while it was collected: what is not signed is not claimed.
    if (!this.active) throw new RunFault('INTERNAL', 'it was given up');
    const receipt = receiptOf({
      ...offer,
      outputs,
      logsRoot: root,
      stdoutHash,
      usage,
      runtime: end.runtime,
      exitCode: end.exitCode,
      status: end.status,
      startedMs: this.#startedMs,
      finishedMs,
    });
    const { digest, signature } = this.#needs.executor.signReceipt(domainOf(offer.money), receipt);
    const result: KeptResult = {
      end: runEnd.stringify({
        receipt,
        signature,
        receiptHash: digest,
        logs: { count: log.count, truncated: log.truncated },
        usage,
        runtime: end.runtime,
      }),
      outputs,
    };
    // On disk before anybody sees it: a second, different one would be equivocation.
    const text = JSON.stringify({
      offer: this.#needs.offerText,
      end: result.end,
      outputs: list(outputFile).stringify([...outputs]),
      ...(held === undefined ? {} : { log: Buffer.from(held).toString('base64') }),
    } satisfies KeptReceipt);
    const together = !folder.isThere && text.length <= KEPT_CHARS_MAX;
    const kept = together ? { lease: offer.lease, text } : undefined;
    await this.#needs.receipts.add(offer.jobId, offer.attempt, digest, kept);
    if (!together) await folder.keepReceipt(text);
    const { inputs, module, outputs: wanted } = offer.spec;
    const read = inputs.reduce((sum, { size }) => sum + size, module?.size ?? 0);
    // What is little goes with the rest of the folder, soon after.
    if (read > LITTLE_BYTES || outputs.length > 0 || wanted?.paths !== undefined)
      await folder.dropWork();
    if (!this.active) return;
    clearTimeout(this.#giveUpTimer);
    this.#state = 'finished';
    this.#result = result;
    this.#events.finished();
  }

  /** A program that ended well and left what cannot be taken did not end well. */
  async #outputs(ran: RunEnd): Promise<{ outputs: readonly OutputFile[]; end: RunEnd }> {
    const refused = (message: string): { outputs: readonly OutputFile[]; end: RunEnd } => ({
      outputs: [],
      end: {
        ...ran,
        status: RECEIPT_STATUS.outputLimit,
        fault: { code: 'OUTPUT_LIMIT', message },
      },
    });
    try {
      const left = ran.leftNothing !== true;
      if (left && this.#needs.runner.ownFolders === true) await this.folder.createFor('out');
      // What was cancelled is still collected: what there is belongs to whoever paid for it.
      const signal = left ? AbortSignal.timeout(COLLECT_MS_MAX) : this.#abort.signal;
      const files = await collectOutputs(this.folder, this.offer.spec, signal, left);
      return { outputs: files, end: ran };
    } catch (error) {
      if (!(error instanceof OutputRefused)) throw error;
      if (ran.status !== RECEIPT_STATUS.ok) return { outputs: [], end: ran };
      await this.#log?.write(STREAM.stderr, Buffer.from(`outputs refused: ${error.message}\n`));
      return refused(error.message);
    }
  }

  async #lose(error: unknown): Promise<void> {
    if (error instanceof RunFault) return this.#give(error.code, error.message);
    if (error instanceof TransferFailed) return this.#give(faultOf(error.code), error.message);
    const message = error instanceof Error ? error.message : String(error);
    return this.#give(this.#abort.signal.aborted ? 'CANCELLED' : 'INTERNAL', message);
  }

  #give(code: FaultCode, message: string): void {
    if (!this.active) return;
    clearTimeout(this.#giveUpTimer);
    this.#state = 'lost';
    this.#fault = { code, message };
    this.#abort.abort(new Error('lost'));
    this.#log?.release();
    this.#events.lost(code, message);
  }

  #tell(state: 'preparing' | 'started' | 'collecting'): void {
    if (!this.active) throw new RunFault('INTERNAL', 'it was given up');
    this.#state = state;
    this.#events.state(state);
  }
}

/** What went wrong with an input, as the market knows it. */
function faultOf(code: string): FaultCode {
  if (code === 'INPUT_HASH_MISMATCH' || code === 'INPUT_UNAVAILABLE' || code === 'CANCELLED')
    return code;
  return 'INTERNAL';
}
