/**
 * A file in parts. The module has one cursor per path for the whole node (runtime-modules.md §2.7), so this keeps its own position and
 * says with each action where it is to happen; within this process no two actions on a path overlap. Another process that moves the
 * cursor between the two messages of one write would misplace it: a file that several processes write needs one of them to do it.
 */
import { ModuleError, member } from './modules.ts';
import type { Drive } from './vfs.ts';

/** The last action under way, by path. */
const busy = new Map<string, Promise<unknown>>();

export class DriveFile {
  readonly path: string;
  /** Where `read`, `readExact` and `write` continue; bytes from the start. */
  position = 0;
  readonly #drive: Drive;

  constructor(drive: Drive, path: string) {
    this.#drive = drive;
    this.path = path;
  }

  /** Up to `length` bytes from `offset`; fewer only at the end of the file. */
  readAt(offset: number, length: number): Promise<Uint8Array> {
    return this.#alone(async () => {
      try {
        return await this.#exact(offset, length);
      } catch (error) {
        if (!(error instanceof ModuleError) || error.detail !== 'early eof') throw error;
        const left = (await this.#length()) - offset;
        return left <= 0 ? new Uint8Array() : this.#exact(offset, Math.min(left, length));
      }
    });
  }

  writeAt(offset: number, bytes: Uint8Array): Promise<void> {
    return this.#alone(async () => {
      // One after the other: if the first were refused, the second would write somewhere else.
      await this.#act({ Seek: { Start: offset } });
      await this.#act('WriteAll', bytes);
    });
  }

  /** As `readAt`, from `position` on. */
  async read(length: number): Promise<Uint8Array> {
    const bytes = await this.readAt(this.position, length);
    this.position += bytes.length;
    return bytes;
  }

  /** Exactly `length` bytes from `position` on. @throws VfsError IOError `early eof` when there are fewer; the position stays */
  async readExact(length: number): Promise<Uint8Array> {
    const at = this.position;
    const bytes = await this.#alone(() => this.#exact(at, length));
    this.position = at + bytes.length;
    return bytes;
  }

  /** Writes at `position` and moves it. */
  async write(bytes: Uint8Array): Promise<void> {
    const at = this.position;
    await this.writeAt(at, bytes);
    this.position = at + bytes.length;
  }

  /** Sets `position`; past the end is allowed. @throws RangeError before the start */
  async seek(offset: number, from: 'start' | 'current' | 'end' = 'start'): Promise<number> {
    const base = from === 'start' ? 0 : from === 'current' ? this.position : await this.length();
    if (base + offset < 0) throw new RangeError(`${this.path}: a position before the start`);
    this.position = base + offset;
    return this.position;
  }

  length(): Promise<number> {
    return this.#alone(() => this.#length());
  }

  /** Cuts the file, or fills it up with zeroes. */
  async setLength(length: number): Promise<void> {
    await this.#alone(() => this.#act({ SetLen: length }));
  }

  /** Resolves when everything written is on disk. */
  async sync(): Promise<void> {
    await this.#alone(() => this.#act('SyncAll'));
  }

  /** Lets the module close its handle. The object can still be used; the module opens the file again then. */
  async close(): Promise<void> {
    await this.#alone(() => this.#act('CloseFile')).catch((error: unknown) => {
      // Whoever may only read may not close either (runtime-modules.md §2.5); the module closes by itself.
      if (!(error instanceof ModuleError && error.code === 'NoWriteCap')) throw error;
    });
  }

  /** Both messages at once: the module takes those of one process in order, and if the first is refused, so is the second. */
  async #exact(offset: number, length: number): Promise<Uint8Array> {
    const [, answer] = await Promise.all([
      this.#act({ Seek: { Start: offset } }),
      this.#act({ ReadExact: { length } }),
    ]);
    return answer.bytes;
  }

  async #length(): Promise<number> {
    return Number(member((await this.#act('Len')).body, 'Len'));
  }

  #act(action: unknown, blob?: Uint8Array): ReturnType<Drive['act']> {
    return this.#drive.act(this.path, action, blob);
  }

  async #alone<T>(work: () => Promise<T>): Promise<T> {
    const key = this.#drive.path(this.path);
    const before = busy.get(key);
    const result = before === undefined ? work() : before.then(work);
    const settled = result.then(nothing, nothing);
    busy.set(key, settled);
    try {
      return await result;
    } finally {
      if (busy.get(key) === settled) busy.delete(key);
    }
  }
}

function nothing(): void {}
