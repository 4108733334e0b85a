/** Bodies and error names of `sqlite:distro:sys` (runtime-modules.md §4), spelled as on the wire. Abandon and Backup are ours. */
import { packageId } from './codec-ids.ts';
import { option, record, text, tuple, u64, union, unit, type Decoded } from './codec.ts';

export const sqliteAction = union({
  Open: unit,
  RemoveDb: unit,
  /** Parameters, a JSON array, are the blob. */
  Write: record({ statement: text, tx_id: option(u64) }),
  /** Parameters, a JSON array, are the blob. */
  Query: text,
  BeginTx: unit,
  Commit: record({ tx_id: u64 }),
  /** Ours: forgets a transaction and what it buffered. */
  Abandon: record({ tx_id: u64 }),
  /** Ours: replaces the database's copy under the home's `sqlite/.backup`. */
  Backup: unit,
});
export type SqliteAction = Decoded<typeof sqliteAction>;

export const sqliteRequest = record({ package_id: packageId, db: text, action: sqliteAction });
export type SqliteRequest = Decoded<typeof sqliteRequest>;

/** `RusqliteError` is the reference's name; every refusal of the engine, and of our limits, goes by it. */
export const sqliteError = union({
  NoDb: tuple(packageId, text),
  MalformedRequest: unit,
  MismatchingPackageId: unit,
  NoWriteCap: unit,
  NoReadCap: unit,
  AddCapFailed: unit,
  NoTx: u64,
  NotAWriteKeyword: unit,
  NotAReadKeyword: unit,
  InvalidParameters: unit,
  IOError: text,
  RusqliteError: text,
});
export type SqliteError = Decoded<typeof sqliteError>;

export const sqliteResponse = union({
  Ok: unit,
  /** The rows, a JSON array of objects, are the blob. */
  Read: unit,
  BeginTx: record({ tx_id: u64 }),
  Err: sqliteError,
});
export type SqliteResponse = Decoded<typeof sqliteResponse>;
