/** The whole story of a paid job with real parts: a node as people start it, the embedded chain, the extension as a program of its own. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { COMPUTE_ESCROW, HYPER } from '../../contracts/abi/constants.ts';
import { TREASURY } from '../../contracts/addresses.ts';
import { personas } from '../../contracts/chain/personas.ts';
import { decodeJob, encodeCreditOf, encodeGetJob } from '../../contracts/compute-calls.ts';
import { splitOf } from '../../contracts/compute.ts';
import { MarketClient, type Paid } from '../support/market-client.ts';
import { PaidNode } from '../support/paid-node.ts';

const NAME = 'provider.os';
const UNITS = 1_000_000n;
const PATIENCE = { timeout: 120_000, interval: 200 };
const market = new MarketClient(personas.bob, () => paid.url);

let paid: PaidNode;

beforeAll(async () => {
  paid = await PaidNode.start({ name: NAME, slots: 4 });
  await paid.register(10_000n * UNITS);
}, 240_000);
afterAll(async () => {
  await paid?.[Symbol.asyncDispose]();
});

const killNode = (): Promise<void> => paid.kill();

const creditOf = async (account: string): Promise<bigint> => {
  const data = encodeCreditOf(account, HYPER);
  return BigInt(
    String(await paid.chain.rpc.request('eth_call', { to: COMPUTE_ESCROW, data }, 'latest')),
  );
};

/** A builtin job, submitted, paid and with the market. */
async function pay(intentId: string): Promise<Paid> {
  const entry = { fn: 'echo', args: { text: intentId } };
  const spec = { v: 1, type: 'custom', kind: 'builtin', entry, inputs: [] };
  await market.quote(spec, NAME);
  return market.pay(spec, intentId);
}

let first: Paid;
let second: Paid;
const moneyOf = ({ jobId }: Paid): Promise<string> => market.stateOf(jobId);

test('CM8 CM4 a builtin job is quoted, paid on the local chain, executed and verified', async () => {
  await market.login();
  first = await pay('550e8400-e29b-41d4-a716-446655440000');
  await expect.poll(() => moneyOf(first), PATIENCE).toBe('verifying proposed');
  expect((await market.job(first.jobId)).result.exitCode).toBe(0);
}, 300_000);

test('CM50 a node that is killed at every step of a paid job goes on with it', async () => {
  await market.login();
  second = await pay('550e8400-e29b-41d4-a716-446655440001');
  // Nothing but the answer has been seen of the payment.
  await killNode();
  await market.login();
  const taken = /^(escrowed|assigned|running|verifying)/;
  await expect.poll(() => moneyOf(second), PATIENCE).toMatch(taken);
  await killNode();
  await market.login();
  await expect.poll(() => moneyOf(second), PATIENCE).toBe('verifying proposed');
  await killNode();
}, 600_000);

// The chain's clock is ahead of everybody's from here on.
test('CM8 CM50 both are settled once their window is over; each is paid once, and the money is where it belongs', async () => {
  await paid.chain.rpc.batch([['evm_increaseTime', 601], ['evm_mine']]);
  await market.login();
  for (const job of [first, second]) {
    await expect.poll(() => moneyOf(job), PATIENCE).toBe('completed released');
    expect((await market.job(job.jobId)).payment.payout).toBe(String(job.amount));
  }
  const [one, two] = [splitOf(first.amount), splitOf(second.amount)];
  const coordinator = await platform(first.jobId);
  const credits = async (): Promise<bigint[]> =>
    Promise.all([paid.payTo.address, TREASURY, coordinator].map(creditOf));
  const due = [
    one.provider + two.provider,
    one.protocolFee + two.protocolFee,
    one.platformFee + two.platformFee,
  ];
  expect(await credits()).toEqual(due);
  expect(one.provider * 100n).toBeGreaterThanOrEqual(first.amount * 85n);
  await killNode();
  await market.login();
  expect(await moneyOf(second)).toBe('completed released');
  expect(await credits()).toEqual(due);
}, 600_000);

test('CM8 a job is paid, too, on a chain whose clock has been put forward', async () => {
  const third = await pay('550e8400-e29b-41d4-a716-446655440002');
  await expect.poll(() => moneyOf(third), PATIENCE).toBe('verifying proposed');
}, 200_000);

async function platform(jobId: string): Promise<string> {
  const call = { to: COMPUTE_ESCROW, data: encodeGetJob(jobId) };
  const found = decodeJob(String(await paid.chain.rpc.request('eth_call', call, 'latest')));
  if (!found.ok) throw new Error(found.error);
  return found.value.platform;
}
