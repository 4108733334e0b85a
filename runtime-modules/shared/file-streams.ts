/** What a module that moves the bytes of files needs of the one that keeps them (findings F46). */
import type { ModuleRequest } from '../../kernel/module.ts';
import type { Result } from '../../wit/types.ts';

/** A file that is about to come. */
export interface FileSink {
  /** The next bytes, in order; many pieces at once cost one trip to the disk. They may be changed when it has resolved. @throws I/O errors */
  write(pieces: readonly Uint8Array[]): Promise<void>;
  /** It is whole: it takes the place of what was there. As after any write of vfs, a kill loses nothing, a power cut may. @throws I/O errors, `IoFailure` */
  commit(): Promise<void>;
  /** Nothing of it stays. Safe after everything. */
  abandon(): Promise<void>;
}

/** A file that is read, as it was when it was opened. */
export interface FileSource {
  readonly size: number;
  /** Fills one piece after another from there on, as far as the file goes. @returns how much. @throws I/O errors */
  read(offset: number, into: readonly Uint8Array[]): Promise<number>;
  close(): Promise<void>;
}

export type Asker = Pick<ModuleRequest, 'source' | 'caller'>;

export interface FileStreams {
  /** Whether the asker may write there, from its capabilities alone; then how to. `open`: @throws `IoFailure` EDQUOT, I/O errors */
  sink(
    asker: Asker,
    path: string,
    bytes: number,
  ): Result<() => Promise<FileSink>, 'malformed' | 'forbidden'>;
  /** The same of reading. */
  source(asker: Asker, path: string): Result<() => Promise<FileSource>, 'malformed' | 'forbidden'>;
}
