/** The facilitator on the embedded chain: paid jobs until their money is shared out, and what deadlines, crashes and reorganisations leave of them. */
import { expect, test } from 'vitest';
import { COMPUTE_ESCROW, NODE_REGISTRY, VAULT_INIT_HASH } from '../../contracts/abi/constants.ts';
import { TREASURY } from '../../contracts/addresses.ts';
import type { Persona } from '../../contracts/chain/personas.ts';
import { encodeFund, encodeStake } from '../../contracts/compute-calls.ts';
import { saltOf, vaultOf } from '../../contracts/compute.ts';
import {
  acceptanceOf,
  client,
  executor,
  NODE,
  operator,
  payTo,
  platform,
  sign,
  UNITS,
  wait,
} from '../../contracts/test/compute-market.ts';
import { transfer } from './testing.ts';
import { assign, comesTo, credit, propose, stateOf, WAIT, wish } from './testing/facilitator.ts';
import { useMarketChain } from './testing/market-chain.ts';

const chain = useMarketChain();

test('CM4 CM8 a plain x402 transfer to the vault funds a job, which is assigned, proposed and finalized, and the money is where it belongs', async () => {
  await using node = await chain.node();
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

test('CM28 T10 after the deadline the client has its money back, and a proposal that comes then does not', async () => {
  await using node = await chain.node();
  const offered = await node.facilitator.Terms(wish());
  const { jobId, terms } = offered;
  await node.facilitator.Fund({ jobId, payment: transfer(offered) });
  await stateOf(node, jobId, 'funded');
  await assign(node, terms);
  await stateOf(node, jobId, 'assigned');
  await chain.reach(terms.deadline + 1n);
  await propose(node, terms, 80n * UNITS);
  await stateOf(node, jobId, 'refunded');
  expect(node.moneyOf(jobId)).toMatchObject({ refundReason: 1 });
  expect(await credit(node, client.address)).toBe(100n * UNITS);
}, 120_000);

test('what the chain refuses for good becomes the job’s trouble, and the next change takes it away', async () => {
  await using node = await chain.node();
  const offered = await node.facilitator.Terms(wish());
  const { jobId, terms } = offered;
  await node.facilitator.Fund({ jobId, payment: transfer(offered) });
  await stateOf(node, jobId, 'funded');
  const acceptance = acceptanceOf(terms);
  const by = (who: Persona, part: Partial<typeof acceptance> = {}) => ({
    acceptance: { ...acceptance, ...part },
    signature: sign(who, 'Acceptance', { ...acceptance, ...part }),
  });
  for (const bad of [
    by(client),
    by(executor, { attempt: 1 }),
    by(executor, { price: terms.amount + 1n }),
    by(executor, { payTo: client.address }),
    by(executor, { expiresAt: 5n }),
    by(executor, { nodeId: saltOf('nobody') }),
  ])
    await expect(node.facilitator.Assign(bad)).rejects.toMatchObject({ kind: 'BadAcceptance' });
  // A receipt for a job that no node has.
  await propose(node, terms, 80n * UNITS);
  await expect.poll(() => node.moneyOf(jobId)?.trouble?.code, WAIT).toBe('BadState');
  await assign(node, terms);
  await stateOf(node, jobId, 'assigned');
  expect(node.moneyOf(jobId)?.trouble).toBeUndefined();
  // Wanted again, it is done now.
  await propose(node, terms, 80n * UNITS);
  await stateOf(node, jobId, 'proposed');
}, 120_000);

test('CM48 T29 a reorganisation that removes the funding returns the job to unpaid, and it is paid again when the chain has it', async () => {
  await using node = await chain.node();
  const offered = await node.facilitator.Terms(wish());
  const { jobId } = offered;
  const data = encodeFund(offered.terms);
  const before = await chain.rpc.request('evm_snapshot');
  await chain.rpc.send({ from: client.address, to: COMPUTE_ESCROW, data });
  await chain.rpc.request('anvil_mine', '0x3');
  await stateOf(node, jobId, 'funded');
  const { rev } = node.moneyOf(jobId)!;
  await chain.rpc.request('evm_revert', before);
  await chain.rpc.request('anvil_mine', '0x6');
  await stateOf(node, jobId, 'none');
  expect(Number(node.moneyOf(jobId)!.rev)).toBeGreaterThan(Number(rev));
  expect(node.moneyOf(jobId)).toMatchObject({ fundTx: undefined, amount: 0n });
  await chain.rpc.send({ from: client.address, to: COMPUTE_ESCROW, data });
  await stateOf(node, jobId, 'funded');
}, 120_000);

test('CM48 our own transactions survive a reorganisation that drops them', async () => {
  await using node = await chain.node();
  const offered = await node.facilitator.Terms(wish());
  const { jobId, terms } = offered;
  await chain.rpc.send({ from: client.address, to: COMPUTE_ESCROW, data: encodeFund(terms) });
  await stateOf(node, jobId, 'funded');
  const before = await chain.rpc.request('evm_snapshot');
  await assign(node, terms);
  await stateOf(node, jobId, 'assigned');
  await chain.rpc.request('evm_revert', before);
  await chain.rpc.request('anvil_mine', '0x5');
  // The signer broadcasts it again.
  await expect
    .poll(async () => (await node.facilitator.Money({ jobId })).state, { ...WAIT, timeout: 90_000 })
    .toBe('assigned');
}, 150_000);

test('F47 providers are found in the registry, with stake, tier and what they have reserved', async () => {
  await using node = await chain.node();
  await expect
    .poll(
      async () => (await node.facilitator.Providers({ after: undefined, limit: 10 })).length,
      WAIT,
    )
    .toBe(1);
  expect(await node.facilitator.Provider({ nodeId: NODE })).toMatchObject({
    nodeId: NODE,
    executor: executor.address.toLowerCase(),
    payTo: payTo.address.toLowerCase(),
    on: true,
    stake: 10_000n * UNITS,
    slots: 10,
    active: 0,
    reservation: 1_000n * UNITS,
    slashes: 0,
  });
  // The market hears of it, and of what is staked for it later, without asking.
  const heard = (): string[] =>
    node.heard.flatMap(({ kind, body }) => (kind === 'ProvidersChanged' ? [body] : []));
  await expect.poll(heard, WAIT).toEqual([expect.stringContaining(NODE)]);
  await chain.rpc.send({
    from: operator.address,
    to: NODE_REGISTRY,
    data: encodeStake(NODE, 5n * UNITS),
  });
  await expect.poll(heard, WAIT).toHaveLength(2);
  expect(JSON.parse(heard()[1]!)).toMatchObject([{ nodeId: NODE, stake: String(10_005n * UNITS) }]);
  expect(await node.facilitator.Provider({ nodeId: saltOf('nobody') })).toBeUndefined();
  expect(await node.facilitator.Providers({ after: NODE, limit: 10 })).toEqual([]);
}, 120_000);

test('CM50 a power cut at any moment of a paid job loses nothing and pays nothing twice', async () => {
  let node = await chain.node();
  const again = async (): Promise<void> => void (node = await node.again());
  const offered = await node.facilitator.Terms(wish());
  const { jobId, terms } = offered;
  // Right after it was acknowledged: nothing may have been sent.
  await node.facilitator.Fund({ jobId, payment: transfer(offered) });
  await again();
  await comesTo(node, jobId, 'funded');
  await assign(node, terms);
  await again();
  await comesTo(node, jobId, 'assigned');
  await propose(node, terms, 80n * UNITS);
  await again();
  await comesTo(node, jobId, 'proposed');
  node.deaf = true;
  await wait(chain.rpc, 601);
  await expect.poll(() => credit(node, payTo.address), WAIT).toBe(68n * UNITS);
  await again();
  // The market was away as well: it is told the newest state.
  await stateOf(node, jobId, 'settled');
  // Twice is once, from whoever.
  await propose(node, terms, 80n * UNITS);
  await assign(node, terms).catch(() => undefined);
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  expect(await credit(node, payTo.address)).toBe(68n * UNITS);
  expect(await credit(node, client.address)).toBe(20n * UNITS);
  await node[Symbol.asyncDispose]();
}, 180_000);

test('CM50 an assignment that is asked for again is the same one, also when its acceptance has hardly any time left', async () => {
  await using node = await chain.node();
  const offered = await node.facilitator.Terms(wish());
  const { jobId, terms } = offered;
  await node.facilitator.Fund({ jobId, payment: transfer(offered) });
  await stateOf(node, jobId, 'funded');
  const expiresAt = (await chain.now()) + 30n;
  const acceptance = { ...acceptanceOf(terms), expiresAt };
  const asked = { acceptance, signature: sign(executor, 'Acceptance', acceptance) };
  await node.facilitator.Assign(asked);
  await stateOf(node, jobId, 'assigned');
  await wait(chain.rpc, 60);
  await node.facilitator.Assign(asked);
  expect(node.moneyOf(jobId)).toMatchObject({ state: 'assigned', trouble: undefined });
}, 120_000);

test('CM50 a chain that is gone for a while only delays', async () => {
  await using node = await chain.node();
  const offered = await node.facilitator.Terms(wish());
  const { jobId } = offered;
  await node.facilitator.Fund({ jobId, payment: transfer(offered) });
  process.kill(chain.pid, 'SIGSTOP');
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  process.kill(chain.pid, 'SIGCONT');
  await stateOf(node, jobId, 'funded');
}, 120_000);
