/**
 * What a market asks to be paid, looked at before anything is signed (findings F37): the terms must be those of this job, their price what
 * was agreed, the times and rules within what protects the client, and the vault the one that the escrow has for them.
 */
import { COMPUTE_ESCROW, HYPER, VAULT_INIT_HASH } from '../../contracts/abi/constants.ts';
import { CHAIN_ID } from '../../contracts/addresses.ts';
import { structCodec } from '../../contracts/compute-json.ts';
import {
  type ComputeTerms,
  escrowDomain,
  jobIdOf,
  MODE,
  saltOf,
  vaultOf,
} from '../../contracts/compute.ts';
import { list, record, text, u32 } from '../../wit/codec.ts';
import { JobError } from './job-error.ts';

/** Seconds: the longest time to pay, and from then on to the end (F37). */
const FUND_S_MAX = 86_400;
const RUN_S_MAX = 30 * 86_400;
const WINDOW_S_MIN = 600;
/** Seconds that clocks may differ. */
const SKEW_S = 120;
const ZERO = `0x${'0'.repeat(40)}`;

/** Whose contracts are paid: what a market names could be anybody's. */
export interface KnownChain {
  readonly chainId: number;
  readonly escrow: string;
  readonly token: string;
}

/** Of development nodes. */
export const DEVELOPMENT_CHAIN: KnownChain = {
  chainId: CHAIN_ID,
  escrow: COMPUTE_ESCROW,
  token: HYPER,
};

export interface Agreed {
  readonly client: string;
  readonly intentId: string;
  /** How many runs there are, each with terms of its own. */
  readonly replicas: number;
  readonly specHash: string;
  /** The most that may be asked, for all runs together. */
  readonly amount: bigint;
  readonly chain: KnownChain;
  /** Seconds since 1970. */
  readonly nowS: number;
}

export interface CheckedTerms {
  readonly terms: ComputeTerms;
  readonly jobId: string;
  readonly vault: string;
  readonly chainId: number;
  readonly token: {
    readonly address: string;
    readonly domain: { readonly name: string; readonly version: string };
  };
}

const paymentRequired = record({
  accepts: list(
    record({
      scheme: text,
      network: text,
      amount: text,
      asset: text,
      payTo: text,
      extra: record({ name: text, version: text }),
    }),
  ),
  extensions: record({
    'hypernode-escrow': record({
      info: record({ jobId: text, chainId: u32, escrow: text, terms: structCodec('ComputeTerms') }),
    }),
  }),
});

/**
 * @param header  `PAYMENT-REQUIRED` of the market's answer
 * @throws JobError `bad-terms`, with what is wrong with them
 */
export function checkTerms(header: string, agreed: Agreed): CheckedTerms {
  const read = paymentRequired.decode(Buffer.from(header, 'base64').toString('utf8'));
  const wanted = read.ok ? read.value.accepts.find(({ scheme }) => scheme === 'exact') : undefined;
  if (!read.ok || wanted === undefined) throw bad('it does not say which job is paid, and how');
  const { terms, jobId, chainId, escrow } = read.value.extensions['hypernode-escrow'].info;
  const { chain } = agreed;
  if (chainId !== chain.chainId || !same(escrow, chain.escrow) || !same(terms.token, chain.token)) {
    throw bad(
      `it is paid to the escrow ${escrow} on chain ${chainId} in ${terms.token}; if you know that escrow, say so: --escrow ADDRESS --token ADDRESS --chain ID`,
    );
  }
  const id = jobIdOf(escrowDomain(chainId, escrow), terms);
  const vault = vaultOf(escrow, id, VAULT_INIT_HASH);
  const problem = problemOf(terms, agreed);
  if (problem !== undefined) throw bad(problem);
  const { asset, payTo, amount, extra, network } = wanted;
  if (!same(id, jobId)) throw bad('they are those of another job');
  if (!same(payTo, vault))
    throw bad(`the money would go to ${payTo}, the vault of the job is ${vault}`);
  if (
    !same(asset, terms.token) ||
    amount !== String(terms.amount) ||
    network !== `eip155:${chainId}`
  )
    throw bad('they are not what is to be paid');
  return { terms, jobId: id, vault, chainId, token: { address: terms.token, domain: extra } };
}

/** What harms the client, or is not what was agreed. */
function problemOf(terms: ComputeTerms, agreed: Agreed): string | undefined {
  const now = BigInt(agreed.nowS - SKEW_S);
  if (!same(terms.client, agreed.client)) return `they are of the client ${terms.client}`;
  if (!same(terms.specHash, agreed.specHash)) return 'they are of another spec';
  if (!saltsOf(agreed).some((salt) => same(terms.salt, salt))) return 'they are of another intent';
  const most = agreed.amount / BigInt(agreed.replicas);
  if (terms.amount > most) return `${terms.amount} is asked, ${most} was agreed`;
  if (terms.mode !== MODE.exact && terms.mode !== MODE.metered) return 'they pay by vouchers';
  if (!same(terms.voucherSigner, ZERO)) return 'somebody else could sign vouchers';
  if (terms.fundBy < now) return 'the time to pay is over; submit again';
  if (terms.fundBy > now + BigInt(FUND_S_MAX + 2 * SKEW_S)) return 'the time to pay is too long';
  if (terms.deadline > terms.fundBy + BigInt(RUN_S_MAX)) return 'the deadline is too far away';
  if (terms.deadline <= terms.fundBy) return 'the deadline is before the time to pay ends';
  if (terms.challengeWindow < WINDOW_S_MIN) return 'there is no time to dispute a result';
  return undefined;
}

function saltsOf({ intentId, replicas }: Agreed): readonly string[] {
  if (replicas === 1) return [saltOf(intentId)];
  return Array.from({ length: replicas }, (_, index) => saltOf(`${intentId}#${index}`));
}

function same(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}

function bad(why: string): JobError {
  return new JobError('bad-terms', `nothing was signed: the market's terms are not safe: ${why}`);
}
