/**
 * A paid job that three nodes of three operators run, with real parts: nodes on one chain with the real network between them, two extensions
 * as programs of their own and one that lies, and a client that has nothing but `kit`.
 */
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { COMPUTE_ESCROW, HYPER, NODE_REGISTRY } from '../../contracts/abi/constants.ts';
import { personas } from '../../contracts/chain/personas.ts';
import { decodeNode, encodeCreditOf, encodeNodes } from '../../contracts/compute-calls.ts';
import { splitOf } from '../../contracts/compute.ts';
import { namehash } from '../../contracts/hypermap.ts';
import { sha256 } from '../../extensions/gpu/examples/example.ts';
import { Executor } from '../../extensions/gpu/executor.ts';
import type { RunningExtension } from '../support/compute-node.ts';
import { FakeNetwork } from '../support/fake-network.ts';
import { startLying } from '../support/lying-extension.ts';
import { ProviderNode } from '../support/provider-node.ts';
import { RunningNode } from '../support/running-node.ts';
import { removeHome } from '../support/remove-home.ts';

const KIT = fileURLToPath(new URL('../../bin/kit.mjs', import.meta.url));
const NAMES = ['first.os', 'second.os', 'cheat.os'] as const;
const UNITS = 1_000_000n;
const STAKE = 1_000n * UNITS;
const PATIENCE = { timeout: 150_000, interval: 1_000 };
/** More than the time in which a result may be disputed. */
const WINDOW_S = 700;
const TICK_MS = 2_000;
const { owner, alice, dave, bob: client, heidi, frank, grace } = personas;
const OPERATORS = [owner, alice, dave] as const;
const PAY_TO = [heidi, frank, grace] as const;

let folder: string;
let network: FakeNetwork;
const nodes: ProviderNode[] = [];
const extensions: RunningExtension[] = [];
let lying: AsyncDisposable;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hyperloom-replicas-'));
  network = await FakeNetwork.start(folder);
  // One after another: their names are minted by the same account.
  for (const [index, name] of NAMES.entries()) {
    const [operator, payTo] = [OPERATORS[index]!, PAY_TO[index]!.address];
    // Audits go to who does not lie.
    const allow = name === 'cheat.os' ? [] : NAMES;
    const seller = { name, operator, payTo, rate: 1_000n * UNITS, allow };
    nodes.push(await ProviderNode.boot(network, folder, seller));
  }
  const [first, second, cheat] = nodes;
  for (const node of [first!, second!]) extensions.push(await node.startExtension());
  await mkdir(cheat!.extensionHome);
  await Executor.open(cheat!.extensionHome);
  for (const node of nodes) await node.register(network.chain, STAKE);
  const token = await cheat!.token();
  lying = await startLying({ url: cheat!.url, token, home: cheat!.extensionHome });
  await writeFile(join(folder, 'client.key'), client.privateKey, { mode: 0o600 });
  await writeFile(join(folder, 'data'), 'of this the hash is wanted');
}, 300_000);
afterAll(async () => {
  await lying?.[Symbol.asyncDispose]();
  for (const extension of extensions) await extension.kill();
  await network?.[Symbol.asyncDispose]();
  await removeHome(folder);
});

async function kit(...args: readonly string[]): Promise<{ code: number | null; output: string }> {
  const ran = RunningNode.spawn(args, KIT);
  const { code } = await ran.exited;
  return { code, output: ran.output };
}

const call = async (to: string, data: string): Promise<string> =>
  String(await network.chain.rpc.request('eth_call', { to, data }, 'latest'));
const creditOf = async (account: string): Promise<bigint> =>
  BigInt(await call(COMPUTE_ESCROW, encodeCreditOf(account, HYPER)));

async function stakeOf(name: string): Promise<bigint> {
  const found = decodeNode(await call(NODE_REGISTRY, encodeNodes(namehash(name))));
  if (!found.ok) throw new Error(found.error);
  return found.value.stake;
}

test('CM8 CM26 three nodes run a paid job: the two that agree are paid, the one that lies is not and loses its stake', async () => {
  const market = ['--node', nodes[0]!.url, '--wallet', join(folder, 'client.key')];
  const what = ['--fn', 'sha256', join(folder, 'data'), '--replicas', '3', ...market];
  await expect.poll(async () => (await kit('job', 'cost', ...what)).code, PATIENCE).toBe(0);
  const tooMany = await kit('job', 'cost', '--fn', 'echo', '--replicas', '4', ...market);
  expect([tooMany.code, tooMany.output]).toEqual([
    1,
    expect.stringMatching(/there are 3;.*TOO_FEW/),
  ]);
  const out = join(folder, 'out');
  const rpc = network.chain.url;
  const job = RunningNode.spawn(
    ['job', 'submit', ...what, '--yes', '-q', '-o', out, '--rpc', rpc],
    KIT,
  );
  await job.until(/for 3 runs, each by another operator/);
  const [, price = ''] = await job.until(/(?:paying (\d+) HYPER into the vault 0x[^]*){3}/);
  const amount = BigInt(price) * UNITS;
  await job.until(/the result is verified/);
  expect(await job.exited).toMatchObject({ code: 0 });
  const [jobId = ''] = /0x[0-9a-f]{64}/.exec(job.output) ?? [];
  const record = async (): Promise<string> =>
    (await kit('job', 'status', jobId, '--json', ...market)).output;
  const status = async (): Promise<string> => (await kit('job', 'status', jobId, ...market)).output;
  await expect
    .poll(status, PATIENCE)
    .toMatch(/cheat\.os +refunded \(VERDICT_FAIL\), differs from most/);
  // Both are proposed: what the windows are of.
  const both = new RegExp(`unless it is disputed: ${2 * Number(price)} HYPER`);
  await expect.poll(status, PATIENCE).toMatch(both);
  for (const name of ['first.os', 'second.os'])
    expect(await status(), await record()).toMatch(
      new RegExp(`${name} +(verifying|completed), agrees with most`),
    );
  await network.chain.rpc.request('evm_increaseTime', WINDOW_S);
  // Nodes look at the chain's time when there is a block; this chain has none of its own.
  const ticking = setInterval(() => void network.chain.rpc.request('evm_mine'), TICK_MS);
  try {
    const due = splitOf(amount).provider;
    for (const { address } of [heidi, frank])
      await expect.poll(() => creditOf(address), PATIENCE).toBe(due);
  } finally {
    clearInterval(ticking);
  }
  const right = `${sha256(Buffer.from('of this the hash is wanted'))}\n`;
  expect(await readFile(join(out, 'sha256.txt'), 'utf8')).toBe(right);
  expect(await creditOf(client.address)).toBe(amount);
  expect(await creditOf(grace.address)).toBe(0n);
  expect(await stakeOf('cheat.os')).toBeLessThan(STAKE);
  expect(await stakeOf('second.os')).toBe(STAKE);
}, 400_000);
