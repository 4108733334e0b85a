/** What a provider has on the chain: its stake, what leaves it, and what it earned; and how its wallet gets at them. */
import { Interface, type JsonRpcProvider, Wallet } from 'ethers';
import { nodeRegistryAbi } from '../../contracts/abi/node-registry.ts';
import {
  type ChainNode,
  encodeCreditOf,
  encodeRequestUnstake,
  encodeWithdraw,
  encodeWithdrawFor,
  encodeWithdrawStake,
} from '../../contracts/compute-calls.ts';
import { decodeEscrowEvent, ESCROW_EVENTS } from '../../contracts/compute-events.ts';
import { capacityOf } from '../../contracts/compute.ts';
import { namehash } from '../../contracts/hypermap.ts';
import { type ChainPlace, read, same, send, withChain } from './chain.ts';
import { JobError } from './job-error.ts';
import { addStake, nodeOf } from './registry.ts';
import { hyper } from './show.ts';
import { keyOf } from './wallet.ts';

const REGISTRY = new Interface(nodeRegistryAbi);
/** By slots (compute-market.md §4.3). */
const TIERS: Readonly<Record<string, string>> = {
  0: 'none',
  1: 'Starter',
  3: 'Standard',
  10: 'Professional',
  100: 'Enterprise',
};

export interface EarningsPlace extends ChainPlace {
  readonly escrow: string;
}

/** What an account can withdraw of a contract, in a token's smallest unit. */
export interface Credit {
  readonly held: 'escrow' | 'registry';
  readonly account: string;
  readonly token: string;
  readonly amount: bigint;
  /** What was ever credited, and withdrawn; undefined where the chain's node does not tell the past. */
  readonly earned?: bigint;
  readonly withdrawn?: bigint;
}

export interface ProviderState {
  readonly nodeId: string;
  readonly record: ChainNode;
  readonly tier: string;
  readonly slots: bigint;
  /** The most that one job may cost. */
  readonly reservation: bigint;
  readonly credits: readonly Credit[];
  /** Of the chain's clock: seconds since 1970. */
  readonly nowS: number;
}

/** @throws JobError for a node that nobody registered */
export function providerState(place: EarningsPlace, node: string): Promise<ProviderState> {
  return withChain(place, async (provider) => {
    const record = await registered(provider, place, node);
    const { slots, reservation } = capacityOf(record.stake);
    return {
      nodeId: namehash(node),
      record,
      tier: TIERS[String(slots)] ?? String(slots),
      slots,
      reservation,
      credits: await creditsOf(provider, place, [record.payTo, record.operator]),
      nowS: await nowS(provider),
    };
  });
}

export interface ByWallet {
  readonly node: string;
  readonly walletFile: string;
  readonly tell: (text: string) => void;
}

/**
 * Withdraws what the provider's earnings come to, and what the wallet itself has coming. Whoever's wallet it is, what `payTo` earned goes
 * nowhere but there, unless `payTo` itself asks.
 * @param to  another address; only for what is the wallet's own
 * @throws JobError `nothing` where nothing is there
 */
export function withdrawCredits(
  place: EarningsPlace,
  { node, walletFile, to, tell }: ByWallet & { readonly to: string | undefined },
): Promise<readonly (Credit & { readonly to: string; readonly txHash: string })[]> {
  return withChain(place, async (provider) => {
    const wallet = new Wallet(await keyOf(walletFile), provider);
    const { payTo } = await registered(provider, place, node);
    if (to !== undefined && !same(wallet.address, payTo))
      throw new JobError(
        'refused',
        `only the wallet of ${payTo} can send its earnings elsewhere; without --to they go there`,
      );
    const all = await creditsOf(provider, place, [payTo, wallet.address]);
    // The registry pays to who asks, and to nobody else.
    const due = all.filter(
      ({ amount, held, account }) =>
        amount > 0n && (held === 'escrow' || same(account, wallet.address)),
    );
    if (due.length === 0) throw new JobError('nothing', `${payTo} has nothing to withdraw`);
    const done = [];
    for (const credit of due) {
      const { held, account, token, amount } = credit;
      const own = same(account, wallet.address);
      const goesTo = own ? (to ?? account) : account;
      tell(`withdrawing ${amountText(place, credit)} to ${goesTo}`);
      const txHash =
        held === 'registry'
          ? await send(wallet, place.registry, REGISTRY.encodeFunctionData('withdraw', [goesTo]))
          : await send(
              wallet,
              place.escrow,
              own ? encodeWithdraw(token, goesTo) : encodeWithdrawFor(account, token),
            );
      done.push({ held, account, token, amount, to: goesTo, txHash });
    }
    return done;
  });
}

/** Adds to the stake, whoever pays. @returns the stake then @throws JobError */
export function stakeMore(
  place: ChainPlace,
  { node, walletFile, tell, amount }: ByWallet & { readonly amount: bigint },
): Promise<bigint> {
  return withChain(place, async (provider) => {
    const wallet = new Wallet(await keyOf(walletFile), provider);
    await registered(provider, place, node);
    await addStake({ provider, operator: wallet }, place, {
      nodeId: namehash(node),
      missing: amount,
      tell,
    });
    return (await registered(provider, place, node)).stake;
  });
}

/**
 * Asks for stake back: all that was asked for comes seven days after the last time.
 * @returns what is on its way, and when it can be had, in seconds since 1970
 * @throws JobError `refused` by who is not the operator, for more than there is, and for what jobs have reserved
 */
export function requestUnstake(
  place: ChainPlace,
  { node, walletFile, tell, amount }: ByWallet & { readonly amount: bigint },
): Promise<{ readonly unbonding: bigint; readonly unbondAt: bigint }> {
  return withChain(place, async (provider) => {
    const wallet = new Wallet(await keyOf(walletFile), provider);
    const { stake, reserved } = await operated(provider, place, node, wallet.address);
    if (amount > stake)
      throw new JobError('refused', `${node} has ${hyper(stake)} at stake, not ${hyper(amount)}`);
    if (amount > stake - reserved)
      throw new JobError(
        'refused',
        `jobs of ${node} have reserved ${hyper(reserved)}: ${hyper(stake - reserved)} can be asked for now`,
      );
    tell(`asking for ${hyper(amount)} of the stake`);
    await send(wallet, place.registry, encodeRequestUnstake(namehash(node), amount));
    return registered(provider, place, node);
  });
}

/**
 * Takes the stake that was asked for.
 * @returns how much it was
 * @throws JobError `nothing` if none was, `cooldown` with the time before which it is not given
 */
export function withdrawStake(
  place: ChainPlace,
  { node, walletFile, tell }: ByWallet,
): Promise<bigint> {
  return withChain(place, async (provider) => {
    const wallet = new Wallet(await keyOf(walletFile), provider);
    const { unbonding, unbondAt } = await operated(provider, place, node, wallet.address);
    if (unbonding === 0n)
      throw new JobError(
        'nothing',
        `no stake of ${node} was asked for; do: kit provider unstake ${node} HYPER`,
      );
    if (BigInt(await nowS(provider)) < unbondAt)
      throw new JobError(
        'cooldown',
        `${hyper(unbonding)} can be had from ${dateText(unbondAt)} on; until then it answers for what the node did`,
      );
    tell(`taking ${hyper(unbonding)} that were asked for`);
    await send(wallet, place.registry, encodeWithdrawStake(namehash(node)));
    return unbonding;
  });
}

/** `2026-12-04 18:00 UTC` of seconds since 1970. */
export function dateText(seconds: bigint): string {
  return `${new Date(Number(seconds) * 1_000).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

/** `2.5 HYPER`; of another token, so many of its smallest unit. */
export function amountText(
  { token: ours }: ChainPlace,
  { token, amount }: { readonly token: string; readonly amount: bigint },
): string {
  return same(token, ours) ? hyper(amount) : `${amount} of the smallest unit of ${token}`;
}

async function registered(
  provider: JsonRpcProvider,
  { registry }: ChainPlace,
  node: string,
): Promise<ChainNode> {
  const record = await nodeOf(provider, registry, namehash(node));
  if (record === undefined)
    throw new JobError(
      'not-found',
      `${node} is not registered; do: kit provider register ${node} --wallet FILE`,
    );
  return record;
}

async function operated(
  provider: JsonRpcProvider,
  place: ChainPlace,
  node: string,
  wallet: string,
): Promise<ChainNode> {
  const record = await registered(provider, place, node);
  if (!same(record.operator, wallet))
    throw new JobError(
      'not-operator',
      `the stake of ${node} is ${record.operator}'s: ${wallet} does not operate it`,
    );
  return record;
}

async function creditsOf(
  provider: JsonRpcProvider,
  place: EarningsPlace,
  accounts: readonly string[],
): Promise<readonly Credit[]> {
  const found: Credit[] = [];
  for (const account of new Set(accounts.map((one) => one.toLowerCase()))) {
    const past = await pastOf(provider, place, account);
    const tokens = new Set([place.token.toLowerCase(), ...(past?.keys() ?? [])]);
    for (const token of tokens) {
      const data = encodeCreditOf(account, token);
      const amount = await numberOf(provider, place.escrow, data);
      const sums = past === undefined ? {} : (past.get(token) ?? { earned: 0n, withdrawn: 0n });
      found.push({ held: 'escrow', account, token, amount, ...sums });
    }
    const data = REGISTRY.encodeFunctionData('creditOf', [account]);
    const amount = await numberOf(provider, place.registry, data);
    found.push({ held: 'registry', account, token: place.token, amount });
  }
  return found;
}

/** Sums of what the escrow credited to an account, and sent, by token; undefined where the chain's node refuses to look so far back. */
async function pastOf(
  provider: JsonRpcProvider,
  { escrow }: EarningsPlace,
  account: string,
): Promise<ReadonlyMap<string, { earned: bigint; withdrawn: bigint }> | undefined> {
  const { Credited, Withdrawn } = ESCROW_EVENTS;
  const who = `0x${account.slice(2).padStart(64, '0')}`;
  const topics = [[Credited.topic, Withdrawn.topic], who];
  const logs = await provider
    .getLogs({ address: escrow, topics, fromBlock: 0, toBlock: 'latest' })
    .catch(() => undefined);
  if (logs === undefined) return undefined;
  const sums = new Map<string, { earned: bigint; withdrawn: bigint }>();
  for (const { topics: of, data } of logs) {
    const event = decodeEscrowEvent({ topics: of, data });
    if (event?.kind !== 'Credited' && event?.kind !== 'Withdrawn') continue;
    const sum = sums.get(event.token) ?? { earned: 0n, withdrawn: 0n };
    sum[event.kind === 'Credited' ? 'earned' : 'withdrawn'] += event.amount;
    sums.set(event.token, sum);
  }
  return sums;
}

async function numberOf(
  provider: JsonRpcProvider,
  contract: string,
  data: string,
): Promise<bigint> {
  const answer = await read(provider, contract, data);
  if (!/^0x[0-9a-f]{64}$/i.test(answer))
    throw new JobError('refused', `there is no contract of the market at ${contract}`);
  return BigInt(answer);
}

/** The chain's clock is that of its newest block, or ours: a chain without transactions makes no blocks. */
async function nowS(provider: JsonRpcProvider): Promise<number> {
  const block = await provider.getBlock('latest');
  return Math.max(block?.timestamp ?? 0, Math.floor(Date.now() / 1_000));
}
