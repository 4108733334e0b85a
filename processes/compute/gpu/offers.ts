/**
 * Offers (compute-market.md §3.5 T4): judged by the operator's policy, fitted to the machine, then asked of the extension, whose executor signs
 * what it accepts. One attempt gets one lease, however often it is offered: a second receipt of it would be equivocation.
 */
import { formatAddress, sameAddress } from '../../../wit/address.ts';
import { signedAcceptance } from '../../../contracts/compute-result.ts';
import type { Frame } from '../../../wit/hn-ext/schema.ts';
import type { DeviceInfo } from '../../../wit/jobs/device.ts';
import { type JobSpec, parseJobSpec, specHash, timeoutOf } from '../../../wit/jobs/spec.ts';
import type { Process } from '../../lib/process.ts';
import { TimedOut, timeout } from '../../lib/timers.ts';
import { type Offer, offer as offerCodec, type OfferAnswer } from '../shared/gpu-contract.ts';
import { fitOf, isForStrangers } from './fit.ts';
import type { Funding } from './funding.ts';
import { Lease } from './lease.ts';
import type { Leases } from './leases.ts';
import { hexOf } from './pairing.ts';
import type { PayTo } from './pay-to.ts';
import { type Asker, judge, type Policy, type PolicyFile } from './policy.ts';
import type { Session } from './session.ts';

/** The paired machine. */
export interface Machine {
  readonly executor: string;
  readonly device: DeviceInfo;
  readonly slots: number;
}

export interface OffersNeeds {
  readonly process: Process<unknown>;
  readonly nodeId: string;
  readonly policy: Pick<PolicyFile, 'read'>;
  readonly payTo: PayTo;
  readonly funding: Funding;
  readonly leases: Leases;
  readonly session: Session;
  /** Undefined while none is paired. */
  readonly machine: () => Machine | undefined;
  readonly nowMs: () => number;
}

type Decision =
  | { readonly kind: 'accept'; readonly acceptance: string | undefined }
  | ({ readonly kind: 'reject' } & Refused);

interface Refused {
  readonly code: string;
  readonly message: string;
}

/** One offer that is being decided. */
interface Pending {
  readonly offer: Offer;
  readonly gpus: readonly string[];
  readonly decided: PromiseWithResolvers<Decision>;
}

/** What was found out about an offer before the extension is asked. */
interface Proposal extends Pending {
  readonly lease: string;
  readonly asker: Asker;
  readonly spec: JobSpec;
  readonly machine: Machine;
  readonly payTo: string | undefined;
}

/** How long an extension may take to answer. */
const ANSWER_MS_MAX = 10_000;
/** Bytes of all inputs of a job. */
const INPUT_BYTES_MAX = 10 * 1024 ** 3;
/** Of a spec's text: it must fit a frame. */
const SPEC_BYTES_MAX = 900 * 1024;
const NOBODY = `0x${'00'.repeat(20)}`;

export class Offers {
  readonly #needs: OffersNeeds;
  /** By lease. */
  readonly #pending = new Map<string, Pending>();

  constructor(needs: OffersNeeds) {
    this.#needs = needs;
  }

  /** Attempts that take a slot, or are about to. */
  get taken(): number {
    return this.#needs.leases.active.length + this.#pending.size;
  }

  /** Attempts at a time. */
  slots({ slots = Infinity }: Policy): number {
    return Math.min(this.#needs.machine()?.slots ?? 0, slots);
  }

  /** Whether an offer under that lease is being decided. */
  isPending(lease: string): boolean {
    return this.#pending.has(lease);
  }

  async offer(offer: Offer, asker: Asker): Promise<OfferAnswer> {
    const read = await this.#needs.policy.read();
    const payTo = offer.money === undefined ? undefined : await this.#needs.payTo(read);
    const policy = { ...read, payTo };
    // From here to the place in `#pending` nothing waits: two offers must not get one place, nor one attempt two leases.
    const known = this.#known(offer, asker);
    if (known !== undefined) return known;
    const verdict = judge(policy, asker, offer);
    if ('refused' in verdict) return rejected(verdict.refused);
    const spec = specOf(offer);
    if ('refused' in spec) return rejected(spec.refused);
    const machine = this.#needs.machine();
    if (machine === undefined)
      return rejected({ code: 'unpaired', message: 'no extension is paired with this node' });
    if (verdict.stranger && !isForStrangers(spec.value.kind, machine.device))
      return rejected({
        code: 'policy',
        message: `${spec.value.kind} jobs are for those known here`,
      });
    const fit = fitOf(spec.value, machine.device, this.#takenGpus());
    if ('refused' in fit) return rejected(fit.refused);
    if (this.taken >= this.slots(policy) || this.#needs.leases.full)
      return rejected({ code: 'busy', message: 'all slots are taken' });
    const lease = hexOf(crypto.getRandomValues(new Uint8Array(16)));
    const decided = Promise.withResolvers<Decision>();
    const pending: Pending = { offer, gpus: fit.gpus, decided };
    this.#pending.set(lease, pending);
    try {
      const problem = verdict.checkFunds ? await this.#needs.funding.problem(offer) : undefined;
      if (problem !== undefined) return rejected({ code: 'policy', message: problem });
      return await this.#propose({ ...pending, lease, asker, spec: spec.value, machine, payTo });
    } finally {
      this.#pending.delete(lease);
    }
  }

  /** The extension has answered. */
  answered(frame: Frame<'job.accept' | 'job.reject'>): void {
    const { jobId, lease } = frame.body;
    const pending = this.#pending.get(lease);
    if (pending === undefined) {
      // Too late: nobody waits for it any more.
      if (this.#needs.leases.get(lease) === undefined)
        this.#needs.session.send('job.drop', { jobId, lease });
      return;
    }
    const { decided } = pending;
    if (frame.t === 'job.accept')
      decided.resolve({ kind: 'accept', acceptance: frame.body.acceptance });
    else decided.resolve({ kind: 'reject', code: frame.body.code, message: frame.body.message });
  }

  /** The extension went away: nothing that it was asked will be answered. */
  down(): void {
    for (const { decided } of this.#pending.values())
      decided.resolve({ kind: 'reject', code: 'unpaired', message: 'the extension went away' });
  }

  /** The same offer again, as after a lost answer. */
  #known(offer: Offer, { source }: Asker): OfferAnswer | undefined {
    const { jobId, attempt } = offer;
    for (const { offer: other } of this.#pending.values())
      if (other.jobId === jobId && other.attempt === attempt)
        return rejected({ code: 'busy', message: 'this attempt is being decided' });
    const lease = this.#needs.leases.ofAttempt(offer);
    if (lease === undefined) return undefined;
    const same = sameAddress(lease.market, source) && lease.offer.specHash === offer.specHash;
    return same && lease.active
      ? accepted(lease.lease, lease.acceptance, lease.executor)
      : rejected({ code: 'policy', message: 'this attempt has been made here' });
  }

  async #propose(proposal: Proposal): Promise<OfferAnswer> {
    const { lease, offer, asker, spec, gpus, machine, payTo, decided } = proposal;
    const { process, session, nodeId, leases, nowMs } = this.#needs;
    const { jobId, attempt, money } = offer;
    session.send('job.offer', {
      jobId,
      lease,
      attempt,
      spec: offer.spec,
      specHash: offer.specHash,
      price: String(offer.price),
      timeoutS: offer.timeoutS,
      expiresAt: Number(offer.expiresAt),
      nodeId,
      payTo: payTo ?? NOBODY,
      gpus,
      ...(money === undefined ? {} : { chainId: money.chainId, escrow: money.escrow }),
    });
    const decision = await timeout(process, decided.promise, ANSWER_MS_MAX).catch(
      (error: unknown): Decision => {
        if (!(error instanceof TimedOut)) throw error;
        return { kind: 'reject', code: 'busy', message: 'the extension did not answer' };
      },
    );
    if (decision.kind === 'reject') {
      session.send('job.drop', { jobId, lease });
      return rejected(decision);
    }
    const { acceptance } = decision;
    const kept = {
      lease,
      market: formatAddress(asker.source),
      state: 'accepted',
      offer: offerCodec.stringify(offer),
      acceptance,
      executor: machine.executor,
      gpus,
      logSeq: 0,
      result: undefined,
      lost: undefined,
      told: false,
      changedMs: nowMs(),
    } as const;
    await leases.keep(new Lease(kept, spec));
    return accepted(lease, acceptance, machine.executor);
  }

  #takenGpus(): readonly string[] {
    const pending = [...this.#pending.values()].flatMap(({ gpus }) => gpus);
    return [...this.#needs.leases.active.flatMap(({ gpus }) => gpus), ...pending];
  }
}

function rejected({ code, message }: Refused): OfferAnswer {
  return { kind: 'Rejected', value: { code, message } };
}

function accepted(lease: string, text: string | undefined, executor: string): OfferAnswer {
  const read = text === undefined ? undefined : signedAcceptance.decode(text);
  const acceptance = read?.ok === true ? read.value : undefined;
  return { kind: 'Accepted', value: { lease, acceptance, executor } };
}

type ReadSpec = { readonly value: JobSpec } | { readonly refused: Refused };

/** The latest specs that were fine, by hash and time: the same one comes often, and takes a guest milliseconds. */
const known = new Map<string, { readonly text: string; readonly read: ReadSpec }>();
const KNOWN_MAX = 64;
const KNOWN_CHARS_MAX = 16 * 1024;

function specOf(offer: Offer): ReadSpec {
  const key = `${offer.specHash} ${offer.timeoutS}`;
  const before = known.get(key);
  if (before?.text === offer.spec) return before.read;
  const read = readSpec(offer);
  if ('value' in read && offer.spec.length <= KNOWN_CHARS_MAX) {
    if (known.size >= KNOWN_MAX) known.delete(known.keys().next().value ?? '');
    known.set(key, { text: offer.spec, read });
  }
  return read;
}

function readSpec(offer: Offer): ReadSpec {
  const no = (message: string): { refused: Refused } => ({
    refused: { code: 'unsupported', message },
  });
  if (new TextEncoder().encode(offer.spec).length > SPEC_BYTES_MAX)
    return no(`a spec has at most ${SPEC_BYTES_MAX} bytes here`);
  const spec = parseJobSpec(offer.spec);
  if (!spec.ok) return no(`${spec.error.code} ${spec.error.where}: ${spec.error.message}`);
  if (specHash(spec.value) !== offer.specHash) return no('the hash is of another spec');
  if (timeoutOf(spec.value) !== offer.timeoutS) return no('the time is of another spec');
  const bytes = spec.value.inputs.reduce(
    (sum, { size }) => sum + size,
    spec.value.module?.size ?? 0,
  );
  if (bytes > INPUT_BYTES_MAX) return no(`inputs have at most ${INPUT_BYTES_MAX} bytes here`);
  return { value: spec.value };
}
