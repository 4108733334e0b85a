/**
 * `kv:distro:sys`: byte keys and values in databases of packages, by capability (runtime-modules.md §3). Requests on one database
 * take effect in the order they came in; a transaction belongs to the process that began it and ends with it.
 */
import { join } from 'node:path';
import type { Answer, KernelPort, ModuleRequest, RuntimeModule } from '../../kernel/module.ts';
import { packageOf } from '../../wit/address.ts';
import { kvRequest, kvResponse, type KvAction, type KvError } from '../../wit/kv-api.ts';
import type { PackageId, ProcessId, Result } from '../../wit/types.ts';
import {
  backupFolder,
  clearPartial,
  type DatabasePlace,
  DatabasePlaces,
  partialPlace,
  type DatabaseAccess,
} from '../shared/database-place.ts';
import type { BackupParticipant } from '../shared/backup.ts';
import { ioErrorText, ioFailure } from '../shared/io-error.ts';
import { PackageGates } from '../shared/package-gates.ts';
import { decodeBody, refuse } from '../shared/refuse.ts';
import { Transactions, type TransactionRefusal } from '../shared/transactions.ts';
import { KvBackup, replaceBackup } from './backup.ts';
import { bytesOf, type Database, type Operation } from './database.ts';
import { StoreFailure, storeFailure } from './failure.ts';
import { Handles } from './handles.ts';
import {
  BODY_BYTES_MAX,
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
}

export interface KvOptions {
  /** `<home>/kv`; created when missing. */
  readonly root: string;
  /** Default `HANDLES_MAX`. */
  readonly handlesMax?: number;
}

export interface KvWork {
  readonly package: PackageId;
  readonly db: string;
  readonly place: DatabasePlace;
  readonly action: KvAction;
  readonly value: Uint8Array;
  readonly source: ProcessId;
}

export const kv =
  (options: KvOptions) =>
  (needs: KvNeeds): KvModule =>
    new Kv(needs, options);

export interface KvModule extends RuntimeModule<KvWork> {
  /** For backups of a running node. */
  readonly backup: BackupParticipant;
}

/** What each action needs; `owner`: the asker's package is the database's. */
const NEEDS: Readonly<Record<KvAction['kind'], DatabaseAccess | 'owner'>> = {
  Open: 'owner',
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
  readonly #places: DatabasePlaces;
  readonly #handles: Handles;
  readonly #gates = new PackageGates();
  readonly #partial: () => string;
  readonly #transactions = new Transactions<Operation>({
    perOwnerMax: TRANSACTIONS_PER_PROCESS_MAX,
    operationsMax: TRANSACTION_OPERATIONS_MAX,
    bytesMax: TRANSACTION_BYTES_MAX,
  });

  constructor({ port }: KvNeeds, { root, handlesMax = HANDLES_MAX }: KvOptions) {
    this.#port = port;
    this.#root = root;
    this.#places = new DatabasePlaces(port.our.node, 'kv', root);
    this.#partial = () => partialPlace(root);
    clearPartial(root);
    this.#handles = new Handles({
      openMax: handlesMax,
      asideFor: (folder) =>
        join(root, '.damaged', folder.slice(root.length + 1), new Date().toISOString()),
      partial: this.#partial,
      onDamage: (folder, movedTo) =>
        port.print(
          0,
          `kv: ${folder} was damaged. It is kept as ${movedTo}; an empty one is in use.`,
        ),
    });
    this.backup = new KvBackup(root, this.#gates, this.#handles, this.#partial);
  }

  decode(request: ModuleRequest): Result<KvWork, Answer | undefined> {
    if (!request.local) {
      this.#port.print(1, `kv: ignored a request from node ${request.source.node}`);
      return { ok: false, error: undefined };
    }
    const body = decodeBody(kvRequest, request.body, BODY_BYTES_MAX);
    if (!body.ok) return this.#refuse({ kind: 'MalformedRequest' }, body.error);
    const { package_id: pkg, db, action } = body.value;
    const place = this.#places.of(pkg, db);
    if (place === undefined) {
      return this.#refuse({ kind: 'MalformedRequest' }, 'the name is not one part of a path');
    }
    const refused = this.#refusalFor(request, NEEDS[action.kind], pkg, place);
    if (refused !== undefined) return this.#refuse(refused);
    if (action.kind === 'Set') {
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
    if (action.kind === 'Open' && !request.caller.exists) {
      return this.#refuse({ kind: 'AddCapFailed' });
    }
    const value = request.blob?.bytes ?? NO_BYTES;
    return {
      ok: true,
      value: { package: pkg, db, place, action, value, source: request.source.process },
    };
  }

  /** Requests overlap: each database keeps their order. */
  orderKey(): undefined {
    return undefined;
  }

  async handle(work: KvWork, signal: AbortSignal): Promise<Answer | undefined> {
    try {
      // What is only buffered changes nothing that a backup could see.
      if (isBuffered(work.action)) return await this.#perform(work, signal);
      return await this.#gates.pass([work.package], () => this.#perform(work, signal));
    } catch (error) {
      if (signal.aborted) return undefined;
      return this.#failure(error);
    }
  }

  onProcessGone(process: ProcessId): void {
    this.#transactions.drop(process);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handles.close();
  }

  #refusalFor(
    { source, caller }: ModuleRequest,
    need: DatabaseAccess | 'owner',
    pkg: PackageId,
    place: DatabasePlace,
  ): KvError | undefined {
    if (need === 'owner') {
      return packageOf(source.process) === pkg ? undefined : { kind: 'MismatchingPackageId' };
    }
    if (caller.holds(place[need])) return undefined;
    return { kind: need === 'read' ? 'NoReadCap' : 'NoWriteCap' };
  }

  /** Starts in the order requests came in; what follows on one database keeps it. */
  async #perform(work: KvWork, signal: AbortSignal): Promise<Answer> {
    const { action, source } = work;
    const { folder } = work.place;
    if (folder === undefined) throw ioFailure('ENAMETOOLONG');
    const use = <T>(task: (database: Database) => Promise<T>): Promise<T> =>
      this.#handles.use(folder, task);
    switch (action.kind) {
      case 'Open':
        await use(async () => {});
        return this.#grant(work);
      case 'RemoveDb':
        await this.#handles.remove(folder);
        return OK;
      case 'Get': {
        const bytes = await use((database) => database.get(action.value));
        if (bytes === undefined) return this.#refuse({ kind: 'KeyNotFound' }).error;
        return {
          body: kvResponse.encode({ kind: 'Get', value: action.value }),
          blob: { mime: MIME, bytes },
        };
      }
      case 'Set': {
        const { key, tx_id } = action.value;
        const operation = { type: 'put', key, value: work.value } as const;
        if (tx_id !== undefined) return this.#buffer(tx_id, source, operation);
        await use((database) => database.write([operation]));
        return OK;
      }
      case 'Delete': {
        const { key, tx_id } = action.value;
        if (tx_id !== undefined) return this.#buffer(tx_id, source, { type: 'del', key });
        await use((database) => database.write([{ type: 'del', key }]));
        return OK;
      }
      case 'BeginTx':
        return this.#begin(source);
      case 'Commit': {
        const { tx_id } = action.value;
        const operations = this.#transactions.take(tx_id, source);
        if (operations === undefined) return this.#refuse({ kind: 'NoTx', value: tx_id }).error;
        if (operations.length > 0) await use((database) => database.write(operations));
        return OK;
      }
      case 'Abandon': {
        const { tx_id } = action.value;
        const taken = this.#transactions.take(tx_id, source);
        return taken === undefined ? this.#refuse({ kind: 'NoTx', value: tx_id }).error : OK;
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

  async #grant({ place, source }: KvWork): Promise<Answer> {
    const granted = await this.#port.grant(source, [place.read, place.write]);
    return granted ? OK : this.#refuse({ kind: 'AddCapFailed' }).error;
  }

  #begin(source: ProcessId): Answer {
    const id = this.#transactions.begin(source);
    if (typeof id !== 'number') return this.#refusedTransaction(id, 0);
    return { body: kvResponse.encode({ kind: 'BeginTx', value: { tx_id: id } }) };
  }

  #buffer(id: number | bigint, source: ProcessId, operation: Operation): Answer {
    const refused = this.#transactions.add(id, source, operation, bytesOf(operation));
    return refused === undefined ? OK : this.#refusedTransaction(refused, id);
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

function isBuffered(action: KvAction): boolean {
  return (action.kind === 'Set' || action.kind === 'Delete') && action.value.tx_id !== undefined;
}
