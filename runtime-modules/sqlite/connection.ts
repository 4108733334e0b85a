/** One open database in a child: prepares, binds, runs. Everything here is synchronous; the child's life is its only limit in time. */
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { accessSync, constants } from 'node:fs';
import { dirname } from 'node:path';
import { errorCode } from '../shared/io-error.ts';
import { makeFolder } from '../shared/make-folder.ts';
import { Authority } from './authority.ts';
import type { Statement } from './fields.ts';
import { firstWord } from './keywords.ts';
import {
  BODY_BYTES_MAX,
  BUSY_MS,
  CACHE_KIB,
  RESULT_BYTES_MAX,
  STATEMENTS_MAX,
  VALUE_BYTES_MAX,
} from './limits.ts';
import { parameterSlots, type Slots } from './parameter-slots.ts';
import { parseParameters, type SqlValue } from './parameters.ts';
import { RowWriter } from './rows.ts';

/** A failure to tell the guest; of kind `io` the message is the system's code, such as ENOSPC. */
export class SqlFailure extends Error {
  override readonly name = 'SqlFailure';
  readonly kind: 'sql' | 'parameters' | 'damaged' | 'io';
  constructor(kind: SqlFailure['kind'], message = '', options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

interface Prepared {
  readonly sql: string;
  readonly statement: StatementSync;
  readonly slots: Slots;
  /** No parameter has a name: they are bound as they come. */
  readonly positional: boolean;
  readonly word: string;
  /** Undefined for statements that give no rows. */
  readonly rows: RowWriter | undefined;
}

export class Connection {
  readonly #db: DatabaseSync;
  readonly #path: string;
  readonly #authority = new Authority();
  /** In the order of their last use. */
  readonly #prepared = new Map<string, Prepared>();
  /** The one used last, if it is kept: the next is the same as a rule. */
  #last: Prepared | undefined;

  /** @param settings pragmas of the connection, as a guest wrote them. @throws SqlFailure */
  constructor(path: string, settings: readonly string[]) {
    makeOwnFolder(path);
    this.#path = path;
    try {
      this.#db = new DatabaseSync(path, {
        // As the reference's build: foreign keys on, "text" in double quotes tolerated.
        enableForeignKeyConstraints: true,
        enableDoubleQuotedStringLiterals: true,
        allowExtension: false,
        defensive: true,
        timeout: BUSY_MS,
        limits: { length: VALUE_BYTES_MAX, sqlLength: BODY_BYTES_MAX, attach: 1 },
      });
      this.#own(() => {
        this.#db.exec('PRAGMA journal_mode = WAL');
        // A commit is on disk when it is answered, power cut or not.
        this.#db.exec('PRAGMA synchronous = FULL');
        this.#db.exec('PRAGMA trusted_schema = OFF');
        this.#db.exec(`PRAGMA cache_size = -${CACHE_KIB}`);
        this.#db.prepare('SELECT count(*) FROM sqlite_schema').get();
      });
      this.#db.setAuthorizer(this.#authority.decide);
      for (const sql of settings) this.#db.exec(sql);
    } catch (error) {
      throw openingFailure(error, path);
    }
  }

  /** The rows as JSON text. @throws SqlFailure */
  read(asked: Statement): string {
    const values = valuesOf(asked);
    return this.#guarded(() => {
      const prepared = this.#prepare(asked.sql);
      const bound = bind(prepared, values);
      return this.#as(prepared.word, () => {
        let text = '';
        for (const row of iterate(prepared.statement, bound)) {
          // Proof of the type: setReturnArrays was called on the statement.
          const one = prepared.rows?.text(row as SqlValue[]) ?? '{}';
          if (text.length + one.length > RESULT_BYTES_MAX) throw tooLarge();
          text += text === '' ? one : `,${one}`;
        }
        return `[${text}]`;
      });
    });
  }

  /** @throws SqlFailure */
  write(asked: Statement): void {
    const values = valuesOf(asked);
    this.#guarded(() => this.#write(asked.sql, values));
  }

  /** All of them, or none. `next` gives them one after another. @throws SqlFailure */
  commit(count: number, next: () => Statement): void {
    this.#guarded(() => {
      this.#own(() => this.#db.exec('BEGIN'));
      try {
        for (let left = count; left > 0; left -= 1) {
          const asked = next();
          this.#write(asked.sql, valuesOf(asked));
        }
        this.#own(() => this.#db.exec('COMMIT'));
      } catch (error) {
        // Some failures have rolled back by themselves.
        if (this.#db.isTransaction) this.#own(() => this.#db.exec('ROLLBACK'));
        throw error;
      }
    });
  }

  /** Writes a compact copy to a new file. @throws SqlFailure */
  backup(path: string): void {
    this.#guarded(() => this.#own(() => this.#db.prepare('VACUUM INTO ?').run(path)));
  }

  close(): void {
    this.#forget();
    this.#db.close();
  }

  #write(sql: string, values: readonly SqlValue[]): void {
    const prepared = this.#prepare(sql);
    const { named, rest } = bind(prepared, values);
    if (prepared.rows !== undefined) {
      throw new SqlFailure('sql', 'Execute returned results - did you mean to call query?');
    }
    const { statement } = prepared;
    this.#as(prepared.word, () => {
      if (named === undefined) statement.run(...rest);
      else statement.run(named, ...rest);
    });
  }

  #prepare(sql: string): Prepared {
    if (this.#last?.sql === sql) return this.#last;
    const known = this.#prepared.get(sql);
    if (known !== undefined) {
      this.#prepared.delete(sql);
      this.#prepared.set(sql, known);
      this.#last = known;
      return known;
    }
    const zero = sql.indexOf('\0');
    if (zero >= 0) {
      throw new SqlFailure('sql', `nul byte found in provided data at position: ${zero}`);
    }
    const word = firstWord(sql);
    const statement = this.#as(word, () => this.#db.prepare(sql));
    statement.setReadBigInts(true);
    statement.setReturnArrays(true);
    const names = statement.columns().map((column) => column.name);
    const rows = names.length === 0 ? undefined : new RowWriter(names);
    const slots = parameterSlots(sql);
    const positional = slots.every((name) => name === undefined);
    const prepared = { sql, statement, slots, positional, word, rows };
    // Columns may change with the schema, and a pragma acts when it is prepared.
    if (word !== 'PRAGMA') this.#remember(prepared);
    if (/^(?:ALTER|CREATE|DROP)$/.test(word)) this.#forget();
    return prepared;
  }

  #forget(): void {
    this.#prepared.clear();
    this.#last = undefined;
  }

  #remember(prepared: Prepared): void {
    if (this.#prepared.size >= STATEMENTS_MAX) {
      for (const oldest of this.#prepared.keys()) {
        this.#prepared.delete(oldest);
        break;
      }
    }
    this.#prepared.set(prepared.sql, prepared);
    this.#last = prepared;
  }

  #as<T>(word: string, work: () => T): T {
    if (word !== 'VACUUM') return work();
    this.#authority.running = 'vacuum';
    try {
      return work();
    } finally {
      this.#authority.running = 'guest';
    }
  }

  #own<T>(work: () => T): T {
    this.#authority.running = 'own';
    try {
      return work();
    } finally {
      this.#authority.running = 'guest';
    }
  }

  #guarded<T>(work: () => T): T {
    this.#authority.refused = undefined;
    try {
      return work();
    } catch (error) {
      throw failureOf(error, this.#authority.refused, this.#path);
    }
  }
}

function makeOwnFolder(path: string): void {
  try {
    makeFolder(dirname(path));
  } catch (error) {
    throw new SqlFailure('io', errorCode(error) ?? 'EIO', { cause: error });
  }
}

function valuesOf({ parameters }: Statement): readonly SqlValue[] {
  if (parameters !== undefined && !(parameters instanceof Uint8Array)) return parameters;
  const values = parseParameters(parameters);
  if (values === undefined) throw new SqlFailure('parameters');
  return values;
}

interface Bound {
  readonly named: Record<string, SQLInputValue> | undefined;
  readonly rest: readonly SQLInputValue[];
}

/** The engine binds named parameters by name only; guests give all by position. */
function bind({ slots, positional }: Prepared, values: readonly SqlValue[]): Bound {
  if (values.length !== slots.length) {
    throw new SqlFailure(
      'sql',
      `Wrong number of parameters passed to query. Got ${values.length}, needed ${slots.length}`,
    );
  }
  if (positional) return { named: undefined, rest: values };
  const named: Record<string, SQLInputValue> = {};
  const rest: SQLInputValue[] = [];
  for (const [index, name] of slots.entries()) {
    const value = values[index] ?? null;
    if (name === undefined) rest.push(value);
    else named[name] = value;
  }
  return { named, rest };
}

function iterate(statement: StatementSync, { named, rest }: Bound): Iterable<unknown> {
  return named === undefined ? statement.iterate(...rest) : statement.iterate(named, ...rest);
}

function tooLarge(): SqlFailure {
  return new SqlFailure(
    'sql',
    `the result is larger than ${RESULT_BYTES_MAX} bytes: ask for less at a time, with LIMIT`,
  );
}

/** SQLITE_CORRUPT and SQLITE_NOTADB. */
const DAMAGED = new Set([11, 26]);
const SQLITE_READONLY = 8;
const SQLITE_IOERR = 10;
const SQLITE_FULL = 13;
const SQLITE_CANTOPEN = 14;

/** Only here does damage count as such: later a guest can make the engine speak of it, with tables it keeps for its own use. */
function openingFailure(error: unknown, path: string): SqlFailure {
  const failure = failureOf(error, undefined, path);
  return DAMAGED.has(resultCode(error)) ? new SqlFailure('damaged', failure.message) : failure;
}

function failureOf(error: unknown, refused: string | undefined, path: string): SqlFailure {
  if (error instanceof SqlFailure) return error;
  const message = error instanceof Error ? error.message : String(error);
  const options = { cause: error };
  if (refused !== undefined) return new SqlFailure('sql', `not authorized: ${refused}`, options);
  const system = systemFailure(resultCode(error), path);
  if (system !== undefined) return new SqlFailure('io', system, options);
  return new SqlFailure('sql', message, options);
}

/** The engine's primary result code. */
function resultCode(error: unknown): number {
  return error instanceof Error && 'errcode' in error ? Number(error.errcode) & 0xff : 0;
}

/** The system's code, when it is the system that failed; the engine keeps to itself which of its failures it was. */
function systemFailure(code: number, path: string): string | undefined {
  if (code === SQLITE_FULL) return 'ENOSPC';
  if (code === SQLITE_IOERR) return 'EIO';
  if (code !== SQLITE_READONLY && code !== SQLITE_CANTOPEN) return undefined;
  try {
    accessSync(dirname(path), constants.W_OK);
    return undefined;
  } catch (failure) {
    return errorCode(failure);
  }
}
