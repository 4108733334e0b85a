/** Jobs on disk. What is written here is there when the promise resolves, whole or not at all. */
import { listOf, openSqlite, type Sqlite } from '../../lib/sqlite.ts';
import type { Caller } from '../../lib/modules.ts';
import { type JobEvent, type JobPatch, type JobRecord, replicaIntent } from './record.ts';
import type { State, TransitionId } from './states.ts';
import { MIGRATIONS } from './tables.ts';

export interface JobFilter {
  /** Undefined: of everybody. */
  readonly owner: string | undefined;
  readonly state: State | undefined;
  /** Older than this one: `<created>.<job id>`. */
  readonly cursor: string | undefined;
  readonly limit: number;
}

interface EventRow {
  readonly [name: string]: string | number | bigint | null;
  readonly seq: number;
  readonly at: number;
  readonly was: string;
  readonly now: string;
  readonly transition: string | null;
  readonly cause: string;
  readonly patch: string;
}

export class JobStore {
  readonly database: Sqlite;

  private constructor(database: Sqlite) {
    this.database = database;
  }

  static async open(caller: Caller): Promise<JobStore> {
    return new JobStore(
      await openSqlite(caller, 'market', { migrations: MIGRATIONS, timeoutS: 30 }),
    );
  }

  /** Appends events, of one or several jobs: one transaction. Records follow. @throws SqliteError */
  async append(events: readonly JobEvent[]): Promise<void> {
    const rows = events
      .map(({ jobId, seq, at, was, now, transition = null, cause, patch }) =>
        JSON.stringify([jobId, seq, at, was, now, transition, cause, JSON.stringify(patch)]),
      )
      .join(',');
    // One by one: a request that waits for the write of another is answered later than by itself (lib/conversation.ts).
    await this.database.run`insert into job_events
      select value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7
      from json_each(${`[${rows}]`}) order by key`;
  }

  async get(jobId: string): Promise<JobRecord | undefined> {
    const row = await this.database.get`select record from jobs where job_id = ${jobId}`;
    return row && recordOf(row['record']);
  }

  /** The job of an intent, or the first of its runs. */
  async byIntent(owner: string, intentId: string): Promise<JobRecord | undefined> {
    const first = replicaIntent(intentId, 0);
    const row = await this.database
      .get`select record from jobs where owner = ${owner} and intent_id in (${intentId}, ${first})`;
    return row && recordOf(row['record']);
  }

  /** All runs of a job that several nodes run, in their order; of any other job itself. */
  async runsOf(job: JobRecord): Promise<readonly JobRecord[]> {
    const { owner, replica } = job;
    if (replica === undefined) return [job];
    const intents = Array.from({ length: replica.of }, (_, at) => replicaIntent(replica.group, at));
    const rows = await this.database
      .all`select record from jobs where owner = ${owner} and intent_id in (${listOf(intents)}) order by intent_id`;
    return rows.map(({ record }) => recordOf(record ?? null));
  }

  /** Latest first; of a job that several nodes run the first run. */
  async list({ owner, state, cursor, limit }: JobFilter): Promise<readonly JobRecord[]> {
    const [created = '', jobId = ''] = cursor?.split('.') ?? [];
    const before = cursor === undefined ? Number.MAX_SAFE_INTEGER : Number(created);
    const rows = await this.database.all`select record from jobs
      where (${owner ?? null} is null or owner = ${owner ?? ''})
        and coalesce(record ->> '$.replica.index', 0) = 0
        and (${state ?? null} is null or state = ${state ?? ''})
        and (created < ${before} or (created = ${before} and job_id > ${jobId}))
      order by created desc, job_id limit ${limit}`;
    return rows.map(({ record }) => recordOf(record ?? null));
  }

  /** Those that are not over: what a market that starts goes on with. */
  async open(after: string, limit: number): Promise<readonly JobRecord[]> {
    const rows = await this.database.all`select record from jobs
      where state not in ('completed', 'refunded')
        and (state not in ('failed', 'cancelled') or payment = 'refunding') and job_id > ${after}
      order by job_id limit ${limit}`;
    return rows.map(({ record }) => recordOf(record ?? null));
  }

  async events(jobId: string, after = 0, limit = 10_000): Promise<readonly JobEvent[]> {
    const rows = await this.database
      .all<EventRow>`select seq, at, was, now, transition, cause, patch from job_events
      where job_id = ${jobId} and seq > ${after} order by seq limit ${limit}`;
    return rows.map(({ seq, at, was, now, transition, cause, patch }) => ({
      jobId,
      seq,
      at,
      // Proof of the types: only `append` writes here.
      was: was as State,
      now: now as State,
      ...(transition === null ? {} : { transition: transition as TransitionId }),
      cause,
      patch: JSON.parse(patch) as JobPatch,
    }));
  }

  /** How many jobs there are, by state. */
  async counts(): Promise<ReadonlyMap<string, number>> {
    const rows = await this.database.all`select state, count(*) as jobs from jobs group by state`;
    return new Map(rows.map(({ state, jobs }) => [String(state), Number(jobs)]));
  }

  // ---- artifacts

  /** Closed before that time, and their artifacts still there. */
  async expiring(before: number, limit: number): Promise<readonly JobRecord[]> {
    const rows = await this.database.all`select record from jobs
      where expired = 0 and closed <= ${before} order by closed limit ${limit}`;
    return rows.map(({ record }) => recordOf(record ?? null));
  }

  async keepArtifacts(
    jobId: string,
    files: readonly { readonly sha256: string; readonly size: number }[],
  ): Promise<void> {
    if (files.length === 0) return;
    const rows = JSON.stringify(files.map(({ sha256, size }) => [sha256, size]));
    await this.database.run`insert or ignore into artifacts
      select ${jobId}, value ->> 0, value ->> 1 from json_each(${rows})`;
  }

  async dropArtifacts(jobId: string): Promise<void> {
    await this.database.run`delete from artifacts where job_id = ${jobId}`;
  }

  /** Those of these hashes that a job still has. */
  async stillKept(hashes: readonly string[]): Promise<ReadonlySet<string>> {
    if (hashes.length === 0) return new Set();
    const rows = await this.database
      .all`select distinct sha256 from artifacts where sha256 in (${listOf(hashes)})`;
    return new Set(rows.map(({ sha256 }) => String(sha256)));
  }
}

function recordOf(text: string | number | bigint | null | undefined): JobRecord {
  // Proof of the type: the trigger makes it of patches that were made here.
  return JSON.parse(String(text)) as JobRecord;
}
