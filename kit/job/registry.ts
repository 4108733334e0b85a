/** A provider in the registry on chain, as its operator's wallet puts it there: its executor, where pay goes, and its stake. */
import { Interface, type JsonRpcProvider, SigningKey, Wallet } from 'ethers';
import {
  type ChainNode,
  decodeNode,
  encodeApprove,
  encodeNodes,
  encodeNodeRecord,
  encodeStake,
} from '../../contracts/compute-calls.ts';
import { digestOf, registryDomain } from '../../contracts/compute.ts';
import { namehash } from '../../contracts/hypermap.ts';
import { type ChainPlace, read as ask, same, send, withChain } from './chain.ts';
import { JobError } from './job-error.ts';
import { hyper } from './show.ts';
import { keyOf } from './wallet.ts';

const TOKEN = new Interface([
  'function allowance(address,address) view returns (uint256)',
  'function balanceOf(address) view returns (uint256)',
]);
const NOBODY = /^0x0{40}$/;

export interface Registering {
  /** Full name of the node. */
  readonly node: string;
  /** Files with the operator's key and the executor's, as for `keyOf`. */
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
export function register(place: ChainPlace, wanted: Registering): Promise<Registered> {
  const { chainId, registry } = place;
  return withChain(place, async (provider) => {
    const operator = new Wallet(await keyOf(wanted.walletFile), provider);
    const executor = new SigningKey(await keyOf(wanted.executorFile));
    const nodeId = namehash(wanted.node);
    const executorAddress = new Wallet(executor.privateKey).address;
    const payTo = wanted.payTo ?? operator.address;
    const known = await nodeOf(provider, registry, nodeId);
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
    if (missing > 0n)
      await addStake({ provider, operator }, place, { nodeId, missing, tell: wanted.tell });
    const made = await nodeOf(provider, registry, nodeId);
    if (made === undefined) throw new JobError('refused', 'the registry does not have it');
    const { operator: owner, payTo: paid, executor: signs, stake } = made;
    return { nodeId, operator: owner, executor: signs, payTo: paid, stake };
  });
}

type Registered = Pick<ChainNode, 'operator' | 'executor' | 'payTo' | 'stake'> & {
  readonly nodeId: string;
};

/** What the registry has of a node; undefined where nobody registered it. @throws JobError where there is no registry */
export async function nodeOf(
  provider: JsonRpcProvider,
  registry: string,
  nodeId: string,
): Promise<ChainNode | undefined> {
  const read = decodeNode(await ask(provider, registry, encodeNodes(nodeId)));
  if (!read.ok) throw new JobError('refused', `there is no registry at ${registry}`);
  return NOBODY.test(read.value.operator) ? undefined : read.value;
}

/** Adds to a node's stake what the wallet has, with the allowance for it. @throws JobError */
export async function addStake(
  { provider, operator }: { readonly provider: JsonRpcProvider; readonly operator: Wallet },
  { registry, token }: ChainPlace,
  { nodeId, missing, tell }: { nodeId: string; missing: bigint; tell: (text: string) => void },
): Promise<void> {
  const of = async (name: string, ...args: readonly string[]): Promise<bigint> =>
    BigInt(await ask(provider, token, TOKEN.encodeFunctionData(name, args)));
  const has = await of('balanceOf', operator.address);
  if (has < missing)
    throw new JobError(
      'refused',
      `${operator.address} has ${hyper(has)}, ${hyper(missing)} are missing at stake`,
    );
  tell(`adding ${hyper(missing)} to the stake`);
  if ((await of('allowance', operator.address, registry)) < missing)
    await send(operator, token, encodeApprove(registry, missing));
  await send(operator, registry, encodeStake(nodeId, missing));
}
