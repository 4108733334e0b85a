/** Bodies and error names of `state:distro:sys` (kernel.md §6). */
import { processId } from './codec-ids.ts';
import { record, text, union, unit, type Decoded } from './codec.ts';

export const stateRequest = union({
  GetState: processId,
  SetState: processId,
  DeleteState: processId,
  Backup: unit,
});
export type StateRequest = Decoded<typeof stateRequest>;

/** `RocksDBError` is the reference's name; guests match on it, so every store failure goes by it. */
export const stateError = union({
  RocksDBError: record({ action: text, error: text }),
  StartupError: record({ action: text }),
  BadBytes: record({ action: text }),
  BadRequest: record({ error: text }),
  BadJson: record({ error: text }),
  NotFound: record({ process_id: processId }),
  IOError: record({ error: text }),
});
export type StateError = Decoded<typeof stateError>;

/** A GetState response carries the value as its blob. */
export const stateResponse = union({
  GetState: unit,
  SetState: unit,
  DeleteState: unit,
  Backup: unit,
  Err: stateError,
});
export type StateResponse = Decoded<typeof stateResponse>;
