/**
 * `kv:distro:sys`: byte keys and values in databases of packages, by capability (runtime-modules.md §3). Requests on one database
 * take effect in the order they came in; a transaction belongs to the process that began it and ends with it.
 */
import { join } from 'node:path';
import type { Answer, KernelPort, ModuleRequest, RuntimeModule } from '../../kernel/module.ts';
import type { MaybePromise } from '../../kernel/process-host.ts';
import { kvRequest, kvResponse, type KvAction, type KvError } from '../../wit/kv-api.ts';
import type { ProcessId, Result } from '../../wit/types.ts';
import type { BackupParticipant } from '../shared/backup.ts';
import { databaseBackup } from '../shared/database-backup.ts';
import {
  backupFolder,
  clearPartial,
  DatabasePlaces,
  partialPlace,
} from '../shared/database-place.ts';
import { admit, type DatabaseRequest, type DatabaseRules } from '../shared/database-request.ts';
import { DescriptorShare } from '../shared/descriptor-share.ts';
import type { HandleBudget } from '../shared/handle-slots.ts';
import { ioErrorText } from '../shared/io-error.ts';
import { PackageGates } from '../shared/package-gates.ts';
import { refuse } from '../shared/refuse.ts';
import { Transactions, type TransactionRefusal } from '../shared/transactions.ts';
import { replaceBackup } from './backup.ts';
import { bytesOf, type Database, type Operation } from './database.ts';
import { StoreFailure, storeFailure } from './failure.ts';
import { Handles } from './handles.ts';
import {
  BODY_BYTES_MAX,
  DESCRIPTORS_PER_DATABASE,
  HANDLES_MAX,
  SCAN_ENTRIES_DEFAULT,
  SCAN_ENTRIES_MAX,
  TRANSACTION_BYTES_MAX,
  TRANSACTION_OPERATIONS_MAX,
  TRANSACTIONS_PER_PROCESS_MAX,
  VALUE_BYTES_MAX,
} from './limits.ts';

export interface KvNeeds {
  readonly port: KernelPort;
  /** Databases that packages may keep open, and do; default: without limit. */
  readonly budget?: HandleBudget | undefined;
}

export interface KvOptions {
  /** `<home>/kv`; created when missing. */
  readonly root: string;
  /** Default `HANDLES_MAX`. */
  readonly handlesMax?: number;
}

export type KvWork =
  | (DatabaseRequest<KvAction> & {
      readonly kind: 'action';
      readonly value: Uint8Array;
      readonly source: ProcessId;
    })
  | { readonly kind: 'descriptors'; readonly limit: number };

type ActionWork = Extract<KvWork, { kind: 'action' }>;

export const kv =
  (options: KvOptions) =>
  (needs: KvNeeds): KvModule =>
    new Kv(needs, options);

export interface KvModule extends RuntimeModule<KvWork> {
  /** For backups of a running node. */
  readonly backup: BackupParticipant;
}

const NEEDS: DatabaseRules<KvAction>['needs'] = {
  Open: 'open',
  RemoveDb: 'owner',
  Set: 'write',
  Delete: 'write',
  Get: 'read',
  BeginTx: 'write',
  Commit: 'write',
  Abandon: 'write',
  Scan: 'read',
  Backup: 'read',
};

class Kv implements KvModule {
  readonly name = 'kv';
  readonly public = false;
  readonly backup: BackupParticipant;
  readonly #port: KernelPort;
  readonly #root: string;
  readonly #rules: DatabaseRules<KvAction>;
  readonly #share: DescriptorShare;
  readonly #handles: Handles;
  readonly #gates = new PackageGates();
  readonly #partial: () => string;
  readonly #transactions = new Transactions<Operation[]>({
    perOwnerMax: TRANSACTIONS_PER_PROCESS_MAX,
    operationsMax: TRANSACTION_OPERATIONS_MAX,
    bytesMax: TRANSACTION_BYTES_MAX,
    empty: () => [],
  });

  constructor({ port, budget }: KvNeeds, { root, handlesMax = HANDLES_MAX }: KvOptions) {
    this.#port = port;
    this.#root = root;
    this.#rules = {
      schema: kvRequest,
      bodyBytesMax: BODY_BYTES_MAX,
      places: new DatabasePlaces(port.our.node, 'kv', root),
      needs: NEEDS,
    };
    this.#partial = () => partialPlace(root);
    this.#share = new DescriptorShare(port);
    clearPartial(root);
    this.#handles = new Handles({
      openMax: handlesMax,
      budget,
      onLimitHit: () => this.#share.hit(),
      asideFor: (folder) =>
        join(root, '.damaged', folder.slice(root.length + 1), new Date().toISOString()),
      partial: this.#partial,
      onDamage: (folder, movedTo) =>
        port.print(
          0,
          `kv: ${folder} was damaged. It is kept as ${movedTo}; an empty one is in use.`,
        ),
    });
    this.backup = databaseBackup({
      folder: 'kv',
      root,
      gates: this.#gates,
      copy: (from, db, into) =>
        this.#handles.use(from, (database) =>
          replaceBackup(database, join(into, db), this.#partial),
        ),
    });
  }

  decode(request: ModuleRequest): Result<KvWork, Answer | undefined> {
    if (!request.local) {
      this.#port.print(1, `kv: ignored a request from node ${request.source.node}`);
      return { ok: false, error: undefined };
    }
    const limit = this.#share.limitIn(request);
    if (limit !== undefined) return { ok: true, value: { kind: 'descriptors', limit } };
    const admitted = admit(this.#rules, request);
    if (!admitted.ok) return this.#refuse(admitted.error.refusal, admitted.error.detail);
    if (admitted.value.action.kind === 'Set') {
      if (request.blob === undefined) {
        return this.#refuse({ kind: 'MalformedRequest' }, 'Set without a blob');
      }
      if (request.blob.bytes.length > VALUE_BYTES_MAX) {
        return this.#refuse({
          kind: 'RocksDBError',
          value: `value of more than ${VALUE_BYTES_MAX} bytes`,
        });
      }
    }
    const value = request.blob?.bytes ?? NO_BYTES;
    const source = request.source.process;
    const { package: of, db, place, folder, action } = admitted.value;
    return {
      ok: true,
      value: { kind: 'action', package: of, db, place, folder, action, value, source },
    };
  }

  /** Requests overlap: each database keeps their order. */
  orderKey(): undefined {
    return undefined;
  }

  handle(work: KvWork, signal: AbortSignal): MaybePromise<Answer | undefined> {
    if (work.kind === 'descriptors') {
      this.#handles.setLimit(Math.floor(work.limit / DESCRIPTORS_PER_DATABASE));
      return undefined;
    }
    this.#share.ask();
    const { action, source } = work;
    // Transactions are of this process alone: no backup could see them, and none of this waits.
    switch (action.kind) {
      case 'BeginTx':
        return this.#begin(source);
      case 'Abandon':
        return this.#take(action.value.tx_id, source).answer;
      case 'Commit': {
        // Taken now: what is sent behind it is not part of it, however long it has to wait.
        const { operations, answer } = this.#take(action.value.tx_id, source);
        if (operations === undefined || operations.length === 0) return answer;
        return this.#inTurn(work, signal, () => this.#write(work, operations));
      }
      case 'Set':
      case 'Delete': {
        const { key, tx_id } = action.value;
        const operation: Operation =
          action.kind === 'Set' ? { type: 'put', key, value: work.value } : { type: 'del', key };
        if (tx_id !== undefined) return this.#buffer(tx_id, source, operation);
        return this.#inTurn(work, signal, () => this.#write(work, [operation]));
      }
      default:
        return this.#inTurn(work, signal, () => this.#perform(work, action, signal));
    }
  }

  onProcessGone(process: ProcessId): void {
    this.#transactions.drop(process);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handles.close();
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
      return this.#failure(error);
    }
  }

  async #write(work: ActionWork, operations: readonly Operation[]): Promise<Answer> {
    await this.#handles.write(work, operations);
    return OK;
  }

  async #perform(
    work: ActionWork,
    action: Extract<KvAction, { kind: 'Open' | 'RemoveDb' | 'Get' | 'Scan' | 'Backup' }>,
    signal: AbortSignal,
  ): Promise<Answer> {
    const use = <T>(task: (database: Database) => Promise<T>): Promise<T> =>
      this.#handles.use(work, task);
    switch (action.kind) {
      case 'Open':
        await use(async () => {});
        return this.#grant(work);
      case 'RemoveDb':
        await this.#handles.remove(work);
        return OK;
      case 'Get': {
        const bytes = await use((database) => database.get(action.value));
        if (bytes === undefined) return this.#refuse({ kind: 'KeyNotFound' }).error;
        return {
          body: kvResponse.encode({ kind: 'Get', value: action.value }),
          blob: { mime: MIME, bytes },
        };
      }
      case 'Scan':
        return use((database) => scan(database, action.value, signal));
      case 'Backup':
        await use((database) => {
          const path = backupFolder(this.#root, work.package, work.db);
          return replaceBackup(database, path, this.#partial);
        });
        return OK;
      default:
        return action satisfies never;
    }
  }

  async #grant({ place, source }: ActionWork): Promise<Answer> {
    const granted = await this.#port.grant(source, [place.read, place.write]);
    return granted ? OK : this.#refuse({ kind: 'AddCapFailed' }).error;
  }

  #begin(source: ProcessId): Answer {
    const id = this.#transactions.begin(source);
    if (typeof id !== 'number') return this.#refusedTransaction(id, 0);
    return { body: kvResponse.encode({ kind: 'BeginTx', value: { tx_id: id } }) };
  }

  /** What the transaction holds, and the answer when there is no more to do. */
  #take(
    id: number | bigint,
    source: ProcessId,
  ): { readonly operations: Operation[] | undefined; readonly answer: Answer } {
    const operations = this.#transactions.take(id, source);
    const answer = operations ? OK : this.#refuse({ kind: 'NoTx', value: id }).error;
    return { operations, answer };
  }

  #buffer(id: number | bigint, source: ProcessId, operation: Operation): Answer {
    const log = this.#transactions.add(id, source, bytesOf(operation));
    if (!log.ok) return this.#refusedTransaction(log.error, id);
    log.value.push(operation);
    return OK;
  }

  #refusedTransaction(refused: TransactionRefusal, id: number | bigint): Answer {
    return this.#refuse(
      refused.kind === 'unknown'
        ? { kind: 'NoTx', value: id }
        : { kind: 'RocksDBError', value: refused.text },
    ).error;
  }

  /** The answer for something thrown. @throws it again when it is a bug */
  #failure(error: unknown): Answer {
    const failure = storeFailure(error);
    const text = ioErrorText(failure);
    if (text !== undefined) return this.#refuse({ kind: 'IOError', value: text }).error;
    if (!(failure instanceof StoreFailure)) throw error;
    return this.#refuse({ kind: 'RocksDBError', value: failure.message }).error;
  }

  /** Errors are always answered (M8), and printed for whoever looks for them. */
  #refuse(error: KvError, detail?: string): { readonly ok: false; readonly error: Answer } {
    this.#port.print(1, `kv: ${error.kind}${detail === undefined ? '' : `: ${detail}`}`);
    const body = kvResponse.encode({ kind: 'Err', value: error });
    return { ok: false, error: refuse(body, 'always') };
  }
}

const NO_BYTES = new Uint8Array();
const MIME = 'application/octet-stream';
const OK: Answer = { body: kvResponse.encode({ kind: 'Ok' }) };

async function scan(
  database: Database,
  asked: Extract<KvAction, { kind: 'Scan' }>['value'],
  signal: AbortSignal,
): Promise<Answer> {
  const limit = Math.min(Number(asked.limit ?? SCAN_ENTRIES_DEFAULT), SCAN_ENTRIES_MAX);
  const page = await database.scan(asked.prefix, asked.cursor, limit, signal);
  const entries = page.entries.map(([key, value]) => ({ key, length: value.length }));
  return {
    body: kvResponse.encode({ kind: 'Scan', value: { entries, cursor: page.cursor } }),
    blob: { mime: MIME, bytes: Buffer.concat(page.entries.map(([, value]) => value)) },
  };
}
