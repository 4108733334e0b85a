/** The whole story of a paid job with real parts: a node as people start it, the embedded chain, the extension as a program of its own. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SigningKey, Wallet } from 'ethers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { COMPUTE_ESCROW, HYPER, NODE_REGISTRY } from '../../contracts/abi/constants.ts';
import { CHAIN_ID, TREASURY } from '../../contracts/addresses.ts';
import { encodeCall } from '../../contracts/calls.ts';
import { type Chain, startChain } from '../../contracts/chain/chain.ts';
import { personas } from '../../contracts/chain/personas.ts';
import {
  decodeJob,
  encodeCreditOf,
  encodeGetJob,
  encodeNodeRecord,
  encodeStake,
} from '../../contracts/compute-calls.ts';
import { digestOf, registryDomain, saltOf, splitOf } from '../../contracts/compute.ts';
import { namehash } from '../../contracts/hypermap.ts';
import { openHome } from '../../runtime-modules/identity/home.ts';
import { RunningExtension } from '../support/compute-node.ts';
import { MarketClient, type Paid } from '../support/market-client.ts';
import { RunningNode } from '../support/running-node.ts';

const NAME = 'provider.os';
const NODE = namehash(NAME);
const UNITS = 1_000_000n;
const PATIENCE = { timeout: 120_000, interval: 200 };
/** Who owns the name of a development node that shares a chain. */
const operator = personas.owner;
const { bob, heidi: payTo } = personas;
const market = new MarketClient(bob, () => url);

let chain: Chain;
let folder: string;
let node: RunningNode;
let url: string;
let extension: RunningExtension;

beforeAll(async () => {
  chain = await startChain();
  folder = await mkdtemp(join(tmpdir(), 'hyperloom-paid-'));
  const home = join(folder, 'home');
  await (await openHome(home)).release();
  const drive = join(home, 'vfs', 'compute:sys', 'gpu');
  await mkdir(drive, { recursive: true });
  const policy = { free: 'Own', paid: true, minPrice: '0', allow: [], deny: [], slots: null };
  await writeFile(
    join(drive, 'policy.json'),
    JSON.stringify({ ...policy, payTo: payTo.address, prices: [], takesJobs: true }),
  );
  await startNode();
  const args = ['extension', 'gpu', '--node', url, '--home', join(folder, 'ext')];
  const tokenFile = join(drive, 'pairing-token');
  extension = new RunningExtension([...args, '--token-file', tokenFile, '--slots', '4'], {});
  while (!extension.output.includes('paired')) {
    if (extension.child.exitCode !== null) throw new Error(extension.output);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  await node.until(/find it as provider\.os/);
  await register();
}, 240_000);
afterAll(async () => {
  await extension?.kill();
  await node?.[Symbol.asyncDispose]();
  await chain?.close();
  await rm(folder, { recursive: true, force: true });
});

/** As people do, in a process of its own; at the same port every time. */
async function startNode(port = 0): Promise<void> {
  const chainArgs = ['--fakechain-port', String(chain.port), '--extensions'];
  node = RunningNode.spawn([
    join(folder, 'home'),
    ...['--fake-node-name', NAME, '--port', String(port), ...chainArgs],
  ]);
  const [, at = ''] = await node.until(/ is up after .*, at (http:\/\/localhost:[0-9]+)/);
  url = at;
}

/** Nothing that was under way is done. */
async function killNode(): Promise<void> {
  await node.end('SIGKILL');
  await startNode(Number(new URL(url).port));
}

/** The operator, who owns the name, registers the extension's key, and stakes. */
async function register(): Promise<void> {
  const send = (to: string, data: string): Promise<void> =>
    chain.rpc.send({ from: operator.address, to, data });
  const key = (await readFile(join(folder, 'ext', 'executor.key'), 'utf8')).trim();
  const executor = new Wallet(key).address;
  const registration = { nodeId: NODE, operator: operator.address, executor };
  const digest = digestOf(registryDomain(CHAIN_ID, NODE_REGISTRY), 'Registration', registration);
  const executorSignature = new SigningKey(key).sign(digest).serialized;
  const record = { nodeId: NODE, executor, payTo: payTo.address, metaHash: saltOf('device') };
  await send(NODE_REGISTRY, encodeNodeRecord('register', { ...record, executorSignature }));
  await send(HYPER, encodeCall('095ea7b3', [BigInt(NODE_REGISTRY), 2n ** 256n - 1n]));
  await send(NODE_REGISTRY, encodeStake(NODE, 10_000n * UNITS));
}

const creditOf = async (account: string): Promise<bigint> => {
  const data = encodeCreditOf(account, HYPER);
  return BigInt(
    String(await chain.rpc.request('eth_call', { to: COMPUTE_ESCROW, data }, 'latest')),
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
  await chain.rpc.batch([['evm_increaseTime', 601], ['evm_mine']]);
  await market.login();
  for (const paid of [first, second]) {
    await expect.poll(() => moneyOf(paid), PATIENCE).toBe('completed released');
    expect((await market.job(paid.jobId)).payment.payout).toBe(String(paid.amount));
  }
  const [one, two] = [splitOf(first.amount), splitOf(second.amount)];
  const coordinator = await platform(first.jobId);
  const credits = async (): Promise<bigint[]> =>
    Promise.all([payTo.address, TREASURY, coordinator].map(creditOf));
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

async function platform(jobId: string): Promise<string> {
  const call = { to: COMPUTE_ESCROW, data: encodeGetJob(jobId) };
  const found = decodeJob(String(await chain.rpc.request('eth_call', call, 'latest')));
  if (!found.ok) throw new Error(found.error);
  return found.value.platform;
}
