/** `kit job submit`: sends what a job reads, says what it costs, pays once that is agreed, and follows it to its end. */
import { defineCommand } from 'citty';
import { specHash } from '../../wit/jobs/spec.ts';
import { agreed } from '../job/agreed.ts';
import { asCommand, type JobCommand } from '../job/command.ts';
import { follow } from '../job/follow.ts';
import { JobError } from '../job/job-error.ts';
import { upload } from '../job/local-files.ts';
import { LOGIN_ARGS } from '../job/login.ts';
import { type Quote, quoteOf, quoteText } from '../job/quote.ts';
import { CHAIN_ARGS, trustedOf } from '../job/receipt.ts';
import { saveResults } from '../job/results.ts';
import { isOver } from '../job/job-record.ts';
import { hyper, millionths, Progress, stateText } from '../job/show.ts';
import { SPEC_ARGS, wantedJob, type WantedJob } from '../job/spec.ts';
import { type CheckedTerms, checkTerms, DEVELOPMENT_CHAIN, type KnownChain } from '../job/terms.ts';
import type { Wallet } from '../job/wallet.ts';

const ARGS = {
  what: {
    type: 'positional',
    description:
      'a spec file or a folder with one, or input files beside --fn, --wasm or --image; the command comes after --',
    required: false,
  },
  ...SPEC_ARGS,
  out: { type: 'string', alias: 'o', description: 'folder for what the job makes' },
  force: { type: 'boolean', alias: 'f', description: 'replace files that are there already' },
  detach: {
    type: 'boolean',
    alias: 'd',
    description: 'do not wait: kit job logs -f follows it later',
  },
  quiet: { type: 'boolean', alias: 'q', description: 'without the log of the job' },
  yes: {
    type: 'boolean',
    alias: 'y',
    description: 'pay what it is estimated to cost without asking',
  },
  'max-price': { type: 'string', description: 'the most to pay, in HYPER (default: the estimate)' },
  intent: {
    type: 'string',
    description: 'an id of your own: submitted again under it, it is the same job',
  },
  ...CHAIN_ARGS,
  token: { type: 'string', description: 'the token that is paid in, on another chain' },
  ...LOGIN_ARGS,
} as const;
type Flags = { readonly [K in keyof typeof ARGS]?: string | boolean | undefined };

interface Submitted {
  readonly jobId: string;
  readonly state: string;
}

export const submit = defineCommand({
  meta: {
    name: 'submit',
    description: 'Submit a job, pay for it if it is not free, and follow it.',
  },
  args: ARGS,
  run: ({ args, rawArgs }) =>
    asCommand(ARGS, { args, rawArgs }, async (given) => {
      const wanted = await wantedJob(args, given.words, given.command);
      const shown = new Progress(given.json ? NOWHERE : process.stderr, Date.now);
      const quote = await quoteOf(given.api, wanted.spec);
      await agree(given, quote, args.yes === true);
      await sendFiles(given, wanted, shown);
      const intentId = args.intent ?? crypto.randomUUID();
      const most = mostOf(quote, args['max-price']);
      const job = await submitJob(given, { wanted, intentId, most, flags: args });
      given.say(`job ${job.jobId}`, { ...job, intentId });
      if (args.detach === true) return;
      await toTheEnd(given, job.jobId, { shown, flags: args });
    }),
});

const NOWHERE = { write: () => undefined };

/** Says what it costs; asks whoever pays. @throws JobError when nobody can run it, or it is not agreed */
async function agree({ wallet, json, say }: JobCommand, quote: Quote, yes: boolean): Promise<void> {
  const text = quoteText(quote, wallet === undefined);
  if (json) say(text, { quote });
  else process.stderr.write(`${text}\n`);
  if (wallet === undefined) return;
  if (quote.node === null) throw new JobError('refused', 'nothing is paid for what nobody can run');
  if (yes) return;
  await agreed(`Pay up to that from ${wallet.address}?`, { json, what: hyper(quote.price) });
}

function mostOf({ price }: Quote, flag: string | undefined): bigint {
  if (flag === undefined) return BigInt(price);
  const most = millionths(flag);
  if (most === undefined) throw new JobError('bad-flags', '--max-price is HYPER, such as 2.5');
  return most;
}

async function sendFiles(
  { api }: JobCommand,
  { files }: WantedJob,
  shown: Progress,
): Promise<void> {
  for (const file of files) {
    await upload(api, file, (bytes) => shown.sending(file.from, bytes, file.size));
  }
}

interface Submission {
  readonly wanted: WantedJob;
  readonly intentId: string;
  readonly most: bigint;
  readonly flags: Flags;
}

async function submitJob(given: JobCommand, submission: Submission): Promise<Submitted> {
  const { api, wallet } = given;
  const { wanted, intentId, most, flags } = submission;
  const body = {
    spec: wanted.spec,
    ...(wallet === undefined ? {} : { client: wallet.address }),
    ...(flags['max-price'] === undefined ? {} : { maxPrice: String(most) }),
  };
  const post = (headers: Readonly<Record<string, string>>): Promise<Response> =>
    api.ask('/api/facilitator/submit-job', {
      method: 'POST',
      body,
      headers: { 'idempotency-key': intentId, ...headers },
      statuses: [402],
    });
  let answer = await post({});
  // Each run has terms of its own, with a salt of its own; none is paid twice.
  const paid = new Set<string>();
  while (answer.status === 402) {
    const header = answer.headers.get('payment-required') ?? '';
    const { error } = (await answer.json().catch(() => ({}))) as { error?: unknown };
    if (wallet === undefined)
      throw new JobError('refused', 'this job is to be paid: --wallet FILE says from which wallet');
    // Without terms it is a refusal of what was paid last.
    const terms = header === '' && paid.size > 0 ? undefined : termsOf(wallet, submission, header);
    if (terms === undefined || paid.has(terms.terms.salt)) {
      const why = typeof error === 'string' ? error : JSON.stringify(error ?? 'no reason given');
      throw new JobError(
        'refused',
        `the payment was not taken: ${why}; submit again with --intent ${intentId}`,
      );
    }
    paid.add(terms.terms.salt);
    process.stderr.write(`paying ${hyper(terms.terms.amount)} into the vault ${terms.vault}\n`);
    answer = await post({ 'payment-signature': await wallet.payment(terms) });
  }
  return submitted(answer);
}

function replicasOf({ spec }: WantedJob): number {
  return spec.verify?.replicas ?? 1;
}

async function submitted(answer: Response): Promise<Submitted> {
  const { jobId, state } = (await answer.json()) as Partial<Submitted>;
  if (typeof jobId !== 'string' || !/^0x[0-9a-f]{64}$/i.test(jobId))
    throw new JobError('unreachable', 'the market names no job');
  return { jobId, state: String(state) };
}

/** What is asked, if it is what was agreed. @throws JobError */
function termsOf(
  wallet: Wallet,
  { wanted, intentId, most, flags }: Submission,
  header: string,
): CheckedTerms {
  return checkTerms(header, {
    client: wallet.address,
    intentId,
    replicas: replicasOf(wanted),
    specHash: specHash(wanted.spec),
    amount: most,
    chain: chainOf(flags),
    nowS: Math.floor(Date.now() / 1_000),
  });
}

function chainOf({ chain, escrow, token }: Flags): KnownChain {
  if (chain === undefined && escrow === undefined && token === undefined) return DEVELOPMENT_CHAIN;
  const isAddress = (text: unknown): text is string =>
    typeof text === 'string' && /^0x[0-9a-fA-F]{40}$/.test(text);
  if (!isAddress(escrow) || !isAddress(token) || !/^\d{1,9}$/.test(String(chain)))
    throw new JobError('bad-flags', '--chain ID, --escrow ADDRESS and --token ADDRESS go together');
  return { chainId: Number(chain), escrow, token };
}

interface Following {
  readonly shown: Progress;
  readonly flags: Flags;
}

async function toTheEnd(
  given: JobCommand,
  jobId: string,
  { shown, flags }: Following,
): Promise<void> {
  const { api, signal, json, say } = given;
  let last = '';
  const job = await follow(api, jobId, {
    signal,
    onJob: (now) => {
      shown.job(now);
      const state = stateText(now);
      if (json && state !== last) say(state, { jobId, state: now.state, progress: now.progress });
      last = state;
    },
    ...(flags.quiet === true
      ? {}
      : { onLog: (line) => (json ? say('', { log: line }) : shown.log(line)) }),
  });
  if (typeof flags.out === 'string' && job.result !== null) {
    const files = await saveResults(api, job, {
      folder: flags.out,
      force: flags.force === true,
      trusted: trustedOf(flags),
      tell: (text) => shown.say(text),
      received: (path, bytes, of) => shown.receiving(path, bytes, of),
    });
    for (const file of files) say(`${flags.out}/${file.path}`, { saved: file });
  }
  if (json) say('', { job });
  if (!isOver(job)) {
    const paid = `${hyper(job.payment.payout ?? job.payment.amount)} are paid once the time to dispute it is over`;
    if (!json) shown.say(`the result is verified; ${paid}`);
  } else if (job.state !== 'completed') {
    throw new JobError('job-failed', `the job is ${stateText(job)}`, { reason: job.error?.code });
  }
}
