/**
 * From the queue to a provider and back (compute-market.md §3.5, §3.8, §4.6): offers, leases, and what is done when nobody answers.
 * Everything that is asked of a provider is on disk before, and may be asked again: after a crash the same offer goes to the same
 * node, and the same lease is started again.
 */
import { NoResponse, type Process, RemoteError, sleep } from '../../lib/index.ts';
import type { FaultCode } from '../../../wit/jobs/result.ts';
import type { JobSpec } from '../../../wit/jobs/spec.ts';
import type { OfferAnswer } from '../shared/gpu-contract.ts';
import type { Endings } from './endings.ts';
import type { Change, Jobs } from './jobs.ts';
import { type Candidate, ineligible, ranked, suitableGpus, unsuited, useBps } from './matching.ts';
import { priceOfSpec } from './pricing.ts';
import type { Providers } from './providers.ts';
import { assignedChange, offerChange, offerOf } from './offer-changes.ts';
import { OfferLines } from './offer-lines.ts';
import type { JobRecord } from './record.ts';
import type { Settlement } from './settlement.ts';
import { specOf } from './specs.ts';

/** Jobs looked at when a slot is free: one that nobody can run must not keep the others, nor the market, from going on. */
const LOOKED_AT_MAX = 200;
const NOBODY_MAX = 1_000;
/** Providers of which it is told why they cannot have a job. */
const WHYS_MAX = 20;
/** A node that says it is full is asked again after so long, in milliseconds. */
const BUSY_MS = 100;

export interface DispatchNeeds {
  readonly process: Process<unknown>;
  readonly jobs: Jobs;
  readonly providers: Providers;
  readonly endings: Endings;
  readonly settlement: Settlement;
  /** Operators that have another run of the job. */
  readonly takenFor: (job: Pick<JobRecord, 'owner' | 'replica'>) => ReadonlySet<string>;
  readonly now: () => number;
}

export class Dispatch {
  readonly #needs: DispatchNeeds;
  /** Jobs with a message to a provider under way. */
  readonly #busy = new Set<string>();
  readonly #lines: OfferLines;
  /** Leases of offered jobs that were told of before the offer was answered. */
  readonly #early = new Map<string, string>();
  #again = false;
  #soon = false;
  /** Specs that no provider can run, with the providers' revision then: jobs that wait for a machine cost nothing meanwhile. */
  readonly #nobody = new Map<string, number>();

  constructor(needs: DispatchNeeds) {
    this.#needs = needs;
    const { providers, settlement, now } = needs;
    this.#lines = new OfferLines({
      gpu: (node) => providers.gpu(node),
      now,
      aheadS: () => settlement.aheadS,
    });
  }

  /** What a new job gets at once if a slot is free and nobody waits before it: an offer in the same transaction. */
  atOnce(job: JobRecord | Omit<JobRecord, 'seq' | 'state'>, spec: JobSpec): Change | undefined {
    if (this.#needs.jobs.queue.size > 0) return undefined;
    const chosen = this.#choose(job, spec, new Map());
    return chosen && offerChange(chosen, this.#needs.now());
  }

  /** A slot is free: matches as `kick` does, once for all that are freed at the same time. */
  kickSoon(): void {
    if (this.#soon) return;
    this.#soon = true;
    void Promise.resolve().then(() => {
      this.#soon = false;
      this.kick();
    });
  }

  /** Matches what waits with what is free. */
  kick(): void {
    const { jobs, providers, now } = this.#needs;
    if (jobs.queue.size === 0) return;
    const free = providers.all().reduce((sum, provider) => sum + providers.freeOf(provider), 0);
    const picks: { readonly job: JobRecord; readonly chosen: Candidate }[] = [];
    const taken = new Map<string, number>();
    const groups = new Set<string>();
    let looked = 0;
    for (const job of jobs.queue.ready(now())) {
      looked += 1;
      if (picks.length >= free || looked > LOOKED_AT_MAX) break;
      if (this.#nobody.get(job.specHash) === providers.revision) continue;
      // Who has one run of a job is known before the next is given away.
      const group = job.replica && `${job.owner} ${job.replica.group}`;
      if (group !== undefined && groups.has(group)) {
        this.kickSoon();
        continue;
      }
      const chosen = this.#choose(job, specOf(job), taken);
      if (chosen === undefined) continue;
      taken.set(chosen.node, (taken.get(chosen.node) ?? 0) + 1);
      if (group !== undefined) groups.add(group);
      picks.push({ job, chosen });
    }
    for (const { job, chosen } of picks) {
      void this.#guard(job.jobId, async () => {
        const offered = await jobs.change(job.jobId, offerChange(chosen, now()));
        if (offered !== undefined) await this.#offer(offered);
      });
    }
  }

  /** Goes on with a job that has a node: makes its offer, or starts it. Fine to call at any time. */
  resume(job: JobRecord): void {
    if (job.node === undefined) return;
    if (job.state === 'escrowed') void this.#guard(job.jobId, () => this.#offer(job));
    else if (job.state === 'assigned' && job.substate !== 'assigning') this.start(job);
    else if (job.state === 'assigned') void this.#guard(job.jobId, () => this.#assign(job));
    // It is told by an answer that the lease is gone; a run that goes on is not disturbed.
    else if (job.state === 'running') this.start(job);
  }

  /** The node may begin. */
  start(job: JobRecord): void {
    void this.#guard(`start ${job.jobId}`, async () => {
      const { jobId, node } = job;
      if (node?.lease === undefined) return;
      try {
        await this.#needs.providers.gpu(node.name).Start({ jobId, lease: node.lease });
        this.#needs.providers.seen(node.name);
      } catch (error) {
        // Asked again by `sweep`, until the time to start is over.
        if (error instanceof NoResponse) return;
        const message = error instanceof Error ? error.message : String(error);
        await this.#lost(
          jobId,
          node.lease,
          'NODE_LOST',
          `${node.name} does not start it: ${message}`,
        );
      }
    });
  }

  /**
   * Providers as candidates for a spec, whether they may have it or not.
   * @param amount  what the client has locked; 0: nothing, the job is free; undefined: what it would cost is asked
   */
  candidates(spec: JobSpec, amount: bigint | undefined): readonly Candidate[] {
    const { providers } = this.#needs;
    const free = providers.candidates(() => 0n);
    if (amount === 0n) return free;
    return providers.candidates((provider) => {
      const { state, reputation } = provider;
      const gpu = suitableGpus(state?.device?.gpus ?? [], spec)[0];
      const at = (use: bigint, points: number): bigint =>
        priceOfSpec(spec, {
          gpu: gpu && { class: gpu.class, memMiB: Number(gpu.memMiB) },
          own: new Map(state?.prices.map(({ class: name, price }) => [name, price]) ?? []),
          useBps: use,
          reputation: points,
        });
      const now = at(useBps(free, gpu?.class ?? 'cpu'), reputation);
      if (amount === undefined || now <= amount) return now;
      // The terms have fixed the price: what demand and reputation have added since then is nothing to the client.
      return at(0n, 0) <= amount ? amount : now;
    });
  }

  /** Why each provider that is known cannot have a job that is in the queue; undefined: one can, or it does not wait for any. */
  whyWaiting(
    job: JobRecord,
  ): readonly { readonly node: string; readonly why: string }[] | undefined {
    if (job.state !== 'escrowed' || job.node !== undefined) return undefined;
    const spec = specOf(job);
    const amount = BigInt(job.payment.amount);
    const wanted = { spec, amount, excluded: job.excluded ?? [], now: this.#needs.now() };
    const { takenFor, providers } = this.#needs;
    const others = takenFor(job);
    const whys = this.candidates(spec, amount).map((candidate) => ({
      node: candidate.node,
      why: others.has(providers.operatorOf(candidate.node))
        ? 'its operator has another run of the job'
        : ineligible(candidate, wanted),
    }));
    // One that can have it is about to get it.
    if (whys.some(({ why }) => why === undefined)) return undefined;
    return whys
      .flatMap(({ node, why }) => (why === undefined ? [] : [{ node, why }]))
      .slice(0, WHYS_MAX);
  }

  #choose(
    job: Omit<JobRecord, 'seq' | 'state'>,
    spec: JobSpec,
    taken: ReadonlyMap<string, number>,
  ): Candidate | undefined {
    const amount = BigInt(job.payment.amount);
    const candidates = this.candidates(spec, amount).map((candidate) => {
      const more = taken.get(candidate.node) ?? 0;
      return more === 0 ? candidate : { ...candidate, free: candidate.free - more };
    });
    if (candidates.every(({ state }) => unsuited(state, spec) !== undefined)) {
      if (this.#nobody.size >= NOBODY_MAX) this.#nobody.clear();
      this.#nobody.set(job.specHash, this.#needs.providers.revision);
      return undefined;
    }
    const { excluded = [], failures = [] } = job;
    const wanted = { spec, amount, excluded, now: this.#needs.now() };
    const others = this.#needs.takenFor(job);
    const { providers } = this.#needs;
    const mine =
      others.size === 0
        ? candidates
        : candidates.filter(({ node }) => !others.has(providers.operatorOf(node)));
    const [best] = ranked(mine, wanted, job);
    if (best !== undefined || failures.length === 0) return best;
    // Where nobody else could run it, however busy they are, one that failed may try again: the only node of a household, say.
    const other = mine.some(
      ({ node, state }) => !excluded.includes(node) && unsuited(state, spec) === undefined,
    );
    if (other) return undefined;
    const refused = excluded.filter((node) => !failures.some((failure) => failure.node === node));
    return ranked(mine, { ...wanted, excluded: refused }, job)[0];
  }

  async #offer(job: JobRecord): Promise<void> {
    const { providers, settlement } = this.#needs;
    const { node } = job;
    if (node === undefined) return;
    const offer = offerOf(job, settlement.placeOf(job));
    let answer: OfferAnswer;
    let tookMs: number;
    try {
      ({ answer, tookMs } = await this.#lines.offer(node.name, offer));
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      providers.cool(node.name);
      const policy = error instanceof RemoteError ? [node.name] : [];
      await this.#withdraw(job, `no answer to the offer: ${message}`, policy);
      return;
    }
    providers.seen(node.name);
    if (answer.kind === 'Rejected') await this.#rejected(job, answer.value);
    else await this.#accepted(job, answer.value, tookMs);
  }

  async #rejected(
    job: JobRecord,
    { code, message }: { readonly code: string; readonly message: string },
  ): Promise<void> {
    const node = job.node?.name ?? '';
    const { providers } = this.#needs;
    if (code === 'unpaired') providers.unpaired(node);
    if (code === 'busy') {
      providers.cool(node, BUSY_MS);
      this.#kickIn(BUSY_MS + 1);
    }
    const forGood = code !== 'busy' && code !== 'unpaired';
    await this.#withdraw(job, `${code}: ${message}`.slice(0, 200), forGood ? [node] : []);
  }

  #kickIn(ms: number): void {
    const { process } = this.#needs;
    sleep(process, ms).then(
      () => this.kickSoon(),
      (error: unknown) => process.print(`dispatch: ${String(error)}`),
    );
  }

  /** The job is offered to nobody. Offers that are not taken are no attempts. */
  async #withdraw(job: JobRecord, cause: string, excluded: readonly string[]): Promise<void> {
    const now = this.#stillOffered(job);
    if (now === undefined) return;
    const all = [...(now.excluded ?? []), ...excluded];
    const refused = excluded.length > 0;
    const after = await this.#needs.jobs.change(job.jobId, {
      cause: `offer: ${cause}`,
      patch: {
        node: null,
        substate: null,
        ...(all.length === 0 ? {} : { excluded: all }),
        ...(refused
          ? { error: { code: 'REJECTED', fault: 'none' as const, message: cause, retryable: true } }
          : {}),
      },
    });
    // By whoever is next, once this job is not in hand any more.
    this.#again = true;
    const free = after?.payment.state === 'free' ? after : undefined;
    if (refused && free !== undefined && !this.#anyoneLeft(free)) {
      await this.#needs.endings.cancel(free, `nobody takes it: ${cause}`);
    }
  }

  /** Whether a provider that is known might still run it. A paid job waits for its deadline: its client may take it back. */
  #anyoneLeft(job: JobRecord): boolean {
    const spec = specOf(job);
    const { providers, takenFor } = this.#needs;
    const others = takenFor(job);
    return providers
      .all()
      .some(
        ({ node, state }) =>
          !(job.excluded ?? []).includes(node) &&
          !others.has(providers.operatorOf(node)) &&
          (state === undefined || unsuited(state, spec) === undefined),
      );
  }

  /**
   * A node tells of a free job that it has accepted it, while its answer to the offer is not here. The job is changed on return, and on disk
   * when the promise resolves.
   */
  async accepted(
    job: JobRecord,
    { lease, executor }: { readonly lease: string; readonly executor: string },
  ): Promise<void> {
    const { jobs, providers, now } = this.#needs;
    const { name } = job.node!;
    if (!this.#isExecutorOf(name, executor)) return;
    if (this.#busy.has(job.jobId)) this.#early.set(job.jobId, lease);
    await jobs.change(job.jobId, assignedChange(name, { lease, executor }, now()));
    providers.seen(name);
  }

  async #accepted(
    job: JobRecord,
    accepted: Extract<OfferAnswer, { kind: 'Accepted' }>['value'],
    acceptMs: number,
  ): Promise<void> {
    const { jobs, providers, settlement, now } = this.#needs;
    const { name } = job.node!;
    const { lease, executor, acceptance } = accepted;
    providers.accepted(name, acceptMs);
    // It has been told meanwhile, and may be over.
    if (this.#early.get(job.jobId) === lease) return;
    const problem = this.#isExecutorOf(name, executor)
      ? settlement.acceptanceProblem(job, executor, acceptance?.value)
      : 'another executor than it says it has';
    if (this.#stillOffered(job) === undefined || problem !== undefined) {
      providers.release(name, { jobId: job.jobId, lease }, problem ?? 'cancelled');
      if (problem !== undefined) await this.#withdraw(job, problem, [name]);
      return;
    }
    const free = assignedChange(name, { lease, executor }, now());
    if (acceptance === undefined || job.payment.state === 'free') {
      // It has begun by itself.
      await jobs.change(job.jobId, free);
      return;
    }
    const { payTo, price } = acceptance.value;
    const signed = { ...free.patch.node, payTo, acceptance: settlement.acceptanceText(acceptance) };
    const paid = { substate: 'assigning', node: signed, payment: { price: String(price) } };
    const assigned = await jobs.change(job.jobId, { ...free, patch: { ...free.patch, ...paid } });
    if (assigned !== undefined) await this.#assign(assigned);
  }

  #isExecutorOf(node: string, executor: string): boolean {
    const known = this.#needs.providers.get(node)?.state?.executor;
    return executor.toLowerCase() === known?.toLowerCase();
  }

  /** Tells the chain; the run starts when it says that the job is assigned. */
  async #assign(job: JobRecord): Promise<void> {
    const { settlement, endings, jobs } = this.#needs;
    const refused = await settlement.assign(job);
    if (refused === undefined) return;
    // Perhaps by the chain's clock, which may have been put forward.
    await settlement.refresh();
    const now = jobs.live(job.jobId);
    // It is on the chain, or with somebody else, meanwhile.
    if (now?.node?.lease !== job.node?.lease || now?.substate !== 'assigning') return;
    const message = `the assignment is refused: ${refused}`;
    await endings.unassigned(now, message, settlement.hasRunOut(now, this.#needs.now()));
  }

  async #lost(jobId: string, lease: string, code: FaultCode, message: string): Promise<void> {
    const job = this.#needs.jobs.live(jobId);
    if (job?.node?.lease !== lease) return;
    await this.#needs.endings.failed(job, { code, message });
  }

  /** The job as it is, if it is still offered as it was. */
  #stillOffered(job: JobRecord): JobRecord | undefined {
    const now = this.#needs.jobs.live(job.jobId);
    const same =
      now?.state === 'escrowed' &&
      now.attempt === job.attempt &&
      now.node?.name === job.node?.name &&
      now.node?.offeredAt === job.node?.offeredAt;
    return same ? now : undefined;
  }

  /** One message at a time about a job. What fails is told, and tried again by the next sweep. */
  async #guard(what: string, work: () => Promise<void>): Promise<void> {
    if (this.#busy.has(what)) return;
    this.#busy.add(what);
    try {
      await work();
    } catch (error) {
      this.#needs.process.print(`dispatch of ${what}: ${String(error)}`, 1);
    } finally {
      this.#busy.delete(what);
      this.#early.delete(what);
    }
    if (!this.#again) return;
    this.#again = false;
    this.kick();
  }
}
