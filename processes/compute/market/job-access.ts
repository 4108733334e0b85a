/** What may be done with a job by whom, whether over HTTP or by message. */
import { Refusal } from '../../lib/index.ts';
import type { Principal } from './auth.ts';
import { shownOf } from './majority.ts';
import type { Market } from './parts.ts';
import type { JobRecord } from './record.ts';
import { specOf } from './specs.ts';
import { isOver } from './states.ts';
import { groupView, jobView } from './view.ts';

/** Bytes of one part of an input. */
const INPUT_BYTES_MAX = 4 * 1024 * 1024;
/** Between two looks of somebody who waits for several runs, in milliseconds. */
const LOOK_MS = 5_000;

/** By its id, or the caller's own intent. The operator sees every job. @throws Refusal NotFound, also for another's: whose ids there are is nobody's business */
export async function ownJob(
  market: Market,
  { kind, owner }: Principal,
  jobId: string,
): Promise<JobRecord> {
  const id = jobId.toLowerCase();
  const job = /^0x[0-9a-f]{64}$/.test(id)
    ? await market.jobs.find(id)
    : await market.store.byIntent(owner, jobId);
  if (job === undefined || (kind !== 'operator' && job.owner !== owner)) {
    throw new Refusal('NotFound', `there is no job ${jobId.slice(0, 70)}`);
  }
  return job;
}

/** With all its runs. @throws Refusal Conflict for one that cannot be cancelled any more */
export async function cancelJob(market: Market, job: JobRecord): Promise<JobRecord> {
  let after: JobRecord | undefined;
  for (const { jobId } of await runsOf(market, job)) {
    const live = market.jobs.live(jobId);
    after = (live && (await market.endings.cancel(live, 'client'))) ?? after;
  }
  if (after === undefined)
    throw new Refusal('Conflict', `the job is ${job.state}: it cannot be cancelled`);
  return after;
}

/** The job, or all that it consists of if several nodes run it, as they are now. */
export async function runsOf(market: Market, job: JobRecord): Promise<readonly JobRecord[]> {
  if (job.replica === undefined) return [market.jobs.live(job.jobId) ?? job];
  const runs = await market.store.runsOf(job);
  return runs.map((run) => market.jobs.live(run.jobId) ?? run);
}

/** Whose result and log are the job's: the first of several runs speaks for all. */
export async function speaking(market: Market, job: JobRecord): Promise<JobRecord> {
  return job.replica?.index === 0 ? shownOf(await runsOf(market, job)) : job;
}

/** The job when it is over, or as it is at that time. @param until  milliseconds since 1970 */
export async function waitForEnd(
  market: Market,
  job: JobRecord,
  until: number,
): Promise<JobRecord> {
  for (let now = job; ;) {
    const left = until - market.now();
    const shown = shownOf(await runsOf(market, now));
    if (isOver(shown.state, shown.payment.state) || left <= 0) return now;
    // Of several runs another may be shown next.
    if (now.replica === undefined) await market.ended(shown.jobId, left);
    else await market.changed(shown.jobId, Math.min(left, LOOK_MS));
    now = (await market.jobs.find(now.jobId)) ?? now;
  }
}

/** One of several runs is shown as the job that it belongs to. */
export async function viewOf(market: Market, job: JobRecord): Promise<never> {
  const { node } = market.process.our;
  const progressOf = (jobId: string): ReturnType<typeof market.jobs.progressOf> =>
    market.jobs.progressOf(jobId);
  const view =
    job.replica === undefined
      ? jobView(job, node, progressOf(job.jobId))
      : groupView(await runsOf(market, job), node, progressOf);
  // Proof of the type: plain values, which is what the codec of any JSON writes.
  return view as never;
}

/** With what it waits for: who looks at one job wants to know, and a list of all is not made slower by it. */
export async function wholeViewOf(market: Market, job: JobRecord): Promise<never> {
  const view: Readonly<Record<string, unknown>> = await viewOf(market, job);
  const shown = job.replica === undefined ? job : shownOf(await runsOf(market, job));
  return { ...view, waiting: market.dispatch.whyWaiting(shown) ?? null } as never;
}

/** @throws Refusal for what is none of the job's inputs, nor its program */
export function mustRead(job: JobRecord, sha256: string): void {
  const { inputs, module } = specOf(job);
  if (module?.sha256 === sha256 || inputs.some((input) => input.sha256 === sha256)) return;
  throw new Refusal('NotFound', `the job has no input ${sha256.slice(0, 70)}`);
}

/** @throws Refusal for what is none of the job's inputs */
export async function inputPart(
  market: Market,
  job: JobRecord,
  part: { readonly sha256: string; readonly offset: number; readonly bytes: number },
): Promise<Uint8Array> {
  mustRead(job, part.sha256);
  const bytes = Math.min(INPUT_BYTES_MAX, part.bytes);
  const read = await market.uploads.read(part.sha256, part.offset, bytes);
  if (read === undefined) throw new Refusal('NotFound', `${part.sha256} is not here any more`);
  return read;
}
