/** What a market is deployed with, and the file that says where it is: JSON, for guests too. */
import { type Decoded, list, option, record, refined, text, u32, u64 } from '../wit/codec.ts';
import { addressText, hashText, wideNumber } from './compute-json.ts';

/** A person or contract: not the zero address. */
const somebody = refined(
  addressText,
  '0x hex of 20 bytes, not zero',
  (value) => (/^0x0+$/.test(value) ? undefined : value),
  (value) => value,
);

/** `docs/deploying.md` describes each. */
export const marketConfig = record({
  chainId: u64,
  /** Null: a HyperToken of its own is deployed, all of it for the deployer. Of tests, and of chains where nothing is worth anything. */
  token: option(record({ address: somebody, name: text, version: text })),
  /** Null: the chain has no names, and an unused node id is anybody's. */
  hypermap: option(somebody),
  permit2: somebody,
  treasury: somebody,
  pauser: somebody,
  verifiers: list(somebody),
  verdictThreshold: u32,
  disputeThreshold: u32,
  /** What a verifier must post, in the token's smallest unit. */
  bondMin: wideNumber,
  /** Stake that stands for a million of the token's smallest units. */
  exposurePpm: wideNumber,
  /** The least that a dispute costs, in the token's smallest unit. */
  disputeBondMin: wideNumber,
  /** Null: the deployer stays the owner. Else who may ask for changes, which wait for two days. */
  timelock: option(record({ proposers: list(somebody) })),
});
export type MarketConfig = Decoded<typeof marketConfig>;

/** Where a market is; what a node needs to use it. */
export const deployment = record({
  chainId: u64,
  escrow: addressText,
  registry: addressText,
  verifiers: addressText,
  anchor: addressText,
  addressBook: addressText,
  timelock: option(addressText),
  token: addressText,
  /** EIP-712 name and version of the token. */
  tokenName: text,
  tokenVersion: text,
  permit2: addressText,
  vaultInitHash: hashText,
  /** Before it there are no events of the market. */
  firstBlock: u64,
});
export type Deployment = Decoded<typeof deployment>;
