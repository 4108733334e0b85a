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
import { Attempt } from './attempt.ts';
import { ModelCalls } from './backends/model-calls.ts';
import type { Backend } from './backends/backend.ts';
import { domainOf, type Executor } from './executor.ts';
import { JobFolder, leasesIn } from './job-folder.ts';
import { Modules } from './modules.ts';
import { type Offer, readOffer, type Refused, textOfOffer } from './offer.ts';
import type { Runner } from './runners/runner.ts';
import { Sending } from './sending.ts';
import type { SignedReceipts } from './signed-receipts.ts';
import { TransfersIn, type Wanted, TransferFailed } from './transfers-in.ts';
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

const FETCH_TRIES_MAX = 20;

export class Provider implements LinkUser {
  readonly #options: ProviderOptions;
  readonly #needs: ProviderNeeds;
  readonly #link: Link;
  readonly #sendings = new Map<string, Sending>();
  readonly #in: TransfersIn;
  readonly #out: TransfersOut;
  readonly #models: ModelCalls;
  readonly #modules = new Modules();
  readonly #over = Promise.withResolvers<'superseded' | 'closed'>();
  #draining = false;
  #stopOrphan: (() => void) | undefined;
  #orphanMs = 300_000;
  #up = Promise.withResolvers<void>();

  constructor(options: ProviderOptions, needs: ProviderNeeds) {
    this.#options = options;
    this.#needs = needs;
    this.#link = new Link(options, needs, this);
    this.#in = new TransfersIn((bulk) => this.#link.sendBulk(bulk));
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
    for (const lease of await leasesIn(this.#options.jobs)) await this.#takeUp(lease);
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

  describe(): Pick<Body<'auth'>, 'executor' | 'device' | 'slots' | 'jobs'> {
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
    };
  }

  up({ resumed, orphanMs }: { resumed: boolean; orphanMs: number }): void {
    this.#stopOrphan?.();
    this.#stopOrphan = undefined;
    this.#orphanMs = orphanMs;
    if (!resumed) for (const sending of this.#sendings.values()) sending.unsynced();
    this.#up.resolve();
    this.room();
  }

  down(): void {
    this.#in.lost();
    this.#out.lost();
    this.#models.lost();
    this.#up = Promise.withResolvers();
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
      frame.transfer < OUTPUT_TRANSFERS ? this.#in.received(frame) : this.#out.received(frame);
    if (frame.kind === 'data' && !known)
      this.#link.sendBulk(encodeEnd(frame.transfer, 'not wanted any more'));
  }

  room(): void {
    for (const sending of this.#sendings.values()) void sending.log();
  }

  superseded(): void {
    this.#needs.print('another extension has been paired with the node: this one ends');
    this.#over.resolve('superseded');
  }

  frame(frame: Frame): void {
    switch (frame.t) {
      case 'job.offer':
        return void this.#offered(frame.body);
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
        this.#sendings.delete(lease);
        return void attempt.remove().catch((error: unknown) => this.#needs.print(String(error)));
      case 'log.credit':
        return sending.credited(frame.body);
      case 'artifact.send':
        return void this.#sendArtifact(attempt, frame.body);
      case 'input.fail':
        return this.#in.failed(frame.body.transfer, frame.body.code, frame.body.message);
      default:
        return frame satisfies never;
    }
  }

  async #offered(body: Body<'job.offer'>): Promise<void> {
    const { jobId, lease } = body;
    try {
      const text = textOfOffer(body);
      const offer = readOffer(text);
      const signed = offer.ok && (await this.#isSigned(offer.value));
      const refused = offer.ok ? this.#refusal(offer.value, signed) : offer.error;
      if (refused !== undefined || !offer.ok)
        return this.#link.send('job.reject', { jobId, lease, ...refused! });
      const attempt = this.#attempt(offer.value);
      this.#sendings.set(lease, new Sending(attempt, this.#link, this.#needs));
      await attempt.folder.create(text);
      return this.#accept(offer.value);
    } catch (error) {
      this.#sendings.delete(lease);
      const message = error instanceof Error ? error.message : String(error);
      return this.#link.send('job.reject', { jobId, lease, code: 'disk', message });
    }
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

  #accept({ jobId, lease, nodeId, attempt, payTo, price, expiresAt, money }: Offer): void {
    if (money === undefined) return this.#link.send('job.accept', { jobId, lease });
    const value = { jobId, nodeId, attempt, payTo, price, expiresAt: BigInt(expiresAt) };
    const { signature } = this.#needs.executor.signAcceptance(domainOf(money), value);
    const acceptance = signedAcceptance.stringify({ value, signature });
    return this.#link.send('job.accept', { jobId, lease, acceptance });
  }

  #attempt(offer: Offer): Attempt {
    const { jobId, lease } = offer;
    const sending = (): Sending | undefined => this.#sendings.get(lease);
    return new Attempt(
      offer,
      new JobFolder(this.#options.jobs, lease),
      {
        executor: this.#needs.executor,
        receipts: this.#needs.receipts,
        runner: this.#needs.runners.get(offer.spec.kind)!,
        fetch: (wanted, signal) =>
          wanted.sha256 === offer.spec.module?.sha256
            ? this.#modules.get(wanted, () => this.#fetch(offer, wanted, signal))
            : this.#fetch(offer, wanted, signal),
        wallMs: this.#needs.wallMs,
      },
      {
        state: (state, detail) =>
          this.#link.send('job.state', {
            jobId,
            lease,
            state,
            ...(detail === undefined ? {} : { detail }),
          }),
        progress: (ppm, note) => sending()?.progress(ppm, note),
        logGrown: () => void sending()?.log(),
        finished: () => sending()?.result(),
        lost: (code, message) => this.#link.send('job.lost', { jobId, lease, code, message }),
      },
    );
  }

  /** An attempt that an earlier run of this program left: finished it is kept, else it is lost with that run. */
  async #takeUp(lease: string): Promise<void> {
    const folder = new JobFolder(this.#options.jobs, lease);
    try {
      const receipt = await folder.receipt();
      const offer = readOffer((await folder.offer()) ?? '');
      if (receipt === undefined || !offer.ok || !this.#needs.runners.has(offer.value.spec.kind))
        return await folder.remove();
      const { end, outputs } = JSON.parse(receipt) as { end: string; outputs: string };
      const files = list(outputFile).decode(outputs);
      if (!files.ok) throw new Error('its outputs cannot be read');
      const attempt = this.#attempt(offer.value);
      await attempt.restore({ end, outputs: files.value });
      this.#sendings.set(lease, new Sending(attempt, this.#link, this.#needs));
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

  /** Asked for again after a lost channel: the node sends it anew. */
  async #fetch({ jobId, lease }: Offer, wanted: Wanted, signal: AbortSignal): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      try {
        const { sha256, size } = wanted;
        return await this.#in.get(
          wanted,
          (transfer) => this.#link.send('input.get', { jobId, lease, sha256, size, transfer }),
          signal,
        );
      } catch (error) {
        const lost = error instanceof TransferFailed && error.code === 'LOST';
        if (!lost || tries >= FETCH_TRIES_MAX) throw error;
        const ended = Promise.withResolvers<void>();
        signal.addEventListener('abort', () => ended.resolve(), { once: true });
        await Promise.race([this.#up.promise, ended.promise]);
      }
    }
  }
}
