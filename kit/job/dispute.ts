/**
 * A dispute (compute-market.md §9): the client of a paid job stops what was proposed, for a bond, until verifiers have had the job run again.
 * The calls are made here, for the contracts that the client trusts; of what the market says only the bond is taken, which is shown first.
 */
import { createHash } from 'node:crypto';
import { Wallet as Signer } from 'ethers';
import { encodeApprove, encodeDispute } from '../../contracts/compute-calls.ts';
import { send, withChain } from './chain.ts';
import { JobError } from './job-error.ts';
import type { MarketApi } from './market-api.ts';
import { keyOf } from './wallet.ts';

/** What it would take. */
export interface DisputeOffer {
  readonly jobId: string;
  /** 32 bytes as hex: SHA-256 of the evidence. */
  readonly evidenceHash: string;
  /** Millionths of the token. */
  readonly bond: bigint;
}

/** @throws JobError `refused` for a job that nothing is proposed for, among others */
export async function disputeOffer(
  api: MarketApi,
  jobId: string,
  evidence: string,
): Promise<DisputeOffer> {
  const evidenceHash = `0x${createHash('sha256').update(evidence).digest('hex')}`;
  const { bond } = await api.json<{ bond: unknown }>('/api/disputes', {
    method: 'POST',
    body: { jobId, evidence, evidenceHash },
  });
  if (!/^\d{1,30}$/.test(String(bond)))
    throw new JobError('unreachable', 'the market names no bond that could be read');
  return { jobId, evidenceHash, bond: BigInt(String(bond)) };
}

export interface DisputePlace {
  readonly rpc: string;
  readonly chainId: number;
  readonly escrow: string;
  readonly token: string;
}

/** Approves the bond and disputes. @param walletFile  as for `keyOf` @returns hash of the transaction @throws JobError with what the chain says */
export function openDispute(
  place: DisputePlace,
  walletFile: string,
  { jobId, evidenceHash, bond }: DisputeOffer,
): Promise<string> {
  return withChain(place, async (provider) => {
    const wallet = new Signer(await keyOf(walletFile), provider);
    await send(wallet, place.token, encodeApprove(place.escrow, bond));
    return send(wallet, place.escrow, encodeDispute(jobId, evidenceHash));
  });
}
