/** A provider in the registry on chain, as its operator's wallet puts it there: its executor, where pay goes, and its stake. */
import { Interface, JsonRpcProvider, Network, SigningKey, Wallet } from 'ethers';
import { nodeRegistryAbi } from '../../contracts/abi/node-registry.ts';
import {
  decodeNode,
  encodeNodes,
  encodeNodeRecord,
  encodeStake,
} from '../../contracts/compute-calls.ts';
import { digestOf, registryDomain } from '../../contracts/compute.ts';
import { namehash } from '../../contracts/hypermap.ts';
import { JobError } from './job-error.ts';
import { keyOf } from './wallet.ts';

const TOKEN = new Interface([
  'function approve(address,uint256) returns (bool)',
  'function allowance(address,address) view returns (uint256)',
  'function balanceOf(address) view returns (uint256)',
]);
/** How long a transaction may take, in milliseconds. */
const SENT_MS_MAX = 120_000;
const REGISTRY = new Interface(nodeRegistryAbi);
const MEANING: Readonly<Record<string, string>> = {
  NotNameOwner:
    'the name of the node is not of this wallet in the namespace; development nodes have one on chain if they are called NAME.os',
  BadExecutor: 'the executor is another node’s already',
  BadSignature: 'the executor did not agree to this registration',
};
const NOBODY = /^0x0{40}$/;

export interface RegistryPlace {
  readonly rpc: string;
  readonly chainId: number;
  readonly registry: string;
  readonly token: string;
}

export interface Registering {
  /** Full name of the node. */
  readonly node: string;
  /** Files with the operator's key and the executor's. */
  /** As for `keyOf`. */
  readonly walletFile: string;
  readonly executorFile: string;
  /** The operator, if left out. */
  readonly payTo: string | undefined;
  /** Of its machine, 32 bytes as hex; it stands in the record. */
  readonly metaHash: string;
  /** Millionths of HYPER that the stake is to be at least. */
  readonly stake: bigint;
  readonly tell: (text: string) => void;
}

/**
 * Registers the node, or changes its record, and adds to its stake what is missing; done twice it changes nothing.
 * @returns what the registry has then
 * @throws JobError, with what the chain says
 */
export async function register(place: RegistryPlace, wanted: Registering): Promise<Registered> {
  const { chainId, registry } = place;
  const provider = new JsonRpcProvider(place.rpc, Network.from(chainId), {
    staticNetwork: true,
    // One transaction follows another: an answer of a moment ago has the nonce of the last one.
    cacheTimeout: -1,
  });
  try {
    const operator = new Wallet(await keyOf(wanted.walletFile), provider);
    const executor = new SigningKey(await keyOf(wanted.executorFile));
    await mustBeChain(provider, place);
    const nodeId = namehash(wanted.node);
    const executorAddress = new Wallet(executor.privateKey).address;
    const payTo = wanted.payTo ?? operator.address;
    const known = await nodeOf(provider, registry, nodeId);
    const same = (one: string, other: string): boolean => one.toLowerCase() === other.toLowerCase();
    if (known !== undefined && !same(known.operator, operator.address))
      throw new JobError('refused', `${wanted.node} is registered by ${known.operator}`);
    if (
      known === undefined ||
      !same(known.executor, executorAddress) ||
      !same(known.payTo, payTo)
    ) {
      const agreed = { nodeId, operator: operator.address, executor: executorAddress };
      const digest = digestOf(registryDomain(chainId, registry), 'Registration', agreed);
      const record = {
        nodeId,
        executor: executorAddress,
        payTo,
        metaHash: wanted.metaHash,
        executorSignature: executor.sign(digest).serialized,
      };
      wanted.tell(`registering ${wanted.node} with the executor ${executorAddress}`);
      const call = known === undefined ? 'register' : 'update';
      await send(operator, registry, encodeNodeRecord(call, record));
    }
    const missing = wanted.stake - (known?.stake ?? 0n);
    if (missing > 0n) await addStake(operator, place, { nodeId, missing, tell: wanted.tell });
    const made = await nodeOf(provider, registry, nodeId);
    if (made === undefined) throw new JobError('refused', 'the registry does not have it');
    return { nodeId, ...made };
  } finally {
    provider.destroy();
  }
}

export interface Registered {
  readonly nodeId: string;
  readonly operator: string;
  readonly executor: string;
  readonly payTo: string;
  readonly stake: bigint;
}

async function nodeOf(
  provider: JsonRpcProvider,
  registry: string,
  nodeId: string,
): Promise<Omit<Registered, 'nodeId'> | undefined> {
  const read = decodeNode(await provider.call({ to: registry, data: encodeNodes(nodeId) }));
  if (!read.ok) throw new JobError('refused', `there is no registry at ${registry}`);
  const { operator, executor, payTo, stake } = read.value;
  return NOBODY.test(operator) ? undefined : { operator, executor, payTo, stake };
}

async function addStake(
  operator: Wallet,
  { registry, token }: RegistryPlace,
  { nodeId, missing, tell }: { nodeId: string; missing: bigint; tell: (text: string) => void },
): Promise<void> {
  const ask = async (name: string, ...args: readonly string[]): Promise<bigint> =>
    BigInt(
      (await operator.provider?.call({ to: token, data: TOKEN.encodeFunctionData(name, args) })) ??
        0,
    );
  const has = await ask('balanceOf', operator.address);
  if (has < missing)
    throw new JobError(
      'refused',
      `${operator.address} has ${has} of the token, ${missing} is missing at stake`,
    );
  tell(`adding ${missing} to the stake`);
  if ((await ask('allowance', operator.address, registry)) < missing)
    await send(operator, token, TOKEN.encodeFunctionData('approve', [registry, missing]));
  await send(operator, registry, encodeStake(nodeId, missing));
}

/** Sends a call, and waits for its block. @throws JobError with what the contract says */
async function send(operator: Wallet, to: string, data: string): Promise<void> {
  try {
    const sent = await operator.sendTransaction({ to, data });
    const receipt = await sent.wait(1, SENT_MS_MAX);
    if (receipt?.status !== 1) throw new Error(`${sent.hash} was reverted`);
  } catch (error) {
    throw new JobError('refused', `the chain does not take it: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}

/** What the contract calls it, and what that means to whoever registers; else what was said. */
function reasonOf(error: unknown): string {
  const { data, shortMessage, message } = error as {
    readonly data?: unknown;
    readonly shortMessage?: string;
    readonly message?: string;
  };
  const name = typeof data === 'string' ? REGISTRY.parseError(data)?.name : undefined;
  if (name === undefined) return (shortMessage ?? message ?? String(error)).slice(0, 300);
  return MEANING[name] === undefined ? name : `${MEANING[name]} (${name})`;
}

async function mustBeChain(
  provider: JsonRpcProvider,
  { rpc, chainId }: RegistryPlace,
): Promise<void> {
  const found = await provider.send('eth_chainId', []).catch((error: unknown) => {
    throw new JobError('unreachable', `no chain answers at ${rpc}`, { cause: error });
  });
  if (Number(found) !== chainId)
    throw new JobError('bad-flags', `at ${rpc} is chain ${Number(found)}, not ${chainId}`);
}
