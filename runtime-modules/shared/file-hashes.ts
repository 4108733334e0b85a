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

/** A path that may be read. */
export interface HashablePath {
  /** Of a file. Off the thread. @throws I/O errors, `IoFailure`; AbortError */
  file(signal: AbortSignal): Promise<FileHash>;
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
