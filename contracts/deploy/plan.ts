/** A market before it is deployed: its contracts at the addresses that they will have. Pure. */
import { getCreate2Address, keccak256, ZeroHash } from 'ethers';
import { addressBookCode } from '../abi/address-book.ts';
import { computeEscrowCode } from '../abi/compute-escrow.ts';
import { hyperTokenCode } from '../abi/hyper-token.ts';
import { marketTimelockCode } from '../abi/market-timelock.ts';
import { nodeRegistryCode } from '../abi/node-registry.ts';
import { receiptAnchorCode } from '../abi/receipt-anchor.ts';
import { verifierSetCode } from '../abi/verifier-set.ts';
import { CREATE2_DEPLOYER } from '../addresses.ts';
import {
  type Constructor,
  hyperConstructor,
  initCodeOf,
  listWords,
  marketConstructors,
} from '../chain/compute-constructors.ts';
import type { Code } from '../contract.ts';
import type { MarketConfig } from '../compute-deployment.ts';

/** A contract that is to stand somewhere. */
export interface Planned {
  readonly name: string;
  readonly address: string;
  readonly code: Code;
  /** Creation code with its arguments, `0x` and hex. */
  readonly init: string;
}

export interface Plan {
  readonly config: MarketConfig;
  readonly owner: string;
  /** In the order in which they are made. */
  readonly contracts: readonly Planned[];
  /** The token that is used, planned or there. */
  readonly token: string;
}

const ZERO = `0x${'00'.repeat(20)}`;
const ANYBODY = [ZERO];
const CODES: ReadonlyMap<string, Code> = new Map(
  [
    hyperTokenCode,
    verifierSetCode,
    nodeRegistryCode,
    computeEscrowCode,
    receiptAnchorCode,
    addressBookCode,
    marketTimelockCode,
  ].map((code) => [code.name, code]),
);

/** @param owner  who deploys, and owns the contracts until the timelock does */
export function planOf(config: MarketConfig, owner: string): Plan {
  const at = new Map<string, string>();
  if (config.token !== undefined) at.set('HyperToken', config.token.address);
  const contracts = constructorsOf(config, owner).map(([name, words]): Planned => {
    const code = CODES.get(name);
    if (code === undefined) throw new Error(`there is no code of ${name}`);
    const init = initCodeOf(
      code.creation,
      words((other) => at.get(other) ?? ZERO),
    );
    const address = getCreate2Address(CREATE2_DEPLOYER, ZeroHash, keccak256(init));
    at.set(name, address);
    return { name, address, code, init };
  });
  return { config, owner, contracts, token: at.get('HyperToken') ?? ZERO };
}

/** Where a planned contract will be; undefined: it is not part of this market. */
export function addressIn({ contracts }: Plan, name: string): string | undefined {
  return contracts.find((one) => one.name === name)?.address;
}

function constructorsOf(config: MarketConfig, owner: string): readonly Constructor[] {
  const parts = {
    owner,
    treasury: config.treasury,
    pauser: config.pauser,
    hypermap: config.hypermap ?? ZERO,
    permit2: config.permit2,
    verifiers: config.verifiers,
    verdictThreshold: BigInt(config.verdictThreshold),
    disputeThreshold: BigInt(config.disputeThreshold),
  };
  return [
    ...(config.token === undefined ? [hyperConstructor(owner)] : []),
    ...marketConstructors(parts),
    ...(config.timelock === undefined ? [] : [timelockOf(config.timelock.proposers)]),
  ];
}

/** What has waited anybody may carry out. */
function timelockOf(proposers: readonly string[]): Constructor {
  const first = 64n;
  const second = first + 32n * BigInt(proposers.length + 1);
  const words = [first, second, ...listWords(proposers), ...listWords(ANYBODY)];
  return ['MarketTimelock', () => words];
}
