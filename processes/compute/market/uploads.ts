/**
 * Inputs that clients send before their jobs (compute-market.md §13): in parts, resumable, under the hash of the whole. A file is there for
 * whoever sent all of it; its content is stored once. What no job refers to is removed after a day.
 */
import { Refusal } from '../../lib/index.ts';
import type { Signer } from '../../lib/signer.ts';
import type { Sqlite } from '../../lib/sqlite.ts';
import type { Drive } from '../../lib/vfs.ts';
import { sha256Hex } from '../../../wit/jobs/digest.ts';

/** Bytes of one part. */
export const PART_BYTES_MAX = 8 * 1024 * 1024;
/** Bytes of one owner's files together. */
export const OWNER_BYTES_MAX = 10 * 1024 ** 3;
export const UNUSED_MS = 86_400_000;
const REMOVED_AT_ONCE = 100;
const FOLDER = 'uploads';
/** What a job uses is kept so much longer, and which files those are is known without a look, of so many. */
const KEPT_LONGER_MS = 600_000;
const KEPT_KNOWN_MAX = 1_000;

export interface Upload {
  readonly bytes: number;
  readonly complete: boolean;
}

export class Uploads {
  readonly #drive: Drive;
  readonly #signer: Signer;
  readonly #database: Sqlite;
  readonly #now: () => number;
  /** Parts under way, by owner and hash: one at a time. */
  readonly #writing = new Map<string, Promise<unknown>>();
  /** By owner, hash and size: complete, and kept until then. */
  readonly #kept = new Map<string, number>();

  constructor(parts: {
    readonly drive: Drive;
    readonly signer: Signer;
    readonly database: Sqlite;
    readonly now: () => number;
  }) {
    this.#drive = parts.drive;
    this.#signer = parts.signer;
    this.#database = parts.database;
    this.#now = parts.now;
  }

  /** In vfs, for the oracle. */
  get folder(): string {
    return this.#drive.path(FOLDER);
  }

  /** What an owner has sent of a file; undefined: nothing. */
  async stat(owner: string, sha256: string): Promise<Upload | undefined> {
    const row = await this.#database
      .get`select bytes, complete from uploads where owner = ${owner} and sha256 = ${sha256}`;
    return row && { bytes: Number(row['bytes']), complete: Number(row['complete']) === 1 };
  }

  /**
   * Adds a part, at the end of what is there.
   * @param part  `size`: of the whole; without it the file ends with the first part that is not full, an empty one if need be
   * @throws Refusal
   */
  async put(
    owner: string,
    sha256: string,
    part: {
      readonly offset: number;
      readonly bytes: Uint8Array;
      readonly size: number | undefined;
    },
  ): Promise<Upload> {
    if (part.bytes.length > PART_BYTES_MAX) {
      throw new Refusal('TooLarge', `a part has at most ${PART_BYTES_MAX} bytes`);
    }
    const key = `${owner} ${sha256}`;
    const before = this.#writing.get(key) ?? Promise.resolve();
    const write = before.then(() => this.#put(owner, sha256, part));
    const settled = write.then(nothing, nothing);
    this.#writing.set(key, settled);
    try {
      return await write;
    } finally {
      if (this.#writing.get(key) === settled) this.#writing.delete(key);
    }
  }

  /** Path in the drive, for those that are complete. */
  path(sha256: string): string {
    return `${FOLDER}/${sha256}`;
  }

  /** Of a complete file, in vfs; undefined when it is not there. */
  async fileOf(sha256: string): Promise<string | undefined> {
    const path = this.path(sha256);
    return (await this.#drive.stat(path)) === undefined ? undefined : this.#drive.path(path);
  }

  /** Which of these files an owner has not sent. */
  async missing(
    owner: string,
    files: readonly { readonly sha256: string; readonly size: number }[],
  ): Promise<readonly string[]> {
    const missing: string[] = [];
    for (const { sha256, size } of new Map(files.map((file) => [file.sha256, file])).values()) {
      const found = await this.stat(owner, sha256);
      if (found?.complete !== true || found.bytes !== size) missing.push(sha256);
    }
    return missing;
  }

  /** A part of a file; fewer bytes only at its end. Undefined when it is not there. */
  async read(sha256: string, offset: number, length: number): Promise<Uint8Array | undefined> {
    if ((await this.#drive.stat(this.path(sha256))) === undefined) return undefined;
    const file = await this.#drive.open(this.path(sha256));
    try {
      return await file.readAt(offset, length);
    } finally {
      await file.close();
    }
  }

  /** Whether these files are there, and stay until then, as far as is known without a look. */
  isKept(
    owner: string,
    files: readonly { readonly sha256: string; readonly size: number }[],
    until: number,
  ): boolean {
    return files.every(
      ({ sha256, size }) => (this.#kept.get(`${owner} ${sha256} ${size}`) ?? 0) >= until,
    );
  }

  /** The owner still wants them, who has sent them: they are used by a job. For a while longer than asked, as the next job is often like it. */
  async touch(
    owner: string,
    files: readonly { readonly sha256: string; readonly size: number }[],
    until: number,
  ): Promise<void> {
    const at = until + KEPT_LONGER_MS;
    for (const { sha256, size } of files) {
      await this.#database
        .run`update uploads set at = max(at, ${at}) where owner = ${owner} and sha256 = ${sha256}`;
      if (this.#kept.size >= KEPT_KNOWN_MAX) this.#kept.clear();
      this.#kept.set(`${owner} ${sha256} ${size}`, at);
    }
  }

  /** Removes what is too old. */
  async sweep(): Promise<void> {
    const before = this.#now() - UNUSED_MS;
    const old = await this.#database
      .all`select owner, sha256 from uploads where at < ${before} limit ${REMOVED_AT_ONCE}`;
    for (const row of old) {
      const owner = String(row['owner']);
      const sha256 = String(row['sha256']);
      await this.#database.run`delete from uploads where owner = ${owner} and sha256 = ${sha256}`;
      await this.#drive.remove(partPath(owner, sha256));
      const other = await this.#database
        .get`select 1 as one from uploads where sha256 = ${sha256} and complete = 1 limit 1`;
      if (other === undefined) await this.#drive.remove(this.path(sha256));
    }
  }

  async #put(
    owner: string,
    sha256: string,
    part: {
      readonly offset: number;
      readonly bytes: Uint8Array;
      readonly size: number | undefined;
    },
  ): Promise<Upload> {
    const known = await this.stat(owner, sha256);
    if (known?.complete === true) return known;
    const have = known?.bytes ?? 0;
    if (part.offset !== have) {
      throw new Refusal('Conflict', `${have} bytes are here: go on with offset ${have}`);
    }
    const used = await this.#database
      .get`select coalesce(sum(bytes), 0) as bytes from uploads where owner = ${owner}`;
    const whole = have + part.bytes.length;
    if (Number(used?.['bytes'] ?? 0) + part.bytes.length > OWNER_BYTES_MAX) {
      throw new Refusal('TooLarge', `your files have more than ${OWNER_BYTES_MAX} bytes together`);
    }
    if (part.size !== undefined && whole > part.size) {
      throw new Refusal('TooLarge', `the file was to have ${part.size} bytes`);
    }
    const path = partPath(owner, sha256);
    const file = await this.#drive.open(path, { create: true }).catch(async () => {
      await this.#drive.mkdirs(FOLDER);
      return this.#drive.open(path, { create: true });
    });
    // Where the record says, so that a part that was written and not recorded is written over.
    await file.writeAt(have, part.bytes);
    await file.setLength(whole);
    await file.close();
    const ended = part.size ?? (part.bytes.length < PART_BYTES_MAX ? whole : undefined);
    const complete = await this.#isWhole(path, sha256, whole, ended);
    await this.#database.run`insert into uploads (sha256, owner, bytes, complete, at)
      values (${sha256}, ${owner}, ${whole}, ${complete}, ${this.#now()})
      on conflict(owner, sha256) do update set bytes = excluded.bytes, complete = excluded.complete, at = excluded.at`;
    return { bytes: whole, complete };
  }

  /** Whether the file is all there; it is then under its hash. @throws Refusal BadHash: it has all its bytes, and they are others */
  async #isWhole(
    path: string,
    sha256: string,
    bytes: number,
    size: number | undefined,
  ): Promise<boolean> {
    if (size === undefined || bytes < size) return false;
    const hash =
      bytes === 0
        ? sha256Hex('')
        : (await this.#signer.sha256(this.#drive.path(path))).sha256.replace(/^0x/, '');
    if (hash === sha256) {
      await this.#drive.rename(path, this.path(sha256));
      return true;
    }
    await this.#drive.remove(path);
    throw new Refusal('BadHash', `the ${size} bytes that were sent hash to ${hash}`);
  }
}

/** Of a file that is not whole yet: each owner's own. */
function partPath(owner: string, sha256: string): string {
  return `${FOLDER}/${sha256Hex(`${owner} ${sha256}`)}.part`;
}

function nothing(): void {}
