/**
 * Offers (compute-market.md §3.5 T4): judged by the operator's policy, fitted to the machine, then asked of the extension, whose executor signs
 * what it accepts. One attempt gets one lease, however often it is offered: a second receipt of it would be equivocation.
 */
import { formatAddress, sameAddress } from '../../../wit/address.ts';
import { signedAcceptance } from '../../../contracts/compute-result.ts';
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

/** What the extension said, or what is said in its place. `started`: it has begun. */
export type Decision =
  | { readonly kind: 'accept'; readonly acceptance: string | undefined; readonly started: boolean }
  | ({ readonly kind: 'reject' } & Refused);

interface Refused {
  readonly code: string;
  readonly message: string;
}

/** As an extension says it. */
export function accepted({
  acceptance,
  started = false,
}: {
  readonly acceptance?: string | undefined;
  readonly started?: boolean;
}): Decision {
  return { kind: 'accept', acceptance, started };
}

/** One offer that is being decided: what was found out about it before the extension is asked. */
interface Proposal {
  readonly lease: Lease;
  readonly gpus: readonly string[];
  readonly checkFunds: boolean;
  readonly payTo: string | undefined;
  decision: Decision | undefined;
  readonly decided: PromiseWithResolvers<void>;
}

/** How long an extension may take to answer. */
const ANSWER_MS_MAX = 10_000;
/** Bytes of all inputs of a job. */
const INPUT_BYTES_MAX = 10 * 1024 ** 3;
/** Of a spec's text: it must fit a frame. */
const SPEC_BYTES_MAX = 900 * 1024;
/** Of the specs of several offers in a frame, in UTF-16 units: their JSON, with the rest of each, must fit it. */
const PART_CHARS_MAX = 64 * 1024;
const NOBODY = `0x${'00'.repeat(20)}`;

export class Offers {
  readonly #needs: OffersNeeds;
  /** By lease. */
  readonly #pending = new Map<string, Proposal>();

  constructor(needs: OffersNeeds) {
    this.#needs = needs;
  }

  /** Attempts that take a slot, or are about to. */
  get taken(): number {
    const kept = this.#needs.leases.active.filter(({ lease }) => !this.#pending.has(lease));
    return kept.length + this.#pending.size;
  }

  /** Attempts at a time. */
  slots({ slots = Infinity }: Policy): number {
    return Math.min(this.#needs.machine()?.slots ?? 0, slots);
  }

  /** Whether an offer under that lease is being decided. */
  isPending(lease: string): boolean {
    return this.#pending.has(lease);
  }

  /** Answers each, in their order, once all are decided. */
  async offers(offers: readonly Offer[], asker: Asker): Promise<readonly OfferAnswer[]> {
    const read = await this.#needs.policy.read();
    const paid = offers.some(({ money }) => money !== undefined);
    const policy = { ...read, payTo: paid ? await this.#needs.payTo(read) : undefined };
    // From here to the places in `#pending` nothing waits: two offers must not get one place, nor one attempt two leases.
    let free = this.#needs.leases.full ? 0 : this.slots(policy) - this.taken;
    const considered = offers.map((offer) => {
      const found = this.#consider(offer, policy, asker, free);
      if (!('decided' in found)) return found;
      free -= 1;
      this.#pending.set(found.lease.lease, found);
      return found;
    });
    const proposals = considered.filter((found) => 'decided' in found);
    try {
      await this.#decide(proposals);
      const answers: OfferAnswer[] = [];
      for (const found of considered)
        answers.push('decided' in found ? await this.#answer(found) : found);
      return answers;
    } finally {
      for (const { lease } of proposals) this.#pending.delete(lease.lease);
    }
  }

  /** The extension has answered. */
  answered(
    { jobId, lease }: { readonly jobId: string; readonly lease: string },
    decision: Decision,
  ): void {
    const pending = this.#pending.get(lease);
    if (pending !== undefined) return void settle(pending, decision);
    // Too late: nobody waits for it any more.
    if (this.#needs.leases.get(lease) === undefined)
      this.#needs.session.send('job.drop', { jobId, lease });
    return undefined;
  }

  /** The extension went away: nothing that it was asked will be answered. */
  down(): void {
    const message = 'the extension went away';
    for (const pending of this.#pending.values()) {
      // What starts by itself may have started: it is known under its lease, and its end is told when the extension is back, or is not.
      if (pending.lease.state === 'starting')
        settle(pending, { kind: 'accept', acceptance: undefined, started: true });
      else settle(pending, { kind: 'reject', code: 'unpaired', message });
    }
  }

  #consider(offer: Offer, policy: Policy, asker: Asker, free: number): OfferAnswer | Proposal {
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
    const fit = fitOf(spec.value, machine.device, () => this.#takenGpus());
    if ('refused' in fit) return rejected(fit.refused);
    if (free <= 0) return rejected({ code: 'busy', message: 'all slots are taken' });
    const { gpus } = fit;
    const kept = {
      lease: hexOf(crypto.getRandomValues(new Uint8Array(16))),
      market: formatAddress(asker.source),
      state: startsAtOnce(offer) ? 'starting' : 'accepted',
      offer: offerCodec.stringify(offer),
      acceptance: undefined,
      executor: machine.executor,
      gpus,
      logSeq: 0,
      result: undefined,
      lost: undefined,
      told: false,
      changedMs: this.#needs.nowMs(),
    } as const;
    return {
      lease: new Lease(kept, offer, spec.value),
      gpus,
      checkFunds: verdict.checkFunds,
      payTo: policy.payTo,
      decision: undefined,
      decided: Promise.withResolvers<void>(),
    };
  }

  /** The same offer again, as after a lost answer. */
  #known(offer: Offer, { source }: Asker): OfferAnswer | undefined {
    const { jobId, attempt } = offer;
    for (const { lease } of this.#pending.values())
      if (lease.offer.jobId === jobId && lease.offer.attempt === attempt)
        return rejected({ code: 'busy', message: 'this attempt is being decided' });
    const lease = this.#needs.leases.ofAttempt(offer);
    if (lease === undefined) return undefined;
    const same = sameAddress(lease.market, source) && lease.offer.specHash === offer.specHash;
    // Also one that has ended meanwhile: its end is told next.
    return same && (lease.active || !lease.told)
      ? acceptedAnswer(lease)
      : rejected({ code: 'policy', message: 'this attempt has been made here' });
  }

  /** Asks the extension, and waits for what it says; in the end each is decided, and on disk if it was accepted. */
  async #decide(proposals: readonly Proposal[]): Promise<void> {
    const { process, leases, session } = this.#needs;
    if (proposals.length === 0) return;
    await Promise.all(proposals.map((proposal) => this.#checkFunds(proposal)));
    const asked = proposals.filter(({ decision }) => decision === undefined);
    // On disk before anybody acts on them.
    await leases.add(asked.map(({ lease }) => lease).filter(({ state }) => state === 'starting'));
    if (session.up) this.#ask(asked);
    else this.down();
    const all = Promise.all(asked.map(({ decided }) => decided.promise));
    await timeout(process, all, ANSWER_MS_MAX).catch((error: unknown) => {
      if (!(error instanceof TimedOut)) throw error;
      const message = 'the extension did not answer';
      for (const proposal of asked) {
        const { lease } = proposal;
        if (settle(proposal, { kind: 'reject', code: 'busy', message }))
          session.send('job.cancel', { ...lease.id, reason: message, graceMs: 0 });
      }
    });
    await leases.add(
      asked.flatMap(({ lease, decision }) => {
        if (decision?.kind !== 'accept' || lease.state !== 'accepted') return [];
        lease.acceptance = decision.acceptance;
        return [lease];
      }),
    );
  }

  async #checkFunds(proposal: Proposal): Promise<void> {
    if (!proposal.checkFunds) return;
    const message = await this.#needs.funding.problem(proposal.lease.offer);
    if (message !== undefined) settle(proposal, { kind: 'reject', code: 'policy', message });
  }

  async #answer({ lease, decision }: Proposal): Promise<OfferAnswer> {
    const { leases, session } = this.#needs;
    if (decision === undefined || decision.kind === 'reject') {
      session.send('job.drop', lease.id);
      if (leases.has(lease)) await leases.remove(lease);
      return rejected(decision ?? { code: 'busy', message: 'it was not decided' });
    }
    // An extension that does not start by itself what it accepts.
    if (!decision.started && lease.state === 'starting') session.send('job.start', lease.id);
    return acceptedAnswer(lease);
  }

  #ask(asked: readonly Proposal[]): void {
    const { session, nodeId } = this.#needs;
    const offers = asked.map(({ lease, gpus, payTo }) => {
      const { jobId, attempt, spec, specHash, price, timeoutS, expiresAt, money } = lease.offer;
      return {
        jobId,
        lease: lease.lease,
        attempt,
        spec,
        specHash,
        price: String(price),
        timeoutS,
        expiresAt: Number(expiresAt),
        nodeId,
        payTo: payTo ?? NOBODY,
        gpus,
        ...(money === undefined ? {} : { chainId: money.chainId, escrow: money.escrow }),
      };
    });
    const together: (typeof offers)[number][] = [];
    for (const offer of offers) {
      if (session.many && offer.spec.length <= PART_CHARS_MAX) together.push(offer);
      else session.send('job.offer', offer);
    }
    const starting = new Set(
      asked.filter(({ lease: { state } }) => state === 'starting').map(({ lease }) => lease.lease),
    );
    for (const part of parts(together)) {
      const whole = part.map((offer) => ({ ...offer, start: starting.has(offer.lease) }));
      session.send('jobs.offer', { offers: JSON.stringify(whole) });
    }
  }

  #takenGpus(): readonly string[] {
    const { leases } = this.#needs;
    const pending = [...this.#pending.values()].flatMap(({ gpus }) => gpus);
    const kept = leases.active.filter(({ lease }) => !this.#pending.has(lease));
    return [...kept.flatMap(({ gpus }) => gpus), ...pending];
  }
}

/** @returns false for one that was decided before */
function settle(proposal: Proposal, decision: Decision): boolean {
  if (proposal.decision !== undefined) return false;
  proposal.decision = decision;
  proposal.decided.resolve();
  return true;
}

/** A paid one waits for the chain to be told. */
function startsAtOnce({ start, money }: Offer): boolean {
  return start === true && money === undefined;
}

/** As many at a time as a frame surely takes. */
function parts<T extends { readonly spec: string }>(offers: readonly T[]): readonly T[][] {
  const made: T[][] = [];
  let chars = Infinity;
  for (const offer of offers) {
    chars += offer.spec.length;
    if (chars > PART_CHARS_MAX) {
      made.push([]);
      chars = offer.spec.length;
    }
    made.at(-1)?.push(offer);
  }
  return made;
}

function rejected({ code, message }: Refused): OfferAnswer {
  return { kind: 'Rejected', value: { code, message } };
}

function acceptedAnswer({ lease, acceptance: text, executor }: Lease): OfferAnswer {
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
