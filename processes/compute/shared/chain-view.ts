/**
 * What the facilitator and the oracle read of the chain. All of it decides money, so all of it has to be agreed on (findings F35), and what
 * is read together is read at one block.
 */
import { MULTICALL3 } from '../../../contracts/addresses.ts';
import {
  addressAt,
  smallAt,
  decodeAggregate,
  encodeAggregate,
  encodeCall,
} from '../../../contracts/calls.ts';
import {
  type ChainJob,
  type ChainNode,
  decodeJob,
  decodeNode,
  encodeCreditOf,
  encodeGetJob,
  encodeNodes,
} from '../../../contracts/compute-calls.ts';
import { ESCROW_EVENTS, REGISTRY_EVENTS } from '../../../contracts/compute-events.ts';
import {
  type Block,
  type BlockTag,
  Eth,
  EthError,
  type Log,
  type Receipt,
  type Subscription,
} from '../../lib/eth.ts';
import { receiptOf } from '../../lib/eth-values.ts';
import type { Caller } from '../../lib/modules.ts';
import type { Settings } from './settings.ts';
import { NOBODY } from './words.ts';

/** Calls that are read at once. */
const TOGETHER_MAX = 50;
/** `balanceOf(address)`. */
const BALANCE_OF = '70a08231';

/** Views of the escrow that nobody else reads. */
export const VIEWS = {
  protocolBps: '94967005',
  platformBps: 'f76835e6',
  tokenRules: '541c4ae9',
  executorFor: '9c5ecd63',
  verdictThreshold: '9f25e3e3',
  disputeThreshold: 'f37e7672',
  isVerifier: '33105218',
} as const;

/** A block, and when it was made, in seconds since 1970. */
export interface Head {
  readonly number: number;
  readonly hash: string;
  readonly timestamp: number;
}

/** The chain changed while it was read. */
export class Reorganised extends Error {
  override readonly name = 'Reorganised';
}

const {
  Credited: _credits,
  FeesSet: _fees,
  PausedSet: _paused,
  PauserSet: _pauser,
  TokenRuleSet: _rules,
  TreasurySet: _treasury,
  Withdrawn: _withdrawals,
  ...ofJobs
} = ESCROW_EVENTS;
const {
  Credited: _registryCredits,
  EscrowSet: _escrows,
  Withdrawn: _registryWithdrawals,
  ...ofNodes
} = REGISTRY_EVENTS;
const TOPICS = [...Object.values(ofJobs), ...Object.values(ofNodes)].map(({ topic }) => topic);

export class ChainView {
  readonly eth: Eth;
  readonly #settings: Settings;

  constructor(caller: Caller, settings: Settings) {
    this.#settings = settings;
    this.eth = new Eth(caller, { chainId: settings.chain_id });
  }

  async head(): Promise<Head & Pick<Block, 'baseFeePerGas'>> {
    return this.#block('latest');
  }

  /** Undefined: there is no such block (yet). */
  async hash(block: number): Promise<string | undefined> {
    return (await this.eth.block(block, { agreed: true }))?.hash;
  }

  /** Something happened to jobs or nodes: a bell and no more, for what happened is read as everything is. */
  bell(ring: () => void): Promise<Subscription> {
    const { escrow, registry } = this.#settings;
    return this.eth.subscribeLogs({ address: [escrow, registry], topics: [TOPICS] }, ring, {
      onResumed: ring,
    });
  }

  /** Logs of jobs and nodes, in their order. @throws Reorganised when the last block changed meanwhile */
  async logs(fromBlock: number, toBlock: number): Promise<{ logs: Log[]; hash: string }> {
    const { escrow, registry } = this.#settings;
    const before = await this.hash(toBlock);
    const logs = await this.eth.logs(
      { address: [escrow, registry], topics: [TOPICS], fromBlock, toBlock },
      { agreed: true },
    );
    const hash = await this.hash(toBlock);
    if (hash === undefined || hash !== before)
      throw new Reorganised(`block ${toBlock} changed while it was read`);
    return { logs, hash };
  }

  /** All that happened to one job until a block. */
  logsOf(jobId: string, toBlock: number): Promise<Log[]> {
    const { escrow: address, first_block: fromBlock } = this.#settings;
    return this.eth.logs({ address, topics: [null, jobId], fromBlock, toBlock }, { agreed: true });
  }

  jobs(ids: readonly string[], block: BlockTag = 'latest'): Promise<ChainJob[]> {
    const calls = ids.map((id) => ({ to: this.#settings.escrow, data: encodeGetJob(id) }));
    return this.#together(calls, block, decodeJob);
  }

  async job(id: string, block: BlockTag = 'latest'): Promise<ChainJob> {
    const [found] = await this.jobs([id], block);
    return found!;
  }

  nodes(ids: readonly string[], block: BlockTag = 'latest'): Promise<ChainNode[]> {
    const calls = ids.map((id) => ({ to: this.#settings.registry, data: encodeNodes(id) }));
    return this.#together(calls, block, decodeNode);
  }

  /** Of the token. */
  balances(accounts: readonly string[], token = this.#settings.token): Promise<bigint[]> {
    const calls = accounts.map((account) => ({
      to: token,
      data: encodeCall(BALANCE_OF, [BigInt(account)]),
    }));
    return this.#together(calls, 'latest', number);
  }

  async credit(account: string): Promise<bigint> {
    const { escrow, token } = this.#settings;
    const [found] = await this.#together(
      [{ to: escrow, data: encodeCreditOf(account, token) }],
      'latest',
      number,
    );
    return found!;
  }

  /** Undefined while it is in no block. */
  async receipt(hash: string): Promise<Receipt | undefined> {
    const found = await this.eth.request('eth_getTransactionReceipt', [hash], { agreed: true });
    return found === null ? undefined : receiptOf(found);
  }

  /** What the escrow takes of payouts, in basis points, and the least that a dispute costs. */
  async rules(): Promise<{ protocolBps: number; platformBps: number; minBond: bigint }> {
    const { escrow, token } = this.#settings;
    const rule = encodeCall(VIEWS.tokenRules, [BigInt(token)]);
    const views = [`0x${VIEWS.protocolBps}`, `0x${VIEWS.platformBps}`, rule];
    const calls = views.map((data) => ({ to: escrow, data }));
    const [protocol, platform, rules] = await this.#together(calls, 'latest', asItIs);
    const small = (answer = ''): number => smallAt(answer, 0) ?? 0;
    return {
      protocolBps: small(protocol),
      platformBps: small(platform),
      minBond: BigInt(`0x0${(rules ?? '').slice(2 + 64, 2 + 128)}`),
    };
  }

  /** Whose signature counts for an attempt; undefined: nobody's. */
  async executorFor(jobId: string, attempt: number, nodeId: string): Promise<string | undefined> {
    const call = this.#executorCall(jobId, attempt, nodeId);
    return executorIn(await this.eth.call(call, { agreed: true }));
  }

  /** The same, and the job, of one block. */
  async assignment(
    jobId: string,
    attempt: number,
    nodeId: string,
  ): Promise<{ readonly job: ChainJob; readonly executor: string | undefined }> {
    const calls = [
      { to: this.#settings.escrow, data: encodeGetJob(jobId) },
      this.#executorCall(jobId, attempt, nodeId),
    ];
    const [first = '', executor = ''] = await this.#together(calls, 'latest', asItIs);
    const job = decodeJob(first);
    if (!job.ok) throw new EthError('RpcMalformedResponse', 'getJob');
    return { job: job.value, executor: executorIn(executor) };
  }

  #executorCall(jobId: string, attempt: number, nodeId: string): { to: string; data: string } {
    const words = [BigInt(jobId), BigInt(attempt), BigInt(nodeId)];
    return { to: this.#settings.registry, data: encodeCall(VIEWS.executorFor, words) };
  }

  /** How many verifiers sign a verdict, and how many what a dispute ends with. */
  async thresholds(): Promise<{ verdict: number; dispute: number }> {
    const to = this.#settings.verifiers;
    const calls = [VIEWS.verdictThreshold, VIEWS.disputeThreshold].map((selector) => ({
      to,
      data: `0x${selector}`,
    }));
    const [verdict = 0n, dispute = 0n] = await this.#together(calls, 'latest', number);
    return { verdict: Number(verdict), dispute: Number(dispute) };
  }

  /** Which of these may sign as verifiers now. */
  async areVerifiers(accounts: readonly string[]): Promise<boolean[]> {
    const to = this.#settings.verifiers;
    const calls = accounts.map((account) => ({
      to,
      data: encodeCall(VIEWS.isVerifier, [BigInt(account)]),
    }));
    return (await this.#together(calls, 'latest', number)).map((answer) => answer === 1n);
  }

  async #block(which: 'latest'): Promise<Head & Pick<Block, 'baseFeePerGas'>> {
    const block = await this.eth.block(which, { agreed: true });
    if (block === undefined) throw new EthError('RpcMalformedResponse', 'eth_getBlockByNumber');
    return block;
  }

  /** Some at a time. @throws EthError when an answer is none */
  async #together<T>(
    calls: readonly { readonly to: string; readonly data: string }[],
    block: BlockTag,
    decode: (answer: string) => { readonly ok: true; readonly value: T } | { readonly ok: false },
  ): Promise<T[]> {
    const found: T[] = [];
    for (let at = 0; at < calls.length; at += TOGETHER_MAX) {
      const part = calls.slice(at, at + TOGETHER_MAX);
      const answer = await this.eth.call(
        { to: MULTICALL3, data: encodeAggregate(part) },
        { block, agreed: true },
      );
      const answers = decodeAggregate(answer, part.length);
      for (const each of answers ?? []) {
        const decoded = decode(each);
        if (!decoded.ok) throw new EthError('RpcMalformedResponse', 'aggregate');
        found.push(decoded.value);
      }
      if (found.length !== at + part.length)
        throw new EthError('RpcMalformedResponse', 'aggregate');
    }
    return found;
  }
}

function asItIs(answer: string): { readonly ok: true; readonly value: string } {
  return { ok: true, value: answer };
}

function executorIn(answer: string): string | undefined {
  const found = addressAt(answer, 0);
  return found === NOBODY ? undefined : found;
}

function number(answer: string): { ok: true; value: bigint } | { ok: false } {
  return /^0x[0-9a-fA-F]{64}$/.test(answer) ? { ok: true, value: BigInt(answer) } : { ok: false };
}
