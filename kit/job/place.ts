/** What the commands of `kit provider` have in common: which node, whose wallet, and on which chain. */
import { COMPUTE_ESCROW, HYPER, NODE_REGISTRY } from '../../contracts/abi/constants.ts';
import { CHAIN_ID } from '../../contracts/addresses.ts';
import { isFullName } from '../../contracts/hypermap.ts';
import { unknownFlag } from '../known-flags.ts';
import { fail } from '../report.ts';
import { type ChainPlace, DEVELOPMENT_RPC } from './chain.ts';
import type { EarningsPlace } from './earnings.ts';
import { JobError } from './job-error.ts';

export const NODE_ARG = {
  node: {
    type: 'positional',
    description: 'full name of the node, such as alice.os',
    required: false,
  },
} as const;
export const CHAIN_ARGS = {
  rpc: {
    type: 'string',
    description: `the chain (default ${DEVELOPMENT_RPC}, where a development node keeps one)`,
  },
  chain: { type: 'string', description: 'id of the chain (default: a development chain)' },
  registry: { type: 'string', description: 'the registry contract, on another chain' },
  token: { type: 'string', description: 'the token that is staked, on another chain' },
  json: { type: 'boolean', description: 'one JSON object a line' },
} as const;
export const ESCROW_ARG = {
  escrow: { type: 'string', description: 'the escrow contract, on another chain' },
} as const;

/** Of whoever sends something. */
export const WALLET_ARG = {
  wallet: {
    type: 'string',
    description:
      'private key of the wallet that sends it, in a file only you can read; dev, the default on a development chain: its first account',
  },
} as const;

type Value = string | number | boolean | undefined | string[];
/** As citty read them. */
export type Flags = object & { readonly [name: string]: Value };

/** Runs a command: every failure is one sentence and exit code 1. */
export async function asProvider(
  known: Parameters<typeof unknownFlag>[1],
  args: Flags,
  work: (node: string) => Promise<void>,
): Promise<void> {
  try {
    const wrong = unknownFlag(args, known);
    if (wrong !== undefined)
      throw new JobError('bad-flags', `there is no flag --${wrong}; see --help`);
    const { node } = args;
    if (typeof node !== 'string' || !isFullName(node))
      throw new JobError('bad-flags', 'which node? Its full name, such as alice.os');
    await work(node);
  } catch (error) {
    fail(args['json'] === true, error);
  }
}

/** Where the registry is. @throws JobError */
export function placeOf(args: Flags): ChainPlace {
  const rpc = typeof args['rpc'] === 'string' ? args['rpc'] : DEVELOPMENT_RPC;
  if (['chain', 'registry', 'token', 'escrow'].every((name) => args[name] === undefined))
    return { rpc, chainId: CHAIN_ID, registry: NODE_REGISTRY, token: HYPER };
  const [registry, token] = [addressIn(args, 'registry'), addressIn(args, 'token')];
  if (registry === undefined || token === undefined || !/^\d{1,9}$/.test(String(args['chain'])))
    throw new JobError(
      'bad-flags',
      '--chain ID, --registry ADDRESS and --token ADDRESS go together',
    );
  return { rpc, chainId: Number(args['chain']), registry, token };
}

/** The same, with the escrow that holds earnings. @throws JobError */
export function earningsPlaceOf(args: Flags): EarningsPlace {
  const place = placeOf(args);
  if (args['chain'] === undefined) return { ...place, escrow: COMPUTE_ESCROW };
  const escrow = addressIn(args, 'escrow');
  if (escrow === undefined)
    throw new JobError('bad-flags', '--escrow ADDRESS is missing: which one on that chain?');
  return { ...place, escrow };
}

/** As for `keyOf`: on a development chain its first account, if none was given. @throws JobError */
export function walletOf(args: Flags): string {
  const { wallet, chain } = args;
  if (typeof wallet === 'string') return wallet;
  if (chain === undefined) return 'dev';
  throw new JobError('bad-flags', '--wallet FILE: who sends it?');
}

/** @throws JobError for what is no address */
export function addressIn(args: Flags, name: string): string | undefined {
  const value = args[name];
  if (value === undefined) return undefined;
  if (typeof value !== 'string' || !/^0x[0-9a-fA-F]{40}$/.test(value))
    throw new JobError('bad-flags', `--${name} is an address: 0x and 40 hex digits`);
  return value;
}
