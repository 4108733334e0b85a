/**
 * What one attempt has on disk, `<home>/jobs/<lease>/`:
 *
 *   blobs/HASH   inputs and the module, verified
 *   in/ out/     what the program sees
 *   log          records (wit/jobs/log-records.ts), of a log that is more than a little
 *   artifacts/HASH   outputs, as they were hashed
 *   receipt      the offer and the end of the run, written before anything is sent: the only receipt that this attempt ever has
 *
 * An attempt that needs none of them has no folder; the end of its run is with its digest (signed-receipts.ts).
 */
import { chmod, copyFile, mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { JobInput } from '../../wit/jobs/spec.ts';
import { writeDurable } from './private-file.ts';

const LEASE = /^[0-9a-f]{32}$/;

export class JobFolder {
  readonly lease: string;
  readonly path: string;
  #hasReceipt = false;
  #gone = false;
  #made = false;
  /** A program may make folders in it. */
  lent = false;

  constructor(jobs: string, lease: string) {
    if (!LEASE.test(lease)) throw new RangeError('a lease is 32 hex digits');
    this.lease = lease;
    this.path = join(jobs, lease);
  }

  /** Whether there is, or may be, such a folder. */
  get isThere(): boolean {
    return this.#made || this.lent;
  }

  get inputs(): string {
    return join(this.path, 'in');
  }
  get outputs(): string {
    return join(this.path, 'out');
  }
  get log(): string {
    return join(this.path, 'log');
  }
  blob(sha256: string): string {
    return join(this.path, 'blobs', sha256);
  }
  artifact(sha256: string): string {
    return join(this.path, 'artifacts', sha256);
  }

  /** Makes the folders that a program sees, empty. What else there is makes its folders itself: a job may need none at all. */
  async create(): Promise<void> {
    this.#made = true;
    await mkdir(this.path, { mode: 0o700 });
    await Promise.all([this.inputs, this.outputs].map((path) => mkdir(path, { mode: 0o700 })));
  }

  /** Makes room for what is fetched, for outputs as they are hashed, for the program's outputs, or just for a log. */
  async createFor(what: 'blobs' | 'artifacts' | 'out' | ''): Promise<void> {
    if (this.#gone) throw new Error('the attempt was dropped');
    this.#made = true;
    await mkdir(join(this.path, what), { recursive: true, mode: 0o700 });
  }

  /** Lays the inputs out as the program sees them. Each file is its own: no two names share one. */
  async layOut(inputs: readonly JobInput[]): Promise<void> {
    for (const { path, sha256, exec } of inputs) {
      const target = join(this.inputs, path);
      await mkdir(dirname(target), { recursive: true, mode: 0o755 });
      await copyFile(this.blob(sha256), target);
      await chmod(target, exec === true ? 0o755 : 0o644);
    }
  }

  /** @returns what is there already, of an earlier run of this program */
  async receipt(): Promise<string | undefined> {
    this.#made = true;
    return readFile(join(this.path, 'receipt'), 'utf8').catch(missing);
  }

  /** Once; on disk when it resolves. @throws Error when there is one */
  async keepReceipt(text: string): Promise<void> {
    if (this.#hasReceipt) throw new Error('this attempt has its receipt');
    this.#hasReceipt = true;
    await this.createFor('');
    await writeDurable(join(this.path, 'receipt'), text);
  }

  /** Inputs and outputs as the program saw them: they are not needed any more. */
  async dropWork(): Promise<void> {
    for (const name of ['blobs', 'in', 'out'])
      await rm(join(this.path, name), { recursive: true, force: true });
  }

  async remove(): Promise<void> {
    this.#gone = true;
    // Under another name first: half a folder must not be taken for a job.
    if (!this.isThere) return;
    const dying = `${this.path}.gone`;
    await rename(this.path, dying).catch(missing);
    await rm(dying, { recursive: true, force: true });
  }
}

/** Leases that have a folder; the rest of what is in there is removed. */
export async function leasesIn(jobs: string): Promise<readonly string[]> {
  await mkdir(jobs, { recursive: true, mode: 0o700 });
  const names = await readdir(jobs);
  for (const name of names)
    if (!LEASE.test(name)) await rm(join(jobs, name), { recursive: true, force: true });
  return names.filter((name) => LEASE.test(name));
}

function missing(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT') return undefined;
  throw error;
}
