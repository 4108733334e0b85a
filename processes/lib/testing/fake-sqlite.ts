/** `sqlite:distro:sys` in memory, for tests of processes: the rules of runtime-modules.md §4 around Node's own SQLite. */
import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import { packageOf } from '../../../wit/address.ts';
import {
  sqliteRequest,
  sqliteResponse,
  type SqliteAction,
  type SqliteError,
} from '../../../wit/sqlite-api.ts';
import type { Peer, PeerAnswer } from './memory-host.ts';

const CANONICAL_BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

interface Prepared {
  readonly text: string;
  readonly parameters: readonly SQLInputValue[];
}

class Refused extends Error {
  readonly error: SqliteError;
  constructor(error: SqliteError) {
    super(error.kind);
    this.error = error;
  }
}

export class FakeSqlite {
  readonly databases = new Map<string, DatabaseSync>();
  readonly transactions = new Map<number, Prepared[]>();
  /** Every statement, as it came. */
  readonly log: string[] = [];
  #lastTransaction = 0;

  readonly peer: Peer = (sent, host) => {
    const decoded = sqliteRequest.decode(sent.request.body);
    try {
      if (!decoded.ok) throw new Refused({ kind: 'MalformedRequest' });
      const { package_id: pkg, db, action } = decoded.value;
      if (packageOf(host.our().process) !== pkg) {
        throw new Refused({ kind: action.kind === 'Query' ? 'NoReadCap' : 'NoWriteCap' });
      }
      const key = `${pkg} ${db}`;
      const database = this.databases.get(key) ?? new DatabaseSync(':memory:');
      this.databases.set(key, database);
      return this.#perform(action, database, sent.blob?.bytes);
    } catch (error) {
      const refusal =
        error instanceof Refused
          ? error.error
          : ({ kind: 'RusqliteError', value: String(error) } as const);
      return sqliteResponse.encode({ kind: 'Err', value: refusal });
    }
  };

  #perform(action: SqliteAction, database: DatabaseSync, blob: Uint8Array | undefined): PeerAnswer {
    switch (action.kind) {
      case 'Open':
      case 'Backup':
      case 'RemoveDb':
        break;
      case 'Write': {
        const prepared = this.#prepare(action.value.statement, blob);
        const { tx_id } = action.value;
        if (tx_id === undefined) run(database, prepared);
        else this.#take(tx_id, { keep: true }).push(prepared);
        break;
      }
      case 'Query': {
        const { text, parameters } = this.#prepare(action.value, blob);
        const statement = database.prepare(text);
        statement.setReadBigInts(true);
        const rows = statement.all(...parameters).map(rowText);
        const body = sqliteResponse.encode({ kind: 'Read' });
        return { body, blob: new TextEncoder().encode(`[${rows.join(',')}]`) };
      }
      case 'BeginTx': {
        const tx_id = ++this.#lastTransaction;
        this.transactions.set(tx_id, []);
        return sqliteResponse.encode({ kind: 'BeginTx', value: { tx_id } });
      }
      case 'Abandon':
        this.#take(action.value.tx_id, { keep: false });
        break;
      case 'Commit': {
        const statements = this.#take(action.value.tx_id, { keep: false });
        database.exec('begin');
        try {
          for (const one of statements) run(database, one);
          database.exec('commit');
        } catch (error) {
          database.exec('rollback');
          throw error;
        }
      }
    }
    return sqliteResponse.encode({ kind: 'Ok' });
  }

  #prepare(text: string, blob: Uint8Array | undefined): Prepared {
    this.log.push(text);
    const values: unknown[] =
      blob === undefined
        ? []
        : (JSON.parse(new TextDecoder().decode(blob), exactly as never) as unknown[]);
    return { text, parameters: values.map(bound) };
  }

  #take(id: number | bigint, { keep }: { readonly keep: boolean }): Prepared[] {
    const found = this.transactions.get(Number(id));
    if (found === undefined) throw new Refused({ kind: 'NoTx', value: id });
    if (!keep) this.transactions.delete(Number(id));
    return found;
  }
}

function run(database: DatabaseSync, { text, parameters }: Prepared): void {
  database.prepare(text).run(...parameters);
}

/** Integers as bigints. */
function exactly(_key: string, value: unknown, context: { readonly source?: string }): unknown {
  const { source = '' } = context;
  return typeof value === 'number' && /^-?\d+$/.test(source) ? BigInt(source) : value;
}

function bound(value: unknown): SQLInputValue {
  if (typeof value === 'boolean') return value ? 1n : 0n;
  if (typeof value === 'string' && CANONICAL_BASE64.test(value)) {
    return new Uint8Array(Buffer.from(value, 'base64'));
  }
  if (value !== null && typeof value === 'object') throw new Refused({ kind: 'InvalidParameters' });
  return value as SQLInputValue;
}

function rowText(row: Record<string, unknown>): string {
  const fields = Object.keys(row)
    .toSorted()
    .map((name) => `${JSON.stringify(name)}:${valueText(row[name])}`);
  return `{${fields.join(',')}}`;
}

function valueText(value: unknown): string {
  if (typeof value === 'bigint') return String(value);
  if (value instanceof Uint8Array) return `"${Buffer.from(value).toString('base64')}"`;
  const json = JSON.stringify(value);
  return typeof value === 'number' && /^-?\d+$/.test(json) ? `${json}.0` : json;
}
