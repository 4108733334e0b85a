/** The facilitator on the embedded chain: paid jobs from terms to shared-out money, and what crashes and reorganisations leave of them. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { COMPUTE_ESCROW, VAULT_INIT_HASH } from '../../contracts/abi/constants.ts';
import { TREASURY } from '../../contracts/addresses.ts';
import { type Chain, startChain } from '../../contracts/chain/chain.ts';
import { openMarket } from '../../contracts/chain/market.ts';
import { saltOf, vaultOf, type ComputeTerms } from '../../contracts/compute.ts';
import {
  acceptanceOf,
  client,
  executor,
  NODE,
  payTo,
  platform,
  quorum,
  receiptOf,
  sign,
  signDigest,
  UNITS,
  verdictOf,
  wait,
} from '../../contracts/test/compute-market.ts';
import { digestTypedData } from './testing.ts';
import { MoneyNode } from '../../test/support/money-node.ts';
import type { OfferedTerms, Payment } from './shared/facilitator-contract.ts';

let chain: Chain;
let snapshot: unknown;
beforeAll(async () => {
  chain = await startChain();
  await openMarket(chain.rpc);
}, 60_000);
afterAll(() => chain.close());
beforeEach(async () => {
  snapshot = await chain.rpc.request('evm_snapshot');
});
afterEach(() => chain.rpc.request('evm_revert', snapshot));

const start = (settings: Readonly<Record<string, unknown>> = {}): Promise<MoneyNode> =>
  MoneyNode.start({ chainUrl: chain.webSocketUrl, platform, settings });

const WAIT = { timeout: 60_000, interval: 50 };

let intents = 0;
const wish = (part: Partial<Parameters<MoneyNode['facilitator']['Terms']>[0]> = {}) => ({
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
});

/** As a wallet that knows of x402 and nothing of jobs. */
function transfer(
  { terms, vault }: OfferedTerms,
  part: Partial<{ value: bigint; validBefore: bigint; validAfter: bigint; nonce: string }> = {},
): Payment {
  const message = {
    value: terms.amount,
    validAfter: 0n,
    validBefore: terms.fundBy,
    nonce: terms.salt,
    ...part,
  };
  const digest = digestTypedData('TransferWithAuthorization', {
    from: client.address,
    to: vault,
    ...message,
  });
  return { kind: 'Transfer', value: { ...message, signature: signDigest(client, digest) } };
}

async function stateOf(node: MoneyNode, jobId: string, state: string): Promise<void> {
  await expect.poll(() => node.moneyOf(jobId)?.state, WAIT).toBe(state);
}

const credit = async (node: MoneyNode, account: string): Promise<bigint> =>
  node.facilitator.Credit({ account });

test('CM4 CM8 a plain x402 transfer to the vault funds a job, which is assigned, proposed and finalized, and the money is where it belongs', async () => {
  await using node = await start();
  const offered = await node.facilitator.Terms(wish());
  const { terms, jobId, vault } = offered;
  expect(vault).toBe(vaultOf(COMPUTE_ESCROW, jobId, VAULT_INIT_HASH));
  expect(await node.facilitator.VerifyPayment({ jobId, payment: transfer(offered) })).toEqual({
    payer: client.address,
  });
  expect((await node.facilitator.Money({ jobId })).state).toBe('none');
  await node.facilitator.Fund({ jobId, payment: transfer(offered) });
  await stateOf(node, jobId, 'funded');
  expect(node.moneyOf(jobId)).toMatchObject({ amount: 100n * UNITS, attempt: 0 });

  await assign(node, terms);
  await stateOf(node, jobId, 'assigned');
  expect(node.moneyOf(jobId)).toMatchObject({ nodeId: NODE, price: 100n * UNITS });
  await propose(node, terms, 80n * UNITS);
  await stateOf(node, jobId, 'proposed');
  await wait(chain.rpc, 601);
  // The sweeper, which nobody asks.
  await stateOf(node, jobId, 'settled');
  expect(node.moneyOf(jobId)?.settled).toEqual({
    provider: 68n * UNITS,
    protocolFee: 8n * UNITS,
    platformFee: 4n * UNITS,
    clientRefund: 20n * UNITS,
  });
  expect(await credit(node, payTo.address)).toBe(68n * UNITS);
  expect(await credit(node, TREASURY)).toBe(8n * UNITS);
  expect(await credit(node, platform.address)).toBe(4n * UNITS);
  expect(await credit(node, client.address)).toBe(20n * UNITS);
  await node.facilitator.Withdraw({ account: payTo.address });
  await expect.poll(() => credit(node, payTo.address), WAIT).toBe(0n);
}, 120_000);

async function assign(node: MoneyNode, terms: ComputeTerms): Promise<void> {
  const acceptance = acceptanceOf(terms);
  const signature = sign(executor, 'Acceptance', acceptance);
  await node.facilitator.Assign({ acceptance, signature });
}

async function propose(node: MoneyNode, terms: ComputeTerms, payout: bigint): Promise<void> {
  const receipt = receiptOf(terms);
  const verdict = verdictOf(receipt, payout);
  await node.facilitator.Propose({
    receipt,
    signature: sign(executor, 'JobReceipt', receipt),
    verdict,
    signatures: quorum('Verdict', verdict, 2),
  });
}
