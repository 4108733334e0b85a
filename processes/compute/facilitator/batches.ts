/**
 * Wishes that share a transaction, and what became of each: calls of the escrow by its own `batch`, transfers of tokens, which anybody may bring
 * (EIP-3009), by Multicall3; anything else goes alone. Pure.
 */
import { MULTICALL3 } from '../../../contracts/addresses.ts';
import { encodeTryAggregate } from '../../../contracts/calls.ts';
import { encodeBatch } from '../../../contracts/compute-calls.ts';
import { type ComputeError, decodeBatchFailure } from '../../../contracts/compute-errors.ts';
import type { Receipt } from '../../lib/eth.ts';
import { same } from '../shared/words.ts';
import type { Outcome, Outgoing } from './post.ts';

/** Gas that a call may take inside of a batch: over what it was measured to take (docs/gas.md), for the escrow goes on without one that runs out. */
export const GAS = {
  transfer: 150_000,
  fund: 500_000,
  recoverVault: 400_000,
  assign: 300_000,
  propose: 400_000,
  reject: 250_000,
  convict: 550_000,
  resolve: 550_000,
  finalize: 320_000,
  refundExpired: 250_000,
  withdraw: 120_000,
  equivocation: 400_000,
} as const;
export type WishKind = keyof typeof GAS;
/** Of the transaction itself. */
const GAS_BASE = 60_000;
/** What one transaction may take: half of what chains allow (2^24). */
const GAS_MAX = 8_000_000;
/** Calldata of one transaction, in hex digits: what the signer takes, less the frame of a batch. */
const DIGITS_MAX = 2 * 20 * 1_024;
export const CALLS_MAX = 64;
/** First topic of `AuthorizationUsed(address authorizer, bytes32 nonce)`: that a transfer was carried out. */
const AUTHORIZATION_USED = '0x98de503528ee59b575ef0c0a2576a82497bfc029a5685b209e9ec333479b10a5';
/** Where a call of `transferWithAuthorization` has who pays, and the nonce: words behind the selector. */
const FROM_WORD = 0;
const NONCE_WORD = 5;

export interface Wish {
  readonly jobId: string;
  readonly kind: WishKind;
  /** The escrow's are sent together. */
  readonly to: string;
  readonly data: string;
}

export interface Kept extends Wish {
  readonly id: number;
  readonly tries: number;
  readonly place: number;
}

/**
 * Of the first, and those that may go with it, as many as fit into a transaction. What a job wanted first goes first.
 * @param aggregates  whether transfers may share one
 */
export function takeTogether(
  due: readonly Kept[],
  { escrow, aggregates }: { readonly escrow: string; readonly aggregates: boolean },
): Kept[] {
  const taken: Kept[] = [];
  const left = new Set<string>();
  let gas = GAS_BASE;
  let digits = 0;
  const [first] = due;
  const wayOfFirst = first === undefined ? 'alone' : wayOf(first, escrow);
  const way = wayOfFirst === 'aggregate' && !aggregates ? 'alone' : wayOfFirst;
  for (const wish of due) {
    if (
      taken.length > 0 &&
      (way === 'alone' || wayOf(wish, escrow) !== way || left.has(wish.jobId))
    ) {
      left.add(wish.jobId);
      continue;
    }
    gas += gasOf(wish);
    digits += wish.data.length + 192;
    if (taken.length > 0 && (gas > GAS_MAX || digits > DIGITS_MAX)) break;
    taken.push(wish);
  }
  return taken;
}

/** What carries them out. */
export function callOf(together: readonly Kept[], escrow: string): Outgoing {
  const [first] = together;
  if (first === undefined) throw new Error('there is nothing to send');
  const gas = GAS_BASE + together.reduce((sum, wish) => sum + gasOf(wish), 0);
  switch (wayOf(first, escrow)) {
    case 'batch':
      return {
        to: first.to,
        data: encodeBatch(
          together.map(({ data }) => data),
          false,
        ),
        gas,
      };
    case 'aggregate':
      if (together.length > 1) return { to: MULTICALL3, data: encodeTryAggregate(together), gas };
      return { to: first.to, data: first.data, gas };
    case 'alone':
      return { to: first.to, data: first.data, gas };
  }
}

/** Why a wish was not carried out; undefined: it was. */
export function errorOf(wish: Kept, outcome: Outcome, escrow: string): ComputeError | undefined {
  if (outcome.kind === 'displaced') return undefined;
  const { receipt } = outcome;
  if (!receipt.ok) return 'NoReason';
  if (wayOf(wish, escrow) === 'aggregate')
    return isTransferred(wish, receipt) ? undefined : 'NoReason';
  return failuresOf(receipt, escrow).get(wish.place);
}

function wayOf({ to, kind }: Wish, escrow: string): 'batch' | 'aggregate' | 'alone' {
  if (same(to, escrow)) return 'batch';
  return kind === 'transfer' ? 'aggregate' : 'alone';
}

/** More every time, for one that ran out has no other reason to give. */
function gasOf({ kind, tries }: Kept): number {
  return Math.min(Math.floor(GAS[kind] * 1.5 ** Math.min(tries, 4)), GAS_MAX - GAS_BASE);
}

function isTransferred({ to, data }: Wish, { logs }: Receipt): boolean {
  const topics = [AUTHORIZATION_USED, wordAt(data, FROM_WORD), wordAt(data, NONCE_WORD)];
  return logs.some(
    (log) =>
      same(log.address, to) && topics.every((topic, at) => same(log.topics[at] ?? '', topic)),
  );
}

function wordAt(data: string, index: number): string {
  const start = 2 + 8 + 64 * index;
  return `0x${data.slice(start, start + 64)}`;
}

/** Said by the escrow: a token could say the same. */
function failuresOf({ logs }: Receipt, escrow: string): ReadonlyMap<number, ComputeError> {
  return new Map(
    logs.flatMap((log): [number, ComputeError][] => {
      const failure = same(log.address, escrow) ? decodeBatchFailure(log) : undefined;
      return failure === undefined ? [] : [[failure.index, failure.error]];
    }),
  );
}
