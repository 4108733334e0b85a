/**
 * What a power cut may leave of recorded file operations (findings F20; recorder.c writes the log).
 *
 * The model: a file keeps what was synced, and of what was written since any part may or may not be there, each write whole, in part
 * or not at all. Names (creating, renaming, removing) go through one journal in order, as ext4, xfs and btrfs keep them: a sync makes
 * all names so far certain, and of those after it any number from the first on may be there. Nothing is assumed about the time
 * between two syncs.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

export type Operation =
  | {
      readonly kind: 'open';
      readonly fd: number;
      readonly path: string;
      readonly create: boolean;
      readonly truncate: boolean;
    }
  | { readonly kind: 'write'; readonly fd: number; readonly at: number; readonly bytes: Buffer }
  | { readonly kind: 'truncate'; readonly fd: number; readonly length: number }
  | { readonly kind: 'sync'; readonly fd: number }
  | { readonly kind: 'rename'; readonly from: string; readonly to: string }
  | { readonly kind: 'unlink' | 'rmdir' | 'mkdir'; readonly path: string }
  | { readonly kind: 'said'; readonly text: string };

/** The whole records of a log; a piece of one at its end is of a process that was killed. */
export function readLog(log: Buffer): Operation[] {
  const operations: Operation[] = [];
  let at = 0;
  const bytes = (): Buffer | undefined => {
    if (at + 4 > log.length) return undefined;
    const length = log.readUInt32LE(at);
    at += 4 + length;
    return at > log.length ? undefined : log.subarray(at - length, at);
  };
  while (at + 13 <= log.length) {
    const kind = String.fromCharCode(log[at] ?? 0);
    const fd = log.readInt32LE(at + 1);
    const number = Number(log.readBigInt64LE(at + 5));
    at += 13;
    const [a, b] = [bytes(), bytes()];
    if (a === undefined || b === undefined) break;
    operations.push(operationOf(kind, fd, number, a, b));
  }
  return operations;
}

function operationOf(kind: string, fd: number, number: number, a: Buffer, b: Buffer): Operation {
  const path = a.toString();
  switch (kind) {
    case 'O':
      return { kind: 'open', fd, path, create: (number & 1) !== 0, truncate: (number & 2) !== 0 };
    case 'W':
      return { kind: 'write', fd, at: number, bytes: a };
    case 'T':
      return { kind: 'truncate', fd, length: number };
    case 'S':
      return { kind: 'sync', fd };
    case 'R':
      return { kind: 'rename', from: path, to: b.toString() };
    case 'U':
      return { kind: 'unlink', path };
    case 'D':
      return { kind: 'rmdir', path };
    case 'M':
      return { kind: 'mkdir', path };
    case 'A':
      return { kind: 'said', text: path };
    default:
      throw new Error(`a record of kind ${JSON.stringify(kind)}`);
  }
}

interface Changed {
  readonly at: number;
  /** Undefined: the length becomes `at`. */
  readonly bytes: Buffer | undefined;
}

interface File {
  durable: Buffer;
  pending: Changed[];
}

type Entry = File | 'folder';
type Names = Map<string, Entry>;
type NameChange = (names: Names) => void;

/** The disk while the operations run, and what is certain on it. */
export class Disk {
  readonly #live: Names = new Map();
  readonly #durable: Names = new Map();
  #journal: NameChange[] = [];
  readonly #open = new Map<number, Entry>();

  apply(operation: Operation): void {
    switch (operation.kind) {
      case 'open':
        return this.#opened(operation);
      case 'write':
        return this.#change(operation.fd, { at: operation.at, bytes: operation.bytes });
      case 'truncate':
        return this.#change(operation.fd, { at: operation.length, bytes: undefined });
      case 'sync':
        return this.#sync(operation.fd);
      case 'rename':
        return this.#name((names) => moveAll(names, operation.from, operation.to));
      case 'unlink':
      case 'rmdir':
        return this.#name((names) => void names.delete(operation.path));
      case 'mkdir':
        return this.#name((names) => void names.set(operation.path, 'folder'));
      default:
    }
  }

  /** What could be found after a cut at this instant. `random`: 0 up to 1. */
  cut(random: () => number): Map<string, Buffer | 'folder'> {
    const names = new Map(this.#durable);
    const kept = Math.floor(random() * (this.#journal.length + 1));
    for (const change of this.#journal.slice(0, kept)) change(names);
    return new Map(
      [...names].map(([path, entry]) => [path, entry === 'folder' ? entry : left(entry, random)]),
    );
  }

  #opened({ fd, path, create, truncate }: Extract<Operation, { kind: 'open' }>): void {
    let entry = this.#live.get(path);
    if (entry === undefined && create) {
      const file: File = { durable: Buffer.alloc(0), pending: [] };
      this.#name((names) => void names.set(path, file));
      entry = file;
    }
    // Something that was there before, such as the folder itself.
    this.#open.set(fd, entry ?? 'folder');
    if (truncate) this.#change(fd, { at: 0, bytes: undefined });
  }

  #change(fd: number, change: Changed): void {
    const file = this.#open.get(fd);
    if (file !== undefined && file !== 'folder') file.pending.push(change);
  }

  #sync(fd: number): void {
    const file = this.#open.get(fd);
    if (file !== undefined && file !== 'folder') {
      for (const change of file.pending) file.durable = changed(file.durable, change);
      file.pending = [];
    }
    for (const change of this.#journal) change(this.#durable);
    this.#journal = [];
  }

  #name(change: NameChange): void {
    change(this.#live);
    this.#journal.push(change);
  }
}

function moveAll(names: Names, from: string, to: string): void {
  for (const [path, entry] of [...names]) {
    if (path !== from && !path.startsWith(`${from}/`)) continue;
    names.delete(path);
    names.set(to + path.slice(from.length), entry);
  }
}

function left(file: File, random: () => number): Buffer {
  let content = file.durable;
  for (const change of file.pending) {
    const fate = random();
    if (fate < 0.4) continue;
    const torn = fate < 0.6 && change.bytes !== undefined;
    const bytes = torn
      ? change.bytes?.subarray(0, Math.floor(random() * change.bytes.length))
      : change.bytes;
    content = changed(content, { at: change.at, bytes });
  }
  return content;
}

function changed(content: Buffer, { at, bytes }: Changed): Buffer {
  const length = bytes === undefined ? at : Math.max(content.length, at + bytes.length);
  const next = Buffer.alloc(length);
  content.copy(next);
  if (bytes !== undefined) bytes.copy(next, at);
  return next;
}

/** Puts what was found under `from` into the folder `into`. */
export async function writeOut(
  found: ReadonlyMap<string, Buffer | 'folder'>,
  from: string,
  into: string,
): Promise<void> {
  for (const [path, content] of found) {
    const place = join(into, path.slice(from.length));
    await mkdir(content === 'folder' ? place : dirname(place), { recursive: true });
    if (content !== 'folder') await writeFile(place, content);
  }
}

/** Numbers that follow from a seed, 0 up to 1 (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
