/** What went wrong in LevelDB, without telling guests where the node keeps its files. */
import { errorCode, ioErrorText, ioFailure } from '../shared/io-error.ts';

/** The store failed in a way that is no operating-system error. Its message is for guests. */
export class StoreFailure extends Error {
  override readonly name = 'StoreFailure';
  /** The files do not hold what was written. */
  readonly damaged: boolean;
  constructor(message: string, damaged: boolean, options: ErrorOptions) {
    super(message, options);
    this.damaged = damaged;
  }
}

/** LevelDB passes on the host's texts; these are the ones worth telling apart. */
const HOST_ERRORS: readonly (readonly [text: RegExp, code: string])[] = [
  [/No space left on device/i, 'ENOSPC'],
  [/Disk quota exceeded/i, 'EDQUOT'],
  [/Read-only file system/i, 'EROFS'],
  [/Permission denied/i, 'EACCES'],
  [/Too many open files/i, 'EMFILE'],
  [/File name too long/i, 'ENAMETOOLONG'],
  [/File too large/i, 'EFBIG'],
  [/Input\/output error/i, 'EIO'],
];

/** An IoFailure or a StoreFailure for what LevelDB or the file system threw; anything else, being a bug, as it is. */
export function storeFailure(thrown: unknown): Error {
  if (thrown instanceof StoreFailure) return thrown;
  if (ioErrorText(thrown) !== undefined && thrown instanceof Error) return thrown;
  const cause = thrown instanceof Error && thrown.cause instanceof Error ? thrown.cause : thrown;
  const message = cause instanceof Error ? cause.message : String(cause);
  const host = HOST_ERRORS.find(([text]) => text.test(message));
  if (host !== undefined) return ioFailure(host[1]);
  const options = { cause: thrown };
  const code = errorCode(cause);
  if (code === 'LEVEL_LOCKED')
    return new StoreFailure('the database is in use by another program', false, options);
  if (
    code === 'LEVEL_CORRUPTION' ||
    /does not exist|missing files|corrupt|CURRENT|checksum/i.test(message)
  )
    return new StoreFailure('the database is damaged', true, options);
  if (code?.startsWith('LEVEL_') === true) return new StoreFailure(code, false, options);
  return thrown instanceof Error ? thrown : new Error(message, options);
}
