/**
 * The files of one wasm job: `/job/in`, which it reads, and `/job/out`, which it writes (compute-market.md §9.3). Names are looked up in a
 * tree that is kept here, and only contents are on the host's disk, so no name of the guest's ever decides which file of the host is opened
 * but below its own output folder. There are no links and no times; a listing is in order of names: two runs see the same.
 */
import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import { pathProblem } from '../../../../wit/jobs/paths.ts';

/** Errors by the names of `wasi:filesystem/types`. */
export type FileErrorCode =
  | 'access'
  | 'bad-descriptor'
  | 'busy'
  | 'exist'
  | 'illegal-byte-sequence'
  | 'insufficient-memory'
  | 'invalid'
  | 'is-directory'
  | 'no-entry'
  | 'not-directory'
  | 'not-empty'
  | 'not-permitted'
  | 'read-only'
  | 'unsupported'
  | 'cross-device';

/** What the guest did wrong; it gets the code as its result. */
export class FileError extends Error {
  override readonly name = 'FileError';
  readonly code: FileErrorCode;
  constructor(code: FileErrorCode) {
    super(code);
    this.code = code;
  }
}

interface FileEntry {
  readonly kind: 'file';
  /** Where its content is. */
  host: string;
  size: number;
  /** The host's descriptor, while any of the guest's is open. */
  fd: number | undefined;
  opened: number;
}
interface FolderEntry {
  readonly kind: 'folder';
}
type Entry = FileEntry | FolderEntry;

interface Tree {
  readonly writable: boolean;
  /** The host's folder. */
  readonly host: string;
  /** By path below the root; the root itself is ''. */
  readonly entries: Map<string, Entry>;
}

export interface OpenFile {
  readonly kind: 'file';
  readonly tree: Tree;
  /** Where it was opened. */
  readonly path: string;
  readonly entry: FileEntry;
  readonly writable: boolean;
}
export interface OpenFolder {
  readonly kind: 'folder';
  readonly tree: Tree;
  readonly path: string;
}
export type Open = OpenFile | OpenFolder;

export interface OpenFlags {
  readonly create?: boolean | undefined;
  readonly directory?: boolean | undefined;
  readonly exclusive?: boolean | undefined;
  readonly truncate?: boolean | undefined;
  readonly write?: boolean | undefined;
}

export interface JobFilesOptions {
  /** Absolute folders of the host; that of the outputs is made when the first is. */
  readonly inputs: string;
  readonly outputs: string;
  /** Below `inputs`; nothing else there is seen. */
  readonly files: readonly { readonly path: string; readonly size: number }[];
  /** Bytes of all outputs together, and files and folders. */
  readonly bytesMax: number;
  readonly entriesMax: number;
  /** Called when the guest asks for more than that: it must end the guest by throwing. */
  readonly exceeded: (message: string) => never;
}

/** Files a job may have open at a time. */
export const OPEN_FILES_MAX = 256;
/** Bytes of one read or write; callers get less than they asked for. */
export const TRANSFER_BYTES_MAX = 1024 * 1024;

export class JobFiles implements Disposable {
  /** The folders a guest starts with, by the names it knows them by. */
  readonly roots: readonly { readonly name: string; readonly folder: OpenFolder }[];
  readonly #options: JobFilesOptions;
  #bytes = 0;
  #entries = 0;
  #opened = 0;
  #wrote = false;
  readonly #hostFiles = new Set<FileEntry>();

  constructor(options: JobFilesOptions) {
    this.#options = options;
    const inputs: Tree = tree(options.inputs, false);
    for (const { path, size } of options.files) {
      for (const parent of parentsOf(path)) inputs.entries.set(parent, { kind: 'folder' });
      inputs.entries.set(path, fileEntry(join(options.inputs, path), size));
    }
    this.roots = [
      { name: '/job/in', folder: { kind: 'folder', tree: inputs, path: '' } },
      { name: '/job/out', folder: { kind: 'folder', tree: tree(options.outputs, true), path: '' } },
    ];
  }

  /** Bytes of all outputs. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether anything was ever made among the outputs. */
  get wrote(): boolean {
    return this.#wrote;
  }

  open(at: OpenFolder, path: string, flags: OpenFlags): Open {
    const { tree: within } = at;
    const name = resolve(at, path);
    const changes = flags.create === true || flags.truncate === true || flags.write === true;
    let entry = within.entries.get(name);
    if (entry === undefined) {
      if (flags.create !== true) throw new FileError('no-entry');
      if (flags.directory === true) throw new FileError('invalid');
      entry = this.#createFile(within, name);
    } else if (flags.create === true && flags.exclusive === true) throw new FileError('exist');
    if (entry.kind === 'folder') {
      if (flags.write === true || flags.truncate === true) throw new FileError('is-directory');
      return { kind: 'folder', tree: within, path: name };
    }
    if (flags.directory === true || path.endsWith('/')) throw new FileError('not-directory');
    if (changes && !within.writable) throw new FileError('read-only');
    this.#open(entry, within.writable);
    const writable = flags.write === true;
    const file: OpenFile = { kind: 'file', tree: within, path: name, entry, writable };
    if (flags.truncate === true) this.#resize(entry, 0);
    return file;
  }

  /** Another holder of an open file, which closes it by itself. */
  share(file: OpenFile): OpenFile {
    this.#open(file.entry, file.writable);
    return file;
  }

  close(open: Open): void {
    if (open.kind !== 'file') return;
    const { entry } = open;
    this.#opened -= 1;
    entry.opened -= 1;
    if (entry.opened > 0 || entry.fd === undefined) return;
    fs.closeSync(entry.fd);
    entry.fd = undefined;
    this.#hostFiles.delete(entry);
  }

  /** Fills as much of `into` as there is from `offset`; the count. */
  read(file: OpenFile, into: Uint8Array, offset: number): number {
    const part = into.subarray(0, TRANSFER_BYTES_MAX);
    return part.length === 0 ? 0 : fs.readSync(file.entry.fd!, part, 0, part.length, offset);
  }

  /** Writes as much of `bytes` as one call may; the count. */
  write(file: OpenFile, bytes: Uint8Array, offset: number): number {
    if (!file.writable) throw new FileError('bad-descriptor');
    const part = bytes.subarray(0, TRANSFER_BYTES_MAX);
    const { entry } = file;
    const end = offset + part.length;
    if (part.length === 0) return 0;
    if (end > entry.size) this.#charge(end - entry.size);
    let at = 0;
    while (at < part.length) at += fs.writeSync(entry.fd!, part, at, part.length - at, offset + at);
    entry.size = Math.max(entry.size, end);
    return part.length;
  }

  setSize(file: OpenFile, size: number): void {
    if (!file.writable) throw new FileError('bad-descriptor');
    this.#resize(file.entry, size);
  }

  /** What stands at a path. */
  stat(at: OpenFolder, path: string): { readonly kind: Entry['kind']; readonly size: number } {
    const name = resolve(at, path);
    const entry = existing(at.tree, name);
    if (entry.kind === 'file' && path.endsWith('/')) throw new FileError('not-directory');
    return { kind: entry.kind, size: entry.kind === 'file' ? entry.size : 0 };
  }

  /** The names in a folder, in order of their UTF-16 units. */
  list({ tree: within, path }: OpenFolder): { name: string; kind: Entry['kind'] }[] {
    existing(within, path);
    const prefix = path === '' ? '' : `${path}/`;
    const found: { name: string; kind: Entry['kind'] }[] = [];
    for (const [name, { kind }] of within.entries) {
      if (name === '' || !name.startsWith(prefix)) continue;
      const rest = name.slice(prefix.length);
      if (!rest.includes('/')) found.push({ name: rest, kind });
    }
    return found.toSorted((one, other) => (one.name < other.name ? -1 : 1));
  }

  createFolder(at: OpenFolder, path: string): void {
    const name = resolve(at, path);
    if (at.tree.entries.has(name)) throw new FileError('exist');
    this.#add(at.tree, name, { kind: 'folder' });
    fs.mkdirSync(join(at.tree.host, name));
  }

  removeFolder(at: OpenFolder, path: string): void {
    const name = resolve(at, path);
    const entry = this.#removable(at.tree, name);
    if (entry.kind !== 'folder') throw new FileError('not-directory');
    if (this.list({ kind: 'folder', tree: at.tree, path: name }).length > 0)
      throw new FileError('not-empty');
    fs.rmdirSync(join(at.tree.host, name));
    this.#forget(at.tree, name);
  }

  removeFile(at: OpenFolder, path: string): void {
    const name = resolve(at, path);
    const entry = this.#removable(at.tree, name);
    if (entry.kind !== 'file') throw new FileError('is-directory');
    // What is open would go on to take room that nobody counts.
    if (entry.opened > 0) throw new FileError('busy');
    fs.unlinkSync(entry.host);
    this.#bytes -= entry.size;
    this.#forget(at.tree, name);
  }

  /** Files only take the place of files, folders of nothing. */
  rename(from: OpenFolder, oldPath: string, to: OpenFolder, newPath: string): void {
    if (from.tree !== to.tree) throw new FileError('cross-device');
    const within = from.tree;
    const oldName = resolve(from, oldPath);
    const newName = resolve(to, newPath);
    const entry = this.#removable(within, oldName);
    if (oldName === newName) return;
    if (entry.kind === 'folder' && newName.startsWith(`${oldName}/`))
      throw new FileError('invalid');
    const target = within.entries.get(newName);
    if (target !== undefined) {
      if (entry.kind === 'folder') throw new FileError('exist');
      this.removeFile(to, newPath);
    }
    checkNew(within, newName);
    fs.renameSync(join(within.host, oldName), join(within.host, newName));
    for (const [name, moved] of [...within.entries]) {
      if (name !== oldName && !name.startsWith(`${oldName}/`)) continue;
      const renamed = newName + name.slice(oldName.length);
      within.entries.delete(name);
      within.entries.set(renamed, moved);
      if (moved.kind === 'file') moved.host = join(within.host, renamed);
    }
  }

  /** Closes what the guest left open. */
  [Symbol.dispose](): void {
    for (const entry of this.#hostFiles) if (entry.fd !== undefined) fs.closeSync(entry.fd);
    this.#hostFiles.clear();
  }

  #createFile(within: Tree, name: string): FileEntry {
    const entry = fileEntry(join(within.host, name), 0);
    this.#add(within, name, entry);
    const { O_CREAT, O_EXCL, O_WRONLY, O_NOFOLLOW } = fs.constants;
    fs.closeSync(fs.openSync(entry.host, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW, 0o600));
    return entry;
  }

  #open(entry: FileEntry, writable: boolean): void {
    if (this.#opened >= OPEN_FILES_MAX) throw new FileError('insufficient-memory');
    if (entry.fd === undefined) {
      const { O_RDONLY, O_RDWR, O_NOFOLLOW } = fs.constants;
      entry.fd = fs.openSync(entry.host, (writable ? O_RDWR : O_RDONLY) | O_NOFOLLOW);
      this.#hostFiles.add(entry);
    }
    this.#opened += 1;
    entry.opened += 1;
  }

  #resize(entry: FileEntry, size: number): void {
    this.#charge(size - entry.size);
    fs.ftruncateSync(entry.fd!, size);
    entry.size = size;
  }

  #add(within: Tree, name: string, entry: Entry): void {
    if (!within.writable) throw new FileError('read-only');
    checkNew(within, name);
    const { entriesMax, exceeded } = this.#options;
    if (this.#entries >= entriesMax) exceeded(`over ${entriesMax} files and folders in /job/out`);
    this.#entries += 1;
    if (!this.#wrote) fs.mkdirSync(within.host, { recursive: true, mode: 0o700 });
    this.#wrote = true;
    within.entries.set(name, entry);
  }

  #forget(within: Tree, name: string): void {
    within.entries.delete(name);
    this.#entries -= 1;
  }

  #removable(within: Tree, name: string): Entry {
    const entry = existing(within, name);
    if (!within.writable) throw new FileError('read-only');
    if (name === '') throw new FileError('busy');
    return entry;
  }

  #charge(bytes: number): void {
    const { bytesMax, exceeded } = this.#options;
    if (this.#bytes + bytes > bytesMax) exceeded(`over ${bytesMax} bytes in /job/out`);
    this.#bytes += bytes;
  }
}

function tree(host: string, writable: boolean): Tree {
  return { host, writable, entries: new Map([['', { kind: 'folder' }]]) };
}

function fileEntry(host: string, size: number): FileEntry {
  return { kind: 'file', host, size, fd: undefined, opened: 0 };
}

function parentsOf(path: string): string[] {
  const parts = path.split('/').slice(0, -1);
  return parts.map((_, end) => parts.slice(0, end + 1).join('/'));
}

function existing(within: Tree, name: string): Entry {
  const entry = within.entries.get(name);
  if (entry !== undefined) return entry;
  const isBelowFile = parentsOf(name).some((parent) => within.entries.get(parent)?.kind === 'file');
  throw new FileError(isBelowFile ? 'not-directory' : 'no-entry');
}

/** A new name needs its folder, and must be one that outputs may have. */
function checkNew(within: Tree, name: string): void {
  const folder = dirname(name);
  const parent = existing(within, folder === '.' ? '' : folder);
  if (parent.kind !== 'folder') throw new FileError('not-directory');
  if (pathProblem(name) !== undefined) throw new FileError('illegal-byte-sequence');
}

/** The path below the root; `..` never leads out of it. */
function resolve(at: OpenFolder, path: string): string {
  if (path === '') throw new FileError('no-entry');
  if (path.startsWith('/')) throw new FileError('not-permitted');
  const parts = at.path === '' ? [] : at.path.split('/');
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') parts.push(part);
    else if (parts.pop() === undefined) throw new FileError('not-permitted');
  }
  return parts.join('/');
}
