/**
 * The log of everything printed, at every level (runtime-modules.md §9.4): `<folder>/<YYYY-MM-DD-HH:MM:SS>.log`, a new file at each
 * start and whenever the current one would reach its share of the limit; then the oldest beyond the number kept are deleted.
 * Lines are written in order, a batch at a time, and are in the file when `close` settles.
 */
import { type FileHandle, mkdir, open, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

export interface LogOptions {
  readonly folder: string;
  /** Bytes of all files together; 0: one file without limit. */
  readonly bytesMax: number;
  readonly filesMax: number;
  readonly now: () => Date;
  /** Told once when the log cannot be written; the node goes on without one. */
  readonly failed: (error: Error) => void;
  /** Told whenever what was waiting has been written. */
  readonly drained?: () => void;
}

export class LogFile {
  readonly #options: LogOptions;
  #pending: string[] = [];
  #writing: Promise<void> | undefined;
  #file: FileHandle | undefined;
  #size = 0;
  #broken = false;
  /** Text waiting or being written, in UTF-16 units. */
  backlog = 0;

  constructor(options: LogOptions) {
    this.#options = options;
  }

  /** Queues one line, newline included. */
  write(line: string): void {
    if (this.#broken) return;
    this.#pending.push(line);
    this.backlog += line.length;
    this.#writing ??= this.#drain();
  }

  async close(): Promise<void> {
    await this.#writing;
    await this.#file?.close();
    this.#file = undefined;
  }

  async #drain(): Promise<void> {
    try {
      while (this.#pending.length > 0) {
        const batch = this.#pending;
        this.#pending = [];
        await this.#writeBatch(batch);
        for (const line of batch) this.backlog -= line.length;
        this.#options.drained?.();
      }
    } catch (error) {
      this.#broken = true;
      this.#pending = [];
      this.backlog = 0;
      this.#options.failed(error as Error);
      this.#options.drained?.();
    } finally {
      this.#writing = undefined;
    }
  }

  async #writeBatch(lines: readonly string[]): Promise<void> {
    const { bytesMax, filesMax } = this.#options;
    const share = bytesMax === 0 ? Infinity : bytesMax / Math.max(1, filesMax);
    let text = '';
    for (const line of lines) {
      const bytes = Buffer.byteLength(line);
      if (this.#file === undefined || (this.#size > 0 && this.#size + bytes >= share)) {
        await this.#append(text);
        text = '';
        await this.#rotate();
      }
      text += line;
      this.#size += bytes;
    }
    await this.#append(text);
  }

  async #append(text: string): Promise<void> {
    if (text !== '') await this.#file?.appendFile(text);
  }

  async #rotate(): Promise<void> {
    const { folder, bytesMax, filesMax, now } = this.#options;
    await this.#file?.close();
    this.#file = undefined;
    await mkdir(folder, { recursive: true });
    const name = fileName(now());
    for (let copy = 0; this.#file === undefined; copy += 1) {
      // Two rotations within a second: the second file gets a number.
      const path = join(folder, copy === 0 ? `${name}.log` : `${name}-${copy}.log`);
      try {
        this.#file = await open(path, 'ax', 0o600);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
    }
    this.#size = 0;
    if (bytesMax !== 0) await prune(folder, Math.max(1, filesMax));
  }
}

/** Deletes the oldest logs, by modification time, until `keep` are left. */
async function prune(folder: string, keep: number): Promise<void> {
  const logs = (await readdir(folder)).filter((name) => name.endsWith('.log'));
  const aged = await Promise.all(
    logs.map(async (name) => ({ name, at: (await stat(join(folder, name))).mtimeMs })),
  );
  aged.sort((a, b) => b.at - a.at || compareNames(b.name, a.name));
  for (const { name } of aged.slice(keep)) await rm(join(folder, name), { force: true });
}

/** By date, then by the number of a second file within the same second. */
function compareNames(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true });
}

function fileName(at: Date): string {
  const [year, month, day] = [at.getFullYear(), at.getMonth() + 1, at.getDate()].map(two);
  const [hour, minute, second] = [at.getHours(), at.getMinutes(), at.getSeconds()].map(two);
  const colon = process.platform === 'win32' ? '_' : ':';
  return `${year}-${month}-${day}-${[hour, minute, second].join(colon)}`;
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}
