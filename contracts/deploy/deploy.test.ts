import { execFile } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { JsonRpcProvider, Wallet } from 'ethers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { addressBookAbi } from '../abi/address-book.ts';
import { computeEscrowAbi } from '../abi/compute-escrow.ts';
import { hyperTokenAbi } from '../abi/hyper-token.ts';
import { marketTimelockAbi } from '../abi/market-timelock.ts';
import { nodeRegistryAbi } from '../abi/node-registry.ts';
import { verifierSetAbi } from '../abi/verifier-set.ts';
import { CREATE2_DEPLOYER, HYPERMAP, PERMIT2 } from '../addresses.ts';
import { startChain, type Chain } from '../chain/chain.ts';
import { personas } from '../chain/personas.ts';
import { jobIdOf, escrowDomain, saltOf, vaultOf } from '../compute.ts';
import { contractAt } from '../contract.ts';
import {
  type Deployment,
  deployment,
  type MarketConfig,
  marketConfig,
} from '../compute-deployment.ts';
import { DeployError, deployMarket } from './deploy.ts';
import { planOf } from './plan.ts';

const TWO_DAYS_S = 172_800;

let chain: Chain;
let provider: JsonRpcProvider;
let folder: string;

beforeAll(async () => {
  chain = await startChain();
  provider = new JsonRpcProvider(chain.url, chain.chainId, { cacheTimeout: -1 });
  folder = await mkdtemp(join(tmpdir(), 'deploy-'));
});
afterAll(async () => {
  provider.destroy();
  await chain.close();
  await rm(folder, { recursive: true, force: true });
});

/** A market by `deployer`, with two verifiers. */
function configOf(deployer: { readonly address: string }, part: object = {}): MarketConfig {
  return {
    chainId: chain.chainId,
    token: undefined,
    hypermap: HYPERMAP,
    permit2: PERMIT2,
    treasury: personas.ivan.address,
    pauser: personas.heidi.address,
    verifiers: [personas.carol.address, personas.erin.address],
    verdictThreshold: 1,
    disputeThreshold: 2,
    bondMin: 5_000_000n,
    exposurePpm: 1_000_000n,
    disputeBondMin: 1_000_000n,
    timelock: { proposers: [deployer.address] },
    ...part,
  };
}

async function deploy(
  by: { readonly privateKey: string },
  config: MarketConfig,
  send: boolean,
): Promise<Awaited<ReturnType<typeof deployMarket>> & { readonly lines: string[] }> {
  const lines: string[] = [];
  const signer = new Wallet(by.privateKey, provider);
  const tell = (text: string): void => void lines.push(text);
  return { ...(await deployMarket(config, { provider, signer, send, tell })), lines };
}

const blockNumber = (): Promise<number> => provider.getBlockNumber();

test('CM4 a dry run says where everything will be and sends nothing', async () => {
  const before = await blockNumber();
  const {
    deployment: where,
    sent,
    left,
    lines,
  } = await deploy(personas.dave, configOf(personas.dave), false);
  expect([where, sent]).toEqual([undefined, 0]);
  expect(left).toContain('deploy ComputeEscrow');
  const plan = planOf(configOf(personas.dave), personas.dave.address);
  for (const { name, address } of plan.contracts)
    expect(lines).toContain(`missing ${name} ${address}`);
  expect(await blockNumber()).toBe(before);
});

test('CM32 a market is deployed where the dry run said, set, and the timelock’s after two days', async () => {
  const config = configOf(personas.dave);
  const first = await deploy(personas.dave, config, true);
  const where = first.deployment!;
  const plan = planOf(config, personas.dave.address);
  expect(where.escrow).toBe(plan.contracts.find(({ name }) => name === 'ComputeEscrow')?.address);
  expect(first.left).toEqual([
    expect.stringMatching(/^the timelock takes them: it has to wait until 2/),
  ]);
  const escrow = contractAt(computeEscrowAbi, where.escrow, provider);
  expect(await escrow.registry()).toBe(where.registry);
  expect((await escrow.tokenRules(where.token)).minBond).toBe(1_000_000n);
  expect(await escrow.pauser()).toBe(personas.heidi.address);
  const registry = contractAt(nodeRegistryAbi, where.registry, provider);
  expect(await registry.isEscrow(where.escrow)).toBe(true);
  const verifiers = contractAt(verifierSetAbi, where.verifiers, provider);
  expect([await verifiers.bondMin(), await verifiers.disputeThreshold()]).toEqual([5_000_000n, 2n]);
  const book = contractAt(addressBookAbi, where.addressBook, provider);
  expect((await book.current())[1].escrow).toBe(where.escrow);
  const token = contractAt(hyperTokenAbi, where.token, provider);
  expect(await token.balanceOf(personas.dave.address)).toBe(10n ** 15n);
  // Events begin with the block before which the escrow was not there.
  expect(await provider.getCode(where.escrow, Number(where.firstBlock))).not.toBe('0x');
  expect(await provider.getCode(where.escrow, Number(where.firstBlock) - 1)).toBe('0x');

  // A second run has nothing to do but wait.
  const again = await deploy(personas.dave, config, true);
  expect([again.sent, again.left.length]).toEqual([0, 1]);
  await chain.rpc.batch([['evm_increaseTime', TWO_DAYS_S], ['evm_mine']]);
  const last = await deploy(personas.dave, config, true);
  expect([last.sent, last.left]).toEqual([1, []]);
  const timelock = where.timelock!;
  for (const address of [where.escrow, where.registry, where.verifiers, where.addressBook])
    expect(await contractAt(addressBookAbi, address, provider).owner()).toBe(timelock);
  expect(await contractAt(marketTimelockAbi, timelock, provider).getMinDelay()).toBe(172_800n);
  expect((await deploy(personas.dave, config, true)).sent).toBe(0);

  // And it works: a job is funded there, under its own ids.
  const deployer = new Wallet(personas.dave.privateKey, provider);
  const now = BigInt((await provider.getBlock('latest'))!.timestamp);
  const terms = {
    client: deployer.address,
    token: where.token,
    amount: 5n,
    specHash: saltOf('spec'),
    nodeId: `0x${'00'.repeat(32)}`,
    platform: deployer.address,
    voucherSigner: `0x${'00'.repeat(20)}`,
    fundBy: now + 600n,
    deadline: now + 1_200n,
    challengeWindow: 600,
    mode: 0,
    salt: saltOf('first'),
  };
  const jobId = jobIdOf(escrowDomain(chain.chainId, where.escrow), terms);
  const vault = vaultOf(where.escrow, jobId, where.vaultInitHash);
  await (await contractAt(hyperTokenAbi, where.token, deployer).transfer(vault, 5n)).wait();
  await (await contractAt(computeEscrowAbi, where.escrow, deployer).fundFromVault(terms)).wait();
  expect((await escrow.getJob(jobId)).amount).toBe(5n);
}, 60_000);

test('CM32 an existing token is used, and without a timelock the deployer stays the owner', async () => {
  const token = { address: PERMIT2, name: 'Coin', version: '2' };
  const config = configOf(personas.frank, { token, hypermap: undefined, timelock: undefined });
  const { deployment: where, left } = await deploy(personas.frank, config, true);
  expect(left).toEqual([]);
  expect(where).toMatchObject({
    token: PERMIT2,
    tokenName: 'Coin',
    tokenVersion: '2',
    timelock: undefined,
  });
  expect(await contractAt(computeEscrowAbi, where!.escrow, provider).owner()).toBe(
    personas.frank.address,
  );
  expect(Number(await contractAt(nodeRegistryAbi, where!.registry, provider).hypermap())).toBe(0);
});

test('CM4 another contract at the address, another chain, a missing part and a bad configuration are refused before anything is sent', async () => {
  const by = personas.grace;
  const codeOf = async (config: MarketConfig): Promise<string> => {
    try {
      await deploy(by, config, true);
    } catch (error) {
      if (error instanceof DeployError) return error.code;
      throw error;
    }
    return 'deployed';
  };
  const before = await blockNumber();
  expect(await codeOf(configOf(by, { chainId: 1 }))).toBe('wrong-chain');
  expect(await codeOf(configOf(by, { permit2: by.address }))).toBe('not-there');
  for (const part of [
    { verdictThreshold: 0 },
    { disputeThreshold: 3 },
    { exposurePpm: 0n },
    { verifiers: [by.address, by.address.toLowerCase()] },
  ])
    expect(await codeOf(configOf(by, part)), JSON.stringify(Object.keys(part))).toBe('bad-config');
  const [{ address } = { address: '' }] = planOf(configOf(by), by.address).contracts;
  await chain.rpc.request('anvil_setCode', address, '0x6001');
  expect(await codeOf(configOf(by))).toBe('other-code');
  const deployer = await provider.getCode(CREATE2_DEPLOYER);
  await chain.rpc.request('anvil_setCode', CREATE2_DEPLOYER, '0x');
  expect(await codeOf(configOf(by))).toBe('no-create2');
  await chain.rpc.request('anvil_setCode', CREATE2_DEPLOYER, deployer);
  expect(await blockNumber()).toBe(before);
});

test('CM4 the command deploys, writes the file of addresses, and refuses what it cannot use', async () => {
  const by = personas.erin;
  const file = (name: string): string => join(folder, name);
  await writeFile(file('config'), marketConfig.encode(configOf(by, { timelock: undefined })));
  await writeFile(file('key'), `${by.privateKey}\n`, { mode: 0o600 });
  const flags = ['--rpc', chain.url, '--key-file', file('key'), '--config', file('config')];
  expect(await run(['--nonsense'])).toMatchObject({ code: 2 });
  expect(await run(flags.slice(0, 4))).toMatchObject({ code: 2 });
  const dry = await run([...flags, '--out', file('out')]);
  expect(dry).toMatchObject({ code: 0, stderr: '' });
  expect(dry.stdout).toContain('--send deploys them');
  await expect(readFile(file('out'))).rejects.toThrow('ENOENT');
  const sent = await run([...flags, '--out', file('out'), '--send']);
  expect(sent).toMatchObject({ code: 0, stderr: '' });
  expect(sent.stdout).not.toContain(by.privateKey.slice(2));
  const read = deployment.decode(await readFile(file('out')));
  const where = read.ok ? read.value : ({} as Deployment);
  expect(where.chainId).toBe(chain.chainId);
  expect(await provider.getCode(where.escrow)).not.toBe('0x');

  await chmod(file('key'), 0o644);
  expect(await run(flags)).toMatchObject({ code: 1, stderr: expect.stringContaining('chmod 600') });
  await chmod(file('key'), 0o600);
  await writeFile(file('config'), '{"chainId":1}');
  expect(await run(flags)).toMatchObject({ code: 1, stderr: expect.stringContaining('expected') });
  const none = [...flags.slice(0, 5), file('none')];
  expect(await run(none)).toMatchObject({ code: 1, stderr: expect.stringContaining('ENOENT') });
}, 90_000);

function run(args: readonly string[]): Promise<{ code: unknown; stdout: string; stderr: string }> {
  const { promise, resolve } = Promise.withResolvers<{
    code: unknown;
    stdout: string;
    stderr: string;
  }>();
  const main = fileURLToPath(new URL('./main.ts', import.meta.url));
  execFile(process.execPath, [main, ...args], (error, stdout, stderr) =>
    resolve({ code: error?.code ?? 0, stdout, stderr }),
  );
  return promise;
}
