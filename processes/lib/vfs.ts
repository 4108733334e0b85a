/** Files, through `vfs:distro:sys` (kit.md §10.9, runtime-modules.md §2). `import … from 'hyperware/vfs'`. */
import type { Capability } from '../../wit/types.ts';
import { packageOf, VFS } from '../../wit/address.ts';
import { DriveFile } from './drive-file.ts';
import {
  callModule,
  type Caller,
  EISDIR,
  ENOENT,
  ENOTDIR,
  member,
  type ModuleAnswer,
  ModuleError,
} from './modules.ts';
import { bytesOf, textOf } from './utf8.ts';

/** Bytes of one message when a file is streamed. */
export const CHUNK_BYTES = 262_144;
/** Unlinking a folder gives this on some machines, EISDIR on others. */
const EPERM = 1;

/** `code`: as in runtime-modules.md §2.2, or `BadPath` for one that leaves the drive, or `NoMessaging`. */
export class VfsError extends ModuleError {
  override readonly name = 'VfsError';
}

export type FileKind = 'File' | 'Directory' | 'Symlink' | 'Other';

export interface Entry {
  /** From the drive's root, without a leading slash. */
  readonly path: string;
  readonly name: string;
  readonly kind: FileKind;
}

export interface Stat {
  readonly kind: FileKind;
  readonly bytes: number;
}

export interface DriveOptions {
  /** Of every call; default 5. */
  readonly timeoutS?: number;
}

/** A drive of this package, made if it is not there; the process may then share it. @throws VfsError */
export async function drive(
  caller: Caller,
  name: string,
  options: DriveOptions = {},
): Promise<Drive> {
  const made = new Drive(caller, `/${packageOf(caller.our.process)}/${name}`, options);
  await made.act('', 'CreateDrive');
  return made;
}

/** A drive that exists: of this package, or one whose capabilities this process holds. `id`: `/package:publisher/name`. Asks nobody. */
export function openDrive(caller: Caller, id: string, options: DriveOptions = {}): Drive {
  return new Drive(caller, id, options);
}

/** Paths are relative to the drive; none leaves it. Every method rejects with `VfsError`, or with `NoResponse`. */
export class Drive {
  /** `/package:publisher/name`. */
  readonly id: string;
  readonly #caller: Caller;
  readonly #timeoutS: number | undefined;

  constructor(caller: Caller, id: string, { timeoutS }: DriveOptions) {
    this.id = id;
    this.#caller = caller;
    this.#timeoutS = timeoutS;
  }

  async read(path: string): Promise<Uint8Array> {
    return (await this.act(path, 'Read')).bytes;
  }

  async readText(path: string): Promise<string> {
    return textOf(await this.read(path));
  }

  /** Replaces the file, or makes it. `mkdirs`: makes missing folders too. */
  async write(
    path: string,
    data: Uint8Array | string,
    options: { readonly mkdirs?: boolean } = {},
  ): Promise<void> {
    await this.#inFolder(path, options.mkdirs, () => this.act(path, 'Write', bytesOf(data)));
  }

  /** Adds to the end of the file; makes it if it is not there. */
  async append(path: string, data: Uint8Array | string): Promise<void> {
    const bytes = bytesOf(data);
    try {
      await this.act(path, 'Append', bytes);
    } catch (error) {
      if (!isMissing(error)) throw error;
      await this.act(path, { OpenFile: { create: true } });
      await this.act(path, 'Append', bytes);
    }
  }

  /** What is in a folder, by name; with `recursive` each folder is followed by what is in it. Links are not followed. */
  async *list(
    path = '',
    options: { readonly recursive?: boolean } = {},
  ): AsyncGenerator<Entry, void> {
    const { body } = await this.act(path, 'ReadDir');
    // Proof of the type: what the module answers to this request; of what it lists, only texts are used.
    const entries = member(body, 'ReadDir') as { path: string; file_type: FileKind }[];
    entries.sort((a, b) => (a.path < b.path ? -1 : 1));
    for (const entry of entries) {
      // `package:publisher/name/…`: as long as the drive's own id with its leading slash.
      const inside = entry.path.slice(this.id.length);
      const name = inside.slice(inside.lastIndexOf('/') + 1);
      yield { path: inside, name, kind: entry.file_type };
      if (options.recursive === true && entry.file_type === 'Directory') {
        yield* this.list(inside, options);
      }
    }
  }

  /** Undefined when nothing is there. */
  async stat(path: string): Promise<Stat | undefined> {
    try {
      const found = member((await this.act(path, 'Metadata')).body, 'Metadata');
      // Proof of the type: as above.
      const { file_type: kind, len: bytes } = found as { file_type: FileKind; len: number };
      return { kind, bytes };
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  async exists(path: string): Promise<boolean> {
    return (await this.stat(path)) !== undefined;
  }

  /** A folder and those above it; fine if it is there. */
  async mkdirs(path: string): Promise<void> {
    await this.act(path, 'CreateDirAll');
  }

  /** Removes a file or an empty folder; `recursive`: any folder. False when nothing was there. */
  async remove(path: string, options: { readonly recursive?: boolean } = {}): Promise<boolean> {
    try {
      await this.act(path, 'RemoveFile').catch(async (error: unknown) => {
        const errno = error instanceof VfsError ? error.errno : undefined;
        if (errno !== EISDIR && errno !== EPERM) throw error;
        await this.act(path, options.recursive === true ? 'RemoveDirAll' : 'RemoveDir');
      });
      return true;
    } catch (error) {
      if (isMissing(error)) return false;
      throw error;
    }
  }

  /** Moves; a file at `to` is replaced. `drive`: where `to` is, if not here. */
  async rename(from: string, to: string, options: { readonly drive?: Drive } = {}): Promise<void> {
    await this.act(from, { Rename: { new_path: (options.drive ?? this).path(to) } });
  }

  /** Copies a file inside the module: nothing passes through this process. A file at `to` is replaced. */
  async copy(from: string, to: string, options: { readonly drive?: Drive } = {}): Promise<void> {
    await this.act(from, { CopyFile: { new_path: (options.drive ?? this).path(to) } });
  }

  /** SHA-256 of a file, 32 bytes. */
  async hash(path: string): Promise<Uint8Array> {
    return Uint8Array.from(member((await this.act(path, 'Hash')).body, 'Hash') as number[]);
  }

  /** A file to read and write in parts. `create`: makes it if it is not there. Without, read access is enough for reading. */
  async open(path: string, options: { readonly create?: boolean } = {}): Promise<DriveFile> {
    await this.act(path, options.create === true ? { OpenFile: { create: true } } : 'Len');
    return new DriveFile(this, path);
  }

  /** The bytes of a file, a chunk at a time; no more than one is held. */
  async *chunks(
    path: string,
    options: { readonly from?: number; readonly bytes?: number } = {},
  ): AsyncGenerator<Uint8Array, void> {
    const { from = 0, bytes = CHUNK_BYTES } = options;
    const file = new DriveFile(this, path);
    try {
      for (let at = from; ;) {
        const chunk = await file.readAt(at, bytes);
        if (chunk.length > 0) yield chunk;
        if (chunk.length < bytes) return;
        at += chunk.length;
      }
    } finally {
      await file.close();
    }
  }

  /** Writes a file of any size from chunks. It appears under its name when it is complete and on disk. Returns its bytes. */
  async writeChunks(
    path: string,
    source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    options: { readonly mkdirs?: boolean } = {},
  ): Promise<number> {
    const part = `${path}.part`;
    await this.#inFolder(path, options.mkdirs, () => this.act(part, 'CreateFile'));
    try {
      let total = 0;
      for await (const chunk of source) {
        await this.act(part, 'Append', chunk);
        total += chunk.length;
      }
      await this.act(part, 'SyncAll');
      await this.act(part, 'CloseFile');
      await this.rename(part, path);
      return total;
    } catch (error) {
      await this.remove(part).catch(() => false);
      throw error;
    }
  }

  /** The rights to read and write this drive, to be attached to a message; the receiver keeps them with `keepCapabilities`. */
  capabilities(...access: readonly ('read' | 'write')[]): readonly Capability[] {
    const issuer = { node: this.#caller.our.node, process: VFS };
    return access.map((kind) => ({
      issuer,
      params: JSON.stringify({ kind, drive: this.id }),
    }));
  }

  /** The whole path. @throws VfsError BadPath when it would leave the drive */
  path(path: string): string {
    if (path.split('/').includes('..')) throw new VfsError('BadPath', `vfs: ${path}`);
    return `${this.id}/${path}`;
  }

  /** One action of runtime-modules.md §2.1, as it is on the wire. For what has no method here. */
  act(path: string, action: unknown, blob?: Uint8Array): Promise<ModuleAnswer> {
    const calls = { module: 'vfs', timeoutS: this.#timeoutS, error: VfsError } as const;
    const name = typeof action === 'string' ? action : Object.keys(action as object).join();
    let whole: string;
    try {
      whole = this.path(path);
    } catch (error) {
      return Promise.reject(error);
    }
    return callModule(this.#caller, calls, {
      what: `vfs ${name} ${whole}`,
      body: { path: whole, action },
      blob,
    });
  }

  /** Tries first: the folder is there nearly always. */
  async #inFolder(
    path: string,
    mkdirs: boolean | undefined,
    work: () => Promise<unknown>,
  ): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (mkdirs !== true || !isMissing(error) || !path.includes('/')) throw error;
      await this.mkdirs(path.slice(0, path.lastIndexOf('/')));
      await work();
    }
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof VfsError && (error.errno === ENOENT || error.errno === ENOTDIR);
}
