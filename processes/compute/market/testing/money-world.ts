/** A market with paid jobs, for its tests: a facilitator and an oracle that say what a test says, and note what they are told. */
import { afterEach, beforeEach, expect } from 'vitest';
import { jobIdOf } from '../../../../contracts/compute.ts';
import { namehash } from '../../../../contracts/hypermap.ts';
import { encodeError, ERROR_METADATA, errorIn } from '../../../lib/contract.ts';
import type { MemoryHost, Peer, Sent } from '../../../lib/testing/memory-host.ts';
import {
  facilitatorContract,
  type JobMoney,
  type Provider,
} from '../../shared/facilitator-contract.ts';
import { marketContract } from '../../shared/market-contract.ts';
import { type Evidence, type GivenVerdict, oracleContract } from '../../shared/oracle-contract.ts';
import { type FakeGpu, specOf } from './fake-gpu.ts';
import { DOMAIN, HASH, PLATFORM, registeredHere, SETTINGS, termsOf, TOKEN } from './fake-money.ts';
import { type Json, NODE, World } from './world.ts';

/** Pays for every job. */
export const CLIENT = `0x${'c1'.repeat(20)}`;

/** Begun anew before each test of the file; nothing may have been printed as an error after it. */
export function useMoneyWorld(): MoneyWorld {
  const money = new MoneyWorld();
  beforeEach(() => money.begin());
  afterEach(() => {
    expect(money.world.host.prints.filter(({ verbosity }) => verbosity === 0)).toEqual([]);
  });
  return money;
}

export class MoneyWorld {
  world!: World;
  /** The own node's provider: it signs what it accepts. */
  gpu!: FakeGpu;
  /** By the chain's clock. */
  chainNowS!: number;
  /** Why the facilitator takes no assignment. */
  refusesToAssign: string | undefined;
  /** In the registry. */
  registered!: Provider[];
  /** What the escrow owes whoever asks. */
  credit!: bigint;
  // What the facilitator was asked for.
  funded!: Json[];
  assigned!: Json[];
  withdrawn!: Json[];
  // What the oracle was told.
  judged!: Evidence[];
  closed!: Json[];
  rerunsDone!: Json[];
  outvoted!: Json[];
  #rev!: number;
  /** What the chain said last. */
  #last!: Map<string, JobMoney>;

  async begin(): Promise<void> {
    this.world = new World();
    this.world.domain = DOMAIN;
    this.gpu = signing(this.world.gpu());
    this.chainNowS = 0;
    this.refusesToAssign = undefined;
    this.registered = [this.providerOf(NODE)];
    this.credit = 7n;
    this.funded = [];
    this.assigned = [];
    this.withdrawn = [];
    this.judged = [];
    this.closed = [];
    this.rerunsDone = [];
    this.outvoted = [];
    this.#rev = 0;
    this.#last = new Map();
    const facilitator: Peer = (sent, host) => this.#facilitator(sent, host);
    const oracle: Peer = (sent) => this.#oracle(sent);
    this.world.peers['facilitator:compute:sys'] = facilitator;
    this.world.peers['oracle:compute:sys'] = oracle;
    await this.world.start();
  }

  /** As the registry has it. */
  providerOf(node: string, more: Partial<Provider> = {}): Provider {
    const here = registeredHere(this.world.signer.key(`executor of ${node}`));
    return { ...here, nodeId: namehash(node), name: node, ...more };
  }

  /** What the chain says of a job from now on. */
  moneyOf(jobId: string, more: Partial<JobMoney>): JobMoney {
    const made: JobMoney = {
      jobId,
      rev: this.#rev,
      state: 'funded',
      attempt: 0,
      client: CLIENT,
      token: TOKEN,
      amount: 0n,
      price: 0n,
      payout: 0n,
      nodeId: namehash(NODE),
      deadline: 0,
      timer: 0,
      receiptHash: undefined,
      dispute: undefined,
      settled: undefined,
      refundReason: undefined,
      fundTx: HASH,
      lastTx: HASH,
      trouble: undefined,
      ...more,
    };
    this.#rev += 1;
    this.#last.set(jobId, made);
    return made;
  }

  /** A process of this package tells the market. @returns the kind of its refusal */
  async told(process: string, kind: string, value: unknown): Promise<string | undefined> {
    const { host } = this.world;
    const id = host.arrive({
      source: { node: NODE, process: `${process}:compute:sys` } as never,
      body: marketContract.requests.encode({ kind, value }),
      expectsResponse: 5,
    });
    await this.world.settle();
    const answered = host.responses.find((response) => response.id === id)!;
    return errorIn(answered.response.body, answered.response.metadata)?.kind;
  }

  /** The chain has changed, and the market hears of it. */
  chain(jobId: string, more: Partial<JobMoney>): Promise<string | undefined> {
    return this.told('facilitator', 'MoneyChanged', this.moneyOf(jobId, more));
  }

  verdict(jobId: string, more: Partial<GivenVerdict> = {}): Promise<string | undefined> {
    return this.told('oracle', 'VerdictGiven', {
      jobId,
      attempt: 0,
      outcome: { kind: 'Pay' },
      payout: 100n,
      scoreBps: 10_000,
      checks: 63,
      code: undefined,
      gates: [],
      receiptHash: undefined,
      audit: undefined,
      ...more,
    });
  }

  /** A wallet's submission; its 402 and the job. */
  async unpaid(
    key = 'intent',
  ): Promise<{ readonly jobId: string; readonly response: Json; readonly token: string }> {
    const token = await this.world.walletToken('client');
    const response = await this.world.request('POST', '/api/facilitator/submit-job', {
      headers: { authorization: `Bearer ${token}`, 'idempotency-key': key },
      body: JSON.stringify({ spec: specOf() }),
    });
    expect(response.status).toBe(402);
    return { jobId: (JSON.parse(response.text) as { jobId: string }).jobId, response, token };
  }

  /** A paid job that the own node runs. */
  async running(key?: string): Promise<string> {
    const { jobId } = await this.unpaid(key);
    await this.chain(jobId, { state: 'funded' });
    await this.chain(jobId, { state: 'assigned' });
    await this.world.started(this.gpu, jobId);
    expect(await this.payment(jobId)).toEqual(['running', 'escrowed']);
    return jobId;
  }

  /** The states of a job and of its money. */
  async payment(jobId: string): Promise<[string, string]> {
    const job = await this.world.job(jobId);
    return [job.state, job.payment.state];
  }

  #facilitator(sent: Sent, host: MemoryHost): Uint8Array | undefined {
    const call = facilitatorContract.requests.decode(sent.request.body);
    if (!call.ok) return undefined;
    const { kind, value } = call.value as { kind: string; value: Json };
    const reply = (result?: unknown): Uint8Array =>
      facilitatorContract.responses.encode({ kind, value: result });
    switch (kind) {
      case 'Settings':
        return reply({ ...SETTINGS, nowS: this.chainNowS });
      case 'Providers':
        return reply(this.registered);
      case 'Terms': {
        const terms = termsOf(value);
        const jobId = jobIdOf(DOMAIN, terms);
        const several = String(value.intentId).includes('#');
        return reply({ terms, jobId, vault: several ? `0x${jobId.slice(-40)}` : TOKEN });
      }
      case 'Credit':
        return reply(this.credit);
      case 'Withdraw':
        this.withdrawn.push(value.account);
        return reply();
      case 'Fund':
        this.funded.push(value);
        return reply();
      case 'Assign': {
        this.assigned.push(value);
        if (this.refusesToAssign === undefined) return reply();
        const error = encodeError({ kind: 'BadAcceptance', message: this.refusesToAssign });
        host.answer(sent, error, undefined, ERROR_METADATA);
        return undefined;
      }
      case 'Money':
        return reply(this.#last.get(value.jobId) ?? this.moneyOf(value.jobId, { state: 'none' }));
      default:
        return undefined;
    }
  }

  #oracle(sent: Sent): Uint8Array | undefined {
    const call = oracleContract.requests.decode(sent.request.body);
    if (!call.ok) return undefined;
    const { kind, value } = call.value as { kind: string; value: Json };
    if (kind === 'Verify') this.judged.push(value);
    if (kind === 'Close') this.closed.push(value);
    if (kind === 'Outvoted') this.outvoted.push(value);
    if (kind === 'RerunDone') this.rerunsDone.push(value);
    return oracleContract.responses.encode({ kind, value: undefined });
  }
}

/** It signs what it accepts. */
export function signing(provider: FakeGpu): FakeGpu {
  provider.acceptance = (offer) => ({
    value: {
      jobId: offer.jobId,
      nodeId: namehash(provider.node),
      attempt: offer.attempt,
      payTo: PLATFORM,
      price: offer.price,
      expiresAt: BigInt(offer.expiresAt),
    },
    signature: `0x${'00'.repeat(65)}`,
  });
  return provider;
}
