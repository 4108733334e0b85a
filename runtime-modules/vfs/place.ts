/**
 * Where a path is on disk. Links that the host's owner made are followed, but only inside the same drive: a path whose capability
 * was checked for one drive must not reach another, nor leave the vfs root (findings: path safety).
 */
import { readlinkSync, type Stats } from 'node:fs';
import { lstat, mkdir, realpath, rm, writeFile } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { errorCode, ioFailure } from '../shared/io-error.ts';

/** A place on disk whose existing part has no links in it. */
export interface Place {
  readonly disk: string;
  /** How many of the last segments do not exist; 0: the place exists, 1: only its parent does. */
  readonly missing: number;
  /** Of what is there, if that is no link and was looked at. */
  readonly stats?: Stats;
}

/** Longest path on disk, in bytes without the final zero. */
const PATH_BYTES_MAX = 4095;
/** Of a file's mode: permissions, without its type. */
export const MODE_BITS = 0o7777;
/** What of a mode is the owner's. */
const OWNER_BITS = 0o700;
/** Segments that make the boundary of a path: package and drive. */
const BOUNDARY_SEGMENTS = 2;
/** Folder for files being written, beside the packages; its name cannot be a package. */
const PARTIAL = '.partial';

export class Places {
  readonly #root: string;
  /** Permission bits that new files get from this process. */
  readonly fileMode: number;
  #partialCount = 0;

  private constructor(root: string, fileMode: number) {
    this.#root = root;
    this.fileMode = fileMode;
  }

  /** Creates the root if it is missing and clears what a crash left half-written. */
  static async open(root: string): Promise<Places> {
    await mkdir(root, { recursive: true });
    const real = await realpath(root);
    const folder = join(real, PARTIAL);
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder);
    // A probe, because asking for the mask would set it for a moment, for all threads.
    const probe = join(folder, '0');
    await writeFile(probe, '');
    const { mode } = await lstat(probe);
    await rm(probe);
    // What a process keeps is its own and the operator's, whatever mask the node was started with: tokens are among it.
    return new Places(real, mode & MODE_BITS & OWNER_BITS);
  }

  /** A fresh file name on the same file system as most drives. */
  partial(): string {
    this.#partialCount += 1;
    return join(this.#root, PARTIAL, String(this.#partialCount));
  }

  /** True for what is no package in the root's listing. */
  isHidden(segments: readonly string[], name: string): boolean {
    return segments.length === 0 && name === PARTIAL;
  }

  /** The place of a path, links followed. @throws as the file system does; EACCES when a link leads out of the drive */
  async find(segments: readonly string[]): Promise<Place> {
    this.#assertFits(segments);
    let existing = segments.length;
    let real = await this.#real(segments);
    if (real === undefined) ({ existing, real } = await this.#deepest(segments));
    this.#assertInside(real, segments.slice(0, existing));
    const rest = segments.slice(existing).map(onDisk);
    // A link to nowhere is not free space: creating through it would make a file where it points.
    if (rest[0] !== undefined && (await isThere(join(real, rest[0])))) throw ioFailure('ENOENT');
    return { disk: join(real, ...rest), missing: rest.length };
  }

  /**
   * Where a path is if no part of it is a link, to be opened without looking first; `isAt` tells then whether that was right. Undefined
   * where the host cannot tell.
   */
  unlinked(segments: readonly string[]): string | undefined {
    if (process.platform !== 'linux' || segments.length < BOUNDARY_SEGMENTS) return undefined;
    this.#assertFits(segments);
    return this.#path(segments);
  }

  /** Whether an open descriptor is the file at exactly this path, no link on the way. On Linux only. */
  isAt(descriptor: number, path: string): boolean {
    return openedPath(descriptor) === path;
  }

  /**
   * Checks what was opened, in case a link took the place of a folder after `find` looked. Where the host cannot tell what is behind
   * a descriptor, that moment stays; only the host's owner can make links.
   */
  assertOpened(descriptor: number, segments: readonly string[]): void {
    if (process.platform === 'linux') this.#assertInside(openedPath(descriptor), segments);
  }

  /** The place of the entry itself: only its parents' links are followed. */
  async findEntry(segments: readonly string[]): Promise<Place> {
    const parent = await this.find(segments.slice(0, -1));
    const disk = join(parent.disk, ...segments.slice(-1).map(onDisk));
    if (parent.missing > 0) return { disk, missing: parent.missing + 1 };
    return { disk, missing: (await isThere(disk)) ? 0 : 1 };
  }

  /** `find`, refusing a place that does not exist. */
  async findExisting(segments: readonly string[]): Promise<string> {
    const place = await this.find(segments);
    if (place.missing > 0) throw ioFailure('ENOENT');
    return place.disk;
  }

  /**
   * `find`, refusing a place whose parent does not exist. Looks at the parent first, as most of what is written is new; what is there
   * already is told about.
   */
  async findWritable(segments: readonly string[]): Promise<Place> {
    this.#assertFits(segments);
    const above = segments.slice(0, -1);
    const name = segments.at(-1);
    const parent = name === undefined ? undefined : await this.#real(above);
    if (name === undefined || parent === undefined) throw ioFailure('ENOENT');
    this.#assertInside(parent, above);
    const disk = parent + sep + onDisk(name);
    const stats = await statsOf(disk);
    if (stats === undefined) return { disk, missing: 1 };
    if (!stats.isSymbolicLink()) return { disk, missing: 0, stats };
    const place = await this.find(segments);
    if (place.missing > 1) throw ioFailure('ENOENT');
    return place;
  }

  /** The longest part of a path that exists, its whole being known not to: the parent as a rule, else by halving. */
  async #deepest(segments: readonly string[]): Promise<{ existing: number; real: string }> {
    let low = { existing: 0, real: this.#root };
    let high = segments.length;
    let probe = segments.length - 1;
    while (high - low.existing > 1) {
      const real = await this.#real(segments.slice(0, probe));
      if (real === undefined) high = probe;
      else low = { existing: probe, real };
      probe = Math.floor((low.existing + high) / 2);
    }
    return low;
  }

  async #real(segments: readonly string[]): Promise<string | undefined> {
    try {
      return await realpath(this.#path(segments));
    } catch (error) {
      if (errorCode(error) === 'ENOENT' && segments.length > 0) return undefined;
      throw error;
    }
  }

  /** Segments are normalised: nothing is left for `join` to do, whose work costs as much as opening the file. */
  #path(segments: readonly string[]): string {
    if (segments.length === 0) return this.#root;
    if (process.platform === 'win32') return join(this.#root, ...segments.map(onDisk));
    return `${this.#root}/${segments.join('/')}`;
  }

  /** Asked of the whole: the host would only notice at the first part that does not exist. */
  #assertFits(segments: readonly string[]): void {
    if (Buffer.byteLength(this.#path(segments)) > PATH_BYTES_MAX) throw ioFailure('ENAMETOOLONG');
  }

  #assertInside(real: string, segments: readonly string[]): void {
    const boundary = this.#path(segments.slice(0, BOUNDARY_SEGMENTS));
    const isInside =
      segments.length < BOUNDARY_SEGMENTS ? real === boundary : isWithin(real, boundary);
    if (isInside) return;
    throw ioFailure('EACCES');
  }
}

/** Windows has no colons in names. Backslashes there would be separators; the drive letter's colon is gone with the rest. */
function onDisk(segment: string): string {
  if (process.platform !== 'win32') return segment;
  if (segment.includes('\\')) throw ioFailure('EINVAL');
  return segment.replaceAll(':', '_');
}

function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith(sep) ? folder : folder + sep);
}

/** Answered from memory, in 3 us; a trip to the pool of threads takes ten times that, and a place in it. */
function openedPath(descriptor: number): string {
  return readlinkSync(`/proc/self/fd/${descriptor}`);
}

async function isThere(path: string): Promise<boolean> {
  return (await statsOf(path)) !== undefined;
}

/** Of the entry itself; undefined when there is none. */
async function statsOf(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
