/** The facilitator on the embedded chain: terms, and every way to pay for a job, until it is funded. */
import { expect, test } from 'vitest';
import { COMPUTE_ESCROW, HYPER } from '../../contracts/abi/constants.ts';
import { MULTICALL3 } from '../../contracts/addresses.ts';
import { encodeCall } from '../../contracts/calls.ts';
import { encodeFund } from '../../contracts/compute-calls.ts';
import { saltOf, type ComputeTerms } from '../../contracts/compute.ts';
import {
  client,
  executor,
  operator,
  platform,
  sign,
  signDigest,
  UNITS,
  wait,
} from '../../contracts/test/compute-market.ts';
import { settingsOf } from '../../bin/compute.ts';
import type { RemoteError } from '../lib/errors.ts';
import { wishesOf } from './facilitator/funding.ts';
import { digestTypedData, transfer } from './testing.ts';
import { comesTo, credit, stateOf, WAIT, wish } from './testing/facilitator.ts';
import { useMarketChain } from './testing/market-chain.ts';
import type { OfferedTerms, Payment } from './shared/facilitator-contract.ts';

const chain = useMarketChain();

test('CM5 the same intent has the same terms, and another wish for it is refused', async () => {
  await using node = await chain.node();
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
  await using node = await chain.node({ settings: { amount_max: String(1_000n * UNITS) } });
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

test('CM4 T12 transfers of several clients share a transaction, and one that somebody else has sent keeps none from its job', async () => {
  await using node = await chain.node();
  const offers: OfferedTerms[] = [];
  for (let at = 0; at < 4; at += 1) offers.push(await node.facilitator.Terms(wish()));
  const payments = offers.map((offered) => transfer(offered));
  const [first] = offers;
  const sentBefore = await chain.sentBy(platform.address);
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
  expect((await chain.sentBy(platform.address)) - sentBefore).toBeLessThan(2 * offers.length);
}, 120_000);

test('CM4 where the signer permits no shared transfers, each goes alone', async () => {
  await using node = await chain.node({
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

test('CM4 T12 every way to pay: authorisation to the escrow, signed terms, and a vault that somebody filled', async () => {
  await using node = await chain.node();
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
  await using node = await chain.node();
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
  await using node = await chain.node();
  const offered = await node.facilitator.Terms(wish({ fundWindowS: 60 }));
  await chain.reach(offered.terms.fundBy + 1n);
  await chain.rpc.send({
    from: client.address,
    to: HYPER,
    data: encodeCall('a9059cbb', [BigInt(offered.vault), 7n]),
  });
  const fund = (): Promise<unknown> =>
    node.facilitator.Fund({ jobId: offered.jobId, payment: { kind: 'Vault' } });
  const refusal = (): Promise<unknown> => fund().catch((error: RemoteError) => error.kind);
  // This chain was put forward a moment ago; others are not.
  await expect.poll(refusal, WAIT).toBe('terms_expired');
  await expect.poll(() => credit(node, client.address), WAIT).toBe(7n);
  expect((await node.facilitator.Money({ jobId: offered.jobId })).state).toBe('none');
}, 120_000);

test('CM4 T29 confirmations: a job counts as funded in the block that was asked for, not before', async () => {
  await using node = await chain.node({ settings: { confirmations: 3 } });
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
