/** What calls of the compute market cost: rows of the page of gas. */
import {
  COMPUTE_ESCROW,
  HYPER,
  NODE_REGISTRY,
  VAULT_INIT_HASH,
  VERIFIER_SET,
} from '../abi/constants.ts';
import { OWNER, TREASURY } from '../addresses.ts';
import { encodeCall } from '../calls.ts';
import { openMarket } from '../chain/market.ts';
import type { Rpc } from '../chain/rpc.ts';
import * as calls from '../compute-calls.ts';
import { jobIdOf, saltOf, vaultOf, type ComputeTerms } from '../compute.ts';
import {
  NODE,
  UNITS,
  acceptanceOf,
  client,
  domain,
  executor,
  operator,
  payTo,
  platform,
  quorum,
  receiptOf,
  sign,
  termsAt,
  verdictOf,
  verifiers,
  wait,
} from './compute-market.ts';

/** Seconds since 1970 at which the market opens; after today, as a chain's clock does not go back. */
const START_S = 4_000_000_000n;

type At = (intent: string, part?: Partial<ComputeTerms>) => ComputeTerms;

/** Sends, and adds a row. */
export type Spend = (what: string, from: string, to: string, data: string) => Promise<number>;

/** The figures that were promised. */
export interface ComputeGas {
  /** fund, assign, propose, finalize and two withdrawals, 2-of-3, on an escrow that nobody used before. */
  readonly wholeJob: number;
  /** The dearest `claimSession`. */
  readonly claimSession: number;
}

/** Plays a market on a chain of profile `fake` that nobody used before. */
export async function spendOnCompute(rpc: Rpc, spend: Spend): Promise<ComputeGas> {
  // Fixed times: what is signed, and so how many bytes of calldata are zero, is the same at every run.
  await rpc.batch([['evm_setNextBlockTimestamp', Number(START_S)], ['evm_mine']]);
  await openMarket(rpc);
  const by = (who: { address: string }, what: string, data: string): Promise<number> =>
    spend(what, who.address, COMPUTE_ESCROW, data);
  const at: At = (intent, part) => termsAt(START_S, intent, part);

  const first = at('first');
  let wholeJob = await by(client, 'fund a job, the first of an escrow', calls.encodeFund(first));
  wholeJob += await by(platform, 'assign', assign(first));
  wholeJob += await by(platform, 'propose, verdict by 2 of 3', propose(first, 90n));
  await wait(rpc, 601);
  const firstId = jobIdOf(domain, first);
  wholeJob += await by(platform, 'finalize, all credits new', calls.encodeFinalize(firstId));
  wholeJob += await by(payTo, 'withdraw', calls.encodeWithdraw(HYPER, payTo.address));
  wholeJob += await by(client, 'withdraw, to one who has some', withdrawFor(client.address));

  const second = at('second', { challengeWindow: 0 });
  const signature = sign(client, 'ComputeTerms', second);
  await by(platform, 'fund by signed terms', calls.encodeFundFor(second, signature));
  const both = [assign(second), propose(second, 100n)];
  await by(platform, 'assign, propose and settle in one batch', calls.encodeBatch(both, true));
  await by(platform, 'assign, propose and settle 8 jobs in one batch', await manyJobs(rpc, at));

  const plain = at('vault');
  const vault = vaultOf(COMPUTE_ESCROW, jobIdOf(domain, plain), VAULT_INIT_HASH);
  const transfer = encodeCall('a9059cbb', [BigInt(vault), plain.amount]);
  await rpc.send({ from: client.address, to: HYPER, data: transfer });
  await by(platform, 'fund from a vault', calls.encodeFundFromVault(plain));
  await by(client, 'cancel', calls.encodeCancel(jobIdOf(domain, plain)));

  const disputed = at('disputed');
  const disputedId = jobIdOf(domain, disputed);
  await send(rpc, client.address, calls.encodeFund(disputed));
  await send(rpc, platform.address, assign(disputed));
  await send(rpc, platform.address, propose(disputed, 100n));
  const verdict = verdictOf(receiptOf(disputed), 100n * UNITS);
  await spendOnBonds(rpc, spend);
  await by(client, 'dispute', calls.encodeDispute(disputedId, saltOf('evidence')));
  await by(platform, 'resolve with a conviction, by 3 of 3', conviction(disputed));
  const wrong = calls.encodeSlashVerdict(COMPUTE_ESCROW, verdict, quorum('Verdict', verdict, 2));
  await spend('slash two verifiers for a verdict', client.address, VERIFIER_SET, wrong);

  const claimSession = await spendOnSession(rpc, by, at);
  const registry = (what: string, who: { address: string }, data: string): Promise<number> =>
    spend(what, who.address, NODE_REGISTRY, data);
  await registry('add stake', operator, calls.encodeStake(NODE, UNITS));
  await registry('ask for stake back', operator, calls.encodeRequestUnstake(NODE, UNITS));
  await registry('heartbeat', executor, calls.encodeHeartbeat(NODE));
  return { wholeJob, claimSession };
}

/** Bonds of the first two verifiers. */
async function spendOnBonds(rpc: Rpc, spend: Spend): Promise<void> {
  for (const [index, { address }] of verifiers.slice(0, 2).entries()) {
    const approve = encodeCall('095ea7b3', [BigInt(VERIFIER_SET), 1_000n * UNITS]);
    await rpc.send({ from: address, to: HYPER, data: approve });
    const post = calls.encodePostBond(address, 1_000n * UNITS);
    if (index === 0) await spend('post a bond, the first', address, VERIFIER_SET, post);
    else await rpc.send({ from: address, to: VERIFIER_SET, data: post });
  }
}

async function spendOnSession(
  rpc: Rpc,
  by: (who: { address: string }, what: string, data: string) => Promise<number>,
  at: At,
): Promise<number> {
  // Nobody has a credit: each is the account's first.
  for (const account of [payTo.address, platform.address, TREASURY, client.address])
    await send(rpc, OWNER, calls.encodeBatch([withdrawFor(account)], false));
  const session = at('session', { mode: 2 });
  const jobId = jobIdOf(domain, session);
  await send(rpc, client.address, calls.encodeFund(session));
  await send(rpc, platform.address, assign(session));
  const claim = (cumulative: bigint): string => {
    const voucher = { jobId, attempt: 0, cumulative, tokensIn: 12n, tokensOut: 87n };
    return calls.encodeClaimSession(voucher, sign(client, 'Voucher', voucher));
  };
  const first = await by(platform, 'claimSession, all credits new', claim(10n * UNITS));
  const later = await by(platform, 'claimSession, later', claim(20n * UNITS));
  await by(client, 'requestClose', calls.encodeRequestClose(jobId));
  await wait(rpc, 3_600 + 86_400 + 1);
  await by(platform, 'refundExpired, of a session', calls.encodeRefundExpired(jobId));
  return Math.max(first, later);
}

async function manyJobs(rpc: Rpc, at: At): Promise<string> {
  const batch: string[] = [];
  for (let i = 0; i < 8; i++) {
    const terms = at(`many-${i}`, { challengeWindow: 0 });
    const signature = sign(client, 'ComputeTerms', terms);
    await send(rpc, platform.address, calls.encodeFundFor(terms, signature));
    batch.push(assign(terms), propose(terms, 100n));
  }
  return calls.encodeBatch(batch, true);
}

function assign(terms: ComputeTerms): string {
  const acceptance = acceptanceOf(terms);
  return calls.encodeAssign(acceptance, sign(executor, 'Acceptance', acceptance));
}

function propose(terms: ComputeTerms, hyper: bigint): string {
  const receipt = receiptOf(terms);
  const verdict = verdictOf(receipt, hyper * UNITS);
  const signature = sign(executor, 'JobReceipt', receipt);
  return calls.encodePropose(receipt, signature, verdict, quorum('Verdict', verdict, 2));
}

function conviction(terms: ComputeTerms): string {
  const resolution = {
    jobId: jobIdOf(domain, terms),
    receiptHash: verdictOf(receiptOf(terms), 0n).receiptHash,
    upheld: true,
    payout: 0n,
    slash: 1n,
    evidenceHash: saltOf('evidence'),
    issuedAt: terms.deadline,
  };
  return calls.encodeResolve(resolution, quorum('Resolution', resolution, verifiers.length));
}

function withdrawFor(account: string): string {
  return calls.encodeWithdrawFor(account, HYPER);
}

function send(rpc: Rpc, from: string, data: string): Promise<void> {
  return rpc.send({ from, to: COMPUTE_ESCROW, data });
}
