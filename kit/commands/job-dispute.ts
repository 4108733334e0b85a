/** `kit job dispute`: the client of a paid job says that its result is false, while that can still be said. */
import { readFile } from 'node:fs/promises';
import { defineCommand } from 'citty';
import { HYPER } from '../../contracts/abi/constants.ts';
import { agreed } from '../job/agreed.ts';
import { asCommand, jobIdIn } from '../job/command.ts';
import { disputeOffer, openDispute } from '../job/dispute.ts';
import { JobError } from '../job/job-error.ts';
import { LOGIN_ARGS } from '../job/login.ts';
import { addressIn } from '../job/place.ts';
import { CHAIN_ARGS, trustedOf } from '../job/receipt.ts';
import { hyper } from '../job/show.ts';

const ARGS = {
  job: { type: 'positional', description: 'id of the job', required: false },
  evidence: { type: 'string', description: 'why, in a sentence; its hash goes on chain' },
  'evidence-file': { type: 'string', description: 'the same, from a file of text' },
  yes: { type: 'boolean', alias: 'y', description: 'put up the bond without asking' },
  ...CHAIN_ARGS,
  token: { type: 'string', description: 'the token that is paid in, on another chain' },
  ...LOGIN_ARGS,
} as const;

export const dispute = defineCommand({
  meta: {
    name: 'dispute',
    description: 'Say that the result of a paid job is false; others run it again, and decide.',
  },
  args: ARGS,
  run: ({ args, rawArgs }) =>
    asCommand(ARGS, { args, rawArgs }, async ({ api, wallet, words, json, say }) => {
      const jobId = jobIdIn(words);
      if (wallet === undefined || args.wallet === undefined)
        throw new JobError('bad-flags', '--wallet FILE: only the wallet that paid can dispute');
      const place = placeOf(args);
      const offer = await disputeOffer(api, jobId, await evidenceOf(args));
      const bond = `a bond of ${hyper(offer.bond)}`;
      if (args.yes !== true) {
        process.stderr.write(
          `It takes ${bond}: it comes back if the dispute is upheld; if not, half of it goes to the provider.\n`,
        );
        await agreed(`Put it up from ${wallet.address}?`, { json, what: bond });
      }
      const txHash = await openDispute(place, args.wallet, offer);
      say(
        `disputed, with ${bond}, in ${txHash}; kit job status ${jobId} tells what becomes of it`,
        { jobId, txHash, bond: String(offer.bond), evidenceHash: offer.evidenceHash },
      );
    }),
});

type Flags = { readonly [K in keyof typeof ARGS]?: string | boolean | undefined };

async function evidenceOf(flags: Flags): Promise<string> {
  const { evidence, 'evidence-file': path } = flags;
  if (typeof evidence === 'string' && path !== undefined)
    throw new JobError('bad-flags', 'one of --evidence and --evidence-file');
  if (typeof path === 'string')
    return readFile(path, 'utf8').catch((error: unknown) => {
      throw new JobError('file', `${path} cannot be read`, { cause: error });
    });
  if (typeof evidence === 'string' && evidence !== '') return evidence;
  throw new JobError('bad-flags', '--evidence TEXT: what is wrong with the result?');
}

function placeOf(flags: Flags): Parameters<typeof openDispute>[0] {
  const { chainId, escrow, rpc } = trustedOf(flags);
  const token = addressIn(flags, 'token') ?? (flags.chain === undefined ? HYPER : undefined);
  if (token === undefined || rpc === undefined)
    throw new JobError('bad-flags', 'on another chain --rpc URL and --token ADDRESS say where');
  return { chainId, escrow, rpc, token };
}
