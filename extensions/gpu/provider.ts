/**
 * The extension as its process sees it (compute-market.md §10): answers offers, runs what it accepted, sends logs, results and files, and
 * knows which frame is of which attempt. What is on disk outlives it; what is not is gone with it.
 */
import { decodeBulk, encodeEnd, OUTPUT_TRANSFERS } from '../../wit/hn-ext/bulk.ts';
import { heldJob, signedAcceptance } from '../../contracts/compute-result.ts';
import { list } from '../../wit/codec.ts';
import { outputFile } from '../../wit/jobs/result.ts';
import type { Body, Frame } from '../../wit/hn-ext/schema.ts';
import type { JobKind } from '../../wit/jobs/spec.ts';
import type { Clock } from '../link/clock.ts';
import { Link, type LinkNeeds, type LinkOptions, type LinkUser } from '../link/link.ts';
import { Attempt, type KeptReceipt } from './attempt.ts';
import { ModelCalls } from './backends/model-calls.ts';
import type { Backend } from './backends/backend.ts';
import { domainOf, type Executor } from './executor.ts';
import { Inputs } from './inputs.ts';
import { JobFolder, leasesIn } from './job-folder.ts';
import { News } from './news.ts';
import {
  type Offer,
  readOffer,
  type Refused,
  type SentOffer,
  sentOffers,
  textOfOffer,
} from './offer.ts';
import type { Runner } from './runners/runner.ts';
import { Sending } from './sending.ts';
import type { SignedReceipts } from './signed-receipts.ts';
import { TransfersOut } from './transfers-out.ts';

export interface ProviderOptions extends LinkOptions {
  /** Folder of the attempts. */
  readonly jobs: string;
  /** Attempts at a time. */
  readonly slots: number;
  /** Jobs go on without a channel, however long it takes. */
  readonly survive?: boolean;
}

export interface ProviderNeeds extends LinkNeeds {
  readonly executor: Executor;
  readonly receipts: SignedReceipts;
  readonly runners: ReadonlyMap<JobKind, Runner>;
  /** By id. */
  readonly backend: (id: string) => Backend | undefined;
  /** JSON of DeviceInfo. */
  readonly device: () => string;
  /** Milliseconds since 1970. */
  readonly wallMs: () => number;
  readonly clock: Clock;
}

export class Provider implements LinkUser {
  readonly #options: ProviderOptions;
  readonly #needs: ProviderNeeds;
  readonly #link: Link;
  readonly #sendings = new Map<string, Sending>();
  readonly #inputs: Inputs;
  readonly #out: TransfersOut;
  readonly #models: ModelCalls;
  readonly #news: News;
  readonly #over = Promise.withResolvers<'superseded' | 'closed'>();
  #draining = false;
  #stopOrphan: (() => void) | undefined;
  #orphanMs = 300_000;

  constructor(options: ProviderOptions, needs: ProviderNeeds) {
    this.#options = options;
    this.#needs = needs;
    this.#link = new Link(options, needs, this);
    this.#news = new News(this.#link, needs.clock);
    this.#inputs = new Inputs(this.#link);
    this.#out = new TransfersOut({
      send: (bulk) => this.#link.sendBulk(bulk),
      bufferedBytes: () => this.#link.bufferedBytes,
      failed: (transfer, code, message) =>
        this.#link.send('artifact.fail', { transfer, code, message }),
    });
    this.#models = new ModelCalls({
      send: (t, body) => this.#link.send(t, body),
      backend: needs.backend,
      clock: needs.clock,
    });
  }

  /** Clears what an earlier run left, takes up what it finished, and connects. */
  async start(): Promise<void> {
    for (const runner of this.#needs.runners.values()) await runner.reap();
    for (const lease of await leasesIn(this.#options.jobs)) {
      const folder = new JobFolder(this.#options.jobs, lease);
      await this.#takeUp(folder, () => folder.receipt());
    }
    for (const { lease, text } of this.#needs.receipts.kept())
      await this.#takeUp(new JobFolder(this.#options.jobs, lease), async () => text);
    this.#link.start();
  }

  /** Resolves when it is no longer the extension of the node. */
  get over(): Promise<'superseded' | 'closed'> {
    return this.#over.promise;
  }

  /** What `device` says is not what it said before. */
  deviceChanged(): void {
    if (this.#link.open) this.#link.send('device', { device: this.#needs.device() });
  }

  /** Attempts whose program runs, or is to. */
  get active(): number {
    return [...this.#sendings.values()].filter(({ attempt }) => attempt.active).length;
  }

  /** GPUs that attempts use, or are about to. */
  get gpus(): readonly string[] {
    return [...this.#sendings.values()].flatMap(({ attempt }) =>
      attempt.active ? attempt.offer.gpus : [],
    );
  }

  /** Ends the programs and the link; what was finished stays on disk. */
  async close(reason: string): Promise<void> {
    this.#link.close(reason);
    this.#models.lost();
    this.#stopOrphan?.();
    for (const { attempt } of this.#sendings.values()) attempt.abandon('EXT_DISCONNECTED', reason);
    for (const runner of this.#needs.runners.values()) await runner.reap();
    this.#over.resolve('closed');
  }

  // --- what the link says

  describe(): Pick<Body<'auth'>, 'executor' | 'device' | 'slots' | 'jobs' | 'many'> {
    const jobs = [...this.#sendings.values()].map(({ attempt, seq }) => ({
      jobId: attempt.offer.jobId,
      attempt: attempt.offer.attempt,
      lease: attempt.offer.lease,
      state: attempt.state,
      logSeq: seq,
      haveResult: attempt.result !== undefined,
    }));
    return {
      executor: this.#needs.executor.address,
      device: this.#needs.device(),
      slots: this.#options.slots,
      jobs: list(heldJob).stringify(jobs),
      many: true,
    };
  }

  up({
    resumed,
    orphanMs,
    many,
  }: {
    readonly resumed: boolean;
    readonly orphanMs: number;
    readonly many: boolean;
  }): void {
    this.#news.up(many, resumed);
    this.#stopOrphan?.();
    this.#stopOrphan = undefined;
    this.#orphanMs = orphanMs;
    if (!resumed) for (const sending of this.#sendings.values()) sending.unsynced();
    this.#inputs.up();
    this.room();
  }

  down(): void {
    this.#inputs.down();
    this.#out.lost();
    this.#models.lost();
    if (this.#options.survive === true) return;
    this.#stopOrphan = this.#needs.clock.after(this.#orphanMs, () => {
      for (const { attempt } of this.#sendings.values())
        attempt.abandon('EXT_DISCONNECTED', 'the node was away for too long');
    });
  }

  bulk(bytes: Uint8Array): void {
    const frame = decodeBulk(bytes);
    if (frame === undefined) return;
    // Of an input, which comes, or of an output, which goes.
    const known =
      frame.transfer < OUTPUT_TRANSFERS ? this.#inputs.received(frame) : this.#out.received(frame);
    if (frame.kind === 'data' && !known)
      this.#link.sendBulk(encodeEnd(frame.transfer, 'not wanted any more'));
  }

  room(): void {
    for (const sending of this.#sendings.values()) sending.room();
  }

  superseded(): void {
    this.#needs.print('another extension has been paired with the node: this one ends');
    this.#over.resolve('superseded');
  }

  frame(frame: Frame): void {
    switch (frame.t) {
      case 'job.offer':
        return void this.#offered({ ...frame.body, start: false });
      case 'jobs.offer': {
        const offers = sentOffers.decode(frame.body.offers);
        if (!offers.ok) return this.#needs.print('the node offers what cannot be read');
        for (const offer of offers.value) void this.#offered(offer);
        return undefined;
      }
      case 'jobs.drop':
        for (const lease of frame.body.leases) this.#drop(lease);
        return undefined;
      case 'drain':
        this.#draining = frame.body.on;
        return undefined;
      case 'llm.request':
      case 'llm.body':
      case 'llm.credit':
      case 'llm.cancel':
        return this.#models.frame(frame);
      case 'artifact.stop':
        return this.#out.stop(frame.body.transfer);
      case 'job.start':
      case 'job.sync':
      case 'job.cancel':
      case 'job.drop':
      case 'log.credit':
      case 'artifact.send':
      case 'input.fail':
        return this.#about(frame);
      default:
        return undefined;
    }
  }

  // --- jobs

  #about(
    frame: Frame<
      | 'job.start'
      | 'job.sync'
      | 'job.cancel'
      | 'job.drop'
      | 'log.credit'
      | 'artifact.send'
      | 'input.fail'
    >,
  ): void {
    const { jobId, lease } = frame.body;
    const sending = this.#sendings.get(lease);
    if (sending === undefined || sending.attempt.offer.jobId !== jobId) {
      // Of an attempt that there is no more: it is told so, once, where somebody waits for something.
      if (frame.t === 'job.sync' || frame.t === 'job.start' || frame.t === 'job.cancel')
        this.#link.send('job.lost', {
          jobId,
          lease,
          code: 'NODE_LOST',
          message: 'no such attempt',
        });
      if (frame.t === 'artifact.send') {
        const { transfer } = frame.body;
        this.#link.send('artifact.fail', { transfer, code: 'gone', message: 'no such attempt' });
      }
      return;
    }
    const { attempt } = sending;
    switch (frame.t) {
      case 'job.start':
        sending.begin();
        return void attempt.start();
      case 'job.sync':
        return sending.sync(frame.body);
      case 'job.cancel':
        attempt.cancel(frame.body.reason, frame.body.graceMs);
        return undefined;
      case 'job.drop':
        return this.#drop(lease);
      case 'log.credit':
        return sending.credited(frame.body);
      case 'artifact.send':
        return void this.#sendArtifact(attempt, frame.body);
      case 'input.fail':
        return this.#inputs.failed(frame.body.transfer, frame.body.code, frame.body.message);
      default:
        return frame satisfies never;
    }
  }

  async #offered({ start, ...body }: SentOffer): Promise<void> {
    const { jobId, lease } = body;
    try {
      const text = textOfOffer(body);
      const offer = readOffer(text);
      const signed = offer.ok && (await this.#isSigned(offer.value));
      const refused = offer.ok ? this.#refusal(offer.value, signed) : offer.error;
      if (refused !== undefined || !offer.ok) return this.#news.rejected(body, refused!);
      const attempt = this.#attempt(offer.value, text);
      const sending = new Sending(attempt, { ...this.#needs, link: this.#link, news: this.#news });
      this.#sendings.set(lease, sending);
      const { inputs, kind } = offer.value.spec;
      const ownFolders = this.#needs.runners.get(kind)?.ownFolders === true;
      if (inputs.length > 0 || !ownFolders) await attempt.folder.create();
      this.#accept(offer.value, start);
      if (!start) return undefined;
      sending.begin();
      return await attempt.start();
    } catch (error) {
      this.#sendings.delete(lease);
      const message = error instanceof Error ? error.message : String(error);
      return this.#news.rejected({ jobId, lease }, { code: 'disk', message });
    }
  }

  #drop(lease: string): void {
    const sending = this.#sendings.get(lease);
    if (sending === undefined) return;
    this.#sendings.delete(lease);
    sending.attempt.remove().catch((error: unknown) => this.#needs.print(String(error)));
  }

  /** Whether there is, or may be, a receipt of this attempt: there never is a second one. */
  async #isSigned({ jobId, attempt }: Offer): Promise<boolean> {
    return (await this.#needs.receipts.of(jobId, attempt)) !== undefined;
  }

  #refusal(offer: Offer, signed: boolean): Refused | undefined {
    const again = [...this.#sendings.values()].some(
      ({ attempt: { offer: other } }) =>
        other.jobId === offer.jobId && other.attempt === offer.attempt,
    );
    if (signed || again) return { code: 'policy', message: 'this attempt has been made here' };
    if (this.#draining) return { code: 'busy', message: 'it takes no new jobs' };
    if (this.#sendings.has(offer.lease)) return { code: 'busy', message: 'a lease is used once' };
    if (this.active >= this.#options.slots) return { code: 'busy', message: 'all slots are taken' };
    const runner = this.#needs.runners.get(offer.spec.kind);
    if (runner === undefined)
      return { code: 'unsupported', message: `no ${offer.spec.kind} jobs run here` };
    return runner.refusal(offer.spec);
  }

  #accept(offer: Offer, start: boolean): void {
    const { jobId, nodeId, attempt, payTo, price, expiresAt, money } = offer;
    if (money === undefined) return this.#news.accepted(offer, undefined, start);
    const value = { jobId, nodeId, attempt, payTo, price, expiresAt: BigInt(expiresAt) };
    const { signature } = this.#needs.executor.signAcceptance(domainOf(money), value);
    const acceptance = signedAcceptance.stringify({ value, signature });
    return this.#news.accepted(offer, acceptance, start);
  }

  #attempt(
    offer: Offer,
    offerText: string,
    folder = new JobFolder(this.#options.jobs, offer.lease),
  ): Attempt {
    const { jobId, lease } = offer;
    const sending = (): Sending | undefined => this.#sendings.get(lease);
    return new Attempt(
      offer,
      folder,
      {
        offerText,
        executor: this.#needs.executor,
        receipts: this.#needs.receipts,
        runner: this.#needs.runners.get(offer.spec.kind)!,
        fetch: (wanted, signal) => this.#inputs.get(offer, wanted, signal),
        wallMs: this.#needs.wallMs,
      },
      {
        state: (state, detail) => this.#news.state({ jobId, lease }, state, detail),
        progress: (ppm, note) => sending()?.progress(ppm, note),
        logGrown: () => void sending()?.log(),
        finished: () => sending()?.result(),
        lost: (code, message) => this.#news.lost({ jobId, lease }, code, message),
      },
    );
  }

  /** An attempt that an earlier run of this program left: finished it is kept, else it is lost with that run. */
  async #takeUp(folder: JobFolder, read: () => Promise<string | undefined>): Promise<void> {
    try {
      const receipt = await read();
      if (receipt === undefined) return await folder.remove();
      const {
        offer: text = '',
        end,
        outputs,
        log,
      } = JSON.parse(receipt) as Partial<Pick<KeptReceipt, 'offer'>> & Omit<KeptReceipt, 'offer'>;
      const offer = readOffer(text);
      if (!offer.ok || !this.#needs.runners.has(offer.value.spec.kind)) {
        this.#needs.receipts.drop(folder.lease);
        return await folder.remove();
      }
      const files = list(outputFile).decode(outputs);
      if (!files.ok) throw new Error('its outputs cannot be read');
      const attempt = this.#attempt(offer.value, text, folder);
      await attempt.restore({ end, outputs: files.value }, log);
      this.#sendings.set(
        folder.lease,
        new Sending(attempt, { ...this.#needs, link: this.#link, news: this.#news }),
      );
    } catch (error) {
      this.#needs.print(`${folder.path} is left alone: ${String(error)}`);
    }
    return undefined;
  }

  // --- files

  async #sendArtifact(
    { result, folder }: Attempt,
    { sha256, transfer }: Body<'artifact.send'>,
  ): Promise<void> {
    if (result?.outputs.some((file) => file.sha256 === sha256) !== true)
      return this.#link.send('artifact.fail', {
        transfer,
        code: 'gone',
        message: 'no such output',
      });
    return this.#out.start(transfer, folder.artifact(sha256));
  }
}
