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
import { outputFile } from '../../../wit/jobs/result.ts';
import type { Process } from '../../lib/process.ts';
import type { Signer } from '../../lib/signer.ts';
import { runResult } from '../shared/job-events-contract.ts';
import type { Files } from './files.ts';
import type { Lease } from './lease.ts';
import type { Leases } from './leases.ts';
import type { Machine, Offers } from './offers.ts';
import type { Paired } from './pairing.ts';
import { checkResult } from './results.ts';
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

export class Desk {
  readonly #needs: DeskNeeds;
  readonly #leases: Leases;
  readonly #offers: Offers;
  readonly #telling: Telling;
  #machine: Machine | undefined;

  constructor(needs: DeskNeeds) {
    this.#needs = needs;
    this.#leases = needs.leases;
    this.#offers = needs.offers;
    this.#telling = new Telling({
      process: needs.process,
      known: (lease) => this.#leases.has(lease),
      // More may come at once; forgotten is only what a killed process would not ask for again.
      logTaken: (lease, bytes) => {
        lease.taken += bytes;
        if (lease.taken < CREDIT_BYTES || !lease.active) return;
        needs.session.send('log.credit', { ...lease.id, seq: lease.keptSeq, bytes: lease.taken });
        lease.taken = 0;
      },
      told: (lease) => {
        lease.told = true;
        // Who is killed before it is on disk tells it again, which changes nothing.
        lease.unkept = true;
        // There is nothing to be fetched of it.
        if (lease.lost !== undefined) needs.session.send('job.drop', lease.id);
      },
      unwanted: (lease) => this.#unwanted(lease),
    });
  }

  /** Goes on with what was on disk. */
  open(): void {
    for (const lease of this.#leases.all) {
      const state = STATES.get(lease.state);
      // Whether the market heard of it nobody knows.
      if (state !== undefined) lease.states.push({ state, detail: undefined });
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
    if (this.#needs.session.up)
      return this.#needs.session.send('job.cancel', { ...lease.id, reason, graceMs });
    // Nobody is there to end it; when it comes back it is told that it has no lease.
    return this.#lose(lease, 'CANCELLED', reason);
  }

  async drop(lease: Lease): Promise<void> {
    await this.#leases.remove(lease);
    if (lease.active)
      this.#needs.session.send('job.cancel', { ...lease.id, reason: 'dropped', graceMs: 0 });
    this.#needs.session.send('job.drop', lease.id);
    await this.#needs.files.drop(lease);
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
      case 'job.reject':
        return this.#offers.answered(frame);
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
    for (const lease of this.#leases.all) {
      const started = lease.state === 'started' || lease.state === 'collecting';
      if (lease.active && session.downMs > (started ? orphanMs : UNSTARTED_MS_MAX))
        await this.#lose(lease, 'EXT_DISCONNECTED', 'the extension is away');
      else if (
        lease.state === 'accepted' &&
        now > Number(lease.offer.expiresAt) * 1000 + START_MS_MAX
      ) {
        await this.cancel(lease, 'it was never started', 0);
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
    const { jobId, lease: name } = frame.body;
    const lease = this.#leases.get(name);
    if (lease === undefined || lease.offer.jobId !== jobId) {
      if (frame.t !== 'job.lost')
        this.#needs.session.send('job.cancel', {
          jobId,
          lease: name,
          reason: 'stale lease',
          graceMs: 0,
        });
      this.#needs.session.send('job.drop', { jobId, lease: name });
      return;
    }
    // It ended: nothing that comes late changes that.
    if (!lease.active && frame.t !== 'log.chunk') return;
    switch (frame.t) {
      case 'job.state':
        return this.#state(lease, frame.body);
      case 'job.lost':
        return void this.#lose(lease, frame.body.code, frame.body.message);
      case 'job.progress':
        lease.progress = { ppm: frame.body.ppm, note: frame.body.note?.slice(0, 200) };
        return this.#telling.wake(lease);
      case 'log.chunk':
        return this.#log(lease, frame.body);
      case 'job.files':
        return this.#files(lease, frame.body);
      case 'job.result':
        return void this.#result(lease, frame.body);
      case 'input.get':
        return void this.#needs.files.input(lease, frame.body);
      default:
        return frame satisfies never;
    }
  }

  #state(lease: Lease, { state, detail }: Body<'job.state'>): void {
    const name = STATES.get(state);
    if (name === undefined || lease.state === state || lease.state === 'accepted') return;
    // Proof of the type: a state of the map.
    lease.state = state as 'preparing' | 'started' | 'collecting';
    lease.states.push({ state: name, detail: detail?.slice(0, 200) });
    // Not on disk at once: a process that is killed before hears it again.
    lease.unkept = true;
    // The others say nothing that a market acts on: they are told with what comes next, or by the clock.
    if (name === 'Started') this.#telling.wake(lease);
  }

  #log(lease: Lease, { seq, records }: Body<'log.chunk'>): void {
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
    const decoded = list(outputFile).decode(files);
    if (!decoded.ok) return;
    if (from === 0) lease.files = [];
    if (from !== lease.files.length || from + decoded.value.length > FILES_MAX) return;
    lease.files.push(...decoded.value);
  }

  async #result(lease: Lease, { result, files }: Body<'job.result'>): Promise<void> {
    const outputs = lease.files;
    lease.files = [];
    const { nodeId, signer, process } = this.#needs;
    const checked = await checkResult(result, lease, { nodeId, signer });
    if (!lease.active) return;
    if ('problem' in checked || outputs.length !== files) {
      const problem = 'problem' in checked ? checked.problem : 'some of its outputs are missing';
      process.print(`a result of job ${lease.offer.jobId} is refused: ${problem}`);
      return;
    }
    lease.result = runResult.stringify({ ...checked.value, outputs });
    lease.state = 'finished';
    await this.#keep(lease);
    this.#telling.wake(lease);
    this.#needs.files.pull(lease, outputs);
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

  async #unwanted(lease: Lease): Promise<void> {
    if (this.#leases.has(lease)) await this.drop(lease);
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
