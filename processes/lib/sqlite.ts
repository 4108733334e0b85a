/** Tables, through `sqlite:distro:sys` (kit.md §10.9, runtime-modules.md §4). `import … from 'hyperware/sqlite'`. */
import type { Capability, PackageId } from '../../wit/types.ts';
import { packageId, packageOf, SQLITE } from '../../wit/address.ts';
import { databaseCapabilities, wirePackage } from './databases.ts';
import {
  askModule,
  callModule,
  type Caller,
  member,
  type ModuleAnswer,
  type ModuleCalls,
  ModuleError,
} from './modules.ts';
import { type Raw, statement, type SqlValue } from './sql.ts';
import { bytesOf, textOf } from './utf8.ts';

export { blobBytes, listOf, raw, type SqlValue } from './sql.ts';

/** `code`: as in runtime-modules.md §4, or `NoMessaging`, or `BadMigration`. */
export class SqliteError extends ModuleError {
  override readonly name = 'SqliteError';
}

/** Integers that a number cannot hold exactly are bigints. A BLOB is base64: see `blobBytes`. */
export type Row = Readonly<Record<string, string | number | bigint | null>>;

export interface SqliteOptions {
  /**
   * Statements that bring the database from each version to the next, run once each; only ever add to the end. Several statements for one
   * version are a list: of a text with several, only the first would run.
   */
  readonly migrations?: readonly (string | readonly string[])[];
  /** Whose database, `package:publisher`; its capabilities must be held. Default: this package's, which is made if missing. */
  readonly of?: string;
  /** Of every call; default 5. */
  readonly timeoutS?: number;
}

/** Opens a database and brings it up to date. @throws SqliteError */
export async function openSqlite(
  caller: Caller,
  name: string,
  options: SqliteOptions = {},
): Promise<Sqlite> {
  const database = new Sqlite(caller, name, options);
  // Only processes of the package itself may; others have been handed the capabilities.
  if (options.of === undefined) await database.act('Open');
  if (options.migrations !== undefined) await migrate(database, options.migrations);
  return database;
}

/** A template with values, such as db.all`select * from notes where id = ${id}`. */
type Template<R> = (pieces: TemplateStringsArray, ...values: (SqlValue | Raw)[]) => R;

/** Methods take templates, whose values become parameters. Each rejects with `SqliteError`, or with `NoResponse`. */
export class Sqlite {
  readonly name: string;
  readonly package: PackageId;
  readonly #caller: Caller;
  readonly #wirePackage: unknown;
  readonly #calls: ModuleCalls;
  readonly #bodies: StatementBodies;

  constructor(caller: Caller, name: string, options: SqliteOptions) {
    this.name = name;
    this.package = options.of === undefined ? packageOf(caller.our.process) : packageId(options.of);
    this.#caller = caller;
    this.#wirePackage = wirePackage(this.package);
    this.#calls = { module: 'sqlite', timeoutS: options.timeoutS, error: SqliteError };
    this.#bodies = new StatementBodies(this.#wirePackage, name);
  }

  /** All rows of a query. `R` is what the caller says they are; nothing checks it. */
  all<R extends Row = Row>(
    pieces: TemplateStringsArray,
    ...values: (SqlValue | Raw)[]
  ): Promise<R[]> {
    return this.#query(pieces, values, (rows) => rows as R[]);
  }

  /** The first row of a query. Say `limit 1`: all of them are read. */
  get<R extends Row = Row>(
    pieces: TemplateStringsArray,
    ...values: (SqlValue | Raw)[]
  ): Promise<R | undefined> {
    return this.#query(pieces, values, (rows) => (rows as R[])[0]);
  }

  /** Runs a statement that changes something. Resolves when it is on disk. */
  run(pieces: TemplateStringsArray, ...values: (SqlValue | Raw)[]): Promise<void> {
    return this.#write(pieces, values, null);
  }

  /**
   * Statements that take effect together when `work` is done, and not at all when it throws. They run at the end, so reads do not see
   * them before, and an error in one shows at the end. Resolves with what `work` returned when they are on disk.
   */
  async tx<R>(work: (tx: { readonly run: Template<Promise<void>> }) => Promise<R>): Promise<R> {
    const begun = member((await this.act('BeginTx')).body, 'BeginTx');
    const tx_id = member(begun, 'tx_id');
    let result: R;
    try {
      const run = (pieces: TemplateStringsArray, ...values: (SqlValue | Raw)[]): Promise<void> =>
        this.#write(pieces, values, tx_id);
      result = await work({ run });
    } catch (error) {
      // If this is lost, the module forgets the transaction when the process ends.
      await this.act({ Abandon: { tx_id } }).catch(() => undefined);
      throw error;
    }
    await this.act({ Commit: { tx_id } });
    return result;
  }

  /** Deletes everything in it. */
  async removeAll(): Promise<void> {
    await this.act('RemoveDb');
  }

  /** The rights to read and write, to be attached to a message; the receiver keeps them with `keepCapabilities`. */
  capabilities(...access: readonly ('read' | 'write')[]): readonly Capability[] {
    return databaseCapabilities({ node: this.#caller.our.node, process: SQLITE }, this, access);
  }

  /** One action of runtime-modules.md §4, as it is on the wire. For what has no method here. */
  act(action: unknown, blob?: Uint8Array): Promise<ModuleAnswer> {
    const kind = typeof action === 'string' ? action : Object.keys(action as object).join();
    return callModule(this.#caller, this.#calls, {
      what: `sqlite ${kind} ${this.name}`,
      body: { package_id: this.#wirePackage, db: this.name, action },
      blob,
    });
  }

  #query<T>(
    pieces: TemplateStringsArray,
    values: readonly (SqlValue | Raw)[],
    read: (rows: unknown) => T,
  ): Promise<T> {
    return this.#statement('Query', pieces, values, ({ bytes }) => read(parseRows(textOf(bytes))));
  }

  #write(
    pieces: TemplateStringsArray,
    values: readonly (SqlValue | Raw)[],
    tx_id: unknown,
  ): Promise<void> {
    return this.#statement('Write', pieces, values, nothing, tx_id);
  }

  #statement<T>(
    kind: 'Query' | 'Write',
    pieces: TemplateStringsArray,
    values: readonly (SqlValue | Raw)[],
    read: (answer: ModuleAnswer) => T,
    tx_id: unknown = null,
  ): Promise<T> {
    let body: Uint8Array;
    let blob: Uint8Array;
    try {
      const { text, parameters } = statement(pieces, values);
      body = this.#bodies.of(kind, text, tx_id);
      blob = bytesOf(parameters);
    } catch (error) {
      return Promise.reject(error);
    }
    const what = `sqlite ${kind} ${this.name}`;
    return askModule(this.#caller, this.#calls, { what, body, blob }, read);
  }
}

function nothing(): void {}

/** Bodies that are remembered, and how long the statements in them may be. A program has a few dozen. */
const BODIES_MAX = 128;
const REMEMBERED_CHARS_MAX = 4_096;

/** Requests around statements. Values are beside them, so the same ones come again and again, and making one costs as much as sending it. */
class StatementBodies {
  readonly #head: string;
  readonly #made = new Map<string, Uint8Array>();

  constructor(package_id: unknown, db: string) {
    this.#head = `{"package_id":${JSON.stringify(package_id)},"db":${JSON.stringify(db)},"action":`;
  }

  of(kind: 'Query' | 'Write', text: string, tx_id: unknown): Uint8Array {
    const isLasting = tx_id === null && text.length <= REMEMBERED_CHARS_MAX;
    const key = kind + text;
    const known = isLasting ? this.#made.get(key) : undefined;
    if (known !== undefined) return known;
    const inner =
      kind === 'Query'
        ? JSON.stringify(text)
        : `{"statement":${JSON.stringify(text)},"tx_id":${JSON.stringify(tx_id)}}`;
    const body = bytesOf(`${this.#head}{"${kind}":${inner}}}`);
    if (isLasting) {
      if (this.#made.size >= BODIES_MAX) this.#made.clear();
      this.#made.set(key, body);
    }
    return body;
  }
}

/** A string, which may look like anything inside, or such an integer with nothing around it that would make it a float. */
const STRING_OR_LONG_INTEGER = /"(?:[^"\\]|\\.)*"|(?<![\d.])-?\d{16,}(?![\d.eE])/g;
/** What an integer is marked with as a text. A text of the rows that begins with a NUL gets another one, so that none looks like it. */
const NUL = '\u0000';
const INTEGER = `${NUL}i`;

/** Rows, their integers exact. Those that need it go by way of marked texts, because the engine's own JSON is the only fast one. */
function parseRows(text: string): unknown {
  const rows: unknown = JSON.parse(text);
  if (!hasLongInteger(rows)) return rows;
  const marked = text.replace(STRING_OR_LONG_INTEGER, (found) => {
    if (found.startsWith('"\\u0000')) return `"\\u0000${found.slice(1)}`;
    if (found.startsWith('"') || Number.isSafeInteger(Number(found))) return found;
    return JSON.stringify(INTEGER + found);
  });
  return JSON.parse(marked, (_key, value: unknown) => {
    if (typeof value !== 'string' || !value.startsWith(NUL)) return value;
    return value.startsWith(INTEGER) ? BigInt(value.slice(INTEGER.length)) : value.slice(1);
  });
}

/** Whether a number among them may have been an integer that lost digits. Looking at the text costs a guest twenty times as much. */
function hasLongInteger(value: unknown): boolean {
  if (typeof value === 'number') return value > MAX_SAFE || value < -MAX_SAFE;
  if (typeof value !== 'object' || value === null) return false;
  const fields = value as Readonly<Record<string, unknown>>;
  for (const name in fields) if (hasLongInteger(fields[name])) return true;
  return false;
}

const MAX_SAFE = Number.MAX_SAFE_INTEGER;

/** The version is the number of rows here, each written together with what it stands for. */
async function migrate(
  database: Sqlite,
  migrations: readonly (string | readonly string[])[],
): Promise<void> {
  await database.run`create table if not exists hyperloom_migrations (version integer primary key, applied_ms integer not null)`;
  const found = await database.get`select count(*) as version from hyperloom_migrations`;
  const version = Number(found?.['version']);
  if (version > migrations.length) {
    const detail = `the database has version ${version}, this program knows ${migrations.length}`;
    throw new SqliteError('BadMigration', `sqlite ${database.name}`, detail);
  }
  for (let next = version; next < migrations.length; next++) {
    const step = migrations[next] ?? [];
    await database.tx(async (tx) => {
      // First: of two processes that migrate at once, one fails as a whole here.
      await tx.run`insert into hyperloom_migrations values (${next + 1}, ${Date.now()})`;
      for (const sql of typeof step === 'string' ? [step] : step) {
        await tx.run([sql] as unknown as TemplateStringsArray);
      }
    });
  }
}
