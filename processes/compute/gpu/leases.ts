/** Every attempt that this node took and has not forgotten, in memory and on disk. */
import type { Address } from '../../../wit/types.ts';
import { sameAddress } from '../../../wit/address.ts';
import { parseJobSpec } from '../../../wit/jobs/spec.ts';
import { Refusal } from '../../lib/errors.ts';
import { type Offer, offer as offerCodec } from '../shared/gpu-contract.ts';
import { Lease } from './lease.ts';
import type { LeaseStore } from './lease-store.ts';

/** Attempts that are kept at most. */
const LEASES_MAX = 10_000;
/** Those that are still on disk and no more in memory. */
const GONE_MAX = 64;

export class Leases {
  readonly #store: LeaseStore;
  readonly #nowMs: () => number;
  readonly #byName = new Map<string, Lease>();
  readonly #byAttempt = new Map<string, Lease>();
  readonly #gone: string[] = [];

  constructor(store: LeaseStore, nowMs: () => number) {
    this.#store = store;
    this.#nowMs = nowMs;
  }

  /** Takes up what is on disk. */
  async open(): Promise<void> {
    for (const kept of await this.#store.all()) {
      const offer = offerCodec.decode(kept.offer);
      const spec = offer.ok ? parseJobSpec(offer.value.spec) : undefined;
      if (offer.ok && spec?.ok === true) this.#remember(new Lease(kept, offer.value, spec.value));
      else await this.#store.remove([kept.lease]);
    }
  }

  get all(): readonly Lease[] {
    return [...this.#byName.values()];
  }

  /** Those that take a slot. */
  get active(): readonly Lease[] {
    return this.all.filter((lease) => lease.active);
  }

  get full(): boolean {
    return this.#byName.size >= LEASES_MAX;
  }

  get(lease: string): Lease | undefined {
    return this.#byName.get(lease);
  }

  /** Whether it is still kept. */
  has(lease: Lease): boolean {
    return this.#byName.get(lease.lease) === lease;
  }

  /** The one that this market has. @throws Refusal */
  of(jobId: string, lease: string, source: Address): Lease {
    const known = this.#byName.get(lease);
    if (known === undefined || known.offer.jobId !== jobId || !sameAddress(known.market, source))
      throw new Refusal('NoSuchLease', 'no attempt of yours runs here under this lease');
    return known;
  }

  /** Whosever it is. @throws Refusal */
  named(lease: string): Lease {
    const known = this.#byName.get(lease);
    if (known === undefined) throw new Refusal('NotFound', 'there is no such lease');
    return known;
  }

  /** Of the same attempt. */
  ofAttempt(offer: Pick<Offer, 'jobId' | 'attempt'>): Lease | undefined {
    return this.#byAttempt.get(attemptOf(offer));
  }

  /** New ones; all on disk when it resolves, or none. */
  async add(leases: readonly Lease[]): Promise<void> {
    if (leases.length === 0) return;
    for (const lease of leases) this.#remember(lease);
    try {
      await this.#store.insert(leases);
    } catch (error) {
      for (const lease of leases) this.#forget(lease);
      throw error;
    }
  }

  /** As it is now, on disk when it resolves. */
  async keep(lease: Lease): Promise<void> {
    if (!this.has(lease)) return;
    lease.changedMs = this.#nowMs();
    lease.unkept = false;
    const { logSeq } = lease;
    await this.#store.update(lease);
    lease.keptSeq = Math.max(lease.keptSeq, logSeq);
  }

  /** Forgets it. From disk it goes a little later, with others: one that comes back after a crash is not wanted by its market. */
  async remove(lease: Lease): Promise<void> {
    this.#forget(lease);
    this.#gone.push(lease.lease);
    if (this.#gone.length >= GONE_MAX) await this.flush();
  }

  /** What was forgotten goes from disk, too. */
  async flush(): Promise<void> {
    if (this.#gone.length > 0) await this.#store.remove(this.#gone.splice(0));
  }

  #remember(lease: Lease): void {
    this.#byName.set(lease.lease, lease);
    this.#byAttempt.set(attemptOf(lease.offer), lease);
  }

  #forget(lease: Lease): void {
    this.#byName.delete(lease.lease);
    const attempt = attemptOf(lease.offer);
    if (this.#byAttempt.get(attempt) === lease) this.#byAttempt.delete(attempt);
  }
}

function attemptOf({ jobId, attempt }: Pick<Offer, 'jobId' | 'attempt'>): string {
  return `${jobId} ${attempt}`;
}
