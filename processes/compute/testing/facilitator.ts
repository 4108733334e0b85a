/** What a market asks of the facilitator, from terms to proposals, and how it hears what became of it, for tests on the embedded chain. */
import { expect } from 'vitest';
import { saltOf, type ComputeTerms } from '../../../contracts/compute.ts';
import {
  acceptanceOf,
  client,
  executor,
  quorum,
  receiptOf,
  sign,
  UNITS,
  verdictOf,
} from '../../../contracts/test/compute-market.ts';
import type { MoneyNode } from '../../../test/support/money-node.ts';

/** For what takes a block or a few. */
export const WAIT = { timeout: 60_000, interval: 50 };

type Wish = Parameters<MoneyNode['facilitator']['Terms']>[0];

let intents = 0;
/** For terms of 100 HYPER, each of an intent of its own. */
export function wish(part: Partial<Wish> = {}): Wish {
  return {
    client: client.address,
    intentId: `intent ${intents++}`,
    amount: 100n * UNITS,
    specHash: saltOf('spec'),
    attempts: 1,
    timeoutS: 60,
    nodeId: undefined,
    mode: 0,
    fundWindowS: undefined,
    challengeWindowS: undefined,
    ...part,
  };
}

/** To the provider, which has signed for it. */
export async function assign(node: MoneyNode, terms: ComputeTerms, attempt = 0): Promise<void> {
  const acceptance = { ...acceptanceOf(terms), attempt };
  const signature = sign(executor, 'Acceptance', acceptance);
  await node.facilitator.Assign({ acceptance, signature });
}

/** With the signatures of two verifiers. */
export async function propose(node: MoneyNode, terms: ComputeTerms, payout: bigint): Promise<void> {
  const receipt = receiptOf(terms);
  const verdict = verdictOf(receipt, payout);
  await node.facilitator.Propose({
    receipt,
    signature: sign(executor, 'JobReceipt', receipt),
    verdict,
    signatures: quorum('Verdict', verdict, 2),
  });
}

/** What the facilitator says: the market that was told before a power cut is not told again. */
export async function comesTo(node: MoneyNode, jobId: string, state: string): Promise<void> {
  const now = async (): Promise<string> => (await node.facilitator.Money({ jobId })).state;
  await expect.poll(now, WAIT).toBe(state);
}

/** What the market was told. */
export async function stateOf(node: MoneyNode, jobId: string, state: string): Promise<void> {
  await expect.poll(() => node.moneyOf(jobId)?.state, WAIT).toBe(state);
}

export const credit = (node: MoneyNode, account: string): Promise<bigint> =>
  node.facilitator.Credit({ account });
