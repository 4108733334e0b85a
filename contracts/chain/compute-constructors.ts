/**
 * The contracts of the compute market: in which order they are made, and of what. All are made with salt zero by the CREATE2 deployer, so
 * their addresses follow from their code and these arguments; those on the embedded chain are in `abi/constants.ts`.
 */
import { HYPERMAP, OWNER, PERMIT2, TREASURY, VERIFIER } from '../addresses.ts';

/** A contract's name in Solidity to its address. */
export type AddressOf = (contract: string) => string;

/** Name, and its constructor's arguments as words; `at` knows the contracts before it. */
export type Constructor = readonly [
  contract: string,
  words: (at: AddressOf) => readonly (string | bigint)[],
];

/** What the market of a chain is made of. Addresses are `0x` and hex. */
export interface MarketParts {
  /** Changes settings, until somebody else is given them. */
  readonly owner: string;
  readonly treasury: string;
  readonly pauser: string;
  /** Zero where the chain has no names. */
  readonly hypermap: string;
  readonly permit2: string;
  readonly verifiers: readonly string[];
  readonly verdictThreshold: bigint;
  readonly disputeThreshold: bigint;
}

/** All but the token, which `at` knows as HyperToken. */
export function marketConstructors(parts: MarketParts): readonly Constructor[] {
  const { owner, treasury, pauser, hypermap, permit2, verifiers } = parts;
  const thresholds = [parts.verdictThreshold, parts.disputeThreshold];
  return [
    // Token, owner, where the list is, both thresholds; the list.
    [
      'VerifierSet',
      (at) => [at('HyperToken'), owner, 160n, ...thresholds, ...listWords(verifiers)],
    ],
    ['NodeRegistry', (at) => [at('HyperToken'), hypermap, at('VerifierSet'), owner]],
    [
      'ComputeEscrow',
      (at) => [at('NodeRegistry'), at('VerifierSet'), permit2, owner, treasury, pauser],
    ],
    ['ReceiptAnchor', (at) => [at('NodeRegistry')]],
    ['AddressBook', () => [owner]],
  ];
}

/** The token of a market that brings its own: all of it for the owner. */
export const hyperConstructor = (owner: string): Constructor => ['HyperToken', () => [owner]];

/** Of the embedded chain: one verifier. */
export const COMPUTE_CONSTRUCTORS: readonly Constructor[] = [
  hyperConstructor(OWNER),
  ...marketConstructors({
    owner: OWNER,
    treasury: TREASURY,
    pauser: OWNER,
    hypermap: HYPERMAP,
    permit2: PERMIT2,
    verifiers: [VERIFIER],
    verdictThreshold: 1n,
    disputeThreshold: 1n,
  }),
];

/** A list as it stands at the end of the arguments. */
export function listWords(list: readonly string[]): readonly (string | bigint)[] {
  return [BigInt(list.length), ...list];
}

/** What a deployment runs: creation code with its arguments. */
export function initCodeOf(creation: string, words: readonly (string | bigint)[]): string {
  return creation + words.map((word) => BigInt(word).toString(16).padStart(64, '0')).join('');
}
