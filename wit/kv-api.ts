/** Bodies and error names of `kv:distro:sys` (runtime-modules.md §3), spelled as on the wire. Abandon, Scan and Backup are ours. */
import { packageId } from './codec-ids.ts';
import {
  bytes,
  list,
  option,
  record,
  text,
  tuple,
  u64,
  union,
  unit,
  type Decoded,
} from './codec.ts';

export const kvAction = union({
  Open: unit,
  RemoveDb: unit,
  /** The value is the blob. */
  Set: record({ key: bytes, tx_id: option(u64) }),
  Delete: record({ key: bytes, tx_id: option(u64) }),
  Get: bytes,
  BeginTx: unit,
  Commit: record({ tx_id: u64 }),
  /** Ours: forgets a transaction and what it buffered. */
  Abandon: record({ tx_id: u64 }),
  /** Ours: a page of the keys that start with `prefix`, in bytewise order, after `cursor`. */
  Scan: record({ prefix: bytes, limit: option(u64), cursor: option(bytes) }),
  /** Ours: replaces the database's copy under the home's `kv/.backup`. */
  Backup: unit,
});
export type KvAction = Decoded<typeof kvAction>;

export const kvRequest = record({ package_id: packageId, db: text, action: kvAction });
export type KvRequest = Decoded<typeof kvRequest>;

/** `RocksDBError` is the reference's name; guests match on it, so every failure of the store goes by it. */
export const kvError = union({
  NoDb: tuple(packageId, text),
  MalformedRequest: unit,
  MismatchingPackageId: unit,
  NoWriteCap: unit,
  NoReadCap: unit,
  AddCapFailed: unit,
  KeyNotFound: unit,
  NoTx: u64,
  RocksDBError: text,
  IOError: text,
});
export type KvError = Decoded<typeof kvError>;

export const kvResponse = union({
  Ok: unit,
  /** The value is the blob. */
  Get: bytes,
  BeginTx: record({ tx_id: u64 }),
  /** Values one after another in the blob; `cursor` is what the next page is asked with, null on the last. */
  Scan: record({
    entries: list(record({ key: bytes, length: u64 })),
    cursor: option(bytes),
  }),
  Err: kvError,
});
export type KvResponse = Decoded<typeof kvResponse>;
