/**
 * `sqlite:distro:sys`: SQL databases of packages, by capability (runtime-modules.md §4). SQL runs in child processes, so that a
 * statement can be ended (findings F17). Requests on one database take effect in the order they came in; a transaction belongs to the
 * process that began it and ends with it.
 */
import { join } from 'node:path';
import type { Answer, KernelPort, ModuleRequest, RuntimeModule } from '../../kernel/module.ts';
import { packageOf } from '../../wit/address.ts';
import {
  sqliteRequest,
  sqliteResponse,
  type SqliteAction,
  type SqliteError,
} from '../../wit/sqlite-api.ts';
import type { PackageId, ProcessId, Result } from '../../wit/types.ts';
import type { Clock } from '../shared/clock.ts';
import {
  backupFolder,
  clearPartial,
  type DatabasePlace,
  DatabasePlaces,
  partialPlace,
  type DatabaseAccess,
} from '../shared/database-place.ts';
import type { BackupParticipant } from '../shared/backup.ts';
import { PackageGates } from '../shared/package-gates.ts';
import { ioErrorText, ioFailure } from '../shared/io-error.ts';
import { decodeBody, refuse } from '../shared/refuse.ts';
import { Transactions, type TransactionRefusal } from '../shared/transactions.ts';
import { CONNECTION_PRAGMA } from './authority.ts';
import { replaceBackup, SqliteBackup } from './backup.ts';
import type { Outcome } from './child-slot.ts';
import { Handles, type Request } from './handles.ts';
import { isQuery, isReadOnly, isWrite } from './keywords.ts';
import {
  BODY_BYTES_MAX,
  COMMIT_MS_MAX,
  HANDLES_MAX,
  INLINE_PARAMETERS_BYTES_MAX,
  PARAMETERS_BYTES_MAX,
  STATEMENT_MS_MAX,
  TRANSACTION_BYTES_MAX,
  TRANSACTION_OPERATIONS_MAX,
  TRANSACTIONS_PER_PROCESS_MAX,
} from './limits.ts';
import { parseParameters } from './parameters.ts';
import { Pool } from './pool.ts';
import { FrameWriter, Kind, type Statement } from './protocol.ts';

export interface SqliteNeeds {
  readonly port: KernelPort;
  readonly clock: Clock;
}

export interface SqliteOptions {
  /** `<home>/sqlite`; created when missing. */
  readonly root: string;
  /** Default `HANDLES_MAX`. */
  readonly handlesMax?: number;
  /** Default `STATEMENT_MS_MAX`. */
  readonly statementMs?: number;
}

export interface SqliteWork {
  readonly package: PackageId;
  readonly db: string;
  readonly place: DatabasePlace;
  readonly action: SqliteAction;
  readonly parameters: Uint8Array | undefined;
  readonly source: ProcessId;
}

export const sqlite =
  (options: SqliteOptions) =>
  (needs: SqliteNeeds): SqliteModule =>
    new Sqlite(needs, options);

export interface SqliteModule extends RuntimeModule<SqliteWork> {
  /** For backups of a running node. */
  readonly backup: BackupParticipant;
}

/** What each action needs; `owner`: the asker's package is the database's. */
const NEEDS: Readonly<Record<SqliteAction['kind'], DatabaseAccess | 'owner'>> = {
  Open: 'owner',
  RemoveDb: 'owner',
  Write: 'write',
  Query: 'read',
  BeginTx: 'write',
  Commit: 'write',
  Abandon: 'write',
  Backup: 'read',
};

/** A buffered Write. Its parameters may still be on their way through a child's check. */
interface Buffered extends Statement {
  /** The parameters were refused, which the Write was told. */
  refused: boolean;
}

class Sqlite implements SqliteModule {
  readonly name = 'sqlite';
  readonly public = false;
  readonly backup: BackupParticipant;
  readonly #port: KernelPort;
  readonly #root: string;
  readonly #places: DatabasePlaces;
  readonly #statementMs: number;
  readonly #pool: Pool;
  readonly #handles: Handles;
  readonly #gates = new PackageGates();
  readonly #partial: () => string;
  readonly #transactions = new Transactions<Buffered>({
    perOwnerMax: TRANSACTIONS_PER_PROCESS_MAX,
    operationsMax: TRANSACTION_OPERATIONS_MAX,
    bytesMax: TRANSACTION_BYTES_MAX,
  });

  constructor({ port, clock }: SqliteNeeds, options: SqliteOptions) {
    const { root, handlesMax = HANDLES_MAX, statementMs = STATEMENT_MS_MAX } = options;
    this.#port = port;
    this.#root = root;
    this.#places = new DatabasePlaces(port.our.node, 'sqlite', root, FILE_SUFFIX_BYTES);
    this.#statementMs = statementMs;
    this.#partial = () => partialPlace(root);
    clearPartial(root);
    const report = (text: string): void => port.print(0, `sqlite: ${text}`);
    this.#pool = new Pool({ clock, temporary: root, report });
    this.#handles = new Handles(this.#pool, {
      openMax: handlesMax,
      partial: this.#partial,
      asideFor: (folder) =>
        join(root, '.damaged', folder.slice(root.length + 1), new Date().toISOString()),
      onDamage: (folder, movedTo, reason) =>
        report(
          `${folder} is damaged (${reason}). It is kept as ${movedTo}; an empty one takes its place.`,
        ),
    });
    this.backup = new SqliteBackup(root, this.#gates, this.#handles, this.#partial);
  }

  decode(request: ModuleRequest): Result<SqliteWork, Answer | undefined> {
    if (!request.local) {
      this.#port.print(1, `sqlite: ignored a request from node ${request.source.node}`);
      return { ok: false, error: undefined };
    }
    const body = decodeBody(sqliteRequest, request.body, BODY_BYTES_MAX);
    if (!body.ok) return this.#refuse({ kind: 'MalformedRequest' }, body.error);
    const { package_id: pkg, db, action } = body.value;
    const place = this.#places.of(pkg, db);
    if (place === undefined) {
      return this.#refuse({ kind: 'MalformedRequest' }, 'the name is not one part of a path');
    }
    const refused =
      this.#refusalFor(request, NEEDS[action.kind], pkg, place) ?? wordRefusal(action);
    if (refused !== undefined) return this.#refuse(refused);
    const parameters = request.blob?.bytes;
    if (parameters !== undefined && parameters.length > PARAMETERS_BYTES_MAX) {
      return this.#refuse({ kind: 'InvalidParameters' }, `${parameters.length} bytes`);
    }
    if (action.kind === 'Open' && !request.caller.exists) {
      return this.#refuse({ kind: 'AddCapFailed' });
    }
    const source = request.source.process;
    return { ok: true, value: { package: pkg, db, place, action, parameters, source } };
  }

  /** Requests overlap: each database keeps their order. */
  orderKey(): undefined {
    return undefined;
  }

  async handle(work: SqliteWork, signal: AbortSignal): Promise<Answer | undefined> {
    try {
      // What is only buffered changes nothing that a backup could see.
      if (isBuffered(work.action)) return await this.#perform(work, signal);
      return await this.#gates.pass([work.package], () => this.#perform(work, signal));
    } catch (error) {
      if (signal.aborted) return undefined;
      const text = ioErrorText(error);
      if (text === undefined) throw error;
      return this.#refuse({ kind: 'IOError', value: text }).error;
    }
  }

  onProcessGone(process: ProcessId): void {
    this.#transactions.drop(process);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.close();
  }

  #refusalFor(
    { source, caller }: ModuleRequest,
    need: DatabaseAccess | 'owner',
    pkg: PackageId,
    place: DatabasePlace,
  ): SqliteError | undefined {
    if (need === 'owner') {
      return packageOf(source.process) === pkg ? undefined : { kind: 'MismatchingPackageId' };
    }
    if (caller.holds(place[need])) return undefined;
    return { kind: need === 'read' ? 'NoReadCap' : 'NoWriteCap' };
  }

  /** Starts in the order requests came in; what follows on one database keeps it. */
  async #perform(work: SqliteWork, signal: AbortSignal): Promise<Answer> {
    const { action, source } = work;
    const { folder } = work.place;
    if (folder === undefined) throw ioFailure('ENAMETOOLONG');
    switch (action.kind) {
      case 'Open':
        return this.#open(work, folder);
      case 'RemoveDb':
        await this.#handles.remove(folder);
        return this.#answer(await this.#ask(work, folder, touch()));
      case 'Query':
        return this.#query(work, folder, action.value, signal);
      case 'Write': {
        const { statement: sql, tx_id } = action.value;
        if (tx_id !== undefined) return this.#buffer(work, folder, sql, tx_id);
        const { parameters } = work;
        return this.#answer(
          await this.#ask(work, folder, this.#statement(Kind.write, { sql, parameters }, signal)),
        );
      }
      case 'BeginTx': {
        const id = this.#transactions.begin(source);
        if (typeof id !== 'number') return this.#refusedTransaction(id, 0);
        return { body: sqliteResponse.encode({ kind: 'BeginTx', value: { tx_id: id } }) };
      }
      case 'Commit':
        return this.#commit(work, folder, action.value.tx_id);
      case 'Abandon': {
        const { tx_id } = action.value;
        const taken = this.#transactions.take(tx_id, source);
        return taken === undefined ? this.#refuse({ kind: 'NoTx', value: tx_id }).error : OK;
      }
      case 'Backup':
        return this.#answer(
          await replaceBackup(
            { handles: this.#handles, owner: work.package, partial: this.#partial },
            folder,
            `${backupFolder(this.#root, work.package, work.db)}.db`,
          ),
        );
      default:
        return action satisfies never;
    }
  }

  async #open(work: SqliteWork, folder: string): Promise<Answer> {
    let outcome = await this.#ask(work, folder, touch());
    // The damaged file has been moved aside; the second attempt makes a new one.
    if (outcome.kind === 'damaged') outcome = await this.#ask(work, folder, touch());
    if (outcome.kind !== 'ok') return this.#answer(outcome);
    const granted = await this.#port.grant(work.source, [work.place.read, work.place.write]);
    return granted ? OK : this.#refuse({ kind: 'AddCapFailed' }).error;
  }

  async #query(
    work: SqliteWork,
    folder: string,
    sql: string,
    signal: AbortSignal,
  ): Promise<Answer> {
    const { parameters } = work;
    const request = this.#statement(Kind.read, { sql, parameters }, signal);
    const outcome = await this.#ask(work, folder, request);
    const setting = CONNECTION_PRAGMA.exec(sql)?.[1];
    if (outcome.kind === 'rows' && setting !== undefined) {
      this.#handles.handle(folder)?.settings.set(setting.toLowerCase(), sql);
    }
    return this.#answer(outcome);
  }

  /** Keywords and parameters are refused now, SQL at the Commit (M102). An unknown id begins a transaction (M101). */
  async #buffer(
    work: SqliteWork,
    folder: string,
    sql: string,
    id: number | bigint,
  ): Promise<Answer> {
    const { parameters, source } = work;
    const long = parameters !== undefined && parameters.length > INLINE_PARAMETERS_BYTES_MAX;
    if (!long && parseParameters(parameters) === undefined) {
      return this.#refuse({ kind: 'InvalidParameters' }).error;
    }
    const buffered = { sql, parameters, refused: false };
    const bytes = sql.length + (parameters?.length ?? 0);
    const refused =
      this.#transactions.adopt(id, source) ?? this.#transactions.add(id, source, buffered, bytes);
    if (refused !== undefined) return this.#refusedTransaction(refused, id);
    if (!long) return OK;
    const outcome = await this.#ask(work, folder, {
      kind: Kind.check,
      frame: (number) => new FrameWriter().u32(number).bytes(parameters),
      sql: undefined,
      readOnly: true,
      limitMs: this.#statementMs,
      signal: undefined,
    });
    buffered.refused = outcome.kind !== 'ok';
    return this.#answer(outcome);
  }

  async #commit(work: SqliteWork, folder: string, id: number | bigint): Promise<Answer> {
    const taken = this.#transactions.take(id, work.source);
    if (taken === undefined) return this.#refuse({ kind: 'NoTx', value: id }).error;
    if (taken.length === 0) return OK;
    const outcome = await this.#ask(work, folder, {
      kind: Kind.commit,
      frame: (number) => {
        // Sent when everything before it is answered, the checks of its own Writes among that.
        const statements = taken.filter((each) => !each.refused);
        const frame = new FrameWriter().u32(number).u32(statements.length);
        for (const each of statements) frame.statement(each);
        return frame;
      },
      sql: undefined,
      readOnly: false,
      limitMs: COMMIT_MS_MAX,
      signal: undefined,
    });
    return this.#answer(outcome);
  }

  #statement(
    kind: typeof Kind.read | typeof Kind.write,
    statement: Statement,
    signal: AbortSignal,
  ): Request {
    return {
      kind,
      frame: (number) => new FrameWriter().u32(number).statement(statement),
      sql: statement.sql,
      readOnly: kind === Kind.read && isReadOnly(statement.sql),
      limitMs: this.#statementMs,
      signal,
    };
  }

  #ask(work: SqliteWork, folder: string, request: Request): Promise<Outcome> {
    return this.#handles.ask(folder, work.package, request);
  }

  #answer(outcome: Outcome): Answer {
    switch (outcome.kind) {
      case 'ok':
        return OK;
      case 'rows':
        return { body: READ, blob: { mime: 'application/octet-stream', bytes: outcome.bytes } };
      case 'parameters':
        return this.#refuse({ kind: 'InvalidParameters' }).error;
      case 'io':
        throw ioFailure(outcome.text);
      case 'sql':
      case 'damaged':
        return this.#refuse({ kind: 'RusqliteError', value: outcome.text }).error;
      default:
        return outcome satisfies never;
    }
  }

  #refusedTransaction(refused: TransactionRefusal, id: number | bigint): Answer {
    return this.#refuse(
      refused.kind === 'unknown'
        ? { kind: 'NoTx', value: id }
        : { kind: 'RusqliteError', value: refused.text },
    ).error;
  }

  /** Errors are always answered (M8), and printed for whoever looks for them. */
  #refuse(error: SqliteError, detail?: string): { readonly ok: false; readonly error: Answer } {
    this.#port.print(1, `sqlite: ${error.kind}${detail === undefined ? '' : `: ${detail}`}`);
    const body = sqliteResponse.encode({ kind: 'Err', value: error });
    return { ok: false, error: refuse(body, 'always') };
  }
}

const OK: Answer = { body: sqliteResponse.encode({ kind: 'Ok' }) };
const READ = sqliteResponse.encode({ kind: 'Read' });
/** What the engine appends to the name of a database: `.db-journal` at the longest. */
const FILE_SUFFIX_BYTES = 11;

/** Opens, and checks nothing but that. */
function touch(): Request {
  return {
    kind: Kind.check,
    frame: (number) => new FrameWriter().u32(number).bytes(undefined),
    sql: undefined,
    readOnly: false,
    limitMs: STATEMENT_MS_MAX,
    signal: undefined,
  };
}

function wordRefusal(action: SqliteAction): SqliteError | undefined {
  if (action.kind === 'Query' && !isQuery(action.value)) return { kind: 'NotAReadKeyword' };
  if (action.kind === 'Write' && !isWrite(action.value.statement))
    return { kind: 'NotAWriteKeyword' };
  return undefined;
}

function isBuffered(action: SqliteAction): boolean {
  return action.kind === 'Write' && action.value.tx_id !== undefined;
}
