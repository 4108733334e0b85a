/**
 * The log of one run (compute-market.md §7.1): what the program writes becomes numbered records, and a root that the receipt commits to.
 * They are kept, in memory while they are few and in a file from then on, so none is lost however often the channel is; a program whose
 * reader stops is stopped, because what it writes is taken only as long as not too much is unsent.
 */
import { createHash } from 'node:crypto';
import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';

import { GrowingTree, logLeaf } from '../../contracts/merkle-tree.ts';
import {
  decodeRecords,
  encodeRecords,
  RECORD_BYTES_MAX,
  RECORD_HEAD_BYTES,
  STREAM,
  type Stream,
} from '../../wit/jobs/log-records.ts';
import { LOG_WINDOW_BYTES } from '../../wit/hn-ext/limits.ts';
import { sha256 } from '../../contracts/merkle.ts';

export interface JobLogOptions {
  readonly path: string;
  /** Bytes of records, their heads included, beyond which output is dropped. */
  readonly bytesMax: number;
  /** Milliseconds since the start. */
  readonly atMs: () => number;
}

/** Bytes that the last records need beyond the limit. */
const LAST_BYTES = 1_024;
/** Bytes of a log that has no file: most programs say little, and a file costs more than they do. */
export const HELD_BYTES_MAX = 16 * 1024;

export class JobLog {
  readonly #options: JobLogOptions;
  /** Of a log that has outgrown memory, once it is written. */
  #file: FileHandle | undefined;
  /** The records of one that has not, by number; undefined from then on. */
  #held: Uint8Array[] | undefined = [];
  readonly #tree = new GrowingTree(sha256);
  readonly #stdout = createHash('sha256');
  #bytes = 0;
  #dropped = 0;
  /** Where each record that is not taken yet begins; the first has the number `#taken`. */
  #offsets: number[] = [];
  #taken = 0;
  #sentBytes = 0;
  #waiting: (() => void)[] = [];
  #writing: Promise<void> = Promise.resolve();
  #ended = false;
  /** Called when there is something new. */
  grown: () => void = () => undefined;

  /** Begins one; an older file of that name is emptied when there is more than memory holds. */
  constructor(options: JobLogOptions) {
    this.#options = options;
  }

  /** One that had no file, as an earlier run of this program kept it (`held`). @throws Error for what is none */
  static restore(bytes: Uint8Array): JobLog {
    const log = new JobLog({ path: '', bytesMax: 0, atMs: () => 0 });
    const read = decodeRecords(bytes);
    if (read?.rest !== bytes.length) throw new Error('it is no whole log');
    for (const { bytes: content } of read.records) {
      const next = log.#bytes + RECORD_HEAD_BYTES + content.length;
      log.#held!.push(bytes.subarray(log.#bytes, next));
      log.#offsets.push(log.#bytes);
      log.#bytes = next;
    }
    log.#ended = true;
    return log;
  }

  /** One that has its last record, as an earlier run of this program left it: to be read only. @throws Error for what is none */
  static async reopen(path: string): Promise<JobLog> {
    const file = await open(path, 'r');
    const log = new JobLog({ path, bytesMax: 0, atMs: () => 0 });
    log.#file = file;
    log.#held = undefined;
    const { size } = await file.stat();
    const head = Buffer.alloc(RECORD_HEAD_BYTES);
    while (log.#bytes < size) {
      const { bytesRead } = await file.read(head, 0, RECORD_HEAD_BYTES, log.#bytes);
      const next = log.#bytes + RECORD_HEAD_BYTES + head.readUInt32BE(13);
      if (bytesRead < RECORD_HEAD_BYTES || next > size) throw new Error(`${path} is no whole log`);
      log.#offsets.push(log.#bytes);
      log.#bytes = next;
    }
    log.#ended = true;
    return log;
  }

  /** Records so far. */
  get count(): number {
    return this.#tree.count;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** All of it, if it has no file. */
  get held(): Uint8Array | undefined {
    return this.#held === undefined ? undefined : Buffer.concat(this.#held);
  }

  get truncated(): boolean {
    return this.#dropped > 0;
  }

  /** Takes what a stream of the program said; resolves when the program may go on. */
  async write(stream: Stream, bytes: Uint8Array): Promise<void> {
    if (stream === STREAM.stdout) this.#stdout.update(bytes);
    for (let at = 0; at < bytes.length; at += RECORD_BYTES_MAX) {
      const part = bytes.subarray(at, at + RECORD_BYTES_MAX);
      const size = part.length + RECORD_HEAD_BYTES;
      if (this.#dropped > 0 || this.#bytes + size + LAST_BYTES > this.#options.bytesMax)
        this.#dropped += part.length;
      else this.#append(stream, part);
    }
    await this.#writing;
    while (!this.#ended && this.#bytes - this.#sentBytes > LOG_WINDOW_BYTES)
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** A record of the runner itself. */
  system(event: { readonly ev: string; readonly [name: string]: string | number }): void {
    this.#append(STREAM.system, Buffer.from(JSON.stringify(event)));
  }

  /** The last record; nobody waits for a reader any more. */
  async end(code: number): Promise<{ readonly root: Uint8Array; readonly stdoutHash: Uint8Array }> {
    if (this.#dropped > 0) this.system({ ev: 'truncated', bytes: this.#dropped });
    this.system({ ev: 'exit', code });
    this.release();
    await this.#writing;
    await this.#file?.sync();
    return { root: this.#tree.root(), stdoutHash: new Uint8Array(this.#stdout.digest()) };
  }

  /** Everybody who waits goes on: the program is to end. */
  release(): void {
    this.#ended = true;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /**
   * Records from that number on, at most so many bytes but at least one; undefined when there is none yet.
   * @throws RangeError for a number whose record has been taken
   */
  async read(
    seq: number,
    bytesMax: number,
  ): Promise<{ readonly records: Uint8Array; readonly next: number } | undefined> {
    // What is added meanwhile is not in the file yet.
    for (let writing; writing !== this.#writing;) await (writing = this.#writing);
    const first = seq - this.#taken;
    if (first < 0) throw new RangeError(`record ${seq} has been taken`);
    const from = this.#offsets[first];
    if (from === undefined) return undefined;
    const endOf = (index: number): number => this.#offsets[index + 1] ?? this.#bytes;
    let last = first;
    while (last + 1 < this.#offsets.length && endOf(last + 1) - from <= bytesMax) last += 1;
    const next = this.#taken + last + 1;
    const end = endOf(last);
    let records: Uint8Array;
    if (this.#held !== undefined) records = Buffer.concat(this.#held.slice(seq, next));
    else await this.#file!.read((records = new Uint8Array(end - from)), 0, end - from, from);
    this.#sentBytes = Math.max(this.#sentBytes, end);
    this.#goOn();
    return { records, next };
  }

  /** Everything before `seq` is where it belongs: it is not asked for again. */
  taken(seq: number): void {
    const count = Math.min(seq - this.#taken, this.#offsets.length);
    if (count <= 0) return;
    this.#offsets = this.#offsets.slice(count);
    this.#taken += count;
  }

  async close(): Promise<void> {
    this.release();
    await this.#writing.catch(() => undefined);
    await this.#file?.close();
  }

  #append(stream: Stream, bytes: Uint8Array): void {
    const frame = encodeRecords([
      { seq: this.#tree.count, stream, atMs: Math.floor(this.#options.atMs()), bytes },
    ]);
    this.#tree.add(logLeaf(sha256, frame));
    const at = this.#bytes;
    this.#offsets.push(at);
    this.#bytes += frame.length;
    this.#held?.push(frame);
    const held = this.#held;
    if (held !== undefined && this.#bytes > HELD_BYTES_MAX) this.#held = undefined;
    const isHeld = this.#held !== undefined;
    this.#writing = this.#writing.then(async () => {
      if (!isHeld) await this.#write(held, frame, at);
      this.grown();
    });
    // Whoever waits for it hears of a full disk; nobody waiting is no reason to end the program.
    this.#writing.catch(() => undefined);
  }

  /** @param held  all that there is so far, of a log that has just outgrown memory */
  async #write(held: Uint8Array[] | undefined, frame: Uint8Array, at: number): Promise<void> {
    if (held === undefined) return void (await this.#file!.write(frame, 0, frame.length, at));
    await mkdir(dirname(this.#options.path), { recursive: true, mode: 0o700 });
    this.#file = await open(this.#options.path, 'w+', 0o600);
    await this.#file.writeFile(Buffer.concat(held));
  }

  #goOn(): void {
    if (this.#bytes - this.#sentBytes <= LOG_WINDOW_BYTES)
      for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
