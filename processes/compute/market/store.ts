/** Jobs on disk. What is written here is there when the promise resolves, whole or not at all. */
import { listOf, openSqlite, type Sqlite } from '../../lib/sqlite.ts';
import type { Caller } from '../../lib/modules.ts';
import { bytesOf } from '../../lib/utf8.ts';
import { base64Of, bytesOfBase64 } from './base64.ts';
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

/** New jobs that are written together. */
const CREATED_AT_ONCE = 32;

interface Created {
  readonly events: JobEvent[];
  readonly written: PromiseWithResolvers<void>;
  /** Nothing can be added to its write. */
  sent: boolean;
}

export class JobStore {
  readonly database: Sqlite;
  /** What is appended in this turn. */
  #gathered: { readonly events: JobEvent[]; readonly written: Promise<void> } | undefined;
  /** By job: those that are not on disk yet. */
  readonly #created = new Map<string, Created>();
  readonly #unsent: Created[] = [];
  #creating = false;
  #shortLogs:
    | { readonly rows: (readonly [string, number, string])[]; readonly written: Promise<void> }
    | undefined;

  private constructor(database: Sqlite) {
    this.database = database;
  }

  static async open(caller: Caller): Promise<JobStore> {
    return new JobStore(
      await openSqlite(caller, 'market', { migrations: MIGRATIONS, timeoutS: 30 }),
    );
  }

  /** Appends events of a job: one transaction, with all that are appended in the same turn. Records follow. @throws SqliteError */
  append(events: readonly JobEvent[]): Promise<void> {
    const created = this.#created.get(events[0]?.jobId ?? '');
    // Never before the job itself.
    if (created?.sent === true) return created.written.promise.then(() => this.append(events));
    if (created !== undefined) {
      created.events.push(...events);
      return created.written.promise;
    }
    if (this.#gathered !== undefined) {
      this.#gathered.events.push(...events);
      return this.#gathered.written;
    }
    const gathered: JobEvent[] = [...events];
    const written = Promise.resolve().then(() => {
      this.#gathered = undefined;
      return this.#write(gathered);
    });
    this.#gathered = { events: gathered, written };
    return written;
  }

  /**
   * The first events of new jobs, all or none. Others that are made while some are on their way to the disk go together, each for itself.
   * @throws SqliteError
   */
  create(events: readonly JobEvent[]): Promise<void> {
    const created = { events: [...events], written: Promise.withResolvers<void>(), sent: false };
    for (const { jobId } of events) this.#created.set(jobId, created);
    this.#unsent.push(created);
    if (!this.#creating) void this.#createAll();
    return created.written.promise;
  }

  async #createAll(): Promise<void> {
    this.#creating = true;
    await Promise.resolve();
    while (this.#unsent.length > 0) {
      const some = this.#unsent.splice(0, CREATED_AT_ONCE);
      for (const created of some) created.sent = true;
      try {
        await this.#write(some.flatMap(({ events }) => events));
        for (const { written } of some) written.resolve();
      } catch {
        // The fault of one, such as an intent that is another's: nobody else is to suffer from it.
        for (const { events, written } of some)
          await this.#write(events).then(written.resolve, written.reject);
      }
      for (const { events } of some) for (const { jobId } of events) this.#created.delete(jobId);
    }
    this.#creating = false;
  }

  /** As bytes, and patches as JSON within JSON: a text that is put into another costs a guest five hundred instructions a byte. */
  async #write(events: readonly JobEvent[]): Promise<void> {
    const rows = events.map(({ jobId, seq, at, was, now, transition = null, cause, patch }) => [
      jobId,
      seq,
      at,
      was,
      now,
      transition,
      cause,
      patch,
    ]);
    await this.database.run`insert into job_events
      select value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value -> 7
      from json_each(cast(${bytesOf(JSON.stringify(rows))} as text)) order by key`;
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

  // ---- short logs

  /** Keeps a whole log, together with those that are given in the same turn; one that is there already stays. */
  keepShortLog(jobId: string, attempt: number, records: Uint8Array): Promise<void> {
    const row = [jobId, attempt, base64Of(records)] as const;
    if (this.#shortLogs !== undefined) {
      this.#shortLogs.rows.push(row);
      return this.#shortLogs.written;
    }
    const rows = [row];
    const written = Promise.resolve().then(async () => {
      this.#shortLogs = undefined;
      await this.database.run`insert or ignore into short_logs
        select value ->> 0, value ->> 1, value ->> 2 from json_each(${JSON.stringify(rows)})`;
    });
    this.#shortLogs = { rows, written };
    return written;
  }

  async shortLog(jobId: string, attempt: number): Promise<Uint8Array | undefined> {
    const row = await this.database
      .get`select records from short_logs where job_id = ${jobId} and attempt = ${attempt}`;
    return row && bytesOfBase64(String(row['records']));
  }

  async dropShortLogs(jobId: string): Promise<void> {
    await this.database.run`delete from short_logs where job_id = ${jobId}`;
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
