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

export class Leases {
  readonly #store: LeaseStore;
  readonly #nowMs: () => number;
  readonly #byName = new Map<string, Lease>();

  constructor(store: LeaseStore, nowMs: () => number) {
    this.#store = store;
    this.#nowMs = nowMs;
  }

  /** Takes up what is on disk. */
  async open(): Promise<void> {
    for (const kept of await this.#store.all()) {
      const offer = offerCodec.decode(kept.offer);
      const spec = offer.ok ? parseJobSpec(offer.value.spec) : undefined;
      if (spec?.ok === true) {
        const lease = new Lease(kept, spec.value);
        lease.stored = true;
        this.#byName.set(kept.lease, lease);
      } else await this.#store.remove(kept.lease);
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
  ofAttempt({ jobId, attempt }: Pick<Offer, 'jobId' | 'attempt'>): Lease | undefined {
    return this.all.find((lease) => lease.offer.jobId === jobId && lease.offer.attempt === attempt);
  }

  /** On disk when it resolves. */
  async keep(lease: Lease): Promise<void> {
    this.#byName.set(lease.lease, lease);
    lease.changedMs = this.#nowMs();
    lease.unkept = false;
    const { logSeq } = lease;
    await this.#store.put(lease);
    lease.keptSeq = Math.max(lease.keptSeq, logSeq);
  }

  async remove(lease: Lease): Promise<void> {
    this.#byName.delete(lease.lease);
    await this.#store.remove(lease.lease);
  }
}
