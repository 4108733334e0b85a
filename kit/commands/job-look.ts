/** `kit job status`, `logs`, `result`, `cancel` and `list`: what became of jobs. */
import { join } from 'node:path';
import { defineCommand } from 'citty';
import { asCommand, jobIdIn } from '../job/command.ts';
import { followLogs, jobOf, logsSoFar } from '../job/follow.ts';
import { JobError } from '../job/job-error.ts';
import type { JobView, LogLine, RunView } from '../job/job-record.ts';
import { LOGIN_ARGS } from '../job/login.ts';
import { CHAIN_ARGS, trustedOf } from '../job/receipt.ts';
import { saveResults } from '../job/results.ts';
import { clock, hyper, Progress, stateText } from '../job/show.ts';
import { printable, size } from '../report.ts';

const JOB = { job: { type: 'positional', description: 'id of the job', required: false } } as const;
const JOBS_MAX = 100;

const STATUS = { ...JOB, ...LOGIN_ARGS } as const;
export const status = defineCommand({
  meta: { name: 'status', description: 'How a job is. Exit code 0, whatever became of it.' },
  args: STATUS,
  run: (context) =>
    asCommand(STATUS, context, async ({ api, words, say }) => {
      const job = await jobOf(api, jobIdIn(words));
      say(statusText(job), job);
    }),
});

function statusText(job: JobView): string {
  const { payment, node, progress, result, times, spec } = job;
  const started = times['started'] ?? 0;
  const finished = times['finished'] ?? 0;
  const lines: (readonly [string, string])[] = [
    ['job', job.jobId],
    ['what', printable(spec.label ?? `${spec.kind} ${spec.entry.fn ?? spec.image ?? ''}`.trim())],
    ['state', stateText(job)],
    ['provider', node === null ? '-' : printable(node.name)],
  ];
  if (job.state === 'running' && progress !== null)
    lines.push(['done', `${Math.floor(progress.ppm / 10_000)} %`]);
  if (started > 0) lines.push(['took', clock((finished || Date.now()) - started)]);
  lines.push(['money', moneyText(payment)]);
  for (const run of job.replicas ?? []) lines.push([`run ${run.index + 1}`, runText(run)]);
  for (const output of result?.outputs ?? [])
    lines.push(['output', `${printable(output.path)}  ${size(output.size)}`]);
  return lines.map(([name, text]) => `${name.padEnd(9)} ${text}`).join('\n');
}

function runText({ state, node, payout, agrees, error }: RunView): string {
  const said = agrees === null ? '' : agrees ? ', agrees with most' : ', differs from most';
  const why = error === null ? '' : ` (${printable(error)})`;
  const paid = payout === null ? '' : `, for ${hyper(payout)}`;
  return `${printable(node ?? '-').padEnd(20)} ${printable(state)}${why}${said}${paid}`;
}

function moneyText({ state, amount, payout }: JobView['payment']): string {
  if (state === 'free') return 'free';
  const paid =
    state === 'proposed'
      ? 'to be paid unless it is disputed:'
      : state === 'disputed'
        ? 'stopped by a dispute; proposed were'
        : 'paid out';
  return `${hyper(amount)} ${state}${payout === null ? '' : `, ${paid} ${hyper(payout)}`}`;
}

const LOGS = {
  ...JOB,
  follow: { type: 'boolean', alias: 'f', description: 'until it is known what becomes of the job' },
  ...LOGIN_ARGS,
} as const;
export const logs = defineCommand({
  meta: { name: 'logs', description: 'What a job prints: stdout to stdout, stderr to stderr.' },
  args: LOGS,
  run: ({ args, rawArgs }) =>
    asCommand(LOGS, { args, rawArgs }, async ({ api, words, signal, json, say }) => {
      const jobId = jobIdIn(words);
      const show = (line: LogLine): void => {
        if (json) say('', line);
        else if (line.stream === 1) process.stdout.write(printable(line.text));
        else if (line.stream === 2) process.stderr.write(printable(line.text));
      };
      if (args.follow === true) await followLogs(api, jobId, show, signal);
      else await logsSoFar(api, jobId, show);
    }),
});

const RESULT = {
  ...JOB,
  out: { type: 'string', alias: 'o', description: 'folder for the files (default: the job id)' },
  force: { type: 'boolean', alias: 'f', description: 'replace files that are there already' },
  ...CHAIN_ARGS,
  ...LOGIN_ARGS,
} as const;
export const result = defineCommand({
  meta: {
    name: 'result',
    description: 'Fetch what a job made; each file is checked against what the provider signed.',
  },
  args: RESULT,
  run: ({ args, rawArgs }) =>
    asCommand(RESULT, { args, rawArgs }, async ({ api, words, json, say }) => {
      const job = await jobOf(api, jobIdIn(words));
      const folder = args.out ?? job.jobId;
      const shown = new Progress(json ? { write: () => undefined } : process.stderr, Date.now);
      const files = await saveResults(api, job, {
        folder,
        force: args.force === true,
        trusted: trustedOf(args),
        tell: (text) => shown.say(text),
        received: (path, bytes, of) => shown.receiving(path, bytes, of),
      });
      if (files.length === 0) say('the job left no files', { files });
      for (const file of files) say(join(folder, file.path), { saved: file });
    }),
});

const CANCEL = { ...JOB, ...LOGIN_ARGS } as const;
export const cancel = defineCommand({
  meta: { name: 'cancel', description: 'End a job; what it used until then may be charged.' },
  args: CANCEL,
  run: (context) =>
    asCommand(CANCEL, context, async ({ api, words, say }) => {
      const job = await api.json<JobView>(`/api/jobs/${jobIdIn(words)}`, { method: 'DELETE' });
      say(stateText(job), job);
    }),
});

const LIST = {
  state: { type: 'string', description: 'only those that are so, such as running' },
  limit: {
    type: 'string',
    description: `how many, latest first, at most ${JOBS_MAX} (default 20)`,
  },
  ...LOGIN_ARGS,
} as const;
export const list = defineCommand({
  meta: {
    name: 'list',
    description: 'Your jobs, latest first; all of them for the owner of the node.',
  },
  args: LIST,
  run: ({ args, rawArgs }) =>
    asCommand(LIST, { args, rawArgs }, async ({ api, words, json, say }) => {
      if (words.length > 0) throw new JobError('bad-flags', 'list takes no words');
      const limit = args.limit ?? '20';
      if (!/^\d{1,3}$/.test(limit) || Number(limit) < 1 || Number(limit) > JOBS_MAX)
        throw new JobError('bad-flags', `--limit is a number from 1 to ${JOBS_MAX}`);
      const query = new URLSearchParams({
        limit,
        ...(args.state === undefined ? {} : { state: args.state }),
      });
      const { jobs } = await api.json<{ jobs: readonly JobView[] }>(`/api/jobs?${query}`);
      if (jobs.length === 0 && !json) say('no jobs', undefined);
      for (const job of jobs) say(rowText(job), job);
    }),
});

function rowText(job: JobView): string {
  const { jobId, spec, node, times } = job;
  const when = new Date(times['created'] ?? 0).toISOString().slice(0, 16).replace('T', ' ');
  const what = printable(spec.label ?? spec.entry.fn ?? spec.kind).slice(0, 24);
  return `${jobId}  ${when}  ${job.state.padEnd(10)} ${what.padEnd(24)} ${printable(node?.name ?? '-')}`;
}

const WITHDRAW = LOGIN_ARGS;
export const withdraw = defineCommand({
  meta: {
    name: 'withdraw',
    description: 'Have what came back of your payments sent to your wallet; the node pays the gas.',
  },
  args: WITHDRAW,
  run: (context) =>
    asCommand(WITHDRAW, context, async ({ api, words, say }) => {
      if (words.length > 0) throw new JobError('bad-flags', 'withdraw takes no words');
      const { account, amount } = await api.json<{ account: string; amount: string }>(
        '/api/facilitator/claim-rewards',
        { method: 'POST' },
      );
      if (amount === '0') throw new JobError('nothing', `${account} has nothing to withdraw`);
      say(`${hyper(amount)} are on their way to ${account}`, { account, amount });
    }),
});
