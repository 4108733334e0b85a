/** Files of vfs hashed for another module of the node: the asker's rights are vfs's own, and the work is off the thread. */
import { constants } from 'node:fs';
import { join } from 'node:path';
import type { ModuleRequest } from '../../kernel/module.ts';
import type { NodeId, PackageId, Result } from '../../wit/types.ts';
import type {
  FileHash,
  FileHashes,
  FileInTree,
  HashablePath,
  LogHash,
} from '../shared/file-hashes.ts';
import { ioFailure } from '../shared/io-error.ts';
import { refusalFor } from './access.ts';
import type { Disk } from './disk.ts';
import { readLogHash } from './log-sink.ts';
import { NoLog, OffThread } from './off-thread.ts';
import { parsePath, type VfsPath } from './path.ts';
import { openFile, sizeOf } from './read.ts';
import { listDir } from './tree.ts';

export interface HashesNeeds {
  readonly our: NodeId;
  readonly disk: Promise<Disk>;
  /** Runs it within what holds back work on that package. */
  readonly within: <T>(of: PackageId, work: () => Promise<T>) => Promise<T>;
}

export class VfsHashes implements FileHashes {
  readonly #needs: HashesNeeds;
  readonly #offThread = new OffThread();

  constructor(needs: HashesNeeds) {
    this.#needs = needs;
  }

  at(
    asker: Pick<ModuleRequest, 'source' | 'caller'>,
    text: string,
  ): Result<HashablePath, 'malformed' | 'forbidden'> {
    const path = parsePath(text);
    if (path === undefined) return { ok: false, error: 'malformed' };
    if (refusalFor(asker, this.#needs.our, 'read', path) !== undefined)
      return { ok: false, error: 'forbidden' };
    return {
      ok: true,
      value: {
        file: (signal) => this.#file(path, signal),
        log: (signal) => this.#log(path, signal),
        tree: (filesMax, signal) => this.#tree(path, filesMax, signal),
      },
    };
  }

  async close(): Promise<void> {
    await this.#offThread.close();
  }

  /** @throws EBUSY when the file changes its size meanwhile */
  async #file(path: VfsPath, signal: AbortSignal): Promise<FileHash> {
    const { result, bytes } = await this.#run('hash', path, signal);
    return { sha256: result, bytes };
  }

  async #log(path: VfsPath, signal: AbortSignal): Promise<Result<LogHash, string>> {
    try {
      const { result, bytes } = await this.#run('log', path, signal);
      return { ok: true, value: { ...readLogHash(result), bytes } };
    } catch (error) {
      if (error instanceof NoLog) return { ok: false, error: error.message };
      throw error;
    }
  }

  async #run(
    kind: 'hash' | 'log',
    path: VfsPath,
    signal: AbortSignal,
  ): Promise<{ readonly result: Uint8Array; readonly bytes: number }> {
    const { places } = await this.#needs.disk;
    return this.#needs.within(path.package, async () => {
      signal.throwIfAborted();
      const disk = await places.findExisting(path.segments);
      const { handle, size } = await openFile(disk, constants.O_RDONLY);
      await using file = handle;
      places.assertOpened(file.fd, path.segments);
      const result = await this.#offThread.run(kind, file.fd, 0n, signal);
      if ((await sizeOf(file)) !== size) throw ioFailure('EBUSY');
      return { result, bytes: size };
    });
  }

  async #tree(
    root: VfsPath,
    filesMax: number,
    signal: AbortSignal,
  ): Promise<Result<readonly FileInTree[], string>> {
    const listed = await this.#needs.within(root.package, () => this.#list(root, filesMax, signal));
    if (!listed.ok) return listed;
    const files: FileInTree[] = [];
    for (const path of listed.value) {
      const segments = [...root.segments, ...path.split('/')];
      const hash = await this.#file({ ...root, text: segments.join('/'), segments }, signal);
      files.push({ path, ...hash });
    }
    return { ok: true, value: files };
  }

  /** Relative paths of the files below. Links are not followed: what is behind one is not in the folder. */
  async #list(
    root: VfsPath,
    filesMax: number,
    signal: AbortSignal,
  ): Promise<Result<readonly string[], string>> {
    const { places } = await this.#needs.disk;
    const disk = await places.findExisting(root.segments);
    const files: string[] = [];
    const folders = [''];
    for (const folder of folders) {
      for await (const { name, type } of listDir(join(disk, folder), signal)) {
        const path = folder === '' ? name : `${folder}/${name}`;
        if (type === 'Directory') folders.push(path);
        else if (type === 'File') files.push(path);
        else return { ok: false, error: `${path} is no file and no folder` };
        if (files.length + folders.length > filesMax)
          return { ok: false, error: `more than ${filesMax} files and folders` };
      }
    }
    return { ok: true, value: files };
  }
}
