/**
 * Copies of a running node's data, part by part, in `<home>/.backup`: one part is copied, read by whoever makes the backup, and
 * deleted before the next, so that the disk has to hold one part twice and not the whole home.
 */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { BackupParticipant } from '../shared/backup.ts';
import type { PackageId } from '../../wit/types.ts';

/** Within the home; whatever a crash left in it is cleared at the next start or backup. */
export const STAGING = '.backup';

/** A folder whose content belongs under `prefix` in the home. */
export interface Part {
  readonly prefix: string;
  readonly folder: string;
}

export interface StagingOptions {
  readonly home: string;
  /** Puts a copy of the kernel's database into a folder that does not exist yet. */
  readonly copyKernel: (into: string) => Promise<void>;
  readonly participants: readonly BackupParticipant[];
}

export class Staging {
  readonly #options: StagingOptions;
  readonly #root: string;

  constructor(options: StagingOptions) {
    this.#options = options;
    this.#root = join(options.home, STAGING);
  }

  /** Folders of the home that `parts` speaks for; everything else can be read as it is. */
  get folders(): readonly string[] {
    return ['kernel', ...this.#options.participants.map(({ folder }) => folder)];
  }

  async clear(): Promise<void> {
    await rm(this.#root, { recursive: true, force: true });
  }

  /** A part stays until the next is asked for. Leaving the loop early clears up as well. */
  async *parts(signal: AbortSignal): AsyncGenerator<Part> {
    await this.clear();
    await mkdir(this.#root, { mode: 0o700 });
    try {
      yield await this.#kernel();
      for (const of of await this.#packages()) {
        signal.throwIfAborted();
        yield* await this.#package(of, signal);
      }
    } finally {
      await this.clear();
    }
  }

  async #kernel(): Promise<Part> {
    const folder = join(this.#root, 'kernel');
    await this.#options.copyKernel(folder);
    return { prefix: 'kernel', folder };
  }

  async #packages(): Promise<readonly PackageId[]> {
    const lists = await Promise.all(this.#options.participants.map((each) => each.packages()));
    return [...new Set(lists.flat())].toSorted();
  }

  /** The package's data of every module, as of one instant. */
  async #package(of: PackageId, signal: AbortSignal): Promise<readonly Part[]> {
    const parts: (Part & { readonly participant: BackupParticipant })[] = [];
    await rm(join(this.#root, 'package'), { recursive: true, force: true });
    for (const participant of this.#options.participants) {
      const folder = join(this.#root, 'package', participant.folder);
      await mkdir(folder, { recursive: true });
      await participant.prepare?.(of, folder, signal);
      // On a system without colons in names, folders of packages have another name than packages.
      const name = process.platform === 'win32' ? of.replaceAll(':', '_') : of;
      parts.push({ prefix: `${participant.folder}/${name}`, folder, participant });
    }
    const copyAll = async (): Promise<void> => {
      for (const { participant, folder } of parts) await participant.copy(of, folder, signal);
    };
    await parts.reduceRight<() => Promise<void>>(
      (work, { participant }) =>
        () =>
          participant.hold(of, work),
      copyAll,
    )();
    return parts.map(({ prefix, folder }) => ({ prefix, folder }));
  }
}
