/** `kit provider register`: a provider's place on the chain, which paid jobs need (docs/jobs.md). */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { defineCommand } from 'citty';
import { JobError } from '../job/job-error.ts';
import {
  addressIn,
  asProvider,
  CHAIN_ARGS,
  NODE_ARG,
  placeOf,
  WALLET_ARG,
  walletOf,
} from '../job/place.ts';
import { register as registerNode } from '../job/registry.ts';
import { hyper, millionths } from '../job/show.ts';
import { say } from '../report.ts';

const EXTENSION_HOME = '.hyperloom/gpu';
const EXECUTOR_FILE = 'executor.key';
const ZERO_HASH = `0x${'0'.repeat(64)}`;

const ARGS = {
  ...NODE_ARG,
  ...WALLET_ARG,
  stake: {
    type: 'string',
    description: 'HYPER at stake, at least: 100 is one paid job at a time (default 100)',
  },
  'pay-to': { type: 'string', description: 'where earnings go (default: the wallet)' },
  'extension-home': {
    type: 'string',
    description: `home of the extension, with the executor's key (default ${EXTENSION_HOME})`,
  },
  ...CHAIN_ARGS,
} as const;

export const register = defineCommand({
  meta: { name: 'register', description: 'Register a provider and put HYPER at stake for it.' },
  args: ARGS,
  run: ({ args }) =>
    asProvider(ARGS, args, async (node) => {
      const stake = millionths(args.stake ?? '100');
      if (stake === undefined) throw new JobError('bad-flags', '--stake is HYPER, such as 100');
      const home = resolve(args['extension-home'] ?? EXTENSION_HOME);
      const executorFile = join(home, EXECUTOR_FILE);
      if (!existsSync(executorFile))
        throw new JobError(
          'file',
          `no extension has its home at ${home}: hyperloom extension gpu makes its key there, or --extension-home says where it is`,
        );
      const made = await registerNode(placeOf(args), {
        node,
        walletFile: walletOf(args),
        executorFile,
        payTo: addressIn(args, 'pay-to'),
        metaHash: ZERO_HASH,
        stake,
        tell: (text) => void process.stderr.write(`${text}\n`),
      });
      const text = `${node} is registered: ${hyper(made.stake)} at stake, earnings go to ${made.payTo}`;
      say(args.json === true, text, { ...made, stake: String(made.stake) });
    }),
});
