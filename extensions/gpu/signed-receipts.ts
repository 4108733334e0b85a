/**
 * Which attempts this executor has signed a receipt for, for ever (compute-market.md §7.2), with the digest. It is on disk before the signature
 * leaves, whatever becomes of the attempt itself: who signs two different receipts of one attempt is slashed, and a market that drops a job
 * and offers it again must not bring that about. In `receipts/`:
 *
 *   journal      the latest ones; with those of attempts that have no folder what they ended with, until they are dropped
 *   AB.signed    earlier ones of jobs whose id begins with AB: job id, attempt (u32be) and digest, one behind another
 *   AB/JOB-ATTEMPT   of earlier versions of this program: the digest
 */
import { constants } from 'node:fs';
import { mkdir, open, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fromHex, toHex } from '../../contracts/hex.ts';
import { Journal } from './journal.ts';
import { syncFolder, writeAt } from './private-file.ts';

/** What an attempt ended with, for a later run of this program. */
export interface KeptText {
  readonly lease: string;
  readonly text: string;
}

export interface SignedReceiptsOptions {
  /** Bytes that the journal grows by before the receipts in it move to their places. */
  readonly journalBytesMax?: number;
}

/** A thousand receipts with what they ended with, read within milliseconds at the start. */
const JOURNAL_BYTES_MAX = 4 * 1024 * 1024;
const KEY_BYTES = 36;
const ENTRY_BYTES = KEY_BYTES + 32;

/** First line of a record; what a receipt is kept with follows. */
type Head =
  | {
      readonly jobId: string;
      readonly attempt: number;
      readonly digest: string;
      readonly lease?: string | undefined;
    }
  | { readonly drop: string };

export class SignedReceipts {
  readonly #folder: string;
  readonly #journal: Journal;
  readonly #bytesMax: number;
  /** Names that are in the folder. */
  readonly #names: Set<string>;
  /** Digests that are in the journal, or on their way there, by the key in hex. */
  readonly #recent = new Map<string, string>();
  /** Records with what attempts ended with that are not dropped, by lease. */
  readonly #kept = new Map<string, Uint8Array>();
  #settled = 0;
  #settling: Promise<void> | undefined;

  private constructor(folder: string, journal: Journal, bytesMax: number, names: Set<string>) {
    this.#folder = folder;
    this.#journal = journal;
    this.#bytesMax = bytesMax;
    this.#names = names;
  }

  /** Opens the folder, or makes it. */
  static async open(
    folder: string,
    { journalBytesMax = JOURNAL_BYTES_MAX }: SignedReceiptsOptions = {},
  ): Promise<SignedReceipts> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const names = new Set(await readdir(folder));
    const { journal, records } = await Journal.open(join(folder, 'journal'));
    const made = new SignedReceipts(folder, journal, journalBytesMax, names);
    for (const record of records) made.#replay(record);
    return made;
  }

  /** What attempts ended with that were not dropped, as it was added. */
  kept(): readonly KeptText[] {
    return [...this.#kept].map(([lease, record]) => {
      const text = Buffer.from(record).toString();
      return { lease, text: text.slice(text.indexOf('\n') + 1) };
    });
  }

  /** The digest of the receipt of an attempt, if there is, or may be, one. */
  async of(jobId: string, attempt: number): Promise<string | undefined> {
    const key = keyOf(jobId, attempt);
    const recent = this.#recent.get(key.toString('hex'));
    if (recent !== undefined) return recent;
    const digits = key.toString('hex', 0, 32);
    const prefix = digits.slice(0, 2);
    const file = `${prefix}.signed`;
    if (this.#names.has(file)) {
      const entries = await readFile(join(this.#folder, file));
      const found = entryIn(entries, key);
      if (found !== undefined) return found;
    }
    if (!this.#names.has(prefix)) return undefined;
    const path = join(this.#folder, prefix, `${digits}-${attempt}`);
    return readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
  }

  /**
   * Takes note of it, and of what the attempt ended with if that has no other place; on disk when it resolves.
   * @throws Error when there is one already
   */
  async add(jobId: string, attempt: number, digest: string, kept?: KeptText): Promise<void> {
    const key = keyOf(jobId, attempt).toString('hex');
    const known = await this.of(jobId, attempt);
    // Of two that sign at once one fails.
    if (known !== undefined || this.#recent.has(key))
      throw new Error('there is a receipt of this attempt');
    if (fromHex(digest)?.length !== 32) throw new RangeError('a digest is 32 bytes of hex');
    // From here on there may be one, also when it cannot be written.
    this.#recent.set(key, digest);
    const record = recordOf({ jobId, attempt, digest, lease: kept?.lease }, kept?.text);
    if (kept !== undefined) this.#kept.set(kept.lease, record);
    try {
      await this.#journal.add(record);
    } catch (error) {
      if (kept !== undefined) this.drop(kept.lease);
      throw error;
    }
    if (this.#journal.bytes > this.#settled + this.#bytesMax)
      this.#settling ??= this.#settle().finally(() => (this.#settling = undefined));
  }

  /** What the attempt of this lease ended with goes. If that is lost with the power, it is dropped again. */
  drop(lease: string): void {
    if (this.#kept.delete(lease)) this.#journal.add(recordOf({ drop: lease })).catch(() => {});
  }

  async close(): Promise<void> {
    await this.#settling;
    await this.#journal.close();
  }

  #replay(record: Uint8Array): void {
    const text = Buffer.from(record).toString();
    // Proof of the type: the journal holds what `recordOf` made.
    const head = JSON.parse(text.slice(0, text.indexOf('\n'))) as Head;
    if ('drop' in head) return void this.#kept.delete(head.drop);
    this.#recent.set(keyOf(head.jobId, head.attempt).toString('hex'), head.digest);
    if (head.lease !== undefined) this.#kept.set(head.lease, record);
  }

  /** Moves what is in the journal to its places. What fails is tried again with the next receipt: until then it stays in the journal. */
  async #settle(): Promise<void> {
    const moving = [...this.#recent].toSorted(([one], [other]) => (one < other ? -1 : 1));
    try {
      for (let from = 0; from < moving.length;) {
        const prefix = moving[from]![0].slice(0, 2);
        let to = from;
        while (moving[to]?.[0].startsWith(prefix) === true) to += 1;
        await this.#move(`${prefix}.signed`, moving.slice(from, to));
        from = to;
      }
      await syncFolder(this.#folder);
      await this.#journal.replace(() => {
        for (const [key] of moving) this.#recent.delete(key);
        const since = [...this.#recent].map(([key, digest]) => {
          const jobId = `0x${key.slice(0, 64)}`;
          return recordOf({ jobId, attempt: Number.parseInt(key.slice(64), 16), digest });
        });
        return [...since, ...this.#kept.values()];
      });
      this.#settled = this.#journal.bytes;
    } catch {
      // Said above.
    }
  }

  async #move(name: string, receipts: readonly (readonly [string, string])[]): Promise<void> {
    const { O_RDWR, O_CREAT, O_NOFOLLOW } = constants;
    const file = await open(join(this.#folder, name), O_RDWR | O_CREAT | O_NOFOLLOW, 0o600);
    try {
      this.#names.add(name);
      const { size } = await file.stat();
      // Of one that was being written when the power went there may be a part. Whatever comes twice is the same.
      const end = size - (size % ENTRY_BYTES);
      await file.truncate(end);
      const entries = receipts.map(([key, digest]) => Buffer.from(key + digest.slice(2), 'hex'));
      await writeAt(file, Buffer.concat(entries), end);
      await file.datasync();
    } finally {
      await file.close();
    }
  }
}

function recordOf(head: Head, text = ''): Uint8Array {
  return Buffer.from(`${JSON.stringify(head)}\n${text}`);
}

function keyOf(jobId: string, attempt: number): Buffer {
  const id = jobId.startsWith('0x') ? fromHex(jobId.toLowerCase()) : undefined;
  if (id?.length !== 32) throw new RangeError('a job id is 32 bytes of hex');
  const key = Buffer.alloc(KEY_BYTES);
  key.set(id);
  key.writeUInt32BE(attempt, 32);
  return key;
}

function entryIn(entries: Buffer, key: Buffer): string | undefined {
  for (let at = entries.indexOf(key); at !== -1; at = entries.indexOf(key, at + 1))
    if (at % ENTRY_BYTES === 0 && at + ENTRY_BYTES <= entries.length)
      return toHex(entries.subarray(at + KEY_BYTES, at + ENTRY_BYTES));
  return undefined;
}
