/**
 * Keys, money and receipts of the model service on disk (compute-market.md §14). A request goes to no backend before what it may cost is on
 * disk.
 */
import { openSqlite, type Row, type Sqlite } from '../../lib/sqlite.ts';
import type { Caller } from '../../lib/modules.ts';
import type { ApiKey } from './api-keys.ts';
import { type Entry, heldOf, Ledger } from './ledger.ts';
import type { KeptSession } from './sessions.ts';

const MIGRATIONS = [
  [
    `create table api_keys (
       hash text primary key, shown text not null, owner text not null, models text not null, endpoints text not null,
       rpm integer not null, tpm integer not null, daily_budget integer not null, session text, created_at integer not null,
       expires_at integer, revoked_at integer)`,
    `create table ledger (
       entry integer primary key, account text not null, debit integer not null, credit integer not null, kind text not null,
       ref text not null, at integer not null)`,
    'create index ledger_ref on ledger (ref, kind)',
    'create index ledger_account on ledger (account, entry)',
    `create table receipts (
       seq integer primary key, rid text not null unique, key text not null, owner text not null, node text not null,
       model text not null, input integer not null, output integer not null, cost integer not null, estimated integer not null,
       request_sha256 text, response_sha256 text, at integer not null)`,
    'create index receipts_key on receipts (key, at)',
    `create table sessions (
       job_id text primary key, chain_id integer not null, escrow text not null, signer text not null, attempt integer not null,
       price text not null, deadline integer not null, served text not null, tokens_in text not null, tokens_out text not null,
       signed text not null, asked_at integer not null, voucher text)`,
  ],
];

/** A request that was answered, and what it cost. */
export interface Receipt {
  readonly rid: string;
  /** Hash of the key. */
  readonly key: string;
  readonly owner: string;
  readonly node: string;
  readonly model: string;
  readonly input: number;
  readonly output: number;
  readonly cost: bigint;
  readonly estimated: boolean;
  /** Of the request as the model got it, and of its whole answer; missing where that was cut. */
  readonly requestSha256: string | undefined;
  readonly responseSha256: string | undefined;
  readonly at: number;
}

/** What belongs together: all of it is on disk, or nothing. */
export interface Change {
  readonly entries?: readonly Entry[];
  readonly receipt?: Receipt;
  readonly session?: KeptSession;
}

const WRITE_S = 60;
/** Rows of one page of a list. */
export const PAGE_ROWS = 100;

export class Store {
  readonly #db: Sqlite;
  readonly #nowMs: () => number;

  private constructor(db: Sqlite, nowMs: () => number) {
    this.#db = db;
    this.#nowMs = nowMs;
  }

  static async open(caller: Caller, nowMs: () => number): Promise<Store> {
    const options = { migrations: MIGRATIONS, timeoutS: WRITE_S };
    return new Store(await openSqlite(caller, 'models', options), nowMs);
  }

  /**
   * Resolves when it is on disk. Each by requests of its own, not together with others: a handler that waits for what another one does can
   * answer only a second later.
   * @throws SqliteError
   */
  async write({ entries = [], receipt, session }: Change): Promise<void> {
    if (receipt === undefined && session === undefined) {
      const run: Writer['run'] = (pieces, ...values) => this.#db.run(pieces, ...values);
      if (entries.length > 0) await this.#writeEntries({ run }, entries);
      return;
    }
    await this.#db.tx(async (tx) => {
      if (entries.length > 0) await this.#writeEntries(tx, entries);
      if (receipt !== undefined) await writeReceipt(tx, receipt);
      if (session !== undefined) await writeSession(tx, session);
    });
  }

  // --- what is read at the start

  async ledger(): Promise<Ledger> {
    const balances = await this.#db.all<{ account: string; balance: number | bigint }>`
      select account, sum(credit) - sum(debit) as balance from ledger group by account`;
    const open = await this.#db.all<{ account: string; credit: number | bigint; ref: string }>`
      select account, credit, ref from ledger as kept where kind = 'reserve' and credit > 0
        and not exists (select 1 from ledger where ref = kept.ref and kind in ('capture', 'release'))`;
    return Ledger.restore(
      balances.map(({ account, balance }) => [account, BigInt(balance)] as const),
      open.map(({ account, credit, ref }) => ({
        owner: account.slice(heldOf('').length),
        amount: BigInt(credit),
        ref,
      })),
    );
  }

  async keys(): Promise<readonly ApiKey[]> {
    return (await this.#db.all<KeyRow>`select * from api_keys`).map(keyOf);
  }

  async sessions(): Promise<readonly KeptSession[]> {
    return (await this.#db.all<SessionRow>`select * from sessions`).map(sessionOf);
  }

  /** By key, what was spent since then. */
  async spentSince(at: number): Promise<ReadonlyMap<string, bigint>> {
    const rows = await this.#db.all<{ key: string; spent: number | bigint }>`
      select key, sum(cost) as spent from receipts where at >= ${at} group by key`;
    return new Map(rows.map(({ key, spent }) => [key, BigInt(spent)]));
  }

  // --- keys and money

  async putKey(key: ApiKey): Promise<void> {
    const { models, endpoints, dailyBudget, session, expiresAt, revokedAt } = key;
    await this.#db.run`insert or replace into api_keys
      (hash, shown, owner, models, endpoints, rpm, tpm, daily_budget, session, created_at, expires_at, revoked_at)
      values (${key.hash}, ${key.shown}, ${key.owner}, ${JSON.stringify(models)}, ${JSON.stringify(endpoints)}, ${key.rpm},
        ${key.tpm}, ${dailyBudget}, ${session}, ${key.createdAt}, ${expiresAt}, ${revokedAt})`;
  }

  /** Whether money has come by this already. */
  async knowsTopUp(ref: string): Promise<boolean> {
    const row = await this.#db
      .get`select 1 as known from ledger where ref = ${ref} and kind = 'top-up' limit 1`;
    return row !== undefined;
  }

  /** Entries after that number, oldest first; of one account, or all. */
  entries(after: number, account: string | undefined): Promise<Row[]> {
    return account === undefined
      ? this.#db.all`select * from ledger where entry > ${after} order by entry limit ${PAGE_ROWS}`
      : this.#db.all`select * from ledger where account = ${account} and entry > ${after}
          order by entry limit ${PAGE_ROWS}`;
  }

  receipts(after: number): Promise<Row[]> {
    return this.#db
      .all`select * from receipts where seq > ${after} order by seq limit ${PAGE_ROWS}`;
  }

  #writeEntries({ run }: Writer, entries: readonly Entry[]): Promise<void> {
    // Amounts as text: they need not fit a JSON number.
    const rows = JSON.stringify(entries, (_name, value: unknown) =>
      typeof value === 'bigint' ? String(value) : value,
    );
    return run`insert into ledger (account, debit, credit, kind, ref, at)
      select value->>'account', cast(value->>'debit' as integer), cast(value->>'credit' as integer), value->>'kind', value->>'ref',
        ${this.#nowMs()} from json_each(${rows}) order by key`;
  }
}

type Writer = Parameters<Parameters<Sqlite['tx']>[0]>[0];

function writeReceipt({ run }: Writer, one: Receipt): Promise<void> {
  return run`insert into receipts (rid, key, owner, node, model, input, output, cost, estimated, request_sha256, response_sha256, at)
    values (${one.rid}, ${one.key}, ${one.owner}, ${one.node}, ${one.model}, ${one.input}, ${one.output}, ${one.cost},
      ${one.estimated}, ${one.requestSha256}, ${one.responseSha256}, ${one.at})`;
}

function writeSession({ run }: Writer, one: KeptSession): Promise<void> {
  return run`insert or replace into sessions
    (job_id, chain_id, escrow, signer, attempt, price, deadline, served, tokens_in, tokens_out, signed, asked_at, voucher)
    values (${one.jobId}, ${one.chainId}, ${one.escrow}, ${one.signer}, ${one.attempt}, ${String(one.price)}, ${one.deadline},
      ${String(one.served)}, ${String(one.tokensIn)}, ${String(one.tokensOut)}, ${String(one.signed)}, ${one.askedAt}, ${one.voucher})`;
}

type KeyRow = Readonly<
  Record<'hash' | 'shown' | 'owner' | 'models' | 'endpoints', string> &
    Record<'rpm' | 'tpm' | 'created_at', number> & {
      daily_budget: number | bigint;
      session: string | null;
      expires_at: number | null;
      revoked_at: number | null;
    }
>;

function keyOf(row: KeyRow): ApiKey {
  return {
    hash: row.hash,
    shown: row.shown,
    owner: row.owner,
    models: JSON.parse(row.models) as string[],
    endpoints: JSON.parse(row.endpoints) as string[],
    rpm: row.rpm,
    tpm: row.tpm,
    dailyBudget: BigInt(row.daily_budget),
    session: row.session ?? undefined,
    createdAt: row.created_at,
    expiresAt: row.expires_at ?? undefined,
    revokedAt: row.revoked_at ?? undefined,
  };
}

type SessionRow = Readonly<
  Record<
    'job_id' | 'escrow' | 'signer' | 'price' | 'served' | 'tokens_in' | 'tokens_out' | 'signed',
    string
  > &
    Record<'chain_id' | 'attempt' | 'deadline' | 'asked_at', number> & { voucher: string | null }
>;

function sessionOf(row: SessionRow): KeptSession {
  return {
    jobId: row.job_id,
    chainId: row.chain_id,
    escrow: row.escrow,
    signer: row.signer,
    attempt: row.attempt,
    price: BigInt(row.price),
    deadline: row.deadline,
    served: BigInt(row.served),
    tokensIn: BigInt(row.tokens_in),
    tokensOut: BigInt(row.tokens_out),
    signed: BigInt(row.signed),
    askedAt: row.asked_at,
    voucher: row.voucher ?? undefined,
  };
}
