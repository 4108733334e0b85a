/** A job until it is known what becomes of it, or its log. What breaks meanwhile is asked again: only the market's own word ends it. */
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import { JobError } from './job-error.ts';
import { isDecided, type JobView, type LogLine } from './job-record.ts';
import type { MarketApi } from './market-api.ts';

/** Between two looks, in milliseconds. */
const LOOK_MS = 500;
/** Looks that may fail in a row before it is given up. */
const FAILURES_MAX = 60;
const FAILED_MS = 1_000;

export interface Watching {
  readonly onJob: (job: JobView) => void;
  /** Without, the log is not asked for. */
  readonly onLog?: (line: LogLine) => void;
  readonly signal: AbortSignal;
}

export function jobOf(api: MarketApi, jobId: string): Promise<JobView> {
  return api.json<JobView>(`/api/jobs/${encodeURIComponent(jobId)}`);
}

/** @returns the job once it is decided (`isDecided`). @throws JobError when the market is gone for a minute */
export async function follow(
  api: MarketApi,
  jobId: string,
  { onJob, onLog, signal }: Watching,
): Promise<JobView> {
  const over = new AbortController();
  const until = AbortSignal.any([signal, over.signal]);
  const logs = onLog === undefined ? undefined : followLogs(api, jobId, onLog, until);
  // What it rejects with is looked at below, perhaps much later.
  logs?.catch(nothing);
  try {
    const job = await patiently(async () => {
      for (;;) {
        const now = await jobOf(api, jobId);
        onJob(now);
        if (isDecided(now)) return now;
        await wait(LOOK_MS, undefined, { signal });
      }
    }, signal);
    // The stream of the log ends by itself then.
    await logs;
    onJob(job);
    return job;
  } finally {
    over.abort();
  }
}

/** Every record of the job's log, of each attempt, until the job is decided. */
export async function followLogs(
  api: MarketApi,
  jobId: string,
  onLog: (line: LogLine) => void,
  signal: AbortSignal,
): Promise<void> {
  let next = 0;
  let attempt = (await jobOf(api, jobId)).attempt;
  await patiently(async () => {
    for (;;) {
      const path = `/api/jobs/${encodeURIComponent(jobId)}/logs?follow=1&attempt=${attempt}&from=${next}`;
      for await (const line of linesOf(await api.ask(path, { signal }), signal)) {
        onLog(line);
        next = line.seq + 1;
      }
      const job = await jobOf(api, jobId);
      if (job.attempt === attempt) {
        if (isDecided(job)) return;
        await wait(LOOK_MS, undefined, { signal });
      } else {
        attempt = job.attempt;
        next = 0;
      }
    }
  }, signal);
}

/** What is there of the log of the attempt that runs, or ran last. */
export async function logsSoFar(
  api: MarketApi,
  jobId: string,
  onLog: (line: LogLine) => void,
): Promise<void> {
  for (let next = 0; ;) {
    const answer = await api.ask(`/api/jobs/${encodeURIComponent(jobId)}/logs?from=${next}`);
    for await (const line of linesOf(answer)) onLog(line);
    const then = Number(answer.headers.get('x-next') ?? next);
    if (!(then > next)) return;
    next = then;
  }
}

async function* linesOf(answer: Response, signal?: AbortSignal): AsyncGenerator<LogLine, void> {
  if (answer.body === null) return;
  // Proof of the type: fetch and node have the same stream under two names.
  const input = Readable.fromWeb(answer.body as never, signal === undefined ? {} : { signal });
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(nothing);
  input.on('error', failed.reject);
  const lines = createInterface({ input, crlfDelay: Infinity });
  for await (const text of lines) if (text !== '') yield JSON.parse(text) as LogLine;
  if (input.errored !== null) throw input.errored;
}

/** Tries again what fails because the market cannot be reached. */
async function patiently<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (let failures = 0; ;) {
    const started = performance.now();
    try {
      return await work();
    } catch (error) {
      signal.throwIfAborted();
      // A refusal is the market's word, and a bug is a bug.
      if (error instanceof JobError && error.code !== 'unreachable') throw error;
      if (performance.now() - started > FAILURES_MAX * FAILED_MS) failures = 0;
      failures += 1;
      if (failures > FAILURES_MAX) throw error;
      await wait(FAILED_MS, undefined, { signal });
    }
  }
}

function nothing(): void {}
