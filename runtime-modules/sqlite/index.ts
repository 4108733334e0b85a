/**
 * `sqlite:distro:sys`: SQL databases of packages, by capability (runtime-modules.md §4). SQL runs in child processes, so that a
 * statement can be ended (findings F17). Requests on one database take effect in the order they came in; a transaction belongs to the
 * process that began it and ends with it.
 */
import { join } from 'node:path';
import type { Answer, KernelPort, ModuleRequest, RuntimeModule } from '../../kernel/module.ts';
import type { MaybePromise } from '../../kernel/process-host.ts';
import {
  sqliteRequest,
  sqliteResponse,
  type SqliteAction,
  type SqliteError,
} from '../../wit/sqlite-api.ts';
import type { ProcessId, Result } from '../../wit/types.ts';
import type { BackupParticipant } from '../shared/backup.ts';
import type { Clock } from '../shared/clock.ts';
import { databaseBackup } from '../shared/database-backup.ts';
import {
  FILE_NAME_BYTES_MAX,
  backupFolder,
  clearPartial,
  DatabasePlaces,
  partialPlace,
} from '../shared/database-place.ts';
import { admit, type DatabaseRequest, type DatabaseRules } from '../shared/database-request.ts';
import { DescriptorShare } from '../shared/descriptor-share.ts';
import type { HandleBudget } from '../shared/handle-slots.ts';
import { ioErrorText, ioFailure } from '../shared/io-error.ts';
import { PackageGates } from '../shared/package-gates.ts';
import { refuse } from '../shared/refuse.ts';
import { Transactions, type TransactionRefusal } from '../shared/transactions.ts';
import { CONNECTION_PRAGMA } from './authority.ts';
import { copyDatabase, replaceBackup } from './backup.ts';
import type { Outcome } from './child-slot.ts';
import type { Statement } from './fields.ts';
import { databasePath, Handles, type Request } from './handles.ts';
import { isQuery, isWrite } from './keywords.ts';
import {
  BODY_BYTES_MAX,
  DESCRIPTORS_PER_DATABASE,
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
import { Kind } from './protocol.ts';
import { checkRequest, commitRequest, openRequest, statementRequest } from './requests.ts';
import { StatementLog } from './statement-log.ts';

export interface SqliteNeeds {
  readonly port: KernelPort;
  readonly clock: Clock;
  /** Databases that packages may keep open, and do; default: without limit. */
  readonly budget?: HandleBudget | undefined;
}

export interface SqliteOptions {
  /** `<home>/sqlite`; created when missing. */
  readonly root: string;
  /** Default `HANDLES_MAX`. */
  readonly handlesMax?: number;
  /** Default `STATEMENT_MS_MAX`. */
  readonly statementMs?: number;
  /** Of the child processes, which get nothing of the node's; default none. */
  readonly environment?: Readonly<Record<string, string>>;
}

export type SqliteWork =
  | (DatabaseRequest<SqliteAction> & {
      readonly kind: 'action';
      readonly parameters: Uint8Array | undefined;
      readonly source: ProcessId;
    })
  | { readonly kind: 'descriptors'; readonly limit: number };

type ActionWork = Extract<SqliteWork, { kind: 'action' }>;

export const sqlite =
  (options: SqliteOptions) =>
  (needs: SqliteNeeds): SqliteModule =>
    new Sqlite(needs, options);

export interface SqliteModule extends RuntimeModule<SqliteWork> {
  /** For backups of a running node. */
  readonly backup: BackupParticipant;
}

const NEEDS: DatabaseRules<SqliteAction>['needs'] = {
  Open: 'open',
  RemoveDb: 'owner',
  Write: 'write',
  Query: 'read',
  BeginTx: 'write',
  Commit: 'write',
  Abandon: 'write',
  Backup: 'read',
};

class Sqlite implements SqliteModule {
  readonly name = 'sqlite';
  readonly public = false;
  readonly backup: BackupParticipant;
  readonly #port: KernelPort;
  readonly #root: string;
  readonly #rules: DatabaseRules<SqliteAction>;
  readonly #share: DescriptorShare;
  readonly #statementMs: number;
  readonly #pool: Pool;
  readonly #handles: Handles;
  readonly #gates = new PackageGates();
  readonly #partial: () => string;
  readonly #transactions = new Transactions<StatementLog>({
    perOwnerMax: TRANSACTIONS_PER_PROCESS_MAX,
    operationsMax: TRANSACTION_OPERATIONS_MAX,
    bytesMax: TRANSACTION_BYTES_MAX,
    empty: () => new StatementLog(),
  });

  constructor({ port, clock, budget }: SqliteNeeds, options: SqliteOptions) {
    const { root, handlesMax = HANDLES_MAX, statementMs = STATEMENT_MS_MAX } = options;
    this.#port = port;
    this.#root = root;
    this.#rules = {
      schema: sqliteRequest,
      bodyBytesMax: BODY_BYTES_MAX,
      places: new DatabasePlaces(port.our.node, 'sqlite', root, fits),
      needs: NEEDS,
    };
    this.#share = new DescriptorShare(port);
    this.#statementMs = statementMs;
    this.#partial = () => partialPlace(root);
    clearPartial(root);
    const report = (text: string): void => port.print(0, `sqlite: ${text}`);
    this.#pool = new Pool({ clock, temporary: root, report, environment: options.environment });
    this.#handles = new Handles(this.#pool, {
      openMax: handlesMax,
      budget,
      onLimitHit: () => this.#share.hit(),
      partial: this.#partial,
      asideFor: (folder) =>
        join(root, '.damaged', folder.slice(root.length + 1), new Date().toISOString()),
      onDamage: (folder, movedTo, reason) =>
        report(
          `${folder} is damaged (${reason}). It is kept as ${movedTo}; an empty one takes its place.`,
        ),
    });
    this.backup = databaseBackup({
      folder: 'sqlite',
      root,
      gates: this.#gates,
      copy: (from, db, into) =>
        copyDatabase(
          { handles: this.#handles, partial: this.#partial },
          db,
          from,
          join(into, db, `${db}.db`),
        ),
    });
  }

  decode(request: ModuleRequest): Result<SqliteWork, Answer | undefined> {
    if (!request.local) {
      this.#port.print(1, `sqlite: ignored a request from node ${request.source.node}`);
      return { ok: false, error: undefined };
    }
    const limit = this.#share.limitIn(request);
    if (limit !== undefined) return { ok: true, value: { kind: 'descriptors', limit } };
    const admitted = admit(this.#rules, request);
    if (!admitted.ok) return this.#refuse(admitted.error.refusal, admitted.error.detail);
    const refused = wordRefusal(admitted.value.action);
    if (refused !== undefined) return this.#refuse(refused);
    const parameters = request.blob?.bytes;
    if (parameters !== undefined && parameters.length > PARAMETERS_BYTES_MAX) {
      return this.#refuse({ kind: 'InvalidParameters' }, `${parameters.length} bytes`);
    }
    const source = request.source.process;
    const { package: of, db, place, folder, action } = admitted.value;
    return {
      ok: true,
      value: { kind: 'action', package: of, db, place, folder, action, parameters, source },
    };
  }

  /** Requests overlap: each database keeps their order. */
  orderKey(): undefined {
    return undefined;
  }

  handle(work: SqliteWork, signal: AbortSignal): MaybePromise<Answer | undefined> {
    if (work.kind === 'descriptors') {
      this.#handles.setLimit(Math.floor(work.limit / DESCRIPTORS_PER_DATABASE));
      return undefined;
    }
    this.#share.ask();
    const { action, source } = work;
    // Transactions are of this process alone: no backup could see them, and none of this waits.
    switch (action.kind) {
      case 'BeginTx': {
        const id = this.#transactions.begin(source);
        if (typeof id !== 'number') return this.#refusedTransaction(id, 0);
        return { body: sqliteResponse.encode({ kind: 'BeginTx', value: { tx_id: id } }) };
      }
      case 'Abandon': {
        const { tx_id } = action.value;
        const taken = this.#transactions.take(tx_id, source);
        return taken === undefined ? this.#refuse({ kind: 'NoTx', value: tx_id }).error : OK;
      }
      case 'Commit': {
        // Taken now: what is sent behind it is not part of it, however long it has to wait.
        const { tx_id } = action.value;
        const taken = this.#transactions.take(tx_id, source);
        if (taken === undefined) return this.#refuse({ kind: 'NoTx', value: tx_id }).error;
        return taken.isEmpty ? OK : this.#asked(work, signal, commitRequest(taken));
      }
      case 'Write': {
        const { statement: sql, tx_id } = action.value;
        if (tx_id !== undefined) return this.#buffer(work, sql, tx_id, signal);
        const { parameters } = work;
        const statement = { sql, parameters };
        return this.#asked(work, signal, this.#statement(Kind.write, statement, signal));
      }
      default:
        return this.#inTurn(work, signal, () => this.#perform(work, action, signal));
    }
  }

  onProcessGone(process: ProcessId): void {
    this.#transactions.drop(process);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.close();
  }

  /** Waits while a backup holds the package. Starts in the order of the requests; what follows on one database keeps it. */
  async #inTurn(
    { package: of }: ActionWork,
    signal: AbortSignal,
    perform: () => Promise<Answer>,
  ): Promise<Answer | undefined> {
    try {
      return await this.#gates.pass([of], perform);
    } catch (error) {
      if (signal.aborted) return undefined;
      const text = ioErrorText(error);
      if (text === undefined) throw error;
      return this.#refuse({ kind: 'IOError', value: text }).error;
    }
  }

  async #perform(
    work: ActionWork,
    action: Extract<SqliteAction, { kind: 'Open' | 'RemoveDb' | 'Query' | 'Backup' }>,
    signal: AbortSignal,
  ): Promise<Answer> {
    switch (action.kind) {
      case 'Open':
        return this.#open(work);
      case 'RemoveDb':
        await this.#handles.remove(work);
        return this.#answer(await this.#ask(work, openRequest()));
      case 'Query':
        return this.#query(work, action.value, signal);
      case 'Backup':
        return this.#answer(
          await replaceBackup(
            { handles: this.#handles, partial: this.#partial },
            work,
            `${backupFolder(this.#root, work.package, work.db)}.db`,
          ),
        );
      default:
        return action satisfies never;
    }
  }

  async #open(work: ActionWork): Promise<Answer> {
    let outcome = await this.#ask(work, openRequest());
    // The damaged file has been moved aside; the second attempt makes a new one.
    if (outcome.kind === 'damaged') outcome = await this.#ask(work, openRequest());
    if (outcome.kind !== 'ok') return this.#answer(outcome);
    const granted = await this.#port.grant(work.source, [work.place.read, work.place.write]);
    return granted ? OK : this.#refuse({ kind: 'AddCapFailed' }).error;
  }

  /** For actions that are one request to the database. */
  #asked(work: ActionWork, signal: AbortSignal, request: Request): Promise<Answer | undefined> {
    return this.#inTurn(work, signal, async () => this.#answer(await this.#ask(work, request)));
  }

  #statement(
    kind: typeof Kind.read | typeof Kind.write,
    statement: Statement,
    signal: AbortSignal,
  ): Request {
    return statementRequest(kind, statement, { limitMs: this.#statementMs, signal });
  }

  async #query(work: ActionWork, sql: string, signal: AbortSignal): Promise<Answer> {
    const { parameters } = work;
    const request = this.#statement(Kind.read, { sql, parameters }, signal);
    const outcome = await this.#ask(work, request);
    const setting = CONNECTION_PRAGMA.exec(sql)?.[1];
    if (outcome.kind === 'rows' && setting !== undefined) {
      this.#handles.handle(work.folder)?.settings.set(setting.toLowerCase(), sql);
    }
    return this.#answer(outcome);
  }

  /** Keywords and parameters are refused now, SQL at the Commit (M102). An unknown id begins a transaction (M101). */
  #buffer(
    work: ActionWork,
    sql: string,
    id: number | bigint,
    signal: AbortSignal,
  ): MaybePromise<Answer | undefined> {
    const { parameters: json, source } = work;
    const isLong = json !== undefined && json.length > INLINE_PARAMETERS_BYTES_MAX;
    const parameters = isLong ? json : parseParameters(json);
    if (parameters === undefined) return this.#refuse({ kind: 'InvalidParameters' }).error;
    const refused = this.#transactions.adopt(id, source);
    if (refused !== undefined) return this.#refusedTransaction(refused, id);
    const log = this.#transactions.add(id, source, sql.length + (json?.length ?? 0));
    if (!log.ok) return this.#refusedTransaction(log.error, id);
    if (!isLong) {
      log.value.add({ sql, parameters });
      return OK;
    }
    const refuse = log.value.addUnchecked({ sql, parameters });
    return this.#inTurn(work, signal, async () => {
      const outcome = await this.#ask(work, checkRequest(json, this.#statementMs));
      if (outcome.kind !== 'ok') refuse();
      return this.#answer(outcome);
    });
  }

  #ask(work: ActionWork, request: Request): Promise<Outcome> {
    return this.#handles.ask(work, request);
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
/** Longest path that the engine opens, in bytes. */
const PATH_BYTES_MAX = 512;

/** Whether the engine can have its files in the folder of a database. */
function fits(folder: string, db: string): boolean {
  return (
    Buffer.byteLength(db) + FILE_SUFFIX_BYTES <= FILE_NAME_BYTES_MAX &&
    Buffer.byteLength(databasePath(folder)) <= PATH_BYTES_MAX
  );
}

function wordRefusal(action: SqliteAction): SqliteError | undefined {
  if (action.kind === 'Query' && !isQuery(action.value)) return { kind: 'NotAReadKeyword' };
  if (action.kind === 'Write' && !isWrite(action.value.statement))
    return { kind: 'NotAWriteKeyword' };
  return undefined;
}
