/**
 * Where markets and the extension meet: turns calls into frames and frames into events (compute-market.md §3.5, §10.4). A lease is on disk
 * before anybody acts on it. Whatever is named in a frame is looked up by its lease, so that what belongs to an older attempt changes
 * nothing.
 */
import { heldJob } from '../../../contracts/compute-result.ts';
import { list } from '../../../wit/codec.ts';
import { LOG_WINDOW_BYTES } from '../../../wit/hn-ext/limits.ts';
import type { Body, Frame } from '../../../wit/hn-ext/schema.ts';
import { deviceInfo } from '../../../wit/jobs/device.ts';
import { decodeRecords } from '../../../wit/jobs/log-records.ts';
import { outputFile, type OutputFile } from '../../../wit/jobs/result.ts';
import { type JobNews, readNews } from '../../../wit/hn-ext/job-news.ts';
import type { Process } from '../../lib/process.ts';
import type { Signer } from '../../lib/signer.ts';
import type { Files } from './files.ts';
import type { Lease } from './lease.ts';
import type { Leases } from './leases.ts';
import { LettingGo } from './letting-go.ts';
import { accepted, type Machine, type Offers } from './offers.ts';
import type { Paired } from './pairing.ts';
import { checkResult, parsed } from './results.ts';
import type { Session } from './session.ts';
import { Telling } from './telling.ts';

export interface DeskNeeds {
  readonly process: Process<unknown>;
  readonly nodeId: string;
  readonly leases: Leases;
  readonly offers: Offers;
  readonly signer: Signer;
  readonly files: Files;
  readonly session: Session;
  readonly nowMs: () => number;
  readonly orphanMs: number;
}

/** How long an accepted job may wait for its start, after its offer has expired. */
const START_MS_MAX = 600_000;
/** Attempts that have not started are given up when the extension is away this long (compute-market.md §3.5). */
const UNSTARTED_MS_MAX = 60_000;
/** Ended attempts that nobody drops. */
const KEPT_MS_MAX = 7 * 86_400_000;
const FILES_MAX = 20_000;
/** Log that a market has taken is told to the extension when it is so much; the window is many times that. */
const CREDIT_BYTES = LOG_WINDOW_BYTES / 32;

const outputFiles = list(outputFile);

export class Desk {
  readonly #needs: DeskNeeds;
  readonly #leases: Leases;
  readonly #offers: Offers;
  readonly #telling: Telling;
  readonly #lettingGo: LettingGo;
  #machine: Machine | undefined;

  constructor(needs: DeskNeeds) {
    this.#needs = needs;
    this.#leases = needs.leases;
    this.#offers = needs.offers;
    this.#lettingGo = new LettingGo(needs.session);
    this.#telling = new Telling({
      process: needs.process,
      nowMs: needs.nowMs,
      known: (lease) => this.#leases.has(lease),
      // More may come at once; forgotten is only what a killed process would not ask for again.
      logTaken: (lease, bytes) => {
        lease.taken += bytes;
        if (lease.taken < CREDIT_BYTES || !lease.active) return;
        needs.session.send('log.credit', { ...lease.id, seq: lease.keptSeq, bytes: lease.taken });
        lease.taken = 0;
      },
      told: (lease, over) => {
        lease.told = true;
        // Who is killed before it is on disk tells it again, which changes nothing.
        lease.unkept = true;
        if (over) this.#drop(lease);
        // There is nothing to be fetched of it.
        else if (lease.lost !== undefined) this.#lettingGo.add(lease);
      },
      disbelieved: (lease, why) => {
        this.#refuse(lease, why);
        lease.result = undefined;
        lease.state = 'collecting';
      },
      unwanted: (lease) => this.#drop(lease),
    });
  }

  /** Goes on with what was on disk. */
  open(): void {
    for (const lease of this.#leases.all) {
      const state = STATES.get(lease.state);
      // Whether the market heard of it nobody knows.
      if (state !== undefined) lease.states.push({ state });
      this.#telling.wake(lease);
    }
  }

  /** The paired machine; undefined while none is there. */
  get machine(): Machine | undefined {
    return this.#needs.session.up ? this.#machine : undefined;
  }

  // --- what markets ask

  async start(lease: Lease): Promise<void> {
    if (lease.state !== 'accepted') return;
    lease.state = 'starting';
    await this.#keep(lease);
    this.#needs.session.send('job.start', lease.id);
  }

  async cancel(lease: Lease, reason: string, graceMs: number): Promise<void> {
    if (!lease.active) return;
    // Nothing was begun: the same attempt may be offered again, as when the time of its acceptance was over before the chain had it.
    if (lease.state === 'accepted') return this.drop(lease);
    if (this.#needs.session.up)
      return this.#needs.session.send('job.cancel', { ...lease.id, reason, graceMs });
    // Nobody is there to end it; when it comes back it is told that it has no lease.
    return this.#lose(lease, 'CANCELLED', reason);
  }

  async drop(lease: Lease): Promise<void> {
    if (lease.active) {
      const { session } = this.#needs;
      session.send('job.cancel', { ...lease.id, reason: 'dropped', graceMs: 0 });
      // At once: the attempt may come again with the next frame.
      session.send('job.drop', lease.id);
    } else this.#lettingGo.add(lease);
    await this.#leases.remove(lease);
    await this.#needs.files.drop(lease);
  }

  #drop(lease: Lease): void {
    this.drop(lease).catch((error: unknown) => this.#needs.process.print(String(error)));
  }

  // --- the extension

  /** A proven extension has a channel. */
  async paired(paired: Paired): Promise<void> {
    const { auth, channel } = paired;
    const device = deviceInfo.decode(auth.device);
    const held = list(heldJob).decode(auth.jobs);
    if (!device.ok || !held.ok || !/^0x[0-9a-fA-F]{40}$/.test(auth.executor)) {
      this.#needs.process.print('the extension says what cannot be read; is it of this version?');
      return channel.close();
    }
    this.#machine = { executor: auth.executor, device: device.value, slots: auth.slots };
    const resumed = this.#needs.session.welcome(paired, this.#needs.orphanMs);
    const theirs = new Map(held.value.map((job) => [job.lease, job]));
    for (const job of theirs.values()) {
      const { jobId, lease } = job;
      if (this.#leases.get(lease) !== undefined || this.#offers.isPending(lease)) continue;
      this.#needs.session.send('job.cancel', { jobId, lease, reason: 'stale lease', graceMs: 0 });
      this.#needs.session.send('job.drop', { jobId, lease });
    }
    for (const lease of this.#leases.all) {
      if (theirs.has(lease.lease)) this.#catchUp(lease, resumed);
      else if (lease.active)
        await this.#lose(lease, 'EXT_DISCONNECTED', 'the extension was restarted');
    }
    this.#needs.files.up(this.#leases.all);
  }

  /** The channel is gone. */
  down(): void {
    this.#offers.down();
  }

  frame(frame: Frame): void {
    switch (frame.t) {
      case 'device': {
        const device = deviceInfo.decode(frame.body.device);
        if (device.ok && this.#machine !== undefined)
          this.#machine = { ...this.#machine, device: device.value };
        return;
      }
      case 'job.accept':
        return this.#offers.answered(frame.body, accepted(frame.body));
      case 'job.reject':
        return this.#offers.answered(frame.body, { kind: 'reject', ...frame.body });
      case 'jobs.news':
        return this.#news(frame.body);
      case 'job.state':
      case 'job.lost':
      case 'job.progress':
      case 'log.chunk':
      case 'job.files':
      case 'job.result':
      case 'input.get':
        return this.#about(frame);
      default:
        return;
    }
  }

  /** Every few seconds: what has waited for too long. */
  async tick(): Promise<void> {
    const { session, nowMs, orphanMs } = this.#needs;
    const now = nowMs();
    this.#lettingGo.flush();
    await this.#leases.flush();
    for (const lease of this.#leases.all) {
      const started = lease.state === 'started' || lease.state === 'collecting';
      if (lease.active && session.downMs > (started ? orphanMs : UNSTARTED_MS_MAX))
        await this.#lose(lease, 'EXT_DISCONNECTED', 'the extension is away');
      else if (
        lease.state === 'accepted' &&
        now > Number(lease.offer.expiresAt) * 1000 + START_MS_MAX
      ) {
        session.send('job.cancel', { ...lease.id, reason: 'it was never started', graceMs: 0 });
        await this.#lose(lease, 'START_TIMEOUT', 'it was never started');
      } else if (!lease.active && now - lease.changedMs > KEPT_MS_MAX) await this.drop(lease);
      else {
        if (lease.unkept || lease.keptSeq < lease.logSeq) await this.#keep(lease);
        this.#telling.wake(lease);
      }
    }
  }

  // --- frames about attempts

  #about(
    frame: Frame<
      | 'job.state'
      | 'job.lost'
      | 'job.progress'
      | 'log.chunk'
      | 'job.files'
      | 'job.result'
      | 'input.get'
    >,
  ): void {
    const lease = this.#named(frame.body, frame.t !== 'job.lost');
    // It ended: nothing that comes late changes that.
    if (lease === undefined || (!lease.active && frame.t !== 'log.chunk')) return;
    switch (frame.t) {
      case 'job.state':
        return this.#state(lease, frame.body.state);
      case 'job.lost':
        return void this.#lose(lease, frame.body.code, frame.body.message);
      case 'job.progress':
        lease.progress = { ppm: frame.body.ppm, note: frame.body.note?.slice(0, 200) };
        return this.#telling.wake(lease);
      case 'log.chunk':
        return this.#log(lease, frame.body);
      case 'job.files':
        return this.#files(lease, frame.body);
      case 'job.result': {
        const outputs = lease.files;
        lease.files = [];
        const { result, files } = frame.body;
        const whole = files === outputs.length ? outputs : undefined;
        return void this.#result(lease, parsed(result), whole);
      }
      case 'input.get':
        return void this.#needs.files.input(lease, frame.body);
      default:
        return frame satisfies never;
    }
  }

  /** The lease that a frame names. The sender of one that is not there is told to let go of it. @param runs  it may still run there */
  #named(
    { jobId, lease: name }: { readonly jobId: string; readonly lease: string },
    runs: boolean,
  ): Lease | undefined {
    const lease = this.#leases.get(name);
    if (lease?.offer.jobId === jobId) return lease;
    const { session } = this.#needs;
    const reason = 'stale lease';
    if (runs) session.send('job.cancel', { jobId, lease: name, reason, graceMs: 0 });
    session.send('job.drop', { jobId, lease: name });
    return undefined;
  }

  #news({ news, logs }: Body<'jobs.news'>): void {
    const read = readNews(news, logs);
    if (read === undefined) return this.#needs.process.print('the extension sent no list of news');
    let at = 0;
    for (const one of read) {
      const records = logs.subarray(at, at + (one.log?.bytes ?? 0));
      at += records.length;
      this.#newsOf(one, records);
    }
  }

  #newsOf(one: JobNews, records: Uint8Array): void {
    const { accepted: yes, rejected, state, log, result, lost } = one;
    if (yes !== undefined) this.#offers.answered(one, accepted(yes));
    if (rejected !== undefined) this.#offers.answered(one, { kind: 'reject', ...rejected });
    if (state === undefined && log === undefined && result === undefined && lost === undefined)
      return;
    const lease = this.#named(one, lost === undefined);
    if (lease === undefined) return;
    if (state !== undefined && lease.active) this.#state(lease, state);
    // A view of the frame would keep all of it.
    if (log !== undefined) this.#log(lease, { seq: log.seq, records: records.slice() });
    if (!lease.active) return;
    if (lost !== undefined) void this.#lose(lease, lost.code, lost.message);
    if (result === undefined) return;
    const outputs = outputFiles.decode(JSON.stringify(result.outputs));
    void this.#result(lease, result.end, outputs.ok ? outputs.value : undefined);
  }

  #state(lease: Lease, state: string): void {
    const name = STATES.get(state);
    if (name === undefined || lease.state === state || lease.state === 'accepted') return;
    // Proof of the type: a state of the map.
    lease.state = state as 'preparing' | 'started' | 'collecting';
    lease.states.push({ state: name });
    // Not on disk at once: a process that is killed before hears it again.
    lease.unkept = true;
    // The others say nothing that a market acts on: they are told with what comes next, or by the clock.
    if (name === 'Started') this.#telling.wake(lease);
  }

  #log(
    lease: Lease,
    { seq, records }: { readonly seq: number; readonly records: Uint8Array },
  ): void {
    if (seq < lease.receivedSeq) return;
    const decoded = decodeRecords(records);
    const whole = decoded !== undefined && decoded.rest === records.length;
    const count = decoded?.records.length ?? 0;
    const inOrder = decoded?.records.every((record, at) => record.seq === seq + at) === true;
    const next = seq === lease.receivedSeq;
    // Told once where to go on: what was under way then is not what is wanted.
    if (lease.rewinding && !next) return undefined;
    if (!whole || count === 0 || !inOrder || !next || lease.overruns(records.length)) {
      this.#catchUp(lease, false);
      lease.rewinding = true;
      return undefined;
    }
    lease.rewinding = false;
    lease.receivedSeq = seq + count;
    lease.logs.push({ seq, next: lease.receivedSeq, records });
    return this.#telling.wake(lease);
  }

  #files(lease: Lease, { from, files }: Body<'job.files'>): void {
    const decoded = outputFiles.decode(files);
    if (!decoded.ok) return;
    if (from === 0) lease.files = [];
    if (from !== lease.files.length || from + decoded.value.length > FILES_MAX) return;
    lease.files.push(...decoded.value);
  }

  /** @param outputs  undefined: not all of them came */
  async #result(
    lease: Lease,
    value: unknown,
    outputs: readonly OutputFile[] | undefined,
  ): Promise<void> {
    if (outputs === undefined) return this.#refuse(lease, 'some of its outputs are missing');
    const checked = await checkResult({ value, outputs }, lease, this.#needs);
    if ('problem' in checked) return this.#refuse(lease, checked.problem);
    if (!lease.active || !this.#leases.has(lease)) return undefined;
    lease.result = checked;
    lease.state = 'finished';
    lease.unkept = true;
    // The extension says it again to a process that was killed; what it left is here, and it may be away by then.
    if (outputs.length > 0) await this.#keep(lease);
    this.#telling.wake(lease);
    this.#needs.files.pull(lease, outputs);
    return undefined;
  }

  #refuse(lease: Lease, why: string): void {
    this.#needs.process.print(`a result of job ${lease.offer.jobId} is refused: ${why}`);
  }

  /** What the extension and we know differs, or may: it is told what we have. */
  #catchUp(lease: Lease, resumed: boolean): void {
    if (resumed) return;
    lease.rewind();
    const { session } = this.#needs;
    if (lease.state === 'starting') session.send('job.start', lease.id);
    session.send('job.sync', {
      ...lease.id,
      logSeq: lease.logSeq,
      result: lease.result !== undefined,
    });
  }

  async #lose(lease: Lease, code: string, message: string): Promise<void> {
    if (!lease.active) return;
    lease.state = 'lost';
    lease.lost = { code, message: message.slice(0, 500) };
    await this.#keep(lease);
    this.#telling.wake(lease);
  }

  #keep(lease: Lease): Promise<void> {
    return this.#leases.keep(lease);
  }
}

const STATES = new Map([
  ['preparing', 'Preparing'],
  ['started', 'Started'],
  ['collecting', 'Collecting'],
] as const) as ReadonlyMap<string, 'Preparing' | 'Started' | 'Collecting'>;
