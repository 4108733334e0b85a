/** Settings of a market that its owner makes, each with a way to see whether it was made: a second run does what a first one left. */
import { Interface, ZeroHash } from 'ethers';
import type { JsonFragment, Provider } from 'ethers';
import { addressBookAbi } from '../abi/address-book.ts';
import { computeEscrowAbi } from '../abi/compute-escrow.ts';
import { marketTimelockAbi } from '../abi/market-timelock.ts';
import { nodeRegistryAbi } from '../abi/node-registry.ts';
import { verifierSetAbi } from '../abi/verifier-set.ts';
import { contractAt } from '../contract.ts';
import { addressIn, type Plan } from './plan.ts';

/** One transaction. */
export interface Step {
  readonly what: string;
  readonly to: string;
  readonly data: string;
  /** Whether it was done. */
  readonly done: () => Promise<boolean>;
  /** What keeps it from being done now; undefined: nothing. */
  readonly waits?: () => Promise<string | undefined>;
}

/** Two days, as in `MarketTimelock.DELAY_S`. */
const DELAY_S = 172_800n;

const dataOf = (abi: readonly JsonFragment[], name: string, values: readonly unknown[]): string =>
  new Interface(abi).encodeFunctionData(name, values);
const same = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase();

/** In order. @param provider  asked when a step is looked at */
export function stepsOf(plan: Plan, provider: Provider): readonly Step[] {
  const at = (name: string): string => {
    const address = addressIn(plan, name);
    if (address === undefined) throw new Error(`${name} is not planned`);
    return address;
  };
  return [...settings(plan, at, provider), ...handover(plan, at, provider)];
}

function settings(
  { config, token }: Plan,
  at: (name: string) => string,
  provider: Provider,
): readonly Step[] {
  const escrow = contractAt(computeEscrowAbi, at('ComputeEscrow'), provider);
  const registry = contractAt(nodeRegistryAbi, at('NodeRegistry'), provider);
  const verifiers = contractAt(verifierSetAbi, at('VerifierSet'), provider);
  const book = contractAt(addressBookAbi, at('AddressBook'), provider);
  const admit = [at('ComputeEscrow'), true];
  const rule = [token, config.exposurePpm, config.disputeBondMin];
  const version = ['ComputeEscrow', 'NodeRegistry', 'VerifierSet', 'ReceiptAnchor'].map(at);
  return [
    {
      what: 'the registry admits the escrow',
      to: at('NodeRegistry'),
      data: dataOf(nodeRegistryAbi, 'setEscrow', admit),
      done: () => registry.isEscrow(at('ComputeEscrow')),
    },
    {
      what: 'verifiers answer to the escrow',
      to: at('VerifierSet'),
      data: dataOf(verifierSetAbi, 'setEscrow', admit),
      done: () => verifiers.isEscrow(at('ComputeEscrow')),
    },
    {
      what: 'the bond of verifiers',
      to: at('VerifierSet'),
      data: dataOf(verifierSetAbi, 'setBondMin', [config.bondMin]),
      done: async () => (await verifiers.bondMin()) === config.bondMin,
    },
    {
      what: 'the escrow takes the token',
      to: at('ComputeEscrow'),
      data: dataOf(computeEscrowAbi, 'setTokenRule', rule),
      done: async () => {
        const { exposurePpm, minBond } = await escrow.tokenRules(token);
        return exposurePpm === config.exposurePpm && minBond === config.disputeBondMin;
      },
    },
    {
      what: 'the version is listed',
      to: at('AddressBook'),
      data: dataOf(addressBookAbi, 'list', [...version, token]),
      done: async () => (await book.count()) > 0n,
    },
  ];
}

/** Ownership is offered to the timelock at once, and is the timelock's when what it was asked for has waited. */
function handover(plan: Plan, at: (name: string) => string, provider: Provider): readonly Step[] {
  if (plan.config.timelock === undefined) return [];
  const timelock = at('MarketTimelock');
  const owned = ['ComputeEscrow', 'NodeRegistry', 'VerifierSet', 'AddressBook'].map(at);
  const isOwned = async (address: string): Promise<boolean> =>
    same(await contractAt(addressBookAbi, address, provider).owner(), timelock);
  const accept = dataOf(addressBookAbi, 'acceptOwnership', []);
  const batch = [owned, owned.map(() => 0n), owned.map(() => accept), ZeroHash, ZeroHash] as const;
  const lock = contractAt(marketTimelockAbi, timelock, provider);
  const operation = (): Promise<string> =>
    lock.hashOperationBatch([...batch[0]], [...batch[1]], [...batch[2]], batch[3], batch[4]);
  const offers = owned.map((to): Step => ({
    what: `${plan.contracts.find(({ address }) => address === to)?.name} is offered to the timelock`,
    to,
    data: dataOf(addressBookAbi, 'transferOwnership', [timelock]),
    done: async () =>
      (await isOwned(to)) ||
      same(await contractAt(addressBookAbi, to, provider).pendingOwner(), timelock),
  }));
  return [
    ...offers,
    {
      what: 'the timelock is asked to take them',
      to: timelock,
      data: dataOf(marketTimelockAbi, 'scheduleBatch', [...batch, DELAY_S]),
      done: async () => lock.isOperation(await operation()),
      waits: async () => {
        const proposer = await lock.hasRole(await lock.PROPOSER_ROLE(), plan.owner);
        return proposer ? undefined : `${plan.owner} is no proposer; one of them has to ask`;
      },
    },
    {
      what: 'the timelock takes them',
      to: timelock,
      data: dataOf(marketTimelockAbi, 'executeBatch', batch),
      done: async () => lock.isOperationDone(await operation()),
      waits: async () => {
        const id = await operation();
        if (await lock.isOperationReady(id)) return undefined;
        const readyAt = await lock.getTimestamp(id);
        return readyAt === 0n
          ? 'it was not asked yet'
          : `it has to wait until ${new Date(Number(readyAt) * 1_000).toISOString()}; run this again then`;
      },
    },
  ];
}
