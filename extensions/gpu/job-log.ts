/**
 * The log of one run (compute-market.md §7.1): what the program writes becomes numbered records in a file, and a root that the receipt
 * commits to. They are sent from the file, so none is lost however often the channel is; a program whose reader stops is stopped, because
 * what it writes is taken only as long as not too much is unsent.
 */
import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';

import { GrowingTree, logLeaf } from '../../contracts/merkle-tree.ts';
import {
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

export class JobLog {
  readonly #options: JobLogOptions;
  readonly #file: FileHandle;
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

  private constructor(options: JobLogOptions, file: FileHandle) {
    this.#options = options;
    this.#file = file;
  }

  /** Begins one; an older file of that name is emptied. */
  static async open(options: JobLogOptions): Promise<JobLog> {
    return new JobLog(options, await open(options.path, 'w+', 0o600));
  }

  /** One that has its last record, as an earlier run of this program left it: to be read only. @throws Error for what is none */
  static async reopen(path: string): Promise<JobLog> {
    const file = await open(path, 'r');
    const log = new JobLog({ path, bytesMax: 0, atMs: () => 0 }, file);
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
    await this.#file.sync();
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
    await this.#writing;
    const first = seq - this.#taken;
    if (first < 0) throw new RangeError(`record ${seq} has been taken`);
    const from = this.#offsets[first];
    if (from === undefined) return undefined;
    const endOf = (index: number): number => this.#offsets[index + 1] ?? this.#bytes;
    let last = first;
    while (last + 1 < this.#offsets.length && endOf(last + 1) - from <= bytesMax) last += 1;
    const records = new Uint8Array(endOf(last) - from);
    await this.#file.read(records, 0, records.length, from);
    this.#sentBytes = Math.max(this.#sentBytes, endOf(last));
    this.#goOn();
    return { records, next: this.#taken + last + 1 };
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
    await this.#file.close();
  }

  #append(stream: Stream, bytes: Uint8Array): void {
    const frame = encodeRecords([
      { seq: this.#tree.count, stream, atMs: Math.floor(this.#options.atMs()), bytes },
    ]);
    this.#tree.add(logLeaf(sha256, frame));
    const at = this.#bytes;
    this.#offsets.push(at);
    this.#bytes += frame.length;
    this.#writing = this.#writing.then(async () => {
      await this.#file.write(frame, 0, frame.length, at);
      this.grown();
    });
    // Whoever waits for it hears of a full disk; nobody waiting is no reason to end the program.
    this.#writing.catch(() => undefined);
  }

  #goOn(): void {
    if (this.#bytes - this.#sentBytes <= LOG_WINDOW_BYTES)
      for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
