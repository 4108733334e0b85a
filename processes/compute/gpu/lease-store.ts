/** Attempts that this node took, on disk: what the process knows of them when it was killed in between (compute-market.md §10.5). */
import { openSqlite, type Sqlite } from '../../lib/sqlite.ts';
import type { Caller } from '../../lib/modules.ts';
import { bytesOf } from '../../lib/utf8.ts';
import type { Lease, LeaseState } from './lease.ts';

const MIGRATIONS = [
  `create table leases (
     lease text primary key, job_id text not null, attempt integer not null, market text not null, state text not null,
     offer text not null, acceptance text, executor text not null, gpus text not null, log_seq integer not null, result text,
     lost_code text, lost_message text, told integer not null, changed_ms integer not null)`,
];

interface Row extends Readonly<Record<string, string | number | bigint | null>> {
  readonly lease: string;
  readonly market: string;
  readonly state: string;
  readonly offer: string;
  readonly acceptance: string | null;
  readonly executor: string;
  readonly gpus: string;
  readonly log_seq: number;
  readonly result: string | null;
  readonly lost_code: string | null;
  readonly lost_message: string | null;
  readonly told: number;
  readonly changed_ms: number;
}

/** What a lease is made of on disk. */
export interface KeptLease {
  readonly lease: string;
  readonly market: string;
  readonly state: LeaseState;
  readonly offer: string;
  readonly acceptance: string | undefined;
  readonly executor: string;
  readonly gpus: readonly string[];
  readonly logSeq: number;
  readonly result: string | undefined;
  readonly lost: { readonly code: string; readonly message: string } | undefined;
  readonly told: boolean;
  readonly changedMs: number;
}

export class LeaseStore {
  readonly #db: Sqlite;

  private constructor(db: Sqlite) {
    this.#db = db;
  }

  static async open(caller: Caller): Promise<LeaseStore> {
    return new LeaseStore(await openSqlite(caller, 'leases', { migrations: MIGRATIONS }));
  }

  async all(): Promise<readonly KeptLease[]> {
    const rows = await this.#db.all<Row>`select * from leases order by changed_ms`;
    return rows.map((row) => ({
      lease: row.lease,
      market: row.market,
      // Proof of the type: only `put` writes it.
      state: row.state as LeaseState,
      offer: row.offer,
      acceptance: row.acceptance ?? undefined,
      executor: row.executor,
      gpus: JSON.parse(row.gpus) as string[],
      logSeq: row.log_seq,
      result: row.result ?? undefined,
      lost:
        row.lost_code === null
          ? undefined
          : { code: row.lost_code, message: row.lost_message ?? '' },
      told: row.told === 1,
      changedMs: row.changed_ms,
    }));
  }

  /** On disk when it resolves. */
  async update(lease: Lease): Promise<void> {
    const { code = null, message = null } = lease.lost ?? {};
    await this.#db
      .run`update leases set state = ${lease.state}, log_seq = ${lease.logSeq}, result = ${lease.resultText ?? null}, lost_code = ${code},
        lost_message = ${message}, told = ${lease.told}, changed_ms = ${lease.changedMs} where lease = ${lease.lease}`;
  }

  /** New ones, all or none; on disk when it resolves. As bytes: a text within a text costs a guest more than base64 does. */
  async insert(leases: readonly Lease[]): Promise<void> {
    const rows = leases.map((lease) => [
      lease.lease,
      lease.offer.jobId,
      lease.offer.attempt,
      lease.marketText,
      lease.state,
      lease.offerText,
      lease.acceptance ?? null,
      lease.executor,
      JSON.stringify(lease.gpus),
      lease.changedMs,
    ]);
    await this.#db
      .run`insert into leases (lease, job_id, attempt, market, state, offer, acceptance, executor, gpus, changed_ms, log_seq, told)
      select value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7, value ->> 8, value ->> 9, 0, 0
      from json_each(cast(${bytesOf(JSON.stringify(rows))} as text))`;
  }

  async remove(leases: readonly string[]): Promise<void> {
    await this.#db
      .run`delete from leases where lease in (select value from json_each(${JSON.stringify(leases)}))`;
  }
}
