/** The facilitator's interface and the registration, with a facilitator that says what a test says (x402.md §6, compute-market.md §13). */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Interface } from 'ethers';
import { nodeRegistryAbi } from '../../../contracts/abi/node-registry.ts';
import { jobIdOf } from '../../../contracts/compute.ts';
import { namehash } from '../../../contracts/hypermap.ts';
import { encodeError, ERROR_METADATA } from '../../lib/contract.ts';
import type { Peer } from '../../lib/testing/memory-host.ts';
import { facilitatorContract, type Provider } from '../shared/facilitator-contract.ts';
import { marketContract } from '../shared/market-contract.ts';
import { OPERATOR_HEADER } from './api-register.ts';
import { specOf } from './testing/fake-gpu.ts';
import {
  DOMAIN,
  ESCROW,
  HASH,
  PLATFORM,
  REGISTRY,
  registeredHere,
  SETTINGS,
  termsOf,
  TOKEN,
} from './testing/fake-money.ts';
import { type Json, NODE, World } from './testing/world.ts';

const VAULT = `0x${'fa'.repeat(20)}`;

let world: World;
let funded: Json[];
/** What the facilitator refuses payments with. */
let refusal: string | undefined;
let registered: Provider | undefined;
let hasChain: boolean;

beforeEach(async () => {
  funded = [];
  refusal = undefined;
  registered = undefined;
  hasChain = true;
  world = new World();
  world.domain = DOMAIN;
  world.gpu();
  world.peers['facilitator:compute:sys'] = facilitator;
  await world.start();
});
afterEach(() => {
  expect(world.host.prints.filter(({ verbosity }) => verbosity === 0)).toEqual([]);
});

const facilitator: Peer = (sent, host) => {
  const call = facilitatorContract.requests.decode(sent.request.body);
  if (!call.ok) return undefined;
  const { kind, value } = call.value as { kind: string; value: Json };
  const answer = (result?: unknown): Uint8Array =>
    facilitatorContract.responses.encode({ kind, value: result });
  const refuse = (error: string): undefined => {
    host.answer(sent, encodeError({ kind: error, message: 'so it is' }), undefined, ERROR_METADATA);
    return undefined;
  };
  switch (kind) {
    case 'Settings':
      if (!hasChain) return refuse('NotConfigured');
      return answer(SETTINGS);
    case 'Providers':
      return answer([registeredHere(world.signer.key(`executor of ${NODE}`))]);
    case 'Provider':
      return answer(registered);
    case 'Terms': {
      const terms = termsOf(value);
      return answer({ terms, jobId: jobIdOf(DOMAIN, terms), vault: VAULT });
    }
    case 'VerifyPayment':
      return refusal === undefined
        ? answer({ payer: world.signer.key('client') })
        : refuse(refusal);
    case 'Fund':
      if (refusal !== undefined) return refuse(refusal);
      funded.push(value);
      return answer();
    default:
      return undefined;
  }
};

/** A wallet's job that waits for its money. */
async function unpaid(): Promise<string> {
  const response = await world.request('POST', '/api/facilitator/submit-job', {
    headers: { authorization: `Bearer ${await world.walletToken('client')}` },
    body: JSON.stringify({ spec: specOf() }),
  });
  expect(response.status).toBe(402);
  return (JSON.parse(response.text) as { jobId: string }).jobId;
}

/** The chain has its money. */
async function isFunded(jobId: string): Promise<void> {
  const value = {
    jobId,
    rev: 1,
    state: 'funded',
    attempt: 0,
    client: world.signer.key('client'),
    token: TOKEN,
    amount: 600n,
    price: 0n,
    payout: 0n,
    nodeId: undefined,
    deadline: 0,
    timer: 0,
    receiptHash: undefined,
    dispute: undefined,
    settled: undefined,
    refundReason: undefined,
    fundTx: HASH,
    lastTx: HASH,
    trouble: undefined,
  };
  world.host.arrive({
    source: { node: NODE, process: 'facilitator:compute:sys' } as never,
    body: marketContract.requests.encode({ kind: 'MoneyChanged', value }),
    expectsResponse: 5,
  });
  await world.settle();
}

function payment(
  requirements: object = {},
  authorized: object = {},
  x402Version = 2,
): Readonly<Record<string, unknown>> {
  const authorization = {
    from: world.signer.key('client'),
    to: VAULT,
    value: '600',
    validAfter: '0',
    validBefore: '99999999999',
    nonce: HASH,
    ...authorized,
  };
  return {
    x402Version,
    paymentPayload: { x402Version, payload: { signature: `0x${'11'.repeat(65)}`, authorization } },
    paymentRequirements: {
      scheme: 'exact',
      network: 'eip155:31337',
      payTo: VAULT,
      asset: TOKEN,
      ...(x402Version === 2 ? { amount: '600' } : { maxAmountRequired: '600' }),
      maxTimeoutSeconds: 3_600,
      extra: { name: 'Hypernode', version: '1' },
      ...requirements,
    },
  };
}

it('CM46 what can be paid here is told, and nothing is while there is no chain', async () => {
  const { status, json } = await world.ask('GET', '/x402/supported');
  expect(status).toBe(200);
  expect(json).toEqual({
    kinds: [
      { x402Version: 2, scheme: 'exact', network: 'eip155:31337' },
      { x402Version: 1, scheme: 'exact', network: 'eip155:31337' },
    ],
    extensions: ['hypernode-escrow'],
    signers: { 'eip155:*': [PLATFORM] },
  });
  hasChain = false;
  await world.crash();
  for (const [method, path, body] of [
    ['GET', '/x402/supported', undefined],
    ['POST', '/x402/verify', payment()],
    ['POST', '/x402/settle', payment()],
  ] as const) {
    const gone = await world.ask(method, path, body);
    expect([path, gone.status, gone.json.error.code]).toEqual([path, 503, 'UNAVAILABLE']);
  }
});

it('CM46 a payment is verified for the job whose vault it fills, and for nothing else (X35)', async () => {
  const verify = async (body: unknown): Promise<Json> => {
    const { status, json } = await world.ask('POST', '/x402/verify', body);
    expect(status).toBe(200);
    return json;
  };
  const reason = async (body: unknown): Promise<string> => (await verify(body)).invalidReason;
  expect(await reason(payment())).toBe('invalid_payment_requirements');
  await unpaid();
  expect(await verify(payment())).toEqual({ isValid: true, payer: world.signer.key('client') });
  expect((await verify(payment({}, {}, 1))).isValid).toBe(true);
  expect(await reason(payment({}, {}, 3))).toBe('invalid_x402_version');
  expect(await reason(payment({ scheme: 'upto' }))).toBe('invalid_exact_evm_scheme');
  expect(await reason(payment({ network: 'eip155:1' }))).toBe('invalid_exact_evm_network_mismatch');
  expect(await reason(payment({ network: 'eip155:1' }, {}, 1))).toBe('invalid_network');
  expect(await reason(payment({ asset: ESCROW }))).toBe('invalid_payment_requirements');
  expect(await reason(payment({ payTo: PLATFORM }))).toBe('invalid_payment_requirements');
  expect(await reason(payment({ amount: '599' }))).toBe('invalid_payment_requirements');
  expect(await reason(payment({}, { to: PLATFORM }))).toBe('invalid_exact_evm_recipient_mismatch');
  expect(await reason(payment({}, { from: PLATFORM }))).toBe('terms_mismatch');
  refusal = 'invalid_exact_evm_insufficient_balance';
  expect(await reason(payment())).toBe('invalid_exact_evm_insufficient_balance');
  expect(await reason(payment({}, {}, 1))).toBe('insufficient_funds');
  refusal = 'TokenNotAllowed';
  expect(await reason(payment())).toBe('invalid_exact_evm_transaction_simulation_failed');
  expect((await world.ask('POST', '/x402/verify', { x402Version: 2 })).status).toBe(400);
  expect(funded).toEqual([]);
});

it('CM46 settling sends a payment once, and answers with its transaction when the chain has it', async () => {
  const jobId = await unpaid();
  const settle = async (): Promise<Json> => {
    const { status, json } = await world.ask('POST', '/x402/settle', payment());
    expect(status).toBe(200);
    return json;
  };
  refusal = 'invalid_exact_evm_nonce_already_used';
  expect(await settle()).toMatchObject({
    success: false,
    errorReason: 'invalid_exact_evm_nonce_already_used',
    transaction: '',
  });
  refusal = undefined;
  expect(await settle()).toMatchObject({
    success: false,
    errorReason: 'invalid_transaction_state',
  });
  expect((await world.job(jobId)).payment.state).toBe('authorized');
  const waiting = settle();
  await isFunded(jobId);
  const settled = {
    success: true,
    payer: world.signer.key('client'),
    network: 'eip155:31337',
    transaction: HASH,
    amount: '600',
  };
  expect(await waiting).toEqual(settled);
  expect(await settle()).toEqual(settled);
  expect(funded).toHaveLength(1);
  expect((await world.job(jobId)).payment.state).toBe('escrowed');
});

// ---- registering

const registry = new Interface(nodeRegistryAbi);
const SIGNATURE = `0x${'5e'.repeat(65)}`;

async function register(body: unknown = {}, token = world.token): Promise<[number, Json]> {
  const { status, text } = await world.request('POST', '/api/facilitator/register-node', {
    headers: {
      authorization: `Bearer ${await world.walletToken('operator')}`,
      [OPERATOR_HEADER]: token,
    },
    body: JSON.stringify(body),
  });
  return [status, JSON.parse(text)];
}

it('CM46 who registers the node has its wallet and the node, and gets the calls that its wallet is to send', async () => {
  const operator = world.signer.key('operator');
  const executor = world.signer.key(`executor of ${NODE}`);
  const nodeId = namehash(NODE);
  expect((await register({}, await world.walletToken('somebody')))[0]).toBe(403);
  const owner = await world.ask(
    'POST',
    '/api/facilitator/register-node',
    {},
    {
      [OPERATOR_HEADER]: world.token,
    },
  );
  expect(owner.status).toBe(403);
  // First the executor agrees.
  const [, first] = await register({ stake: '1000' });
  expect(first).toMatchObject({ nodeId, name: NODE, calls: [], txHash: null });
  expect(first.sign).toMatchObject({
    primaryType: 'Registration',
    domain: { chainId: 31_337, verifyingContract: REGISTRY },
    message: { nodeId, operator, executor },
  });
  const [status, made] = await register({ stake: '1000', executorSignature: SIGNATURE });
  expect([status, made.sign, made.calls.length]).toEqual([200, null, 3]);
  const [record, approval, stake] = made.calls;
  expect([record.to, approval.to, stake.to]).toEqual([REGISTRY, TOKEN, REGISTRY]);
  expect(made.calls.every(({ from }: Json) => from === operator)).toBe(true);
  const args = (name: string, { data }: Json): unknown[] => [
    ...registry.decodeFunctionData(name, data),
  ];
  const same = (one: unknown, other: string): boolean =>
    String(one).toLowerCase() === other.toLowerCase();
  const [id, by, payTo, , signature] = args('register', record);
  expect([id, same(by, executor), same(payTo, operator), signature]).toEqual([
    nodeId,
    true,
    true,
    SIGNATURE,
  ]);
  expect(args('stake', stake)).toEqual([nodeId, 1_000n]);
});

it('CM46 a node that is registered gets what is missing, and only from its operator', async () => {
  registered = {
    nodeId: namehash(NODE),
    name: NODE,
    operator: world.signer.key('operator'),
    executor: world.signer.key(`executor of ${NODE}`),
    payTo: PLATFORM,
    on: true,
    stake: 1_000n,
    reserved: 0n,
    slots: 1,
    active: 0,
    reservation: 0n,
    lastBeat: 0,
    slashes: 0,
  };
  expect((await register({ stake: '1000' }))[1]).toMatchObject({ calls: [], sign: null });
  expect((await register({ stake: '1001' }))[1].calls).toHaveLength(2);
  const [, moved] = await register({ payTo: ESCROW, executorSignature: SIGNATURE });
  expect(registry.parseTransaction(moved.calls[0])?.name).toBe('update');
  registered = { ...registered, operator: PLATFORM };
  expect((await register())[0]).toBe(409);
  hasChain = false;
  await world.crash();
  expect((await register())[0]).toBe(503);
});
