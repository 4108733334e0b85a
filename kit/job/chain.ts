/** The chain as the commands of a provider speak to it: one that is the one that was meant, and whose refusals become sentences. */
import { isError, JsonRpcProvider, Network, type Wallet } from 'ethers';
import { errorNameOf } from '../../contracts/compute-errors.ts';
import { JobError } from './job-error.ts';

/** Where a development node keeps its chain. */
export const DEVELOPMENT_RPC = 'http://127.0.0.1:8545';
/** How long a transaction may take, in milliseconds. */
const SENT_MS_MAX = 120_000;
const MEANING: Readonly<Record<string, string>> = {
  NotNameOwner:
    'the name of the node is not of this wallet in the namespace; development nodes have one on chain if they are called NAME.os',
  BadExecutor: 'the executor is another node’s already',
  BadSignature: 'the executor did not agree to this registration',
  NotOperator: 'the wallet is not the operator of the node',
  NodeBusy: 'jobs of the node have reserved that stake; stop taking jobs, and ask again',
};

/** Where a market's contracts are. */
export interface ChainPlace {
  readonly rpc: string;
  readonly chainId: number;
  readonly registry: string;
  readonly token: string;
}

/** Does some work with the chain there. @throws JobError where there is none, or another one */
export async function withChain<T>(
  { rpc, chainId }: Pick<ChainPlace, 'rpc' | 'chainId'>,
  work: (provider: JsonRpcProvider) => Promise<T>,
): Promise<T> {
  const provider = new JsonRpcProvider(rpc, Network.from(chainId), {
    staticNetwork: true,
    // One transaction follows another: an answer of a moment ago has the nonce of the last one.
    cacheTimeout: -1,
  });
  try {
    const found = await provider.send('eth_chainId', []).catch((error: unknown) => {
      throw new JobError('unreachable', `no chain answers at ${rpc}`, { cause: error });
    });
    if (Number(found) !== chainId)
      throw new JobError('bad-flags', `at ${rpc} is chain ${Number(found)}, not ${chainId}`);
    return await work(provider);
  } finally {
    provider.destroy();
  }
}

/** What a contract answers; `0x` where it has no such thing. @throws JobError where the chain does not answer */
export async function read(provider: JsonRpcProvider, to: string, data: string): Promise<string> {
  try {
    return await provider.call({ to, data });
  } catch (error) {
    if (isError(error, 'CALL_EXCEPTION')) return '0x';
    throw new JobError('unreachable', `the chain does not answer: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}

/** Sends a call, and waits for its block. @returns its hash @throws JobError with what the contract says */
export async function send(sender: Wallet, to: string, data: string): Promise<string> {
  try {
    const sent = await sender.sendTransaction({ to, data });
    const receipt = await sent.wait(1, SENT_MS_MAX);
    if (receipt?.status !== 1) throw new Error(`${sent.hash} was reverted`);
    return sent.hash;
  } catch (error) {
    throw new JobError('refused', `the chain does not take it: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}

/** What the contract calls it, and what that means to whoever sends it; else what was said. */
function reasonOf(error: unknown): string {
  const { data, shortMessage, message } = error as {
    readonly data?: unknown;
    readonly shortMessage?: string;
    readonly message?: string;
  };
  const name = typeof data === 'string' ? errorNameOf(data) : 'NoReason';
  if (name === 'NoReason' || name === 'Reverted')
    return (shortMessage ?? message ?? String(error)).slice(0, 300);
  return MEANING[name] === undefined ? name : `${MEANING[name]} (${name})`;
}

/** The same address, however its letters are written. */
export function same(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}
