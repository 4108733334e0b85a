/** What a facilitator of tests says of its chain: contracts, rules, and the provider of the own node. */
import { type ComputeTerms, escrowDomain, saltOf } from '../../../../contracts/compute.ts';
import { namehash } from '../../../../contracts/hypermap.ts';
import type { MoneySettings, Provider } from '../../shared/facilitator-contract.ts';
import { NODE } from './world.ts';

export const ESCROW = `0x${'e5'.repeat(20)}`;
export const REGISTRY = `0x${'4e'.repeat(20)}`;
export const TOKEN = `0x${'70'.repeat(20)}`;
export const PLATFORM = `0x${'91'.repeat(20)}`;
export const HASH = `0x${'ab'.repeat(32)}`;
export const DOMAIN = escrowDomain(31_337, ESCROW);

export const SETTINGS: MoneySettings = {
  chainId: 31_337,
  escrow: ESCROW,
  registry: REGISTRY,
  verifiers: ESCROW,
  token: TOKEN,
  tokenName: 'Hypernode',
  tokenVersion: '1',
  vaultInitHash: HASH,
  platform: PLATFORM,
  confirmations: 1,
  fundWindowS: 3_600,
  challengeWindowS: 600,
  nowS: 0,
  protocolBps: 1_000,
  platformBps: 500,
};

/** The own node, with a stake for three jobs at a time. */
export function registeredHere(executor: string): Provider {
  return {
    nodeId: namehash(NODE),
    name: NODE,
    operator: PLATFORM,
    executor,
    payTo: PLATFORM,
    on: true,
    stake: 10n ** 9n,
    reserved: 0n,
    slots: 3,
    active: 0,
    reservation: 10n ** 9n / 3n,
    lastBeat: 0,
    slashes: 0,
  };
}

/** As a facilitator writes them: to be funded within an hour, and done within ten. */
export function termsOf(
  asked: Pick<ComputeTerms, 'client' | 'amount' | 'specHash'> & { readonly intentId: string },
): ComputeTerms {
  const { client, amount, specHash, intentId } = asked;
  return {
    client,
    token: TOKEN,
    amount,
    specHash,
    nodeId: `0x${'0'.repeat(64)}`,
    platform: PLATFORM,
    voucherSigner: `0x${'0'.repeat(40)}`,
    fundBy: BigInt(Math.floor(Date.now() / 1_000) + 3_600),
    deadline: BigInt(Math.floor(Date.now() / 1_000) + 36_000),
    challengeWindow: 600,
    mode: 0,
    salt: saltOf(intentId),
  };
}
