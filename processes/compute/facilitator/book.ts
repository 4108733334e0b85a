/**
 * What the facilitator keeps: terms and money of jobs it follows, events with their place on the chain, providers, and the blocks up to
 * which all of it was read. One round of the chain is one transaction. Amounts and documents are JSON text.
 */
import { decodeEscrowEvent } from '../../../contracts/compute-events.ts';
import { structCodec } from '../../../contracts/compute-json.ts';
import type { ComputeTerms } from '../../../contracts/compute.ts';
import type { Caller } from '../../lib/modules.ts';
import { listOf, openSqlite, raw, type Sqlite, type SqlValue } from '../../lib/sqlite.ts';
import {
  type JobMoney,
  jobMoney,
  type OfferedTerms,
  type Provider,
  provider,
} from '../shared/facilitator-contract.ts';
import { type ChainMoney, isClosed, type Placed } from './money.ts';

export const MIGRATIONS: readonly (readonly string[])[] = [
  [
    `create table jobs (
      job_id text primary key, client text not null, salt text not null, terms text not null, vault text not null,
      fund_by integer not null, deadline integer not null, state text not null default 'none', timer integer not null default 0,
      rev integer not null default 0, told integer not null default 1, money text, trouble text, closed_s integer,
      unique (client, salt))`,
    'create index jobs_open on jobs (closed_s, job_id)',
    'create index jobs_untold on jobs (told) where told = 0',
    `create table events (
      tx_hash text not null, log_index integer not null, block integer not null, job_id text, node_id text, topics text not null,
      data text not null, primary key (tx_hash, log_index))`,
    'create index events_job on events (job_id)',
    'create index events_block on events (block)',
    `create table nodes (node_id text primary key, name text, on_duty integer not null, doc text not null)`,
    'create table anchors (block integer primary key, hash text not null)',
    `create table wishes (
      id integer primary key autoincrement, job_id text not null, kind text not null, target text not null, data text not null,
      state text not null default 'wanted', tx text, place integer, tries integer not null default 0,
      not_before_ms integer not null default 0, error text, unique (job_id, kind, data))`,
    'create index wishes_state on wishes (state, id)',
    `create table transactions (
      id text primary key, target text not null, data text not null, gas integer not null, state text not null default 'claimed',
      block integer, made_ms integer not null)`,
  ],
];

const termsCodec = structCodec('ComputeTerms');
const chainMoneyOf = (text: string): JobMoney => {
  const decoded = jobMoney.decode(text);
  if (!decoded.ok) throw new Error(`money of a job is damaged at ${decoded.error.path}`);
  return decoded.value;
};

/** Something of a log that the book keeps. */
export interface KeptLog {
  readonly txHash: string;
  readonly logIndex: number;
  readonly block: number;
  readonly jobId: string | undefined;
  readonly nodeId: string | undefined;
  readonly topics: readonly string[];
  readonly data: string;
}

/** What one look at the chain found. */
export interface Round {
  readonly logs: readonly KeptLog[];
  /** Jobs whose money may have changed. */
  readonly money: readonly ChainMoney[];
  readonly nodes: readonly Omit<Provider, 'name'>[];
  readonly anchor: { readonly block: number; readonly hash: string };
  readonly nowS: number;
}

/** Blocks whose hashes are remembered: how far back a reorganisation is followed. */
export const ANCHORS_MAX = 64;
/** Terms in memory. */
const TERMS_MAX = 500;
/** Days after which a closed job is forgotten. */
const CLOSED_DAYS_MAX = 30;

export class Book {
  readonly db: Sqlite;
  /** Of jobs that were asked about lately: terms never change. */
  readonly #terms = new Map<string, OfferedTerms>();
  #takenBack = 0;
  private constructor(db: Sqlite) {
    this.db = db;
  }

  static async open(process: Caller): Promise<Book> {
    return new Book(await openSqlite(process, 'facilitator', { migrations: MIGRATIONS }));
  }

  // ---- terms

  /** Follows a job from now on. @returns false if the client's intent has other terms already */
  async follow({ terms, jobId, vault }: OfferedTerms): Promise<boolean> {
    const client = terms.client.toLowerCase();
    await this.db
      .run`insert or ignore into jobs (job_id, client, salt, terms, vault, fund_by, deadline)
        values (${jobId}, ${client}, ${terms.salt.toLowerCase()}, ${termsCodec.stringify(terms)}, ${vault},
          ${Number(terms.fundBy)}, ${Number(terms.deadline)})`;
    return (await this.termsOf(jobId)) !== undefined;
  }

  async termsOf(jobId: string): Promise<OfferedTerms | undefined> {
    const known = this.#terms.get(jobId);
    if (known !== undefined) return known;
    const row = await this.db.get`select terms, vault from jobs where job_id = ${jobId}`;
    const found = row && offered(jobId, row);
    if (found === undefined) return undefined;
    if (this.#terms.size >= TERMS_MAX) this.#terms.delete(this.#terms.keys().next().value ?? '');
    this.#terms.set(jobId, found);
    return found;
  }

  /** The terms that a client's intent has. */
  async termsOfIntent(client: string, salt: string): Promise<OfferedTerms | undefined> {
    const row = await this.db.get`select job_id, terms, vault from jobs
      where client = ${client.toLowerCase()} and salt = ${salt.toLowerCase()}`;
    return row && offered(String(row['job_id']), row);
  }

  // ---- money

  async money(jobId: string): Promise<JobMoney | undefined> {
    const row = await this.db.get`select rev, money, trouble from jobs where job_id = ${jobId}`;
    return row && moneyRow(jobId, row);
  }

  async open(after: string, limit: number): Promise<JobMoney[]> {
    const rows = await this.db.all`select job_id, rev, money, trouble from jobs
      where closed_s is null and job_id > ${after} order by job_id limit ${limit}`;
    return rows.map((row) => moneyRow(String(row['job_id']), row));
  }

  /** Some of the jobs that the market has yet to be told of; any, so that none that it refuses keeps others from it. */
  async untold(limit: number): Promise<JobMoney[]> {
    const rows = await this.db.all`select job_id, rev, money, trouble from jobs where told = 0
      order by random() limit ${limit}`;
    return rows.map((row) => moneyRow(String(row['job_id']), row));
  }

  /** Those that have not changed meanwhile. */
  async markTold(told: readonly JobMoney[]): Promise<void> {
    const known = JSON.stringify(told.map(({ jobId, rev }) => ({ jobId, rev: Number(rev) })));
    await this.db.run`update jobs set told = 1
      from (select value->>'jobId' as id, value->>'rev' as known from json_each(${known}))
      where job_id = id and rev = known`;
  }

  /** What keeps a job's action from being carried out; undefined: nothing any more. */
  async setTrouble(jobId: string, trouble: JobMoney['trouble']): Promise<void> {
    const text = trouble === undefined ? null : JSON.stringify(trouble);
    await this.db.run`update jobs set trouble = ${text}, rev = rev + 1, told = 0
      where job_id = ${jobId} and trouble is not ${text}`;
  }

  // ---- the chain

  /** Of these, those that are followed. */
  async followed(jobIds: readonly string[]): Promise<string[]> {
    if (jobIds.length === 0) return [];
    const rows = await this.db.all`select job_id from jobs where job_id in (${listOf(jobIds)})`;
    return rows.map((row) => String(row['job_id']));
  }

  async eventsOf(jobIds: readonly string[]): Promise<Map<string, Placed[]>> {
    const found = new Map<string, Placed[]>();
    if (jobIds.length === 0) return found;
    const rows = await this.db.all`select * from events where job_id in (${listOf(jobIds)})`;
    for (const row of rows) {
      const placed = placedOf(row);
      if (placed === undefined) continue;
      const jobId = String(row['job_id']);
      const list = found.get(jobId);
      if (list === undefined) found.set(jobId, [placed]);
      else list.push(placed);
    }
    return found;
  }

  /** What the contracts did to a node, by kind of event. */
  async countOfNode(nodeId: string, topic: string): Promise<number> {
    const row = await this.db.get`select count(*) as n from events
      where node_id = ${nodeId} and topics like ${`%${topic}%`}`;
    return Number(row?.['n'] ?? 0);
  }

  /** How often blocks were taken back since the start: what was read of the chain before says nothing any more. */
  get takenBack(): number {
    return this.#takenBack;
  }

  /** The newest block that was read to its end; -1: none. */
  async readTo(): Promise<number> {
    const row = await this.db.get`select max(block) as block from anchors`;
    return Number(row?.['block'] ?? -1);
  }

  /** The newest blocks that were read to their end, newest first. */
  async anchors(): Promise<{ block: number; hash: string }[]> {
    const rows = await this.db.all`select block, hash from anchors order by block desc`;
    return rows.map((row) => ({ block: Number(row['block']), hash: String(row['hash']) }));
  }

  /** What came after a block did not happen. @returns jobs and nodes that it had happened to */
  async takeBack(after: number): Promise<{ jobs: string[]; nodes: string[] }> {
    const rows = await this.db
      .all`select distinct job_id, node_id from events where block > ${after}`;
    return { jobs: texts(rows, 'job_id'), nodes: texts(rows, 'node_id') };
  }

  /** Takes back and applies at once, so that no crash leaves half of it. @param after  blocks later than this did not happen */
  async apply(round: Round, after?: number): Promise<void> {
    const { logs, money, nodes, anchor, nowS } = round;
    if (after !== undefined) this.#takenBack += 1;
    await this.db.tx(async (tx) => {
      if (after !== undefined) {
        await tx.run`delete from events where block > ${after}`;
        await tx.run`delete from anchors where block > ${after}`;
        await tx.run`update transactions set state = 'sent', block = null where block > ${after}`;
        // Of a transaction that was forgotten nobody would hear that it is gone.
        await tx.run`update wishes set state = 'wanted', tx = null, tries = 0, not_before_ms = 0, error = null
          where job_id in (${listOf(money.map(({ jobId }) => jobId))}) and state in ('done', 'failed')
            and tx not in (select id from transactions)`;
      }
      if (logs.length > 0)
        await tx.run`insert or replace into events (tx_hash, log_index, block, job_id, node_id, topics, data)
          select value->>'txHash', value->>'logIndex', value->>'block', value->>'jobId', value->>'nodeId',
            value->>'topics', value->>'data'
          from json_each(${JSON.stringify(logs.map((log) => ({ ...log, topics: log.topics.join(' ') })))})`;
      const changes = money.map((each) => ({
        jobId: each.jobId,
        state: each.state,
        text: jobMoney.stringify({ ...each, rev: 0, trouble: undefined }),
        timer: Number(each.timer),
        deadline: Number(each.deadline),
        closed: isClosed(each) ? nowS : null,
      }));
      if (changes.length > 0)
        await tx.run`update jobs set money = text, state = new.state, timer = new.timer, trouble = null, rev = rev + 1,
            told = 0, closed_s = closed,
            deadline = case when new.state = 'none' then jobs.deadline else new.deadline end
          from (select value->>'jobId' as id, value->>'text' as text, value->>'state' as state, value->>'timer' as timer,
              value->>'deadline' as deadline, value->>'closed' as closed
            from json_each(${JSON.stringify(changes)})) as new
          where job_id = id and money is not text`;
      for (const node of nodes) {
        const text = provider.stringify({ ...node, name: undefined });
        await tx.run`insert into nodes (node_id, on_duty, doc) values (${node.nodeId}, ${node.on && node.slots > 0}, ${text})
          on conflict (node_id) do update set on_duty = excluded.on_duty, doc = excluded.doc`;
      }
      await tx.run`insert or replace into anchors values (${anchor.block}, ${anchor.hash})`;
      await tx.run`delete from anchors where block <= ${anchor.block - ANCHORS_MAX}`;
    });
  }

  /** Forgets jobs that were closed long ago. */
  async prune(nowS: number): Promise<void> {
    const before = nowS - CLOSED_DAYS_MAX * 86_400;
    await this.db.tx(async (tx) => {
      await tx.run`delete from events where job_id in (select job_id from jobs where closed_s < ${before})`;
      await tx.run`delete from wishes where job_id in (select job_id from jobs where closed_s < ${before})`;
      await tx.run`delete from jobs where closed_s < ${before} or (state = 'none' and fund_by < ${before})`;
    });
  }

  /** Jobs in one of these states whose time is before `dueS`, by id. `time`: which. */
  async due(
    states: readonly string[],
    time: 'timer' | 'deadline' | 'fund_by',
    dueS: number,
    limit: number,
  ): Promise<OfferedTerms[]> {
    const rows = await this.db.all`select job_id, terms, vault from jobs
      where closed_s is null and state in (${listOf(states)}) and ${raw(time)} < ${dueS} order by job_id limit ${limit}`;
    return rows.map((row) => offered(String(row['job_id']), row));
  }

  /** Unpaid jobs whose time to pay is not over for longer than `graceS`, after `after`. */
  async unpaid(
    after: string,
    nowS: number,
    graceS: number,
    limit: number,
  ): Promise<OfferedTerms[]> {
    const rows = await this.db.all`select job_id, terms, vault from jobs
      where state = 'none' and fund_by > ${nowS - graceS} and job_id > ${after} order by job_id limit ${limit}`;
    return rows.map((row) => offered(String(row['job_id']), row));
  }

  // ---- providers

  async providers(after: string, limit: number): Promise<Provider[]> {
    const rows = await this.db
      .all`select name, doc from nodes where on_duty = 1 and node_id > ${after}
      order by node_id limit ${limit}`;
    return rows.flatMap((row) => providerRow(row) ?? []);
  }

  async provider(nodeId: string): Promise<Provider | undefined> {
    const row = await this.db.get`select name, doc from nodes where node_id = ${nodeId}`;
    return row && providerRow(row);
  }

  async setName(nodeId: string, name: string): Promise<void> {
    await this.db.run`update nodes set name = ${name} where node_id = ${nodeId}`;
  }
}

type AnyRow = Readonly<Record<string, SqlValue>>;

function offered(jobId: string, row: AnyRow): OfferedTerms {
  const terms = termsCodec.decode(String(row['terms']));
  if (!terms.ok) throw new Error(`the terms of ${jobId} are damaged at ${terms.error.path}`);
  return { terms: terms.value satisfies ComputeTerms, jobId, vault: String(row['vault']) };
}

function moneyRow(jobId: string, row: AnyRow): JobMoney {
  const { money, trouble } = row;
  const kept = money == null ? unpaid(jobId) : chainMoneyOf(String(money));
  return {
    ...kept,
    rev: Number(row['rev']),
    // Proof of the type: written by `setTrouble`.
    trouble: trouble == null ? undefined : (JSON.parse(String(trouble)) as JobMoney['trouble']),
  };
}

function unpaid(jobId: string): JobMoney {
  return {
    jobId,
    rev: 0,
    state: 'none',
    attempt: 0,
    client: undefined,
    token: undefined,
    amount: 0n,
    price: 0n,
    payout: 0n,
    nodeId: undefined,
    deadline: 0,
    timer: 0,
    receiptHash: undefined,
    dispute: undefined,
    settled: undefined,
    refundReason: undefined,
    fundTx: undefined,
    lastTx: undefined,
    trouble: undefined,
  };
}

function placedOf(row: AnyRow): Placed | undefined {
  const event = decodeEscrowEvent({
    topics: String(row['topics']).split(' '),
    data: String(row['data']),
  });
  return (
    event && {
      block: Number(row['block']),
      logIndex: Number(row['log_index']),
      txHash: String(row['tx_hash']),
      event,
    }
  );
}

function providerRow(row: AnyRow): Provider | undefined {
  const decoded = provider.decode(String(row['doc']));
  return decoded.ok
    ? { ...decoded.value, name: row['name'] == null ? undefined : String(row['name']) }
    : undefined;
}

function texts(rows: readonly AnyRow[], name: string): string[] {
  return [...new Set(rows.flatMap((row) => (row[name] == null ? [] : [String(row[name])])))];
}
