/** New jobs (compute-market.md §3.5 T1, T2; §5.2): everything is checked, and only then is there a job. */
import { Refusal } from '../../lib/index.ts';
import type { Signer } from '../../lib/signer.ts';
import { type ComputeTerms, deadlineOf, FREE_DOMAIN, MODE } from '../../../contracts/compute.ts';
import { structCodec } from '../../../contracts/compute-json.ts';
import { attemptsOf, type JobSpec, timeoutOf } from '../../../wit/jobs/spec.ts';
import type { Quote } from '../../lib/compute.ts';
import { addressOfOwner, type Principal } from './auth.ts';
import type { Dispatch } from './dispatch.ts';
import type { Draft, Jobs } from './jobs.ts';
import {
  busy,
  type Candidate,
  distrusted,
  suitableGpus,
  unregistered,
  unsuited,
} from './matching.ts';
import type { Providers } from './providers.ts';
import { CLASS_BASE, QUEUED_MAX, QUEUED_PER_OWNER_MAX, valueBonus } from './queue.ts';
import { type JobRecord, type Replica, replicaIntent, type Rerun } from './record.ts';
import type { Settlement } from './settlement.ts';
import { keepSpec, readOnce, readSpec, type ReadSpec, type SentSpec } from './specs.ts';
import type { JobStore } from './store.ts';
import { typedDigest } from '../shared/typed-digest.ts';
import type { Uploads } from './uploads.ts';

/** How long a quote is good, in milliseconds. */
export const QUOTE_MS = 120_000;
/** To fund a job, in seconds; free ones are funded at once. */
const FUND_WINDOW_S = 3_600;
const utf8 = new TextEncoder();
const ZERO_ADDRESS = `0x${'0'.repeat(40)}`;
const ZERO_HASH = `0x${'0'.repeat(64)}`;
const UNSUITED_SHOWN_MAX = 20;
/** In a refusal. */
const REASONS_MAX = 5;
const INTENT = /^[A-Za-z0-9_.:-]{1,100}$/;
const terms = structCodec('ComputeTerms');

export interface Submission {
  readonly principal: Principal;
  readonly spec: SentSpec;
  readonly intentId: string | undefined;
  /** Of the wallet that pays; that of the principal if missing. */
  readonly client?: string | undefined;
  /** The most that the client wants to pay. */
  readonly maxPrice?: bigint | undefined;
  /** Of an audit: who may not run it, and until when it is wanted. */
  readonly internal?: {
    readonly rerun: Rerun;
    /** Milliseconds since 1970. */
    readonly until: number;
    readonly excluded: readonly string[];
  };
}

export interface SubmissionsNeeds {
  readonly jobs: Jobs;
  readonly store: JobStore;
  readonly providers: Providers;
  readonly dispatch: Dispatch;
  readonly settlement: Settlement;
  readonly uploads: Uploads;
  readonly signer: Signer;
  readonly now: () => number;
  readonly newId: () => string;
  /** 32 bytes that nobody has had. */
  readonly newSalt: () => string;
  readonly isFree: (principal: Principal) => boolean;
}

export class Submissions {
  readonly #needs: SubmissionsNeeds;
  /** Submissions under way, by owner and intent: who sends one twice at once gets one job. */
  readonly #under = new Map<string, Promise<JobRecord>>();

  constructor(needs: SubmissionsNeeds) {
    this.#needs = needs;
  }

  /** @throws Refusal with the code of a spec's error (CM1), or `Conflict`, `QueueFull`, `InputsMissing` and others */
  async submit(submission: Submission): Promise<JobRecord> {
    const read = readOnce(submission.spec);
    const intentId = submission.intentId ?? this.#needs.newId();
    if (!INTENT.test(intentId)) {
      throw new Refusal('BadRequest', 'an intent id has up to 100 letters, digits and _ . : -');
    }
    const { owner } = submission.principal;
    const key = `${owner} ${intentId}`;
    const under = this.#under.get(key);
    if (under !== undefined) await under.catch(nothing);
    const work = this.#submit(submission, read, intentId);
    this.#under.set(key, work);
    try {
      return await work;
    } finally {
      if (this.#under.get(key) === work) this.#under.delete(key);
    }
  }

  /** The job that an owner's intent has, as it is now. */
  async ofIntent(owner: string, intentId: string): Promise<JobRecord | undefined> {
    const known = await this.#needs.store.byIntent(owner, intentId);
    return known && (this.#needs.jobs.live(known.jobId) ?? known);
  }

  /**
   * What a spec would cost here now: all its runs together.
   * @param principal  who asks, if known: whoever would pay is told only of those that can be paid
   * @throws Refusal TooFewOperators, with how many there are
   */
  quote(text: SentSpec, principal?: Principal): Quote {
    const spec = readSpec(text);
    const candidates = this.#needs.dispatch.candidates(spec, undefined);
    const isFree =
      principal === undefined
        ? this.#needs.settlement.settings === undefined
        : this.#needs.isFree(principal);
    const suited: Candidate[] = [];
    const others: { readonly node: string; readonly why: string }[] = [];
    for (const candidate of candidates) {
      // Whoever gets no jobs is not what one costs: the money would wait for nobody.
      const why =
        unsuited(candidate.state, spec) ??
        distrusted(candidate) ??
        (isFree ? undefined : unregistered(candidate));
      if (why === undefined) suited.push(candidate);
      else others.push({ node: candidate.node, why });
    }
    const byPrice = suited.toSorted((a, b) => (a.price < b.price ? -1 : 1));
    const replicas = spec.verify?.replicas ?? 1;
    const each = replicas === 1 ? byPrice[0]?.price : this.#dearest(byPrice, replicas);
    const [best] = byPrice;
    const gpus = best?.state.device?.gpus ?? [];
    return {
      node: best?.node,
      class: suitableGpus(gpus, spec)[0]?.class ?? 'cpu',
      price: (each ?? 0n) * BigInt(replicas),
      replicas,
      suited: suited.length,
      free: suited.filter((each) => busy(each, spec, isFree) === undefined).length,
      unsuited: others.slice(0, UNSUITED_SHOWN_MAX),
      expiresAt: this.#needs.now() + QUOTE_MS,
    };
  }

  /** What the dearest of so many asks, if each is of another operator. @throws Refusal */
  #dearest(byPrice: readonly Candidate[], replicas: number): bigint {
    const { providers } = this.#needs;
    const prices = new Map<string, bigint>();
    for (const { node, price } of byPrice) {
      const operator = providers.operatorOf(node);
      if (!prices.has(operator)) prices.set(operator, price);
    }
    const dearest = [...prices.values()][replicas - 1];
    if (dearest !== undefined) return dearest;
    throw new Refusal(
      'TooFewOperators',
      `verify.replicas: ${replicas} nodes of different operators are to run it, and of those that could there are ${prices.size}; fewer replicas, or later`,
    );
  }

  async #submit(
    submission: Submission,
    { spec, text, hash }: ReadSpec,
    intentId: string,
  ): Promise<JobRecord> {
    const { jobs } = this.#needs;
    const { principal } = submission;
    const client = submission.client ?? principal.address ?? addressOfOwner(principal.owner);
    const bodyHash = `${hash} ${client.toLowerCase()} ${submission.maxPrice ?? ''}`;
    if (submission.intentId !== undefined) {
      const known = await this.ofIntent(principal.owner, intentId);
      if (known !== undefined) {
        if (known.bodyHash === bodyHash) return known;
        throw new Refusal('Conflict', `the intent ${intentId} is of another job, ${known.jobId}`);
      }
    }
    if (jobs.queue.size >= QUEUED_MAX) {
      throw new Refusal('QueueFull', `${QUEUED_MAX} jobs are waiting here; try again later`);
    }
    // Programs and wallets; the operator has only the limit of all.
    if (principal.kind !== 'operator' && jobs.queuedOf(principal.owner) >= QUEUED_PER_OWNER_MAX) {
      throw new Refusal('QueueFull', `${QUEUED_PER_OWNER_MAX} of your jobs are waiting already`);
    }
    const { internal } = submission;
    // The inputs of an audit are those of the job that it repeats.
    if (internal === undefined) await this.#checkInputs(principal, spec);
    keepSpec(hash, spec);
    const made = {
      ...{ spec, text, hash, intentId, client, bodyHash, internal },
      owner: principal.owner,
      // Whoever did not choose the intent cannot want the same job by it again.
      salt: submission.intentId === undefined ? this.#needs.newSalt() : undefined,
    };
    // An audit repeats one run.
    const of = internal === undefined ? (spec.verify?.replicas ?? 1) : 1;
    const isFree = this.#needs.isFree(principal);
    if (of > 1) {
      // Also what is free needs its operators.
      this.quote(made.text, principal);
      return this.#several(made, of, isFree ? undefined : this.#priceOf(submission));
    }
    return isFree ? this.#free(made) : this.#paid(made, this.#priceOf(submission));
  }

  /** All runs at once, or none. @returns the first */
  async #several(made: Made, of: number, money: Price | undefined): Promise<JobRecord> {
    const { jobs, dispatch } = this.#needs;
    const group = made.intentId;
    const drafts: Draft[] = [];
    for (let index = 0; index < of; index += 1) {
      const replica = { group, index, of };
      const one = { ...made, intentId: replicaIntent(group, index), replica, salt: undefined };
      drafts.push(await (money === undefined ? this.#freeDraft(one) : this.#paidDraft(one, money)));
    }
    const [first] = await jobs.createAll(drafts);
    dispatch.kick();
    return first!;
  }

  async #free(made: Made): Promise<JobRecord> {
    const { jobs, dispatch } = this.#needs;
    const { first, more } = await this.#freeDraft(made);
    const offered = dispatch.atOnce(first, made.spec);
    const created = await jobs.create(first, ...more, ...(offered === undefined ? [] : [offered]));
    if (created.node !== undefined) dispatch.resume(created);
    else dispatch.kick();
    return created;
  }

  async #freeDraft(made: Made): Promise<Draft> {
    const { jobs, settlement, now } = this.#needs;
    const at = now();
    const base = CLASS_BASE[made.spec.priority ?? 'normal'];
    const attempts = attemptsOf(made.spec);
    const fundBy = BigInt(Math.floor(at / 1_000) + FUND_WINDOW_S);
    const deadline = deadlineOf(fundBy, attempts, timeoutOf(made.spec));
    const { settings } = settlement;
    const document: ComputeTerms = {
      client: made.client,
      token: settings?.token ?? ZERO_ADDRESS,
      amount: 0n,
      specHash: made.hash,
      nodeId: ZERO_HASH,
      platform: settings?.platform ?? ZERO_ADDRESS,
      voucherSigner: ZERO_ADDRESS,
      fundBy,
      deadline,
      challengeWindow: 0,
      mode: MODE.exact,
      salt: made.salt ?? (await this.#needs.signer.keccak256(utf8.encode(made.intentId))),
    };
    const jobId = await typedDigest(this.#needs.signer, FREE_DOMAIN, 'ComputeTerms', document);
    const first = {
      ...common(made, jobId, base),
      payment: {
        state: 'free' as const,
        mode: 'exact' as const,
        amount: '0',
        price: '0',
      },
      times: {
        created: at,
        fundBy: Number(fundBy) * 1_000,
        deadline: made.internal?.until ?? Number(deadline) * 1_000,
      },
      ...(made.internal === undefined
        ? {}
        : { rerun: made.internal.rerun, excluded: made.internal.excluded }),
    };
    const queued = {
      transition: 'T2' as const,
      cause: 'free',
      patch: { queue: jobs.nextQueueEntry(base), times: { escrowed: at } },
    };
    return { first, more: [queued] };
  }

  /** What each run costs, and what is locked for it. @throws Refusal */
  #priceOf({ spec, principal, maxPrice }: Submission): Price {
    if (this.#needs.settlement.settings === undefined) {
      throw new Refusal(
        'PaymentUnavailable',
        'this node has no chain to be paid on, and runs no free jobs for you',
      );
    }
    const { price, node, replicas, unsuited: unsuitedOnes } = this.quote(spec, principal);
    if (node === undefined) {
      const why = unsuitedOnes.map((one) => `${one.node}: ${one.why}`).slice(0, REASONS_MAX);
      const known = why.length === 0 ? 'no provider is known' : why.join('; ');
      throw new Refusal('NoProvider', `nobody can run this for pay now: ${known}`);
    }
    if (maxPrice !== undefined && price > maxPrice) {
      throw new Refusal('PriceAboveCap', `it costs ${price}, you want to pay ${maxPrice}`);
    }
    // What is paid above the price moves the job ahead, and comes back if nobody asks for it.
    const of = BigInt(replicas);
    return { price: price / of, amount: (maxPrice ?? price) / of };
  }

  /** Waits for its money. */
  async #paid(made: Made, money: Price): Promise<JobRecord> {
    const { first } = await this.#paidDraft(made, money);
    return this.#needs.jobs.create(first);
  }

  async #paidDraft(made: Made, { price, amount }: Price): Promise<Draft> {
    const { settlement, now } = this.#needs;
    // Proof of the type: the price is there only where a chain is.
    const settings = settlement.settings!;
    const offered = await settlement.terms({
      client: made.client,
      intentId: made.intentId,
      amount,
      specHash: made.hash,
      attempts: attemptsOf(made.spec),
      timeoutS: timeoutOf(made.spec),
      mode: 0,
    });
    const base = CLASS_BASE[made.spec.priority ?? 'normal'] + valueBonus(amount, price);
    const first = {
      ...common(made, offered.jobId.toLowerCase(), base),
      payment: {
        state: 'none' as const,
        mode: 'exact' as const,
        token: settings.token,
        chain: `eip155:${settings.chainId}`,
        amount: String(offered.terms.amount),
        price: String(price),
        vault: offered.vault,
        domain: `${settings.chainId}/${settings.escrow}`,
        terms: terms.stringify(offered.terms),
      },
      times: {
        created: now(),
        fundBy: Number(offered.terms.fundBy) * 1_000,
        deadline: Number(offered.terms.deadline) * 1_000,
      },
    };
    return { first, more: [] };
  }

  async #checkInputs({ owner }: Principal, spec: JobSpec): Promise<void> {
    const files = spec.module === undefined ? spec.inputs : [...spec.inputs, spec.module];
    if (files.length === 0) return;
    const { uploads, now } = this.#needs;
    const untilMs =
      now() + attemptsOf(spec) * (timeoutOf(spec) + 1_035) * 1_000 + FUND_WINDOW_S * 1_000;
    if (uploads.isKept(owner, files, untilMs)) return;
    const missing = await uploads.missing(owner, files);
    if (missing.length > 0) {
      throw new Refusal('InputsMissing', `send these first: ${missing.slice(0, 20).join(', ')}`);
    }
    await uploads.touch(owner, files, untilMs);
  }
}

interface Made {
  readonly spec: JobSpec;
  readonly text: string;
  readonly hash: string;
  readonly intentId: string;
  readonly client: string;
  readonly bodyHash: string;
  readonly owner: string;
  readonly internal: Submission['internal'];
  /** Undefined: `saltOf` the intent, by the signer. */
  readonly salt: string | undefined;
  readonly replica?: Replica;
}

/** Of one run. */
interface Price {
  readonly price: bigint;
  readonly amount: bigint;
}

function common(
  made: Made,
  jobId: string,
  base: number,
): Omit<JobRecord, 'payment' | 'times' | 'seq' | 'state'> {
  const { spec, text, hash, intentId, client, bodyHash, owner, replica } = made;
  return {
    jobId,
    intentId,
    owner,
    bodyHash,
    client,
    attempt: 0,
    maxAttempts: attemptsOf(spec),
    spec: text,
    specHash: hash,
    type: spec.type,
    ...(spec.label === undefined ? {} : { label: spec.label }),
    priority: spec.priority ?? 'normal',
    timeoutS: timeoutOf(spec),
    base,
    ...(replica === undefined ? {} : { replica }),
  };
}

function nothing(): void {}
