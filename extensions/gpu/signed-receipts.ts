/**
 * Which attempts this executor has signed a receipt for, for ever (compute-market.md §7.2): one file each, `receipts/AB/JOB-ATTEMPT`, with the
 * digest. It is there before the signature leaves, whatever becomes of the attempt itself: who signs two different receipts of one attempt
 * is slashed, and a market that drops a job and offers it again must not bring that about.
 */
import { mkdir, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';

export class SignedReceipts {
  readonly #folder: string;
  /** Folders that are there. */
  readonly #made = new Set<string>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** The digest of the receipt of an attempt, if there is one. */
  async of(jobId: string, attempt: number): Promise<string | undefined> {
    return readFile(this.#path(jobId, attempt), 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
  }

  /** Takes note of it; on disk when it resolves. @throws Error when there is one already */
  async add(jobId: string, attempt: number, digest: string): Promise<void> {
    const path = this.#path(jobId, attempt);
    const folder = join(path, '..');
    if (!this.#made.has(folder)) await mkdir(folder, { recursive: true, mode: 0o700 });
    this.#made.add(folder);
    // Exclusive: of two that sign at once one fails.
    const file = await open(path, 'wx', 0o600);
    try {
      await file.writeFile(digest);
      await file.sync();
    } finally {
      await file.close();
    }
    if (process.platform === 'win32') return;
    await using entry = await open(folder, 'r');
    await entry.sync();
  }

  #path(jobId: string, attempt: number): string {
    const digits = jobId.slice(2).toLowerCase();
    if (!/^[0-9a-f]{64}$/.test(digits)) throw new RangeError('a job id is 32 bytes of hex');
    return join(this.#folder, digits.slice(0, 2), `${digits}-${attempt}`);
  }
}
