/**
 * Puts a market onto a chain: looks at what is there, says what is missing, and does it when told to. What it does twice it does once, so a
 * run that broke off is run again.
 */
import { getBytes, hexlify, type Provider, type Signer } from 'ethers';
import { CREATE2_DEPLOYER } from '../addresses.ts';
import { VAULT_INIT_HASH } from '../abi/constants.ts';
import type { Code } from '../contract.ts';
import type { Deployment, MarketConfig } from '../compute-deployment.ts';
import { addressIn, type Plan, type Planned, planOf } from './plan.ts';
import { type Step, stepsOf } from './steps.ts';

/** What stands at the CREATE2 deployer's address on every chain that has it. */
const DEPLOYER_CODE =
  '0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3';
/** Looks for a contract that was just deployed, and milliseconds between them. */
const LOOKS_MAX = 10;
const LOOK_EVERY_MS = 1_000;
const ZERO_SALT = '00'.repeat(32);
const NAME = 'Hypernode';
const VERSION = '1';

export type DeployErrorCode =
  | 'wrong-chain'
  | 'bad-config'
  | 'no-create2'
  | 'not-there'
  | 'other-code'
  | 'refused';

/** Why a market is not deployed; the text says what to do. */
export class DeployError extends Error {
  override readonly name = 'DeployError';
  readonly code: DeployErrorCode;

  constructor(code: DeployErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export interface DeployOptions {
  readonly provider: Provider;
  /** Who deploys and pays. */
  readonly signer: Signer;
  /** False: only looks. */
  readonly send: boolean;
  /** A line for whoever runs it. */
  readonly tell: (text: string) => void;
}

export interface Deployed {
  /** Undefined where contracts are missing. */
  readonly deployment: Deployment | undefined;
  /** Transactions that were sent. */
  readonly sent: number;
  /** What is still to be done, in words. */
  readonly left: readonly string[];
}

/** @throws DeployError */
export async function deployMarket(
  config: MarketConfig,
  { provider, signer, send, tell }: DeployOptions,
): Promise<Deployed> {
  await checkChain(config, provider);
  const owner = await signer.getAddress();
  const plan = planOf(config, owner);
  tell(
    `market on chain ${config.chainId}, by ${owner}${send ? '' : ' (dry run: nothing is sent)'}`,
  );
  const left: string[] = [];
  let sent = 0;
  let missing = 0;
  for (const contract of plan.contracts) {
    const there = await isThere(contract, provider);
    tell(`${there ? 'there  ' : 'missing'} ${contract.name} ${contract.address}`);
    if (there) continue;
    if (!send) {
      missing += 1;
      left.push(`deploy ${contract.name}`);
      continue;
    }
    const data = `0x${ZERO_SALT}${contract.init.slice(2)}`;
    await transact(signer, { what: contract.name, to: CREATE2_DEPLOYER, data });
    sent += 1;
    if (!(await appears(contract, provider)))
      throw new DeployError('not-there', `${contract.name} was deployed and is not there`);
    tell(`made    ${contract.name}`);
  }
  if (missing > 0) {
    tell(`${missing} contracts are missing; --send deploys them, and makes the settings`);
    return { deployment: undefined, sent, left };
  }
  for (const step of stepsOf(plan, provider)) {
    const outcome = await take(step, signer, send);
    if (outcome !== 'done' && outcome !== 'sent') left.push(`${step.what}: ${outcome}`);
    if (outcome === 'sent') sent += 1;
    tell(
      `${outcome === 'done' ? 'done   ' : outcome === 'sent' ? 'made   ' : 'to do  '} ${step.what}`,
    );
  }
  return { deployment: await deploymentOf(plan, provider), sent, left };
}

async function checkChain(config: MarketConfig, provider: Provider): Promise<void> {
  const { chainId } = await provider.getNetwork();
  if (chainId !== BigInt(config.chainId))
    throw new DeployError(
      'wrong-chain',
      `the configuration is for chain ${config.chainId}, and this is chain ${chainId}`,
    );
  const { verifiers, verdictThreshold, disputeThreshold } = config;
  const distinct = new Set(verifiers.map((one) => one.toLowerCase())).size === verifiers.length;
  const sound =
    verdictThreshold >= 1 &&
    verdictThreshold <= disputeThreshold &&
    disputeThreshold <= verifiers.length;
  if (!distinct || !sound)
    throw new DeployError(
      'bad-config',
      'verifiers have to differ, and 1 <= verdictThreshold <= disputeThreshold <= verifiers',
    );
  if (config.exposurePpm === 0n)
    throw new DeployError('bad-config', 'exposurePpm of zero means that the token is not taken');
  if ((await provider.getCode(CREATE2_DEPLOYER)) !== DEPLOYER_CODE)
    throw new DeployError(
      'no-create2',
      `this chain has no CREATE2 deployer at ${CREATE2_DEPLOYER}; put it there first (github.com/Arachnid/deterministic-deployment-proxy)`,
    );
  const needed = [config.token?.address, config.hypermap, config.permit2];
  for (const address of needed)
    if (address !== undefined && (await provider.getCode(address)) === '0x')
      throw new DeployError('not-there', `there is no contract at ${address}`);
}

/** @throws DeployError when something else is there */
async function isThere({ name, address, code }: Planned, provider: Provider): Promise<boolean> {
  const found = await provider.getCode(address);
  if (found === '0x') return false;
  if (withoutImmutables(found, code) === code.runtime) return true;
  throw new DeployError(
    'other-code',
    `what stands at ${address} is not the ${name} of this version; nothing was sent`,
  );
}

/** Of several machines behind one address one may be a little late. */
async function appears(contract: Planned, provider: Provider): Promise<boolean> {
  for (let look = 0; look < LOOKS_MAX; look += 1) {
    if (await isThere(contract, provider)) return true;
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
  return false;
}

/** As the compiler made it. */
function withoutImmutables(found: string, code: Code): string {
  const bytes = getBytes(found);
  for (const place of Object.values(code.immutables).flat()) bytes.fill(0, place, place + 32);
  return hexlify(bytes);
}

async function take(step: Step, signer: Signer, send: boolean): Promise<string> {
  if (await step.done()) return 'done';
  const waits = await step.waits?.();
  if (waits !== undefined) return waits;
  if (!send) return 'with --send';
  await transact(signer, step);
  return 'sent';
}

async function transact(
  signer: Signer,
  { what, to, data }: Pick<Step, 'what' | 'to' | 'data'>,
): Promise<void> {
  try {
    const transaction = await signer.sendTransaction({ to, data });
    const receipt = await transaction.wait();
    if (receipt?.status !== 1) throw new Error(`${transaction.hash} reverted`);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new DeployError('refused', `${what}: ${reason}`, { cause: error });
  }
}

async function deploymentOf(plan: Plan, provider: Provider): Promise<Deployment> {
  const { config, token } = plan;
  const at = (name: string): string => addressIn(plan, name) ?? '';
  return {
    chainId: config.chainId,
    escrow: at('ComputeEscrow'),
    registry: at('NodeRegistry'),
    verifiers: at('VerifierSet'),
    anchor: at('ReceiptAnchor'),
    addressBook: at('AddressBook'),
    timelock: addressIn(plan, 'MarketTimelock'),
    token,
    tokenName: config.token?.name ?? NAME,
    tokenVersion: config.token?.version ?? VERSION,
    permit2: config.permit2,
    vaultInitHash: VAULT_INIT_HASH,
    firstBlock: await firstBlockOf(at('ComputeEscrow'), provider),
  };
}

/** Of the contract: the first block at which it is there, found by halving. Where the chain forgets its past, the first that it knows. */
async function firstBlockOf(address: string, provider: Provider): Promise<number> {
  let [before, there] = [-1, await provider.getBlockNumber()];
  while (there - before > 1) {
    const middle = Math.floor((before + there) / 2);
    const code = await provider.getCode(address, middle).catch(() => '0x');
    if (code === '0x') before = middle;
    else there = middle;
  }
  return there;
}
