/** Every action on disk, for requests whose authority was decided before (runtime-modules.md §2.1). */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { copyFile, type FileHandle } from 'node:fs/promises';
import type { Answer } from '../../kernel/module.ts';
import type { LazyLoadBlob } from '../../wit/types.ts';
import { dirEntry, vfsResponse, type VfsAction, type VfsResponse } from '../../wit/vfs-api.ts';
import type { Book } from '../shared/accounts.ts';
import { bytesOf } from '../shared/bytes-of.ts';
import { ioFailure, notUtf8 } from '../shared/io-error.ts';
import { KeyedLock } from '../shared/keyed-lock.ts';
import { needOf } from './access.ts';
import { addZip } from './add-zip.ts';
import { bytesLeft, readOn, seekTarget } from './cursor.ts';
import { INLINE_BYTES_MAX, TEXT_BYTES_MAX } from './limits.ts';
import { OffThread } from './off-thread.ts';
import { OpenFiles, type OpenFile } from './open-files.ts';
import type { VfsPath } from './path.ts';
import { Places } from './place.ts';
import { openFile, readRange, sizeOf, type Opened } from './read.ts';
import * as tree from './tree.ts';
import { readWhole } from './whole-file.ts';
import { replaceFile, sync, writeAt, writeNew } from './write.ts';

export class Disk {
  readonly places: Places;
  readonly files: OpenFiles;
  readonly #locks = new KeyedLock();
  readonly #offThread = new OffThread();

  readonly #book: Book;

  private constructor(places: Places, book: Book, onLimitHit: () => void) {
    this.places = places;
    this.#book = book;
    this.files = new OpenFiles(onLimitHit, book);
  }

  /** `book`: what packages use, kept by this. */
  static async open(root: string, book: Book, onLimitHit: () => void): Promise<Disk> {
    return new Disk(await Places.open(root), book, onLimitHit);
  }

  async close(): Promise<void> {
    await this.files.close();
    await this.#offThread.close();
  }

  /** The answer to everything but CreateDrive and root listings. @throws I/O errors, `IoFailure`, `ZipFailure` */
  async perform(
    action: VfsAction,
    path: VfsPath,
    other: VfsPath | undefined,
    bytes: Uint8Array,
    signal: AbortSignal,
  ): Promise<Answer> {
    if (needOf(action) !== 'read') {
      await this.#book.counted(path.package);
      if (other !== undefined) await this.#book.counted(other.package);
    }
    if (action.kind === 'AddZip') return this.#addZip(path, bytes, signal);
    const keys = other === undefined ? [path.text] : [path.text, other.text];
    return this.#locks.run(keys, () => {
      signal.throwIfAborted();
      return this.#locked(action, path, other, bytes, signal);
    });
  }

  /**
   * Room for a file that is about to come, before any of it is there. @returns what gives it back. @throws IoFailure EDQUOT; EISDIR, ENOENT
   * where no file can be
   */
  async takeRoom(path: VfsPath, bytes: number): Promise<() => void> {
    await this.#book.counted(path.package);
    await this.places.findWritable(path.segments);
    await this.#book.reserve(path.package, bytes);
    let taken = true;
    return () => {
      if (taken) this.#book.add(path.package, -bytes);
      taken = false;
    };
  }

  /** A whole file takes its place. `move` puts it where it is told. @throws I/O errors, IoFailure EDQUOT */
  async adopt(path: VfsPath, bytes: number, move: (goal: string) => Promise<void>): Promise<void> {
    await this.#book.counted(path.package);
    await this.#locks.run([path.text], () => this.#replace(path, bytes, move));
  }

  /** The names in a directory that is no drive's: packages, or a package's drives. */
  async listRoot(segments: readonly string[], signal: AbortSignal): Promise<Uint8Array> {
    return this.#listing(segments, signal);
  }

  async #locked(
    action: VfsAction,
    path: VfsPath,
    other: VfsPath | undefined,
    bytes: Uint8Array,
    signal: AbortSignal,
  ): Promise<Answer> {
    const { places, files } = this;
    const { text, segments } = path;
    switch (action.kind) {
      case 'CreateDrive':
      case 'CreateDirAll':
        await tree.createDirAll(await places.find(segments));
        return OK;
      case 'CreateDir':
        await tree.createDir(await places.findWritable(segments));
        return OK;
      case 'CreateFile':
        files.reset(text);
        await this.#use(path, constants.O_CREAT | constants.O_TRUNC, noWork);
        return OK;
      case 'OpenFile':
        await this.#use(path, action.value.create ? constants.O_CREAT : 0, async (file) => {
          file.cursor = 0n;
        });
        return OK;
      case 'CloseFile':
        files.reset(text);
        return OK;
      case 'Write':
        await this.#replace(path, bytes.length, (partial, mode) =>
          writeNew(partial, mode, bytes, signal),
        );
        return OK;
      case 'WriteAll':
        await this.#use(path, 0, (file) => this.#writeOn(path, file, bytes, signal));
        return OK;
      case 'Append':
        await this.#use(path, 0, async (file) => {
          file.cursor = BigInt(await sizeOf(file.handle));
          await this.#writeOn(path, file, bytes, signal);
        });
        return OK;
      case 'SyncAll':
        await this.#use(path, 0, async ({ handle }) =>
          sync(handle, await places.findExisting(segments)),
        );
        return OK;
      case 'Read':
        return data(await readWhole(places, segments, signal));
      case 'ReadToEnd':
        return this.#use(path, 0, async (file) => data(await readOn(file, undefined, signal)));
      case 'ReadExact': {
        const { length } = action.value;
        return this.#use(path, 0, async (file) => data(await readOn(file, BigInt(length), signal)));
      }
      case 'ReadToString':
        return this.#use(path, 0, (file) => this.#readText(file, signal));
      case 'ReadDir':
        return { body: await this.#listing(segments, signal) };
      case 'Seek':
        return this.#use(path, 0, async (file) => {
          file.cursor = await seekTarget(file, action.value);
          return answer({ kind: 'SeekFrom', value: { new_offset: narrow(file.cursor) } });
        });
      case 'RemoveFile':
        this.#book.add(
          path.package,
          -(await tree.removeFile((await places.findEntry(segments)).disk)),
        );
        files.reset(text);
        return OK;
      case 'RemoveDir':
        await tree.removeDir((await places.findEntry(segments)).disk);
        files.resetTree(text);
        return OK;
      case 'RemoveDirAll':
        try {
          await tree.removeDirAll(
            (await places.findEntry(segments)).disk,
            (removed) => this.#book.add(path.package, -removed),
            signal,
          );
        } finally {
          // One that fails half-way has removed files, too (M60).
          files.resetTree(text);
        }
        return OK;
      case 'Rename':
        return this.#rename(path, other ?? path);
      case 'CopyFile': {
        const from = await places.findExisting(segments);
        await this.#replace(other ?? path, await tree.copiedBytes(from), (partial) =>
          copyFile(from, partial),
        );
        return OK;
      }
      case 'Metadata': {
        const { type, length } = await tree.metadata(await places.findExisting(segments));
        return answer({ kind: 'Metadata', value: { file_type: { kind: type }, len: length } });
      }
      case 'Len':
        return this.#use(path, 0, async ({ handle }) =>
          answer({ kind: 'Len', value: await sizeOf(handle) }),
        );
      case 'SetLen': {
        const length = Number(action.value);
        if (!Number.isSafeInteger(length)) throw ioFailure('EFBIG');
        return this.#use(path, 0, async ({ handle }) => {
          const growth = length - (await sizeOf(handle));
          await this.#book.reserve(path.package, growth);
          try {
            await handle.truncate(length);
          } catch (error) {
            this.#book.add(path.package, -growth);
            throw error;
          }
          return OK;
        });
      }
      case 'Hash':
        return this.#use(path, 0, (file) => this.#hash(file, signal));
      case 'AddZip':
        return this.#addZip(path, bytes, signal);
      default:
        return action satisfies never;
    }
  }

  async #addZip(path: VfsPath, archive: Uint8Array, signal: AbortSignal): Promise<Answer> {
    const { places, files } = this;
    await addZip({ places, files, locks: this.#locks, book: this.#book }, path, archive, signal);
    return OK;
  }

  /** Runs `work` on the open file; `create` are the flags to open it with beside reading and writing. */
  #use<T>(path: VfsPath, create: number, work: (file: OpenFile) => Promise<T>): Promise<T> {
    const open = async (): Promise<FileHandle> => {
      const place = await this.places.find(path.segments);
      if (place.missing > (create & constants.O_CREAT ? 1 : 0)) throw ioFailure('ENOENT');
      const flags = constants.O_RDWR | create;
      if ((create & constants.O_TRUNC) === 0 || place.missing > 0)
        return (await this.#open(place.disk, flags, path)).handle;
      const emptied = await tree.sizeAt(place.disk);
      const { handle } = await this.#open(place.disk, flags, path);
      this.#book.add(path.package, -emptied);
      return handle;
    };
    return this.files.use(path.text, open, work);
  }

  /** The whole content of a file, in one step. */
  async #replace(
    path: VfsPath,
    bytes: number,
    fill: (partial: string, mode: number) => Promise<void>,
  ): Promise<void> {
    const place = await this.places.findWritable(path.segments);
    const replacement = { place, package: path.package, bytes };
    await replaceFile({ places: this.places, book: this.#book }, replacement, fill);
    this.files.replaced(path.text);
  }

  async #writeOn(
    path: VfsPath,
    file: OpenFile,
    bytes: Uint8Array,
    signal: AbortSignal,
  ): Promise<void> {
    const end = Number(file.cursor) + bytes.length;
    if (!Number.isSafeInteger(end)) throw ioFailure('EFBIG');
    const before = await sizeOf(file.handle);
    const growth = Math.max(0, end - before);
    await this.#book.reserve(path.package, growth);
    try {
      await writeAt(file.handle, bytes, file.cursor, signal);
    } catch (error) {
      // Part of it may be there.
      const grown = (await sizeOf(file.handle).catch(() => before)) - before;
      this.#book.add(path.package, grown - growth);
      throw error;
    }
    file.cursor += BigInt(bytes.length);
  }

  async #open(disk: string, flags: number, path: VfsPath): Promise<Opened> {
    const opened = await openFile(disk, flags);
    try {
      this.places.assertOpened(opened.handle.fd, path.segments);
      return opened;
    } catch (error) {
      await opened.handle.close();
      throw error;
    }
  }

  async #rename(from: VfsPath, to: VfsPath): Promise<Answer> {
    const source = await this.places.findEntry(from.segments);
    const goal = await this.places.findEntry(to.segments);
    if (source.missing > 0 || goal.missing > 1) throw ioFailure('ENOENT');
    const replaced = from.text === to.text ? 0 : await tree.sizeAt(goal.disk);
    if (from.package === to.package) {
      await tree.move(source.disk, goal.disk);
      this.#book.add(to.package, -replaced);
    } else await this.#moveOver(from, to, { from: source.disk, to: goal.disk, replaced });
    // No handle may keep addressing the moved file under its old name (M60).
    this.files.resetTree(from.text);
    this.files.resetTree(to.text);
    return OK;
  }

  /** From one package to another, whose room it takes. */
  async #moveOver(
    from: VfsPath,
    to: VfsPath,
    disk: { readonly from: string; readonly to: string; readonly replaced: number },
  ): Promise<void> {
    const moved = await bytesOf(disk.from);
    await this.#book.reserve(to.package, moved - disk.replaced);
    try {
      await tree.move(disk.from, disk.to);
    } catch (error) {
      this.#book.add(to.package, disk.replaced - moved);
      throw error;
    }
    this.#book.add(from.package, -moved);
  }

  async #readText(file: OpenFile, signal: AbortSignal): Promise<Answer> {
    const left = await bytesLeft(file);
    if (left > TEXT_BYTES_MAX) throw ioFailure('EFBIG');
    if (left <= INLINE_BYTES_MAX) {
      const text = utf8Text(await readOn(file, undefined, signal));
      return answer({ kind: 'ReadToString', value: text });
    }
    const body = await this.#offThread.run('text', file.handle.fd, file.cursor, signal);
    file.cursor += BigInt(left);
    return { body };
  }

  async #hash(file: OpenFile, signal: AbortSignal): Promise<Answer> {
    const size = await sizeOf(file.handle);
    const digest =
      size <= INLINE_BYTES_MAX
        ? createHash('sha256')
            .update(await readRange(file.handle, 0n, size, signal))
            .digest()
        : await this.#offThread.run('hash', file.handle.fd, 0n, signal);
    file.cursor = BigInt(size);
    return answer({ kind: 'Hash', value: digest });
  }

  /** Built entry by entry, so that a large directory does not hold the thread at the end. */
  async #listing(segments: readonly string[], signal: AbortSignal): Promise<Uint8Array> {
    const parts: Buffer[] = [Buffer.from('{"ReadDir":[')];
    const folder = await this.places.findExisting(segments);
    let separator = '';
    for await (const { name, type } of tree.listDir(folder, signal)) {
      if (this.places.isHidden(segments, name)) continue;
      const path = [...segments, name].join('/');
      parts.push(Buffer.from(separator + dirEntry.stringify({ path, file_type: { kind: type } })));
      separator = ',';
    }
    parts.push(Buffer.from(']}'));
    return Buffer.concat(parts);
  }
}

const noWork = (): Promise<void> => Promise.resolve();

function answer(response: VfsResponse): Answer {
  return { body: vfsResponse.encode(response) };
}

const OK = answer({ kind: 'Ok' });
const READ = answer({ kind: 'Read' });

function data(bytes: Uint8Array): Answer {
  const blob: LazyLoadBlob = { mime: 'application/octet-stream', bytes };
  return { ...READ, blob };
}

function narrow(value: bigint): number | bigint {
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
}

function utf8Text(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw notUtf8();
  }
}
