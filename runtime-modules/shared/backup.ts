/**
 * What a module does so that a running node can be backed up (findings F19): a package's data of all modules is copied at one
 * instant, while the package's requests wait and those of others go on.
 */
import type { PackageId } from '../../wit/types.ts';

export interface BackupParticipant {
  /** The folder of the home that is this module's alone, such as `vfs`; a package's data is in a folder of its name in there. */
  readonly folder: string;
  /** Every package that has data. */
  packages(): Promise<readonly PackageId[]>;
  /**
   * Copies ahead what seldom changes, without stopping anybody, so that `copy` has less to do; optional.
   * @param into  an empty folder; `copy` gets the same
   */
  prepare?(of: PackageId, into: string, signal: AbortSignal): Promise<void>;
  /**
   * Runs `work` while nothing of the package is being changed: what runs ends first, what comes waits. Calls do not overlap.
   */
  hold<T>(of: PackageId, work: () => Promise<T>): Promise<T>;
  /** Within `hold`: puts a whole copy of the package's data into `into`, as it would lie in the home. */
  copy(of: PackageId, into: string, signal: AbortSignal): Promise<void>;
}
