/** Files of vfs written and read piece by piece by another module of the node: the asker's rights are vfs's own, and nothing is held whole. */
import { constants } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import type { NodeId, PackageId, Result } from '../../wit/types.ts';
import type { Asker, FileSink, FileSource, FileStreams } from '../shared/file-streams.ts';
import { refusalFor } from './access.ts';
import type { Disk } from './disk.ts';
import { parsePath, type VfsPath } from './path.ts';
import { openFile } from './read.ts';

export interface StreamsNeeds {
  readonly our: NodeId;
  readonly disk: Promise<Disk>;
  /** Runs it within what holds back work on that package. */
  readonly within: <T>(of: PackageId, work: () => Promise<T>) => Promise<T>;
}

export class VfsStreams implements FileStreams {
  readonly #needs: StreamsNeeds;

  constructor(needs: StreamsNeeds) {
    this.#needs = needs;
  }

  sink(asker: Asker, text: string, bytes: number): ReturnType<FileStreams['sink']> {
    const path = this.#path(asker, text, 'write');
    return path.ok ? { ok: true, value: () => this.#sink(path.value, bytes) } : path;
  }

  source(asker: Asker, text: string): ReturnType<FileStreams['source']> {
    const path = this.#path(asker, text, 'read');
    return path.ok ? { ok: true, value: () => this.#source(path.value) } : path;
  }

  #path(
    asker: Asker,
    text: string,
    need: 'read' | 'write',
  ): Result<VfsPath, 'malformed' | 'forbidden'> {
    const path = parsePath(text);
    if (path === undefined) return { ok: false, error: 'malformed' };
    return refusalFor(asker, this.#needs.our, need, path) === undefined
      ? { ok: true, value: path }
      : { ok: false, error: 'forbidden' };
  }

  /**
   * Room is taken for all of it before the first byte, so that no quota is found exceeded at the end. What comes lies beside the packages
   * until it is whole: a backup or another writer waits for nobody's network.
   */
  async #sink(path: VfsPath, bytes: number): Promise<FileSink> {
    const disk = await this.#needs.disk;
    const giveBack = await disk.takeRoom(path, bytes);
    const partial = disk.places.partial();
    const file = await open(partial, 'wx', disk.places.fileMode).catch((error: unknown) => {
      giveBack();
      throw error;
    });
    let at = 0;
    let over = false;
    return {
      async write(pieces) {
        let left = pieces;
        while (left.length > 0) {
          const { bytesWritten } = await file.writev(left, at);
          at += bytesWritten;
          left = after(left, bytesWritten);
        }
      },
      commit: async () => {
        over = true;
        await file.close();
        giveBack();
        await this.#needs
          .within(path.package, () => disk.adopt(path, at, (goal) => rename(partial, goal)))
          .finally(() => rm(partial, { force: true }));
      },
      async abandon() {
        if (over) return;
        over = true;
        await file.close();
        giveBack();
        await rm(partial, { force: true });
      },
    };
  }

  async #source(path: VfsPath): Promise<FileSource> {
    const { places } = await this.#needs.disk;
    const { handle, size } = await this.#needs.within(path.package, async () => {
      const opened = await openFile(await places.findExisting(path.segments), constants.O_RDONLY);
      try {
        places.assertOpened(opened.handle.fd, path.segments);
        return opened;
      } catch (error) {
        await opened.handle.close();
        throw error;
      }
    });
    return {
      size,
      async read(offset, into) {
        return (await handle.readv(into, offset)).bytesRead;
      },
      close: () => handle.close(),
    };
  }
}

/** What is left of the pieces when so many bytes have been taken. */
function after(pieces: readonly Uint8Array[], bytes: number): readonly Uint8Array[] {
  let taken = bytes;
  for (const [at, piece] of pieces.entries()) {
    if (taken < piece.length) return [piece.subarray(taken), ...pieces.slice(at + 1)];
    taken -= piece.length;
  }
  return [];
}
