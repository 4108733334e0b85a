/** The facilitator on the embedded chain: paid jobs from terms to shared-out money, and what crashes and reorganisations leave of them. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import {
  COMPUTE_ESCROW,
  HYPER,
  NODE_REGISTRY,
  VAULT_INIT_HASH,
} from '../../contracts/abi/constants.ts';
import { MULTICALL3, TREASURY } from '../../contracts/addresses.ts';
import { encodeCall } from '../../contracts/calls.ts';
import { type Chain, startChain } from '../../contracts/chain/chain.ts';
import type { Persona } from '../../contracts/chain/personas.ts';
import { openMarket } from '../../contracts/chain/market.ts';
import { encodeFund, encodeStake } from '../../contracts/compute-calls.ts';
import { saltOf, vaultOf, type ComputeTerms } from '../../contracts/compute.ts';
import {
  acceptanceOf,
  client,
  executor,
  NODE,
  operator,
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
import { settingsOf } from '../../bin/compute.ts';
import { wishesOf } from './facilitator/funding.ts';
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

/** The chain's clock, which a reset leaves a little behind ours. */
async function until(time: bigint): Promise<void> {
  await chain.rpc.batch([['evm_setNextBlockTimestamp', Number(time)], ['evm_mine']]);
}

/** What the facilitator says: the market that was told before a power cut is not told again. */
async function comesTo(node: MoneyNode, jobId: string, state: string): Promise<void> {
  const now = async (): Promise<string> => (await node.facilitator.Money({ jobId })).state;
  await expect.poll(now, WAIT).toBe(state);
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

test('CM4 T12 transfers of several clients share a transaction, and one that somebody else has sent keeps none from its job', async () => {
  await using node = await start();
  const offers: OfferedTerms[] = [];
  for (let at = 0; at < 4; at += 1) offers.push(await node.facilitator.Terms(wish()));
  const payments = offers.map((offered) => transfer(offered));
  const [first] = offers;
  const sentBefore = await sentBy(platform.address);
  await Promise.all(
    offers.map(({ jobId }, at) => node.facilitator.Fund({ jobId, payment: payments[at]! })),
  );
  // Whoever sees a payment may bring it: here it is there before ours, or after.
  const [wishOfFirst] = wishesOf(settingsOf() as never, first!, payments[0]!);
  await chain.rpc
    .send({ from: operator.address, to: HYPER, data: wishOfFirst!.data })
    .catch(() => undefined);
  for (const { jobId } of offers) await comesTo(node, jobId, 'funded');
  // Of one transaction, what several clients paid.
  const topics = ['0x98de503528ee59b575ef0c0a2576a82497bfc029a5685b209e9ec333479b10a5'];
  const filter = { address: HYPER, fromBlock: '0x0', topics };
  const logs = (await chain.rpc.request('eth_getLogs', filter)) as { transactionHash: string }[];
  const hashes = logs.map(({ transactionHash }) => transactionHash);
  expect(new Set(hashes).size).toBeLessThan(hashes.length);
  expect((await sentBy(platform.address)) - sentBefore).toBeLessThan(2 * offers.length);
}, 120_000);

test('CM4 where the signer permits no shared transfers, each goes alone', async () => {
  await using node = await MoneyNode.start({
    ...{ chainUrl: chain.webSocketUrl, platform },
    mayDo: (grant) => !JSON.stringify(grant).includes(MULTICALL3),
  });
  const offers: OfferedTerms[] = [];
  for (let at = 0; at < 4; at += 1) offers.push(await node.facilitator.Terms(wish()));
  await Promise.all(
    offers.map((offered) =>
      node.facilitator.Fund({ jobId: offered.jobId, payment: transfer(offered) }),
    ),
  );
  for (const { jobId } of offers) await comesTo(node, jobId, 'funded');
  expect(node.lines).toEqual([]);
}, 120_000);

async function sentBy(account: string): Promise<number> {
  return Number(await chain.rpc.request('eth_getTransactionCount', account, 'latest'));
}

test('CM5 the same intent has the same terms, and another wish for it is refused', async () => {
  await using node = await start();
  const one = wish();
  const offered = await node.facilitator.Terms(one);
  await wait(chain.rpc, 5);
  expect(await node.facilitator.Terms(one)).toEqual(offered);
  await expect(node.facilitator.Terms({ ...one, amount: 5n })).rejects.toMatchObject({
    kind: 'IntentTaken',
  });
  const other = await node.facilitator.Terms({ ...one, client: executor.address });
  expect(other.jobId).not.toBe(offered.jobId);
  const next = await node.again();
  expect(await next.facilitator.Terms(one)).toEqual(offered);
  await next[Symbol.asyncDispose]();
}, 120_000);

test('F37 no terms that harm the client leave, and a coordinator that writes hostile ones is refused by the escrow too', async () => {
  await using node = await start({ amount_max: String(1_000n * UNITS) });
  const refused = async (part: Parameters<typeof wish>[0]): Promise<void> => {
    await expect(
      node.facilitator.Terms(wish(part)),
      JSON.stringify(part, (_, v: unknown) => (typeof v === 'bigint' ? `${v}` : v)),
    ).rejects.toMatchObject({ kind: 'BadTerms' });
  };
  await refused({ fundWindowS: 86_401 });
  await refused({ challengeWindowS: 599 });
  await refused({ challengeWindowS: 7 * 86_400 + 1 });
  await refused({ mode: 2 });
  await refused({ mode: 3 });
  await refused({ amount: 0n });
  await refused({ amount: 1_000n * UNITS + 1n });
  await refused({ attempts: 10, timeoutS: 30 * 86_400 });
  await refused({ intentId: '' });
  await refused({ client: `0x${'00'.repeat(20)}` });
  const { terms } = await node.facilitator.Terms(wish());
  expect(terms).toMatchObject({
    mode: 0,
    voucherSigner: `0x${'00'.repeat(20)}`,
    challengeWindow: 600,
  });
  const hostile: Partial<ComputeTerms>[] = [
    { voucherSigner: platform.address },
    { voucherSigner: platform.address, mode: 2 },
    { platform: executor.address },
    { token: executor.address },
    { deadline: terms.fundBy },
    { deadline: terms.fundBy + 30n * 86_400n + 1n },
    { fundBy: terms.fundBy + 86_400n },
    { challengeWindow: 0 },
  ];
  for (const [index, part] of hostile.entries())
    await expect(
      node.facilitator.Adopt({ terms: { ...terms, salt: saltOf(`hostile ${index}`), ...part } }),
    ).rejects.toMatchObject({ kind: 'BadTerms' });
  // What a client knowingly signs for little money may have no window.
  const small = { ...terms, amount: 9n * UNITS, challengeWindow: 0, salt: saltOf('small') };
  const adopted = await node.facilitator.Adopt({ terms: small });
  const byVault = { kind: 'Vault' } as const;
  await chain.rpc.send({
    from: client.address,
    to: HYPER,
    data: encodeCall('a9059cbb', [BigInt(adopted.vault), small.amount]),
  });
  await expect(
    node.facilitator.Fund({ jobId: adopted.jobId, payment: byVault }),
  ).rejects.toMatchObject({ kind: 'BadTerms' });
  await node.facilitator.Fund({
    jobId: adopted.jobId,
    payment: { kind: 'Allowance', value: { termsSignature: sign(client, 'ComputeTerms', small) } },
  });
  await stateOf(node, adopted.jobId, 'funded');
}, 120_000);

test('CM4 T12 every way to pay: authorisation to the escrow, signed terms, and a vault that somebody filled', async () => {
  await using node = await start();
  const receive = await node.facilitator.Terms(wish());
  const window = { validAfter: 0, validBefore: Number(receive.terms.fundBy) };
  const signature = signDigest(
    client,
    digestTypedData('ReceiveWithAuthorization', {
      from: client.address,
      to: COMPUTE_ESCROW,
      value: receive.terms.amount,
      nonce: receive.jobId,
      ...window,
    }),
  );
  const { jobId } = receive;
  await node.facilitator.Fund({
    jobId,
    payment: { kind: 'Receive', value: { ...window, signature } },
  });
  const vault = await node.facilitator.Terms(wish());
  // Some other facilitator carried the transfer out: the sweeper sees it.
  await chain.rpc.send({
    from: client.address,
    to: HYPER,
    data: encodeCall('a9059cbb', [BigInt(vault.vault), vault.terms.amount + 1n]),
  });
  await stateOf(node, jobId, 'funded');
  await stateOf(node, vault.jobId, 'funded');
  expect(await credit(node, client.address)).toBe(1n);
  // Twice is once.
  await node.facilitator.Fund({
    jobId,
    payment: { kind: 'Receive', value: { ...window, signature } },
  });
  expect(node.moneyOf(jobId)?.fundTx).toMatch(/^0x/);
}, 120_000);

test('T11 payments that are none are refused by name before anything is sent', async () => {
  await using node = await start();
  const offered = await node.facilitator.Terms(wish());
  const { jobId, terms } = offered;
  const verify = (payment: Payment): Promise<unknown> =>
    node.facilitator.VerifyPayment({ jobId, payment });
  const good = transfer(offered);
  if (good.kind !== 'Transfer') throw new Error('no transfer');
  const forged = { ...good.value, signature: signDigest(executor, saltOf('x')) };
  const cases: [Payment, string][] = [
    [{ kind: 'Transfer', value: forged }, 'invalid_exact_evm_signature'],
    [{ kind: 'Transfer', value: { ...good.value, value: 1n } }, 'invalid_exact_evm_signature'],
    [transfer(offered, { value: 1n }), 'invalid_exact_evm_authorization_value'],
    [
      transfer(offered, { validBefore: 5n }),
      'invalid_exact_evm_payload_authorization_valid_before',
    ],
    [
      transfer(offered, { validAfter: terms.fundBy - 1n }),
      'invalid_exact_evm_payload_authorization_valid_after',
    ],
    [{ kind: 'Vault' }, 'UnderFunded'],
    [{ kind: 'Allowance', value: { termsSignature: signDigest(executor, jobId) } }, 'BadSignature'],
  ];
  for (const [payment, kind] of cases)
    await expect(verify(payment), kind).rejects.toMatchObject({ kind });
  const poor = await node.facilitator.Terms(wish({ amount: 100_000n * UNITS }));
  await chain.rpc.send({
    from: client.address,
    to: HYPER,
    data: encodeCall('a9059cbb', [BigInt(executor.address), 999_999n * UNITS]),
  });
  await expect(
    node.facilitator.VerifyPayment({ jobId: poor.jobId, payment: transfer(poor) }),
  ).rejects.toMatchObject({ kind: 'invalid_exact_evm_insufficient_balance' });
  await expect(
    node.facilitator.Fund({ jobId: saltOf('nobody'), payment: { kind: 'Vault' } }),
  ).rejects.toMatchObject({ kind: 'NoSuchJob' });
  expect(await chain.rpc.request('eth_getTransactionCount', platform.address, 'latest')).toBe(
    '0x0',
  );
}, 120_000);

test('CM6 what comes too late is the client’s again, without anybody asking', async () => {
  await using node = await start();
  const offered = await node.facilitator.Terms(wish({ fundWindowS: 60 }));
  await until(offered.terms.fundBy + 1n);
  await chain.rpc.send({
    from: client.address,
    to: HYPER,
    data: encodeCall('a9059cbb', [BigInt(offered.vault), 7n]),
  });
  await expect(
    node.facilitator.Fund({ jobId: offered.jobId, payment: { kind: 'Vault' } }),
  ).rejects.toMatchObject({ kind: 'terms_expired' });
  await expect.poll(() => credit(node, client.address), WAIT).toBe(7n);
  expect((await node.facilitator.Money({ jobId: offered.jobId })).state).toBe('none');
}, 120_000);

test('CM28 T10 after the deadline the client has its money back, and a proposal that comes then does not', async () => {
  await using node = await start();
  const offered = await node.facilitator.Terms(wish());
  const { jobId, terms } = offered;
  await node.facilitator.Fund({ jobId, payment: transfer(offered) });
  await stateOf(node, jobId, 'funded');
  await assign(node, terms);
  await stateOf(node, jobId, 'assigned');
  await until(terms.deadline + 1n);
  await propose(node, terms, 80n * UNITS);
  await stateOf(node, jobId, 'refunded');
  expect(node.moneyOf(jobId)).toMatchObject({ refundReason: 1 });
  expect(await credit(node, client.address)).toBe(100n * UNITS);
}, 120_000);

test('what the chain refuses for good becomes the job’s trouble, and the next change takes it away', async () => {
  await using node = await start();
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
  await using node = await start();
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
  await using node = await start();
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

test('CM4 T29 confirmations: a job counts as funded in the block that was asked for, not before', async () => {
  await using node = await start({ confirmations: 3 });
  const offered = await node.facilitator.Terms(wish());
  const data = encodeFund(offered.terms);
  await chain.rpc.send({ from: client.address, to: COMPUTE_ESCROW, data });
  await chain.rpc.request('anvil_mine', '0x1');
  await expect
    .poll(
      async () => (await node.facilitator.Providers({ after: undefined, limit: 10 })).length,
      WAIT,
    )
    .toBe(1);
  expect((await node.facilitator.Money({ jobId: offered.jobId })).state).toBe('none');
  await chain.rpc.request('anvil_mine', '0x1');
  await stateOf(node, offered.jobId, 'funded');
}, 120_000);

test('F47 providers are found in the registry, with stake, tier and what they have reserved', async () => {
  await using node = await start();
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
  let node = await start();
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
  await using node = await start();
  const offered = await node.facilitator.Terms(wish());
  const { jobId, terms } = offered;
  await node.facilitator.Fund({ jobId, payment: transfer(offered) });
  await stateOf(node, jobId, 'funded');
  const { timestamp } = (await chain.rpc.request('eth_getBlockByNumber', 'latest', false)) as {
    timestamp: string;
  };
  const expiresAt = BigInt(Math.max(Number(timestamp), Math.floor(Date.now() / 1_000)) + 30);
  const acceptance = { ...acceptanceOf(terms), expiresAt };
  const asked = { acceptance, signature: sign(executor, 'Acceptance', acceptance) };
  await node.facilitator.Assign(asked);
  await stateOf(node, jobId, 'assigned');
  await wait(chain.rpc, 60);
  await node.facilitator.Assign(asked);
  expect(node.moneyOf(jobId)).toMatchObject({ state: 'assigned', trouble: undefined });
}, 120_000);

test('CM50 a chain that is gone for a while only delays', async () => {
  await using node = await start();
  const offered = await node.facilitator.Terms(wish());
  const { jobId } = offered;
  await node.facilitator.Fund({ jobId, payment: transfer(offered) });
  process.kill(chain.pid, 'SIGSTOP');
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  process.kill(chain.pid, 'SIGCONT');
  await stateOf(node, jobId, 'funded');
}, 120_000);
