import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { JsonRpcProvider, TypedDataEncoder } from 'ethers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { addressBookAbi } from '../abi/address-book.ts';
import { computeEscrowAbi, computeEscrowCode } from '../abi/compute-escrow.ts';
import { hyperTokenAbi } from '../abi/hyper-token.ts';
import { nodeRegistryAbi, nodeRegistryCode } from '../abi/node-registry.ts';
import { receiptAnchorAbi } from '../abi/receipt-anchor.ts';
import { verifierSetAbi } from '../abi/verifier-set.ts';
import {
  ADDRESS_BOOK,
  COMPUTE_ESCROW,
  HYPER,
  NODE_REGISTRY,
  RECEIPT_ANCHOR,
  VAULT_INIT_HASH,
  VERIFIER_SET,
} from '../abi/constants.ts';
import { CHAIN_ID, HYPERMAP, OWNER, PERMIT2, TREASURY, VERIFIER } from '../addresses.ts';
import * as calls from '../compute-calls.ts';
import { decodeEscrowEvent, type EscrowEvent } from '../compute-events.ts';
import { jobIdOf, vaultOf, type ComputeTerms } from '../compute.ts';
import { contractAt } from '../contract.ts';
import type { RawLog } from '../events.ts';
import {
  NODE,
  UNITS,
  acceptanceOf,
  chainNow,
  client,
  domain,
  executor,
  operator,
  payTo,
  platform,
  quorum,
  receiptOf,
  sign,
  signDigest,
  termsAt,
  verdictOf,
  verifiers,
  wait,
} from '../test/compute-market.ts';
import { startChain, type Chain } from './chain.ts';
import { openMarket } from './market.ts';
import { personas } from './personas.ts';

/** EIP-170: the most code that a contract may have, in bytes. */
const CODE_BYTES_MAX = 24_576;

let chain: Chain;
let provider: JsonRpcProvider;
beforeAll(async () => {
  chain = await startChain();
  provider = new JsonRpcProvider(chain.url, CHAIN_ID, { staticNetwork: true, cacheTimeout: -1 });
});
afterAll(async () => {
  provider.destroy();
  await chain.close();
});

async function send(
  from: string,
  data: string,
  to: string = COMPUTE_ESCROW,
): Promise<EscrowEvent[]> {
  const receipt = (await chain.rpc.request('eth_sendTransactionSync', { from, to, data })) as {
    status: string;
    logs: (RawLog & { address: string })[];
  };
  expect(receipt.status).toBe('0x1');
  return receipt.logs
    .filter(({ address }) => address === COMPUTE_ESCROW.toLowerCase())
    .map((log) => decodeEscrowEvent(log))
    .filter((event) => event !== undefined);
}

async function jobOf(terms: ComputeTerms): Promise<calls.ChainJob> {
  const data = calls.encodeGetJob(jobIdOf(domain, terms));
  const answer = await chain.rpc.request('eth_call', { to: COMPUTE_ESCROW, data }, 'latest');
  const job = calls.decodeJob(String(answer));
  if (!job.ok) throw new Error(job.error);
  return job.value;
}

async function creditOf(account: string): Promise<bigint> {
  const data = calls.encodeCreditOf(account, HYPER);
  return BigInt(
    String(await chain.rpc.request('eth_call', { to: COMPUTE_ESCROW, data }, 'latest')),
  );
}

test('CM8 the market stands on a new chain, wired, and everybody has HYPER', async () => {
  const escrow = contractAt(computeEscrowAbi, COMPUTE_ESCROW, provider);
  expect(await escrow.registry()).toBe(NODE_REGISTRY);
  expect(await escrow.verifiers()).toBe(VERIFIER_SET);
  expect(await escrow.permit2()).toBe(PERMIT2);
  expect(await escrow.treasury()).toBe(TREASURY);
  expect(await escrow.owner()).toBe(OWNER);
  expect(await escrow.VAULT_INIT_HASH()).toBe(VAULT_INIT_HASH);
  expect((await escrow.tokenRules(HYPER)).exposurePpm).toBe(1_000_000n);
  const registry = contractAt(nodeRegistryAbi, NODE_REGISTRY, provider);
  expect(await registry.token()).toBe(HYPER);
  expect(await registry.hypermap()).toBe(HYPERMAP);
  expect(await registry.isEscrow(COMPUTE_ESCROW)).toBe(true);
  const set = contractAt(verifierSetAbi, VERIFIER_SET, provider);
  expect(await set.isVerifier(VERIFIER)).toBe(true);
  expect(await set.verdictThreshold()).toBe(1n);
  expect(await set.token()).toBe(HYPER);
  expect(await set.isEscrow(COMPUTE_ESCROW)).toBe(true);
  const anchor = contractAt(receiptAnchorAbi, RECEIPT_ANCHOR, provider);
  expect(await anchor.registry()).toBe(NODE_REGISTRY);
  const token = contractAt(hyperTokenAbi, HYPER, provider);
  expect([await token.name(), await token.symbol(), await token.decimals()]).toEqual([
    'Hypernode',
    'HYPER',
    6n,
  ]);
  for (const { address } of Object.values(personas))
    expect(await token.balanceOf(address)).toBeGreaterThanOrEqual(1_000_000n * UNITS);
  expect(await provider.getCode(PERMIT2)).not.toBe('0x');
});

test('CM33 a chain begins with a market where it is asked to', async () => {
  await using open = await startChain({ market: true });
  const its = new JsonRpcProvider(open.url, CHAIN_ID, { staticNetwork: true });
  try {
    const registry = contractAt(nodeRegistryAbi, NODE_REGISTRY, its);
    expect(await registry.operatorOf(NODE)).toBe(operator.address);
    expect(await registry.executorOf(NODE)).toBe(executor.address);
    expect(await registry.payToOf(NODE)).toBe(payTo.address);
    expect(await registry.tierOf(NODE)).toBe(3n);
    const set = contractAt(verifierSetAbi, VERIFIER_SET, its);
    for (const { address } of verifiers) expect(await set.isVerifier(address)).toBe(true);
    expect([await set.verdictThreshold(), await set.disputeThreshold()]).toEqual([2n, 3n]);
    const book = contractAt(addressBookAbi, ADDRESS_BOOK, its);
    const [version, where] = await book.current();
    expect(version).toBe(1n);
    expect(where.escrow).toBe(COMPUTE_ESCROW);
  } finally {
    its.destroy();
  }
});

test('CM8 a chain that was saved by another version has the market of this one', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'market-'));
  try {
    const stateFile = join(folder, 'chain');
    const old = await startChain({ stateFile });
    const balance = `0x${'0'.repeat(24)}${personas.bob.address.slice(2)}`;
    const hyper = (of: Chain): Promise<unknown> =>
      of.rpc.request('eth_call', { to: HYPER, data: `0x70a08231${balance.slice(2)}` }, 'latest');
    const had = await hyper(old);
    // As if that version's escrow and book stood elsewhere.
    for (const address of [COMPUTE_ESCROW, ADDRESS_BOOK])
      await old.rpc.batch([
        ['anvil_setCode', address, '0x'],
        ['anvil_setNonce', address, '0x0'],
        ['anvil_setStorageAt', address, `0x${'0'.repeat(64)}`, `0x${'0'.repeat(64)}`],
      ]);
    await old.close();
    await using now = await startChain({ stateFile });
    const its = new JsonRpcProvider(now.url, CHAIN_ID, { staticNetwork: true });
    try {
      const escrow = contractAt(computeEscrowAbi, COMPUTE_ESCROW, its);
      expect((await escrow.tokenRules(HYPER)).exposurePpm).toBe(1_000_000n);
      const registry = contractAt(nodeRegistryAbi, NODE_REGISTRY, its);
      expect(await registry.isEscrow(COMPUTE_ESCROW)).toBe(true);
      // Nobody is paid twice.
      expect(await hyper(now)).toBe(had);
    } finally {
      its.destroy();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test('CM8 contracts fit the limit of code', () => {
  for (const { name, runtime } of [computeEscrowCode, nodeRegistryCode])
    expect((runtime.length - 2) / 2, name).toBeLessThanOrEqual(CODE_BYTES_MAX);
});

test('CM8 a paid job, by the calls and events that guests use, ends with money where it belongs', async () => {
  await openMarket(chain.rpc);
  const terms = termsAt(await chainNow(chain.rpc), 'story');
  const jobId = jobIdOf(domain, terms);
  expect(await send(client.address, calls.encodeFund(terms))).toEqual([
    {
      kind: 'JobFunded',
      jobId,
      client: client.address.toLowerCase(),
      token: HYPER.toLowerCase(),
      amount: 100n * UNITS,
      specHash: terms.specHash,
      deadline: terms.deadline,
    },
  ]);
  expect(await jobOf(terms)).toMatchObject({ state: 'funded', amount: 100n * UNITS });
  const acceptance = acceptanceOf(terms);
  const assigned = await send(
    platform.address,
    calls.encodeAssign(acceptance, sign(executor, 'Acceptance', acceptance)),
  );
  expect(assigned).toEqual([
    { kind: 'JobAssigned', jobId, nodeId: NODE, attempt: 0, price: 100n * UNITS },
  ]);
  const receipt = receiptOf(terms);
  const verdict = verdictOf(receipt, 80n * UNITS);
  const [proposed] = await send(
    personas.ivan.address,
    calls.encodePropose(
      receipt,
      sign(executor, 'JobReceipt', receipt),
      verdict,
      quorum('Verdict', verdict, 2),
    ),
  );
  expect(proposed).toMatchObject({ kind: 'ResultProposed', receiptHash: verdict.receiptHash });
  await wait(chain.rpc, 601);
  const settled = await send(personas.ivan.address, calls.encodeFinalize(jobId));
  expect(settled.at(-1)).toEqual({
    kind: 'Settled',
    jobId,
    providerAmount: 68n * UNITS,
    protocolFee: 8n * UNITS,
    platformFee: 4n * UNITS,
    clientRefund: 20n * UNITS,
  });
  expect(await creditOf(payTo.address)).toBe(68n * UNITS);
  expect(await creditOf(TREASURY)).toBe(8n * UNITS);
  expect(await creditOf(platform.address)).toBe(4n * UNITS);
  expect(await creditOf(client.address)).toBe(20n * UNITS);
  const [withdrawn] = await send(payTo.address, calls.encodeWithdraw(HYPER, payTo.address));
  expect(withdrawn).toMatchObject({ kind: 'Withdrawn', amount: 68n * UNITS });
  expect((await jobOf(terms)).state).toBe('settled');
});

test('CM4 a wallet that knows nothing of jobs pays one by a plain EIP-3009 transfer to its vault', async () => {
  const terms = termsAt(await chainNow(chain.rpc), 'x402');
  const vault = vaultOf(COMPUTE_ESCROW, jobIdOf(domain, terms), VAULT_INIT_HASH);
  const message = {
    from: client.address,
    to: vault,
    value: terms.amount,
    validAfter: 0n,
    validBefore: terms.fundBy,
    nonce: terms.salt,
  };
  const digest = TypedDataEncoder.hash(
    { name: 'Hypernode', version: '1', chainId: CHAIN_ID, verifyingContract: HYPER },
    {
      TransferWithAuthorization: [
        { name: 'from', type: 'address' },
        { name: 'to', type: 'address' },
        { name: 'value', type: 'uint256' },
        { name: 'validAfter', type: 'uint256' },
        { name: 'validBefore', type: 'uint256' },
        { name: 'nonce', type: 'bytes32' },
      ],
    },
    message,
  );
  const signature = signDigest(client, digest);
  const token = contractAt(hyperTokenAbi, HYPER);
  const transfer = token.interface.encodeFunctionData('0xe3ee160e', [
    ...Object.values(message),
    Number(`0x${signature.slice(130)}`),
    signature.slice(0, 66),
    `0x${signature.slice(66, 130)}`,
  ]);
  // Anybody carries both out.
  await send(personas.ivan.address, transfer, HYPER);
  const [funded] = await send(personas.ivan.address, calls.encodeFundFromVault(terms));
  expect(funded).toMatchObject({ kind: 'JobFunded', amount: terms.amount });
});

test('CM3 selectors of the token are those of EIP-3009 and EIP-2612', () => {
  const { interface: token } = contractAt(hyperTokenAbi, HYPER);
  for (const selector of [
    '0xe3ee160e',
    '0xcf092995',
    '0xef55bec6',
    '0x88b7ab63',
    '0x5a049a70',
    '0xe94a0102',
    '0xd505accf',
  ])
    expect(token.getFunction(selector), selector).not.toBeNull();
  expect(token.getEvent('AuthorizationUsed')?.topicHash).toBe(
    '0x98de503528ee59b575ef0c0a2576a82497bfc029a5685b209e9ec333479b10a5',
  );
  expect(token.getEvent('AuthorizationCanceled')?.topicHash).toBe(
    '0x1cdd46ff242716cdaa72d159d339a485b3438398348d68f09d7c8c0a59353d81',
  );
});

test('CM31 refusals have names', async () => {
  const terms = termsAt(await chainNow(chain.rpc), 'stranger');
  const escrow = contractAt(computeEscrowAbi, COMPUTE_ESCROW, provider);
  const forged = sign(personas.ivan, 'ComputeTerms', terms);
  await expect(escrow.fundFor.staticCall(terms, forged)).rejects.toMatchObject({
    revert: { name: 'BadSignature' },
  });
  await expect(escrow.setPaused.staticCall(true)).rejects.toMatchObject({
    revert: { name: 'Unauthorized' },
  });
  // What the registry refuses comes through the escrow by name too.
  const rich = termsAt(await chainNow(chain.rpc), 'rich', { amount: 1_001n * UNITS });
  await send(client.address, calls.encodeFund(rich));
  const acceptance = acceptanceOf(rich);
  await expect(
    escrow.assign.staticCall(acceptance, sign(executor, 'Acceptance', acceptance), '0x', {
      from: platform.address,
    }),
  ).rejects.toMatchObject({ revert: { name: 'InsufficientStake' } });
});
