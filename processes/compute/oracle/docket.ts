/**
 * What the oracle keeps: runs that wait for their verdict and how far each has come, every receipt that it was shown, the secrets of audits
 * and what was picked by them, and runs that audits asked for. A verdict is here before anybody hears of it (compute-market.md §8.4).
 *
 *   queued --judged--> signed --facilitator has it--> handed --market answered--> told
 *      \--picked--> auditing --reruns in--> signed
 *   told --disputed--> disputed --reruns in--> resolved
 *   asked (by another verifier, about its run) --reruns in--> resolved
 */
import { structCodec } from '../../../contracts/compute-json.ts';
import type { Codec } from '../../../wit/codec.ts';
import type { Caller } from '../../lib/modules.ts';
import { openSqlite, type Row, type Sqlite } from '../../lib/sqlite.ts';
import {
  type Evidence,
  evidence,
  type GivenVerdict,
  givenVerdict,
  type LostAttempt,
  lostAttempt,
} from '../shared/oracle-contract.ts';

const MIGRATIONS: readonly (readonly string[])[] = [
  [
    `create table runs (
      job_id text not null, attempt integer not null, lost integer not null, receipt_hash text, doc text not null,
      state text not null default 'queued', tries integer not null default 0, not_before_ms integer not null default 0,
      created_ms integer not null, given text, signed text, primary key (job_id, attempt))`,
    'create index runs_state on runs (state, not_before_ms)',
    `create table receipts (
      job_id text not null, attempt integer not null, receipt_hash text not null, receipt text not null, signature text not null,
      primary key (job_id, attempt, receipt_hash))`,
    'create table hours (hour integer primary key, secret text not null, commitment text not null)',
    `create table picks (
      receipt_hash text primary key, job_id text not null, hour integer not null, rate_bps integer not null, audited integer not null)`,
    'create index picks_hour on picks (hour)',
    `create table reruns (
      job_id text not null, attempt integer not null, rerun integer not null, until_ms integer not null, told integer not null default 0,
      operator text, outcome text, outputs_root text, primary key (job_id, attempt, rerun))`,
    `create table cosigned (
      job_id text not null, attempt integer not null, digest text not null, signature text not null, primary key (job_id, attempt))`,
  ],
  [
    // The node whose oracle asks about its run, and what we came to.
    'alter table runs add column peer text',
    'alter table runs add column opinion text',
    // What the quorum for disputes is to sign, and who has.
    `create table resolutions (
      job_id text not null, attempt integer not null, doc text not null, reruns text not null, primary key (job_id, attempt))`,
    `create table resolution_signatures (
      job_id text not null, attempt integer not null, signer text not null, signature text not null,
      primary key (job_id, attempt, signer))`,
  ],
];

export type RunState =
  | 'queued'
  | 'auditing'
  | 'signed'
  | 'handed'
  | 'told'
  | 'disputed'
  | 'asked'
  | 'resolved';
/** What reruns say of a result. */
export type Opinion = 'agreed' | 'differed' | 'inconclusive';

export interface Run {
  readonly jobId: string;
  readonly attempt: number;
  readonly state: RunState;
  readonly tries: number;
  readonly createdMs: number;
  readonly evidence: Evidence | undefined;
  readonly lost: LostAttempt | undefined;
  readonly given: GivenVerdict | undefined;
  /** What goes to the facilitator, as `hand-over.ts` has it. */
  readonly signed: string | undefined;
  /** The node whose oracle asked us about its run; undefined: the run is of our own market. */
  readonly peer: string | undefined;
  /** What we answer that node. */
  readonly opinion: Opinion | undefined;
}

export interface Rerun {
  readonly rerun: number;
  readonly untilMs: number;
  readonly told: boolean;
  readonly operator: string | undefined;
  readonly outcome: RerunOutcome | undefined;
  readonly outputsRoot: string | undefined;
}
export interface RerunEnd {
  readonly operator: string | undefined;
  readonly outcome: RerunOutcome;
  readonly outputsRoot: string | undefined;
}
export type RerunOutcome = 'same' | 'different' | 'undecided';

/** What other nodes that the client paid for the same came to is counted from here. */
export const REPLICA_RERUN = 50;
/** Reruns of disputes are counted from here. */
export const DISPUTE_RERUN = 100;
/** Days that a run is kept, for disputes and for who asks. */
const DAYS_MAX = 40;
/** Hours of audits that are kept. */
const HOURS_MAX = 24 * 40;

export class Docket {
  readonly db: Sqlite;
  private constructor(db: Sqlite) {
    this.db = db;
  }

  static async open(process: Caller): Promise<Docket> {
    return new Docket(await openSqlite(process, 'oracle', { migrations: MIGRATIONS }));
  }

  /** Puts a run into the queue, with its receipt; with what is known of it already, among those that are audited. @returns false if there is one of this attempt already */
  async addRun(
    run: Evidence,
    receiptHash: string,
    reruns: readonly (RerunEnd & { readonly rerun: number })[] = [],
  ): Promise<boolean> {
    const { jobId, attempt } = run;
    const { receipt, signature } = run.result;
    const known = await this.run(jobId, attempt);
    const before = known?.peer === undefined ? known : undefined;
    await this.db.tx(async (tx) => {
      await tx.run`delete from runs where job_id = ${jobId} and attempt = ${attempt} and peer is not null`;
      await tx.run`insert or ignore into receipts values (${jobId}, ${attempt}, ${receiptHash},
        ${structCodec('JobReceipt').stringify(receipt)}, ${signature})`;
      await tx.run`insert or ignore into runs (job_id, attempt, lost, receipt_hash, doc, created_ms)
        values (${jobId}, ${attempt}, 0, ${receiptHash}, ${evidence.stringify(run)}, ${Date.now()})`;
      if (before !== undefined || reruns.length === 0) return;
      await tx.run`update runs set state = 'auditing' where job_id = ${jobId} and attempt = ${attempt}`;
      for (const { rerun, operator, outcome, outputsRoot } of reruns)
        await tx.run`insert or ignore into reruns values
          (${jobId}, ${attempt}, ${rerun}, 0, 1, ${operator ?? null}, ${outcome}, ${outputsRoot ?? null})`;
    });
    return before === undefined;
  }

  async addLost(lost: LostAttempt): Promise<void> {
    const { jobId, attempt } = lost;
    await this.db
      .run`delete from runs where job_id = ${jobId} and attempt = ${attempt} and peer is not null`;
    await this.db.run`insert or ignore into runs (job_id, attempt, lost, doc, created_ms)
      values (${lost.jobId}, ${lost.attempt}, 1, ${lostAttempt.stringify(lost)}, ${Date.now()})`;
  }

  async run(jobId: string, attempt: number): Promise<Run | undefined> {
    const row = await this.db
      .get`select * from runs where job_id = ${jobId} and attempt = ${attempt}`;
    return row && runOf(row);
  }

  /** The newest attempt that has evidence. */
  async newest(jobId: string): Promise<Run | undefined> {
    const row = await this.db
      .get`select * from runs where job_id = ${jobId} and lost = 0 and peer is null order by attempt desc limit 1`;
    return row && runOf(row);
  }

  /** What is to be done now, oldest first. Which they are, and no more: what is known of a run is long, and many wait. */
  async due(limit: number): Promise<Pick<Run, 'jobId' | 'attempt'>[]> {
    const rows = await this.db.all`select job_id, attempt from runs
      where state in ('queued', 'auditing', 'signed', 'handed', 'disputed', 'asked') and not_before_ms <= ${Date.now()}
      order by created_ms limit ${limit}`;
    return rows.map((row) => ({ jobId: String(row['job_id']), attempt: Number(row['attempt']) }));
  }

  /** When something is due next, in milliseconds since 1970; undefined: nothing waits. */
  async nextMs(): Promise<number | undefined> {
    const row = await this.db.get`select min(not_before_ms) as ms from runs
      where state in ('queued', 'auditing', 'signed', 'handed', 'disputed', 'asked')`;
    return row?.['ms'] == null ? undefined : Number(row['ms']);
  }

  /** The hash of another receipt that the attempt has. */
  async otherReceipt(jobId: string, attempt: number, hash: string): Promise<string | undefined> {
    const row = await this.db.get`select receipt_hash from receipts
      where job_id = ${jobId} and attempt = ${attempt} and receipt_hash <> ${hash} limit 1`;
    return row && String(row['receipt_hash']);
  }

  async receipts(
    jobId: string,
    attempt: number,
  ): Promise<{ receipt: Evidence['result']['receipt']; signature: string }[]> {
    const rows = await this.db
      .all`select receipt, signature from receipts where job_id = ${jobId} and attempt = ${attempt} limit 2`;
    return rows.map((row) => ({
      receipt: read(structCodec('JobReceipt'), row['receipt']),
      signature: String(row['signature']),
    }));
  }

  async setState(
    { jobId, attempt }: Pick<Run, 'jobId' | 'attempt'>,
    state: RunState,
  ): Promise<void> {
    await this.db.run`update runs set state = ${state}, tries = 0, not_before_ms = 0
      where job_id = ${jobId} and attempt = ${attempt}`;
  }

  /** The verdict, and what is to be handed over; from now on it stands. */
  async setSigned(given: GivenVerdict, signed: string): Promise<void> {
    await this.db
      .run`update runs set state = 'signed', tries = 0, not_before_ms = 0, signed = ${signed},
        given = ${givenVerdict.stringify(given)}
      where job_id = ${given.jobId} and attempt = ${given.attempt} and state in ('queued', 'auditing')`;
  }

  async wait(
    { jobId, attempt }: Pick<Run, 'jobId' | 'attempt'>,
    ms: number,
    tries: number,
  ): Promise<void> {
    await this.db.run`update runs set not_before_ms = ${Date.now() + ms}, tries = ${tries}
      where job_id = ${jobId} and attempt = ${attempt}`;
  }

  // ---- audits

  /** The secret of an hour, made by `make` if there is none. */
  async hour(
    hour: number,
    make: () => { secret: string; commitment: string },
  ): Promise<{ secret: string; commitment: string }> {
    const { secret, commitment } = make();
    await this.db.run`insert or ignore into hours values (${hour}, ${secret}, ${commitment})`;
    const row = await this.db.get`select secret, commitment from hours where hour = ${hour}`;
    return { secret: String(row?.['secret']), commitment: String(row?.['commitment']) };
  }

  async hours(
    from: number,
    limit: number,
  ): Promise<{ hour: number; secret: string; commitment: string }[]> {
    const rows = await this.db
      .all`select * from hours where hour >= ${from} order by hour limit ${limit}`;
    return rows.map((row) => ({
      hour: Number(row['hour']),
      secret: String(row['secret']),
      commitment: String(row['commitment']),
    }));
  }

  async picks(
    hour: number,
  ): Promise<{ jobId: string; receiptHash: string; rateBps: number; audited: boolean }[]> {
    const rows = await this.db
      .all`select * from picks where hour = ${hour} order by receipt_hash limit 10000`;
    return rows.map((row) => ({
      jobId: String(row['job_id']),
      receiptHash: String(row['receipt_hash']),
      rateBps: Number(row['rate_bps']),
      audited: Number(row['audited']) === 1,
    }));
  }

  /** Notes the rate of a receipt, and whether it is audited; the first time counts. */
  async pick(pick: {
    jobId: string;
    receiptHash: string;
    hour: number;
    rateBps: number;
    audited: boolean;
  }): Promise<void> {
    await this.db
      .run`insert or ignore into picks values (${pick.receiptHash}, ${pick.jobId}, ${pick.hour}, ${pick.rateBps}, ${pick.audited})`;
  }

  async reruns(jobId: string, attempt: number): Promise<Rerun[]> {
    const rows = await this.db
      .all`select * from reruns where job_id = ${jobId} and attempt = ${attempt} order by rerun`;
    return rows.map((row) => ({
      rerun: Number(row['rerun']),
      untilMs: Number(row['until_ms']),
      told: Number(row['told']) === 1,
      operator: row['operator'] == null ? undefined : String(row['operator']),
      // Proof of the type: `endRerun` wrote it.
      outcome: row['outcome'] == null ? undefined : (String(row['outcome']) as RerunOutcome),
      outputsRoot: row['outputs_root'] == null ? undefined : String(row['outputs_root']),
    }));
  }

  async addRerun(jobId: string, attempt: number, rerun: number, untilMs: number): Promise<void> {
    await this.db
      .run`insert or ignore into reruns (job_id, attempt, rerun, until_ms) values (${jobId}, ${attempt}, ${rerun}, ${untilMs})`;
  }

  async rerunTold(jobId: string, attempt: number, rerun: number): Promise<void> {
    await this.db.run`update reruns set told = 1
      where job_id = ${jobId} and attempt = ${attempt} and rerun = ${rerun}`;
  }

  /** The first end of a rerun counts. The run is due at once. */
  async endRerun(
    { jobId, attempt, rerun }: { jobId: string; attempt: number; rerun: number },
    end: RerunEnd,
  ): Promise<void> {
    await this.db.tx(async (tx) => {
      await tx.run`update reruns set outcome = ${end.outcome}, operator = ${end.operator}, outputs_root = ${end.outputsRoot}
        where job_id = ${jobId} and attempt = ${attempt} and rerun = ${rerun} and outcome is null`;
      await tx.run`update runs set not_before_ms = 0 where job_id = ${jobId} and attempt = ${attempt}`;
    });
  }

  /** Forgets what is old. */
  async prune(): Promise<void> {
    const before = Date.now() - DAYS_MAX * 86_400_000;
    const hour = Math.floor(Date.now() / 3_600_000) - HOURS_MAX;
    await this.db.tx(async (tx) => {
      await tx.run`delete from receipts where job_id in (select job_id from runs where created_ms < ${before})`;
      await tx.run`delete from reruns where job_id in (select job_id from runs where created_ms < ${before})`;
      await tx.run`delete from resolutions where job_id in (select job_id from runs where created_ms < ${before})`;
      await tx.run`delete from resolution_signatures where job_id in (select job_id from runs where created_ms < ${before})`;
      await tx.run`delete from runs where created_ms < ${before} and state in ('told', 'resolved')`;
      await tx.run`delete from picks where hour < ${hour}`;
      await tx.run`delete from hours where hour < ${hour}`;
    });
  }
}

/** What it was handed is read when it is looked at: most steps look at a part. */
function runOf(row: Row): Run {
  const lost = Number(row['lost']) === 1;
  const documents = {
    evidence: once(() => (lost ? undefined : read(evidence, row['doc']))),
    lost: once(() => (lost ? read(lostAttempt, row['doc']) : undefined)),
    given: once(() => (row['given'] == null ? undefined : read(givenVerdict, row['given']))),
  };
  return {
    jobId: String(row['job_id']),
    attempt: Number(row['attempt']),
    // Proof of the type: only states are written.
    state: String(row['state']) as RunState,
    tries: Number(row['tries']),
    createdMs: Number(row['created_ms']),
    get evidence() {
      return documents.evidence();
    },
    get lost() {
      return documents.lost();
    },
    get given() {
      return documents.given();
    },
    signed: row['signed'] == null ? undefined : String(row['signed']),
    peer: row['peer'] == null ? undefined : String(row['peer']),
    // Proof of the type: `setOpinion` wrote it.
    opinion: row['opinion'] == null ? undefined : (String(row['opinion']) as Opinion),
  };
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}

/** What was stored as JSON. @throws Error for what it cannot be */
export function read<T>(codec: Codec<T>, text: unknown): T {
  const decoded = codec.decode(String(text));
  if (!decoded.ok) throw new Error(`the docket is damaged at ${decoded.error.path}`);
  return decoded.value;
}
