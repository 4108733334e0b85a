/** What a module that hashes files needs of the one that keeps them. */
import type { ModuleRequest } from '../../kernel/module.ts';
import type { Result } from '../../wit/types.ts';

export interface FileHash {
  /** SHA-256 of the content. */
  readonly sha256: Uint8Array;
  readonly bytes: number;
}

export interface FileInTree extends FileHash {
  /** Relative to the folder, segments joined by slashes. */
  readonly path: string;
}

/** What a log of a job comes to (compute-market.md §7.1). */
export interface LogHash {
  /** Merkle root of the records. */
  readonly root: Uint8Array;
  readonly records: number;
  /** SHA-256 of what the records of stdout hold, one after another. */
  readonly stdoutHash: Uint8Array;
  /** Of the file. */
  readonly bytes: number;
}

/** A path that may be read. */
export interface HashablePath {
  /** Of a file. Off the thread. @throws I/O errors, `IoFailure`; AbortError */
  file(signal: AbortSignal): Promise<FileHash>;
  /**
   * Of a file of framed log records (`wit/jobs/log-records.ts`); the error says why it is none. Off the thread, in flat memory.
   * @throws as `file`
   */
  log(signal: AbortSignal): Promise<Result<LogHash, string>>;
  /**
   * Of all files below a folder, in no order; the error says why they are none that can be committed to: a link among them, or more
   * than `filesMax`. Off the thread. @throws as `file`
   */
  tree(filesMax: number, signal: AbortSignal): Promise<Result<readonly FileInTree[], string>>;
}

export interface FileHashes {
  /** Whether the asker may read there, from capabilities alone: no I/O. */
  at(
    asker: Pick<ModuleRequest, 'source' | 'caller'>,
    path: string,
  ): Result<HashablePath, 'malformed' | 'forbidden'>;
}
