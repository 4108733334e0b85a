/**
 * The contracts of the compute market on the embedded chain: in which order they are made, and of what. All are made with salt zero by the
 * CREATE2 deployer, so their addresses follow from their code; `abi/constants.ts` has them.
 */
import { HYPERMAP, OWNER, PERMIT2, TREASURY, VERIFIER } from '../addresses.ts';

/** A contract's name in Solidity to its address. */
export type AddressOf = (contract: string) => string;

/** Name, and its constructor's arguments as words; `at` knows the contracts before it. */
export const COMPUTE_CONSTRUCTORS: readonly (readonly [
  contract: string,
  words: (at: AddressOf) => readonly (string | bigint)[],
])[] = [
  ['HyperToken', () => [OWNER]],
  // Token, owner, where the list is, both thresholds; the list: one verifier.
  ['VerifierSet', (at) => [at('HyperToken'), OWNER, 160n, 1n, 1n, 1n, VERIFIER]],
  ['NodeRegistry', (at) => [at('HyperToken'), HYPERMAP, at('VerifierSet'), OWNER]],
  [
    'ComputeEscrow',
    (at) => [at('NodeRegistry'), at('VerifierSet'), PERMIT2, OWNER, TREASURY, OWNER],
  ],
  ['ReceiptAnchor', (at) => [at('NodeRegistry')]],
  ['AddressBook', () => [OWNER]],
];

/** What a deployment runs: creation code with its arguments. */
export function initCodeOf(creation: string, words: readonly (string | bigint)[]): string {
  return creation + words.map((word) => BigInt(word).toString(16).padStart(64, '0')).join('');
}
