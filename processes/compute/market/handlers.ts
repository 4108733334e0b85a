/** What other processes ask of the market, in the terms of its contract: who may, and what they get. */
import { type Context, formatAddress, packageOf, Refusal } from '../../lib/index.ts';
import type { Handlers } from '../../lib/process.ts';
import { isFullName } from '../../../contracts/hypermap.ts';
import { encodeRecords } from '../../../wit/jobs/log-records.ts';
import type { JobSummary } from '../../lib/compute.ts';
import { marketContract } from '../shared/market-contract.ts';
import { OPERATOR, type Principal } from './auth.ts';
import { resultOf } from './completion.ts';
import {
  cancelJob,
  inputPart,
  ownJob,
  speaking,
  viewOf,
  waitForEnd,
  wholeViewOf,
} from './job-access.ts';
import type { Market } from './parts.ts';
import type { JobRecord } from './record.ts';
import type { MarketState } from './settings.ts';
import { isOver, STATES } from './states.ts';

type Methods = (typeof marketContract)['methods'];

const GPU = 'gpu:compute:sys';
/** Bytes of one part of an output or an input. */
const PART_BYTES_MAX = 1024 * 1024;
const LIST_MAX = 100;
const WAIT_S_MAX = 60;
const TERMINAL_PACKAGE = 'terminal:sys';

/** @param market  the one that is open; nothing arrives before there is one */
export function handlers(market: () => Market): Handlers<Methods, MarketState> {
  const node = (context: Context): string => {
    // Another process of that node does not speak for its jobs.
    if (context.source.process !== GPU) {
      throw new Refusal('Forbidden', `only ${GPU} tells of jobs`);
    }
    return context.source.node;
  };
  const job = async (context: Context, jobId: string): Promise<JobRecord> =>
    ownJob(market(), caller(context), jobId);

  return {
    Quote: ({ spec }, context) => market().submissions.quote(spec, caller(context)),
    Submit: async ({ spec, intentId }, context) => {
      const principal = caller(context);
      const made = await market().submissions.submit({ principal, spec, intentId });
      return { jobId: made.jobId, state: made.state };
    },
    Status: async ({ jobId }, context) =>
      show(context, 'Status', wholeViewOf(market(), await job(context, jobId))),
    Wait: async ({ jobId, seconds }, context) => {
      const mine = await job(context, jobId);
      const until = market().now() + Math.min(WAIT_S_MAX, seconds) * 1_000;
      return show(context, 'Wait', viewOf(market(), await waitForEnd(market(), mine, until)));
    },
    Cancel: async ({ jobId }, context) => {
      const after = await cancelJob(market(), await job(context, jobId));
      return { state: after.state };
    },
    Jobs: async ({ state, cursor, limit }, context) => {
      const wanted = STATES.find((one) => one === state);
      if (state !== undefined && wanted === undefined) {
        throw new Refusal('BadRequest', `a job is never ${state}`);
      }
      const found = await market().store.list({
        owner: isOperator(context) ? undefined : principalOf(context).owner,
        state: wanted,
        cursor,
        limit: Math.min(LIST_MAX, Math.max(1, limit)),
      });
      const last = found.length < limit ? undefined : found.at(-1);
      return {
        jobs: await Promise.all(found.map((each) => summaryOf(market(), each))),
        cursor: last && `${last.times.created}.${last.jobId}`,
      };
    },
    JobLogs: async ({ jobId, from }, context) => {
      const mine = await speaking(market(), await job(context, jobId));
      const part = await market().logs.read(mine.jobId, mine.attempt, from);
      const value = { next: part.next, over: isOver(mine.state, mine.payment.state) };
      context.reply(marketContract.responses.encode({ kind: 'JobLogs', value }), {
        blob: { mime: undefined, bytes: encodeRecords(part.records) },
      });
      return value;
    },
    Output: async ({ jobId, path, offset, bytes }, context) => {
      const mine = await speaking(market(), await job(context, jobId));
      const file = resultOf(mine)?.outputs.find((output) => output.path === path);
      if (file === undefined) throw new Refusal('NotFound', `the job left no ${path}`);
      if ((await market().artifacts.bytesOf(file.sha256)) === undefined) {
        throw new Refusal('Gone', 'what the job left is not here any more');
      }
      const at = Number(offset);
      const part = await market().artifacts.read(file.sha256, at, Math.min(PART_BYTES_MAX, bytes));
      const { size, sha256 } = file;
      const value = { size, sha256, end: at + part.length >= size };
      context.reply(marketContract.responses.encode({ kind: 'Output', value }), {
        blob: { mime: undefined, bytes: part },
      });
      return value;
    },
    Upload: async ({ sha256, offset, size }, context) => {
      const bytes = context.blob()?.bytes ?? new Uint8Array();
      const part = {
        offset: Number(offset),
        bytes,
        size: size === undefined ? undefined : Number(size),
      };
      return market().uploads.put(principalOf(context).owner, sha256, part);
    },
    Providers: () =>
      market()
        .providers.all()
        .map((provider) => ({
          node: provider.node,
          nodeId: provider.nodeId,
          executor: provider.state?.executor,
          paired: provider.state?.paired === true,
          slots: provider.state?.slots ?? 0,
          free: market().providers.freeOf(provider),
          reputation: provider.reputation,
          seenAt: provider.seenAt,
        })),
    AddProvider: ({ node: name }) => addProvider(market(), name),
    RemoveProvider: ({ node: name }) => removeProvider(market(), name),
    Settings: (_none, _context, { state: { free } }) => ({ free }),
    Configure: ({ free }, context, process) => {
      if (!isOperator(context)) {
        throw new Refusal('Forbidden', 'settings are made at the terminal');
      }
      process.state = { ...process.state, free };
    },
    ProviderChanged: (_none, context) => {
      const { providers } = market();
      const from = node(context);
      // Whose word is wanted: those that are asked anyway.
      if (providers.get(from) !== undefined) void providers.ask(from);
    },
    ProvidersChanged: (changed) => market().heardOf(changed),
    Told: async ({ news }, context) => {
      const logs = context.blob()?.bytes ?? new Uint8Array();
      return { answers: await market().intake.told(node(context), news, logs) };
    },
    Input: async ({ jobId, lease, sha256, offset, bytes }, context) => {
      const mine = market().intake.jobOf(node(context), { jobId, lease });
      const part = await inputPart(market(), mine, { sha256, offset: Number(offset), bytes });
      const value = { end: part.length < bytes };
      context.reply(marketContract.responses.encode({ kind: 'Input', value }), {
        blob: { mime: undefined, bytes: part },
      });
      return value;
    },
    MoneyChanged: (money) => market().completion.money(money),
    VerdictGiven: (verdict) => market().completion.verdict(verdict),
    RerunWanted: ({ jobId, attempt, rerun, spec, notOperators, until }) =>
      market().reruns.wanted({ jobId, attempt, rerun }, spec, {
        notOperators,
        until: Number(until),
      }),
  };
}

/** Answers with a view, past its codec: the engine writes plain values by itself, in a third of the time. */
async function show<T>(context: Context, kind: string, view: Promise<T>): Promise<T> {
  const shown = await view;
  context.reply(`{"${kind}":${JSON.stringify(shown)}}`);
  return shown;
}

/** Programs are known by node and name: each has its own jobs. */
function principalOf({ source }: Context): Principal {
  return { kind: 'process', owner: `process:${formatAddress(source)}` };
}

function caller(context: Context): Principal {
  return isOperator(context) ? OPERATOR : principalOf(context);
}

/** The terminal is the operator. */
function isOperator(context: Context): boolean {
  return context.isLocal && packageOf(context.source.process) === TERMINAL_PACKAGE;
}

async function addProvider(market: Market, name: string): Promise<undefined> {
  if (!isFullName(name)) throw new Refusal('BadRequest', `${name} is no name of a node`);
  await market.nodes.add(name);
  market.providers.add(name, 'operator');
  void market.providers.ask(name);
  return undefined;
}

async function removeProvider(market: Market, name: string): Promise<undefined> {
  await market.nodes.remove(name);
  if (market.jobs.activeOn(name).size > 0) {
    throw new Refusal(
      'Conflict',
      `${name} has jobs of this market; it is left out from the next start on`,
    );
  }
  market.providers.remove(name);
  return undefined;
}

async function summaryOf(market: Market, first: JobRecord): Promise<JobSummary> {
  const job = await speaking(market, first);
  return {
    jobId: first.jobId,
    intentId: first.replica?.group ?? first.intentId,
    state: job.state,
    substate: job.substate,
    attempt: job.attempt,
    type: job.type,
    label: job.label,
    payment: job.payment.state,
    amount: BigInt(job.payment.amount),
    price: BigInt(job.payment.price),
    payout: job.payment.payout === undefined ? undefined : BigInt(job.payment.payout),
    node: job.node?.name,
    progress: market.jobs.progressOf(job.jobId)?.ppm,
    error: job.error?.code,
    created: job.times.created,
    closed: job.times.closed,
  };
}
