/** `kit provider register`: a provider's place on the chain, which paid jobs need (docs/jobs.md). */
import { join, resolve } from 'node:path';
import { defineCommand } from 'citty';
import { HYPER, NODE_REGISTRY } from '../../contracts/abi/constants.ts';
import { CHAIN_ID } from '../../contracts/addresses.ts';
import { isFullName } from '../../contracts/hypermap.ts';
import { JobError } from '../job/job-error.ts';
import { register as registerNode, type RegistryPlace } from '../job/registry.ts';
import { hyper, millionths } from '../job/show.ts';
import { unknownFlag } from '../known-flags.ts';
import { fail, say } from '../report.ts';

const EXTENSION_HOME = '.hyperloom/gpu';
const EXECUTOR_FILE = 'executor.key';
const RPC = 'http://127.0.0.1:8545';
const ZERO_HASH = `0x${'0'.repeat(64)}`;

const ARGS = {
  node: {
    type: 'positional',
    description: 'full name of the node, such as alice.os',
    required: false,
  },
  wallet: {
    type: 'string',
    description: `the operator's private key, in a file only you can read; dev, the default on a development chain: its first account`,
  },
  stake: {
    type: 'string',
    description: 'HYPER at stake, at least: 100 is one paid job at a time (default 100)',
  },
  'pay-to': { type: 'string', description: 'where earnings go (default: the wallet)' },
  'extension-home': {
    type: 'string',
    description: `home of the extension, with the executor's key (default ${EXTENSION_HOME})`,
  },
  rpc: {
    type: 'string',
    description: `the chain (default ${RPC}, where a development node keeps one)`,
  },
  chain: { type: 'string', description: 'id of the chain (default: a development chain)' },
  registry: { type: 'string', description: 'the registry contract, on another chain' },
  token: { type: 'string', description: 'the token that is staked, on another chain' },
  json: { type: 'boolean', description: 'one JSON object a line' },
} as const;
type Flags = { readonly [K in keyof typeof ARGS]?: string | boolean | undefined };

const register = defineCommand({
  meta: { name: 'register', description: 'Register a provider and put HYPER at stake for it.' },
  args: ARGS,
  async run({ args }) {
    const json = args.json === true;
    try {
      const wrong = unknownFlag(args, ARGS);
      if (wrong !== undefined)
        throw new JobError('bad-flags', `there is no flag --${wrong}; see --help`);
      const { node } = args;
      const wallet = args.wallet ?? (args.chain === undefined ? 'dev' : undefined);
      if (node === undefined || !isFullName(node))
        throw new JobError('bad-flags', 'which node? Its full name, such as alice.os');
      if (wallet === undefined) throw new JobError('bad-flags', '--wallet FILE: who registers it?');
      const stake = millionths(args.stake ?? '100');
      if (stake === undefined) throw new JobError('bad-flags', '--stake is HYPER, such as 100');
      const made = await registerNode(placeOf(args), {
        node,
        walletFile: wallet,
        executorFile: join(resolve(args['extension-home'] ?? EXTENSION_HOME), EXECUTOR_FILE),
        payTo: addressIn(args, 'pay-to'),
        metaHash: ZERO_HASH,
        stake,
        tell: (text) => void process.stderr.write(`${text}\n`),
      });
      const text = `${node} is registered: ${hyper(made.stake)} at stake, earnings go to ${made.payTo}`;
      say(json, text, { ...made, stake: String(made.stake) });
    } catch (error) {
      fail(json, error);
    }
  },
});

export const provider = defineCommand({
  meta: { name: 'provider', description: 'What a provider of computation needs on the chain.' },
  subCommands: { register },
});

function placeOf(args: Flags): RegistryPlace {
  const rpc = typeof args.rpc === 'string' ? args.rpc : RPC;
  if (args.chain === undefined && args.registry === undefined && args.token === undefined)
    return { rpc, chainId: CHAIN_ID, registry: NODE_REGISTRY, token: HYPER };
  const [registry, token] = [addressIn(args, 'registry'), addressIn(args, 'token')];
  if (registry === undefined || token === undefined || !/^\d{1,9}$/.test(String(args.chain)))
    throw new JobError(
      'bad-flags',
      '--chain ID, --registry ADDRESS and --token ADDRESS go together',
    );
  return { rpc, chainId: Number(args.chain), registry, token };
}

function addressIn(args: Flags, name: 'pay-to' | 'registry' | 'token'): string | undefined {
  const value = args[name];
  if (value === undefined) return undefined;
  if (typeof value !== 'string' || !/^0x[0-9a-fA-F]{40}$/.test(value))
    throw new JobError('bad-flags', `--${name} is an address: 0x and 40 hex digits`);
  return value;
}
