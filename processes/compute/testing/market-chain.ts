/** The embedded chain with a market on it: a test file begins it once, and each of its tests meets it as it was then. */
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { type Chain, startChain } from '../../../contracts/chain/chain.ts';
import { openMarket } from '../../../contracts/chain/market.ts';
import type { Rpc } from '../../../contracts/chain/rpc.ts';
import { chainNow, platform } from '../../../contracts/test/compute-market.ts';
import { MoneyNode, type MoneyOptions } from '../../../test/support/money-node.ts';

const START_MS_MAX = 60_000;

/** @param prepare  changes the chain for all tests of the file */
export function useMarketChain(prepare?: (rpc: Rpc) => Promise<unknown>): MarketChain {
  const chain = new MarketChain();
  let snapshot: unknown;
  beforeAll(async () => {
    await chain.begin();
    await prepare?.(chain.rpc);
  }, START_MS_MAX);
  afterAll(() => chain.end());
  beforeEach(async () => {
    snapshot = await chain.rpc.request('evm_snapshot');
  });
  afterEach(() => chain.rpc.request('evm_revert', snapshot));
  return chain;
}

export class MarketChain {
  #chain: Chain | undefined;

  async begin(): Promise<void> {
    this.#chain = await startChain();
    await openMarket(this.rpc);
  }

  async end(): Promise<void> {
    await this.#chain?.close();
  }

  get rpc(): Rpc {
    return this.#begun.rpc;
  }

  /** Of its process. */
  get pid(): number {
    return this.#begun.pid;
  }

  /** A node whose facilitator is the platform's. */
  node(options: Partial<MoneyOptions> = {}): Promise<MoneyNode> {
    return MoneyNode.start({ chainUrl: this.#begun.webSocketUrl, platform, ...options });
  }

  /** In seconds, by the newest block or by the wall clock, which may be a little ahead of a chain that was reset. */
  async now(): Promise<bigint> {
    const newest = await chainNow(this.rpc);
    const wall = BigInt(Math.floor(Date.now() / 1_000));
    return newest > wall ? newest : wall;
  }

  /** Mines a block of this time, in seconds. */
  async reach(time: bigint): Promise<void> {
    await this.rpc.batch([['evm_setNextBlockTimestamp', Number(time)], ['evm_mine']]);
  }

  /** Mines a block that is so many seconds later than now. */
  async pass(seconds: bigint): Promise<void> {
    await this.reach((await this.now()) + seconds);
  }

  /** How many transactions an account has sent. */
  async sentBy(account: string): Promise<number> {
    return Number(await this.rpc.request('eth_getTransactionCount', account, 'latest'));
  }

  get #begun(): Chain {
    if (this.#chain === undefined) throw new Error('the chain begins before the first test');
    return this.#chain;
  }
}
