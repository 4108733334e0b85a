/**
 * A file to which records are added, each on disk before it is taken for written. Those that come while others are being written go together
 * with one sync. A record is its length (u32be), the first 8 bytes of its SHA-256, and its bytes: what was being written when the power
 * went is told from what is whole, and was never said to be written.
 */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncFolder, writeAt } from './private-file.ts';

const SUM_BYTES = 8;
const HEAD_BYTES = 4 + SUM_BYTES;

interface Waiting {
  readonly work: () => Promise<void>;
  /** Of a record to add; others work by themselves. */
  readonly frame?: Uint8Array;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class Journal {
  readonly #path: string;
  #file: FileHandle;
  /** Of whole records. */
  #bytes: number;
  #waiting: Waiting[] = [];
  #working = false;

  private constructor(path: string, file: FileHandle, bytes: number) {
    this.#path = path;
    this.#file = file;
    this.#bytes = bytes;
  }

  /** Opens it, or makes one. @returns also the records that are in it */
  static async open(
    path: string,
  ): Promise<{ readonly journal: Journal; readonly records: readonly Uint8Array[] }> {
    const { O_RDWR, O_CREAT, O_NOFOLLOW } = constants;
    const file = await open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0o600);
    const content = await file.readFile();
    const { records, end } = recordsIn(content);
    if (end < content.length) await file.truncate(end);
    await syncFolder(dirname(path));
    return { journal: new Journal(path, file, end), records };
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Adds a record; it is on disk when this resolves. @throws I/O errors: then it is not in the journal */
  add(record: Uint8Array): Promise<void> {
    return this.#enqueue({ work: async () => undefined, frame: framed(record) });
  }

  /** Puts a journal of these records in its place, which are asked for when what was added before is written. */
  replace(records: () => readonly Uint8Array[]): Promise<void> {
    return this.#enqueue({
      work: async () => {
        const content = Buffer.concat(records().map(framed));
        const fresh = `${this.#path}.new`;
        const file = await open(fresh, 'w+', 0o600);
        try {
          await writeAt(file, content, 0);
          await file.sync();
          await rename(fresh, this.#path);
        } catch (error) {
          await file.close();
          throw error;
        }
        await this.#file.close();
        this.#file = file;
        this.#bytes = content.length;
        await syncFolder(dirname(this.#path));
      },
    });
  }

  /** After what was added is written. */
  close(): Promise<void> {
    return this.#enqueue({ work: () => this.#file.close() });
  }

  #enqueue(waiting: Pick<Waiting, 'work' | 'frame'>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ ...waiting, resolve, reject });
      if (!this.#working) void this.#work();
    });
  }

  async #work(): Promise<void> {
    this.#working = true;
    // What else is added in this turn goes along.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const other = this.#waiting.findIndex(({ frame }) => frame === undefined);
      const together = this.#waiting.splice(0, other === -1 ? Infinity : Math.max(1, other));
      try {
        await this.#append(together.flatMap(({ frame }) => frame ?? []));
        for (const { work } of together) await work();
        for (const { resolve } of together) resolve();
      } catch (error) {
        for (const { reject } of together) reject(error);
      }
    }
    this.#working = false;
  }

  async #append(frames: readonly Uint8Array[]): Promise<void> {
    if (frames.length === 0) return;
    const content = Buffer.concat(frames);
    try {
      await writeAt(this.#file, content, this.#bytes);
      await this.#file.datasync();
    } catch (error) {
      // Half of it must not stand before what is added next.
      await this.#file.truncate(this.#bytes);
      throw error;
    }
    this.#bytes += content.length;
  }
}

function sumOf(record: Uint8Array): Buffer {
  return createHash('sha256').update(record).digest().subarray(0, SUM_BYTES);
}

function framed(record: Uint8Array): Uint8Array {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt32BE(record.length);
  head.set(sumOf(record), 4);
  return Buffer.concat([head, record]);
}

/** The whole records from the beginning, and where they end. */
function recordsIn(content: Buffer): { records: Uint8Array[]; end: number } {
  const records: Uint8Array[] = [];
  let end = 0;
  while (end + HEAD_BYTES <= content.length) {
    const from = end + HEAD_BYTES;
    const record = content.subarray(from, from + content.readUInt32BE(end));
    const next = from + content.readUInt32BE(end);
    if (next > content.length || !sumOf(record).equals(content.subarray(end + 4, from))) break;
    records.push(record);
    end = next;
  }
  return { records, end };
}
