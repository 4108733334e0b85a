/**
 * The logs of jobs: records as the executor numbered them, one file for each attempt. What a provider sends again is taken once; a gap is
 * refused, so that what is stored is what the receipt commits to.
 */
import { Refusal } from '../../lib/index.ts';
import type { Drive } from '../../lib/vfs.ts';
import type { JobStore } from './store.ts';
import { decodeRecords, type LogRecord, RECORD_HEAD_BYTES } from '../../../wit/jobs/log-records.ts';

/** Bytes of a log beyond the spec's limit: heads of records, and what the runner itself says. */
const SLACK_BYTES = 1024 * 1024;
const READ_BYTES = 1024 * 1024;
const HEADS_FACTOR = 2;

interface Tail {
  /** Number of the record that is next. */
  next: number;
  bytes: number;
  /** The write under way. */
  last: Promise<void>;
}

export interface LogPart {
  readonly records: readonly LogRecord[];
  /** Number of the record that is next; there may be none yet. */
  readonly next: number;
  /** Where in the file it is. */
  readonly offset: number;
}

/** Bytes of a whole log that is kept without a file. */
const SHORT_BYTES_MAX = 4 * 1024;

export class Logs {
  readonly #drive: Drive;
  readonly #store: Pick<JobStore, 'keepShortLog' | 'shortLog' | 'dropShortLogs'>;
  /** Logs that are being written. */
  readonly #tails = new Map<string, Promise<Tail>>();

  constructor(drive: Drive, store: Pick<JobStore, 'keepShortLog' | 'shortLog' | 'dropShortLogs'>) {
    this.#drive = drive;
    this.#store = store;
  }

  /** Path in the drive. */
  path(jobId: string, attempt: number): string {
    return `logs/${jobId}.${attempt}`;
  }

  /** For the oracle. */
  wholePath(jobId: string, attempt: number): string {
    return this.#drive.path(this.path(jobId, attempt));
  }

  /**
   * Adds records. Resolves when they are stored with those that were new.
   * @throws Refusal for bytes that are no records, for a gap, and for more than the job may write
   */
  async append(
    job: { readonly jobId: string; readonly attempt: number; readonly logKiB: number },
    firstSeq: number,
    bytes: Uint8Array,
  ): Promise<readonly LogRecord[]> {
    const read = decodeRecords(bytes);
    const whole = read !== undefined && read.rest === bytes.length;
    if (!whole || read.records.some(({ seq }, index) => seq !== firstSeq + index)) {
      throw new Refusal('BadLogs', 'the blob is not the records that it says it is');
    }
    const path = this.path(job.jobId, job.attempt);
    const opened = this.#tails.get(path) ?? this.#open(path, firstSeq);
    this.#tails.set(path, opened);
    const tail = await opened;
    const fresh = read.records.filter(({ seq }) => seq >= tail.next);
    const [first] = fresh;
    if (first === undefined) {
      await tail.last;
      return [];
    }
    if (first.seq !== tail.next) {
      throw new Refusal('LogGap', `record ${tail.next} is next, not ${first.seq}`);
    }
    const rest =
      fresh.length === read.records.length
        ? bytes
        : bytes.subarray(first.bytes.byteOffset - bytes.byteOffset - RECORD_HEAD_BYTES);
    if (tail.bytes + rest.length > job.logKiB * 1024 * HEADS_FACTOR + SLACK_BYTES) {
      throw new Refusal('LogLimit', `the log is longer than the job may write`);
    }
    const create = tail.bytes === 0;
    tail.next += fresh.length;
    tail.bytes += rest.length;
    const write = async (): Promise<void> =>
      create
        ? this.#drive.write(path, rest, { mkdirs: true })
        : void (await this.#drive.act(path, 'Append', rest));
    tail.last = tail.last.then(write);
    try {
      await tail.last;
    } catch (error) {
      // What is in the file is looked up again.
      this.#tails.delete(path);
      throw error;
    }
    return fresh;
  }

  /**
   * Keeps a whole log that comes at once with the end of its run, without a file if it is short. Undefined: it is none of those.
   * @param count  records of it, as the result says
   */
  async keepWhole(
    job: { readonly jobId: string; readonly attempt: number },
    count: number,
    bytes: Uint8Array,
  ): Promise<readonly LogRecord[] | undefined> {
    if (bytes.length > SHORT_BYTES_MAX || this.#tails.has(this.path(job.jobId, job.attempt)))
      return undefined;
    const { records, rest } = decodeRecords(bytes) ?? { records: [], rest: -1 };
    const whole = rest === bytes.length && records.length === count;
    if (!whole || records.some(({ seq }, index) => seq !== index)) return undefined;
    await this.#store.keepShortLog(job.jobId, job.attempt, bytes);
    return records;
  }

  /** Nothing more will come. */
  close(jobId: string, attempt: number): void {
    this.#tails.delete(this.path(jobId, attempt));
  }

  /** Records from number `from` on, about a MiB of them. @param hint  where in the file that record is, if known */
  async read(jobId: string, attempt: number, from: number, hint = 0): Promise<LogPart> {
    const path = this.path(jobId, attempt);
    let offset = hint;
    for (;;) {
      const short = offset === 0 ? await this.#store.shortLog(jobId, attempt) : undefined;
      const chunk = short ?? (await this.#chunk(path, offset));
      const read = decodeRecords(chunk);
      if (read === undefined || read.rest === 0) return { records: [], next: from, offset };
      const wanted = read.records.filter(({ seq }) => seq >= from);
      offset += read.rest;
      const last = wanted.at(-1);
      if (last !== undefined) return { records: wanted, next: last.seq + 1, offset };
    }
  }

  async remove(jobId: string, attempts: number): Promise<void> {
    for (let attempt = 0; attempt < attempts; attempt += 1) {
      await this.#drive.remove(this.path(jobId, attempt));
    }
    await this.#store.dropShortLogs(jobId);
  }

  async #chunk(path: string, offset: number): Promise<Uint8Array> {
    const stat = await this.#drive.stat(path);
    if (stat === undefined || stat.bytes <= offset) return new Uint8Array();
    const file = await this.#drive.open(path);
    try {
      return await file.readAt(offset, Math.min(READ_BYTES, stat.bytes - offset));
    } finally {
      await file.close();
    }
  }

  /** What is there already. A log that begins is not looked for: what is sent again from its first record is the same. */
  async #open(path: string, firstSeq: number): Promise<Tail> {
    if (firstSeq === 0) return { next: 0, bytes: 0, last: Promise.resolve() };
    let next = 0;
    let bytes = 0;
    for (;;) {
      const read = decodeRecords(await this.#chunk(path, bytes));
      const last = read?.records.at(-1);
      if (read === undefined || last === undefined) break;
      next = last.seq + 1;
      bytes += read.rest;
    }
    const stat = await this.#drive.stat(path);
    if (stat !== undefined && stat.bytes > bytes) {
      // The market died while it wrote: half a record is sent again whole.
      const file = await this.#drive.open(path, { create: true });
      await file.setLength(bytes);
      await file.close();
    }
    return { next, bytes, last: Promise.resolve() };
  }
}
