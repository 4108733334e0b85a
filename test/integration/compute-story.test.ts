/**
 * The whole story of the compute market with real parts: three nodes as people start them, on one chain and with the real network between
 * them; a coordinator, whose market a client pays by EIP-3009; a provider with its extension as a program of its own, on a container engine
 * where there is one; and a provider that cheats. Both are found through the registry.
 */
import { mkdir, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { COMPUTE_ESCROW, HYPER, NODE_REGISTRY } from '../../contracts/abi/constants.ts';
import { TREASURY } from '../../contracts/addresses.ts';
import { personas } from '../../contracts/chain/personas.ts';
import {
  type ChainNode,
  decodeJob,
  decodeNode,
  encodeCreditOf,
  encodeGetJob,
  encodeNodes,
} from '../../contracts/compute-calls.ts';
import { splitOf } from '../../contracts/compute.ts';
import { namehash } from '../../contracts/hypermap.ts';
import { readExample, sha256 } from '../../extensions/gpu/examples/example.ts';
import { Executor } from '../../extensions/gpu/executor.ts';
import { buildJob } from '../../kit/build/job.ts';
import { RunningExtension } from '../support/compute-node.ts';
import { closeDockerEngine, dockerEngine, findDockerEngine } from '../support/docker.ts';
import { FakeNetwork } from '../support/fake-network.ts';
import { startLying } from '../support/lying-extension.ts';
import { MarketClient, type Paid } from '../support/market-client.ts';
import { ProviderNode, urlOf } from '../support/provider-node.ts';
import type { RunningNode } from '../support/running-node.ts';
import { removeHome } from '../support/remove-home.ts';

const [COORDINATOR, PROVIDER, CHEAT] = ['coordinator.os', 'provider.os', 'cheat.os'];
const UNITS = 1_000_000n;
/** Ten slots, 1,000 HYPER at stake for each. */
const STAKE = 10_000n * UNITS;
const PATIENCE = { timeout: 120_000, interval: 200 };
const { bob, alice, owner, heidi, grace } = personas;
/** For builtin jobs that the cheat does not get: its device isolates by processes only. */
const CONFINED = { require: { minIsolation: 'wasm' } };

let folder: string;
let network: FakeNetwork;
let coordinator: RunningNode;
let provider: ProviderNode;
let cheat: ProviderNode;
let extension: RunningExtension;
let lying: AsyncDisposable;
let client: MarketClient;
/** What was paid for, in the order in which it was. */
const done: Paid[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hyperloom-story-'));
  // Saved when a test says so, and not between.
  const stateFile = join(folder, 'chain');
  network = await FakeNetwork.start(folder, { stateFile, saveEveryMs: 3_600_000 });
  [provider, cheat] = await Promise.all([
    ProviderNode.boot(network, folder, {
      ...{ name: PROVIDER, operator: owner, payTo: heidi.address },
      // No round figure, so that its shares are none either.
      rate: 12_345_678_901n,
      allow: [COORDINATOR],
    }),
    ProviderNode.boot(network, folder, {
      ...{ name: CHEAT, operator: alice, payTo: grace.address },
      // 1,000 HYPER for 500 seconds: the most that it may take for a job.
      rate: 10_000n * UNITS,
      allow: [],
    }),
  ]);
  await startExtension();
  await mkdir(cheat.extensionHome);
  await Executor.open(cheat.extensionHome);
  await provider.register(network.chain, STAKE);
  await cheat.register(network.chain, STAKE);
  const token = await cheat.token();
  lying = await startLying({ url: cheat.url, token, home: cheat.extensionHome });
  coordinator = await network.boot(COORDINATOR);
  client = new MarketClient(bob, () => urlOf(coordinator));
  await client.login();
}, 300_000);
afterAll(async () => {
  await lying?.[Symbol.asyncDispose]();
  await extension?.kill();
  await network?.[Symbol.asyncDispose]();
  await closeDockerEngine();
  await removeHome(folder);
});

async function startExtension(): Promise<void> {
  const engine = await findDockerEngine();
  const images = typeof engine === 'string' ? [] : ['--allow-image', engine.repository];
  extension = await provider.startExtension(images);
}

const call = async (to: string, data: string): Promise<string> =>
  String(await network.chain.rpc.request('eth_call', { to, data }, 'latest'));

async function creditOf(account: string): Promise<bigint> {
  return BigInt(await call(COMPUTE_ESCROW, encodeCreditOf(account, HYPER)));
}

async function nodeOnChain(name: string): Promise<ChainNode> {
  const found = decodeNode(await call(NODE_REGISTRY, encodeNodes(namehash(name))));
  if (!found.ok) throw new Error(found.error);
  return found.value;
}

/** Quoted, paid, run and proposed, by that node. */
async function pay(spec: object, intent: string, node = PROVIDER): Promise<Paid> {
  await client.quote(spec, node);
  return client.pay(spec, intent);
}

async function verified(paid: Paid): Promise<void> {
  await client.becomes(paid.jobId, /^verifying proposed$/);
  const { result, node, verdict } = await client.job(paid.jobId);
  expect(result.exitCode).toBe(0);
  expect(node.name).toBe(PROVIDER);
  // A container that takes less than a second lacks one of the six checks, and passes.
  expect(verdict).toMatchObject({ outcome: 'Pay', payout: String(paid.amount), gates: [] });
  done.push(paid);
}

test('CM8 CM9 a container job is paid on one node, run on the engine of another, and verified', async (context) => {
  const engine = await dockerEngine(context);
  const input = Buffer.from('what goes in\n');
  const inputs = [{ path: 'a.txt', ...(await client.upload(input)) }];
  const cmd = ['sh', '-c', 'tr a-z A-Z < /job/in/a.txt > /job/out/b.txt; echo done'];
  const spec = { v: 1, type: 'custom', kind: 'container', image: engine.image, entry: { cmd } };
  const paid = await pay({ ...spec, inputs }, 'story-container');
  await verified(paid);
  const { outputs } = (await client.job(paid.jobId)).result;
  const expected = 'WHAT GOES IN\n';
  expect(outputs).toMatchObject([
    { path: 'b.txt', size: expected.length, sha256: sha256(expected) },
  ]);
  expect(String(await client.output(paid.jobId, 'b.txt'))).toBe(expected);
}, 300_000);

test('CM8 a wasm job is paid, run by the engine on harts, and its outputs are exactly those that were promised', async () => {
  const { spec, inputs, source, expected } = await readExample('image-filter');
  const { module } = await buildJob(source!);
  for (const bytes of [module, ...Object.values(inputs)]) await client.upload(bytes);
  // Of no type with a GPU in it.
  const { limits: _limits, ...rest } = spec;
  const paid = await pay({ ...rest, type: 'custom' }, 'story-wasm');
  await verified(paid);
  for (const [path, hash] of Object.entries(expected!.files))
    expect(sha256(await client.output(paid.jobId, path))).toBe(hash);
}, 300_000);

test('CM50 CM12 an extension that is killed during a paid job: another attempt is made, and that one is paid', async () => {
  const entry = { fn: 'sleep', args: { ms: 4_000 } };
  const spec = { v: 1, type: 'custom', kind: 'builtin', entry, inputs: [], ...CONFINED };
  const paid = await pay(spec, 'story-kill');
  await client.becomes(paid.jobId, /^running/);
  await extension.kill();
  await startExtension();
  await verified(paid);
  const { attempt } = await client.job(paid.jobId);
  expect(attempt).toBeGreaterThanOrEqual(1);
  const found = decodeJob(await call(COMPUTE_ESCROW, encodeGetJob(paid.jobId)));
  expect(found).toMatchObject({ ok: true, value: { state: 'proposed', attempt } });
}, 300_000);

test('CM50 a chain that is killed during a paid job and started again from its file: the job goes on, and is paid once', async () => {
  const entry = { fn: 'sleep', args: { ms: 4_000 } };
  const spec = { v: 1, type: 'custom', kind: 'builtin', entry, inputs: [], ...CONFINED };
  const paid = await pay(spec, 'story-chain');
  await client.becomes(paid.jobId, /^running/);
  await network.chain.save();
  await network.killChain();
  await verified(paid);
}, 300_000);

test('CM48 CM50 a chain that comes back from before a job was paid: it is paid again, and once', async () => {
  const entry = { fn: 'sleep', args: { ms: 4_000 } };
  const spec = { v: 1, type: 'custom', kind: 'builtin', entry, inputs: [], ...CONFINED };
  await network.chain.save();
  const paid = await pay(spec, 'story-back');
  await client.becomes(paid.jobId, /^running/);
  await network.killChain();
  // An acceptance is good for seconds: where the chain is away for longer, the money is there again, and the attempt is for others.
  const end = async (): Promise<string> => {
    const { error } = await client.job(paid.jobId);
    const state = await client.stateOf(paid.jobId);
    return state === 'escrowed escrowed' && /Expired/.test(error?.message) ? 'expired' : state;
  };
  await expect.poll(end, PATIENCE).toMatch(/^(verifying proposed|expired)$/);
  if ((await end()) !== 'expired') await verified(paid);
}, 300_000);

test('CM26 F38 a provider that cheats is found out by another that runs the job again: the client has its money back, its stake is slashed, and it gets no more jobs', async () => {
  const before = await nodeOnChain(CHEAT);
  const content = Buffer.from('of this the hash is wanted');
  const inputs = [{ path: 'data', ...(await client.upload(content)) }];
  const spec = { v: 1, type: 'custom', kind: 'builtin', entry: { fn: 'sha256' }, inputs };
  const dear = { ...spec, limits: { timeoutS: 500 } };
  // As much as it has at stake for one: then every job is audited.
  expect(await client.quote(dear, CHEAT)).toBe(1_000n * UNITS);
  const owned = await creditOf(bob.address);
  const paid = await client.pay(dear, 'story-cheat');
  await client.becomes(paid.jobId, /^refunded refunded$/);
  const { verdict, node } = await client.job(paid.jobId);
  expect(node.name).toBe(CHEAT);
  expect(verdict).toMatchObject({ outcome: 'Convicted', audit: 'Differed' });
  expect(await creditOf(bob.address)).toBe(owned + paid.amount);
  expect((await nodeOnChain(CHEAT)).stake).toBe(before.stake - 1_000n * UNITS);
  const reputation = async (): Promise<number> => {
    const { body } = await client.ask('GET', '/api/nodes');
    return body.nodes.find((each: { node: string }) => each.node === CHEAT).reputation;
  };
  await expect.poll(reputation, PATIENCE).toBeLessThan(200);
  // It asks for less than the other one, and is not asked any more: neither for a job, nor for the audit of one that is nearly as dear.
  const again = await pay({ ...spec, limits: { timeoutS: 390 } }, 'story-after');
  await verified(again);
  const right = `${sha256(content)}\n`;
  expect(String(await client.output(again.jobId, 'sha256.txt'))).toBe(right);
}, 300_000);

// The chain's clock is ahead of everybody's from here on.
test('CM8 all is settled once the windows are over: 85 % and the dust for the provider, 10 % for the treasury, 5 % for the platform', async () => {
  const owned = await creditOf(bob.address);
  await network.chain.rpc.batch([['evm_increaseTime', 601], ['evm_mine']]);
  let due = { provider: 0n, protocolFee: 0n, platformFee: 0n };
  let dust = 0n;
  for (const { jobId, amount } of done) {
    await client.becomes(jobId, /^completed released$/);
    const split = splitOf(amount);
    due = {
      provider: due.provider + split.provider,
      protocolFee: due.protocolFee + split.protocolFee,
      platformFee: due.platformFee + split.platformFee,
    };
    dust += split.provider - (amount * 85n) / 100n;
  }
  expect(dust).toBeGreaterThan(0n);
  const found = decodeJob(await call(COMPUTE_ESCROW, encodeGetJob(done[0]!.jobId)));
  const platform = found.ok ? found.value.platform : '';
  expect(await creditOf(heidi.address)).toBe(due.provider);
  expect(await creditOf(TREASURY)).toBe(due.protocolFee);
  expect(await creditOf(platform)).toBe(due.platformFee);
  // Who cheats earns nothing, and a client gets nothing that it did not pay.
  expect(await creditOf(grace.address)).toBe(0n);
  expect(await creditOf(bob.address)).toBe(owned);
}, 300_000);
