/** `kv:distro:sys` in memory, for tests of processes. It speaks through wit/kv-api.ts. */
import { KV, packageOf } from '../../../wit/address.ts';
import { kvRequest, kvResponse, type KvAction, type KvError } from '../../../wit/kv-api.ts';
import type { PackageId } from '../../../wit/types.ts';
import { sameCapability } from '../caps.ts';
import { databaseCapabilities } from '../databases.ts';
import type { Host } from '../host.ts';
import type { Peer, PeerAnswer } from './memory-host.ts';

type Operation = (database: Map<string, Uint8Array>) => void;

class Refused extends Error {
  readonly error: KvError;
  constructor(error: KvError) {
    super(error.kind);
    this.error = error;
  }
}

export class FakeKv {
  /** By package and name, then by the key's bytes as hex. */
  readonly databases = new Map<string, Map<string, Uint8Array>>();
  readonly transactions = new Map<number, Operation[]>();
  readonly log: KvAction['kind'][] = [];
  /** Most entries of one page of a scan. */
  pageMax = 2;
  #lastTransaction = 0;

  readonly peer: Peer = (sent, host) => {
    const decoded = kvRequest.decode(sent.request.body);
    try {
      if (!decoded.ok) throw new Refused({ kind: 'MalformedRequest' });
      const { package_id: pkg, db, action } = decoded.value;
      this.log.push(action.kind);
      checkAccess(host, action.kind, pkg, db);
      const key = `${pkg} ${db}`;
      const database = this.databases.get(key) ?? new Map<string, Uint8Array>();
      this.databases.set(key, database);
      return this.#perform(action, database, sent.blob?.bytes);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      return kvResponse.encode({ kind: 'Err', value: error.error });
    }
  };

  #perform(
    action: KvAction,
    database: Map<string, Uint8Array>,
    blob: Uint8Array | undefined,
  ): PeerAnswer {
    switch (action.kind) {
      case 'Open':
      case 'Backup':
        break;
      case 'RemoveDb':
        database.clear();
        break;
      case 'Set': {
        if (blob === undefined) throw new Refused({ kind: 'MalformedRequest' });
        const key = hex(action.value.key);
        this.#change(action.value.tx_id, database, (one) => one.set(key, blob));
        break;
      }
      case 'Delete': {
        const key = hex(action.value.key);
        this.#change(action.value.tx_id, database, (one) => one.delete(key));
        break;
      }
      case 'Get': {
        const found = database.get(hex(action.value));
        if (found === undefined) throw new Refused({ kind: 'KeyNotFound' });
        return { body: kvResponse.encode({ kind: 'Get', value: action.value }), blob: found };
      }
      case 'BeginTx': {
        const tx_id = ++this.#lastTransaction;
        this.transactions.set(tx_id, []);
        return kvResponse.encode({ kind: 'BeginTx', value: { tx_id } });
      }
      case 'Commit':
        for (const operation of this.#operations(action.value.tx_id)) operation(database);
        this.transactions.delete(Number(action.value.tx_id));
        break;
      case 'Abandon':
        this.#operations(action.value.tx_id);
        this.transactions.delete(Number(action.value.tx_id));
        break;
      case 'Scan':
        return this.#scan(action.value, database);
    }
    return kvResponse.encode({ kind: 'Ok' });
  }

  #scan(
    { prefix, limit, cursor }: Extract<KvAction, { kind: 'Scan' }>['value'],
    database: Map<string, Uint8Array>,
  ): PeerAnswer {
    const after = cursor === undefined ? '' : hex(cursor);
    const keys = [...database.keys()]
      .filter((key) => key.startsWith(hex(prefix)) && key > after)
      .toSorted();
    const page = keys.slice(0, Math.min(Number(limit ?? this.pageMax), this.pageMax));
    const values = page.map((key) => database.get(key) ?? new Uint8Array());
    const last = page.at(-1);
    const entries = page.map((key, index) => ({
      key: bytes(key),
      length: values[index]?.length ?? 0,
    }));
    const next = last === undefined || page.length === keys.length ? undefined : bytes(last);
    const body = kvResponse.encode({ kind: 'Scan', value: { entries, cursor: next } });
    return { body, blob: Uint8Array.from(values.flatMap((value) => [...value])) };
  }

  #change(
    id: number | bigint | undefined,
    database: Map<string, Uint8Array>,
    operation: Operation,
  ): void {
    if (id === undefined) operation(database);
    else this.#operations(id).push(operation);
  }

  #operations(id: number | bigint): Operation[] {
    const found = this.transactions.get(Number(id));
    if (found === undefined) throw new Refused({ kind: 'NoTx', value: id });
    return found;
  }
}

function checkAccess(host: Host, kind: KvAction['kind'], pkg: PackageId, name: string): void {
  const our = host.our();
  const issuer = { node: our.node, process: KV };
  const database = { package: pkg, name };
  if (kind === 'Open' || kind === 'RemoveDb') {
    if (packageOf(our.process) !== pkg) throw new Refused({ kind: 'MismatchingPackageId' });
    host.saveCapabilities(databaseCapabilities(issuer, database, ['read', 'write']));
    return;
  }
  const access = kind === 'Get' || kind === 'Scan' || kind === 'Backup' ? 'read' : 'write';
  const [wanted] = databaseCapabilities(issuer, database, [access]);
  const held = host
    .ourCapabilities()
    .some((one) => wanted !== undefined && sameCapability(one, wanted));
  if (!held) throw new Refused({ kind: access === 'read' ? 'NoReadCap' : 'NoWriteCap' });
}

function hex(key: Uint8Array): string {
  return Buffer.from(key).toString('hex');
}

function bytes(key: string): Uint8Array {
  return new Uint8Array(Buffer.from(key, 'hex'));
}
