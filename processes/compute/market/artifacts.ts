/**
 * What jobs leave (compute-market.md §14): files under their hash, fetched from the provider in parts and believed when the node's own
 * hash of them agrees. They stay seven days after the job is closed; a file that two jobs left is kept for both.
 */
import type { Drive } from '../../lib/vfs.ts';
import type { Signer } from '../../lib/signer.ts';
import type { OutputFile } from '../../../wit/jobs/result.ts';
import { sha256Hex } from '../../../wit/jobs/digest.ts';
import type { Gpu } from './providers.ts';
import type { JobStore } from './store.ts';

/** Bytes of one request for a part. */
const PART_BYTES = 1024 * 1024;
/** For one part to come, from anywhere. */
const PART_S = 60;
export const KEPT_MS = 7 * 86_400_000;
/** Jobs whose artifacts go in one sweep. */
const EXPIRED_AT_ONCE = 20;
const FOLDER = 'artifacts';

/** What was delivered is not what was signed. */
export class WrongArtifact extends Error {
  override readonly name = 'WrongArtifact';
}

export interface Pulled {
  readonly jobId: string;
  readonly lease: string;
  readonly outputs: readonly OutputFile[];
}

export class Artifacts {
  readonly #drive: Drive;
  readonly #signer: Signer;
  readonly #store: JobStore;
  /** Fetches under way, by hash: of two jobs that left the same file one fetches it. */
  readonly #pulls = new Map<string, Promise<void>>();

  constructor(drive: Drive, signer: Signer, store: JobStore) {
    this.#drive = drive;
    this.#signer = signer;
    this.#store = store;
  }

  /** The folder in vfs, for the oracle. */
  get folder(): string {
    return this.#drive.path(FOLDER);
  }

  /** Fetches what is not there yet. @throws WrongArtifact; NoResponse, RemoteError: not to be had now */
  async pull(gpu: Gpu, { jobId, lease, outputs }: Pulled): Promise<void> {
    const files = [...new Map(outputs.map((file) => [file.sha256, file])).values()];
    await this.#store.keepArtifacts(jobId, files);
    for (const { sha256, size } of files) {
      const under = this.#pulls.get(sha256);
      if (under !== undefined) await under.catch(nothing);
      const pull = this.#pullOne(gpu, { jobId, lease }, sha256, size);
      this.#pulls.set(sha256, pull);
      try {
        await pull;
      } finally {
        if (this.#pulls.get(sha256) === pull) this.#pulls.delete(sha256);
      }
    }
  }

  /** Bytes of a file that is there; undefined when it is not. */
  async bytesOf(sha256: string): Promise<number | undefined> {
    return (await this.#drive.stat(`${FOLDER}/${sha256}`))?.bytes;
  }

  /** Of a file, in vfs. */
  path(sha256: string): string {
    return this.#drive.path(`${FOLDER}/${sha256}`);
  }

  /** A part of a file that is there. */
  async read(sha256: string, offset: number, length: number): Promise<Uint8Array> {
    const file = await this.#drive.open(`${FOLDER}/${sha256}`);
    try {
      return await file.readAt(offset, length);
    } finally {
      await file.close();
    }
  }

  /** Removes what jobs left that were closed before then. @returns jobs whose files are gone now */
  async expire(closedBefore: number): Promise<readonly string[]> {
    const gone: string[] = [];
    for (const { jobId, result } of await this.#store.expiring(closedBefore, EXPIRED_AT_ONCE)) {
      if (result !== undefined) {
        // Proof of the type: `runResult` as it was stored.
        const { outputs } = JSON.parse(result) as { readonly outputs: readonly OutputFile[] };
        const hashes = outputs.map(({ sha256 }) => sha256);
        await this.#store.dropArtifacts(jobId);
        const kept = await this.#store.stillKept(hashes);
        for (const hash of hashes) {
          if (!kept.has(hash)) await this.#drive.remove(`${FOLDER}/${hash}`);
        }
      }
      gone.push(jobId);
    }
    return gone;
  }

  async #pullOne(
    gpu: Gpu,
    leased: { readonly jobId: string; readonly lease: string },
    sha256: string,
    size: number,
  ): Promise<void> {
    const path = `${FOLDER}/${sha256}`;
    if ((await this.#drive.stat(path))?.bytes === size) return;
    const part = `${path}.part`;
    // What was fetched before a crash is not known to be whole parts.
    await this.#drive.write(part, new Uint8Array(), { mkdirs: true });
    for (let at = 0; at < size;) {
      const bytes = Math.min(PART_BYTES, size - at);
      const { blob } = await gpu.Artifact.full(
        { ...leased, sha256, offset: at, bytes },
        { timeoutS: PART_S },
      );
      const got = blob?.bytes ?? new Uint8Array();
      if (got.length === 0 || got.length > bytes) {
        throw new WrongArtifact(`${sha256} has other bytes than it was said to have`);
      }
      await this.#drive.act(part, 'Append', got);
      at += got.length;
    }
    const hash =
      size === 0 ? sha256Hex('') : (await this.#signer.sha256(this.#drive.path(part))).sha256;
    if (hash.replace(/^0x/, '') !== sha256) {
      await this.#drive.remove(part);
      throw new WrongArtifact(`the file that is to be ${sha256} is ${hash}`);
    }
    await this.#drive.rename(part, path);
  }
}

function nothing(): void {}
