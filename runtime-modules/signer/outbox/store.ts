/**
 * All that was sent, one file each in `<home>/.wallets/sends`. What is not over is in memory whole; of what is over, what its id is answered
 * with, and the oldest of it is forgotten.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from '../../shared/io-error.ts';
import { FINISHED_MAX } from '../limits.ts';
import {
  makePrivateFolder,
  moveAside,
  removePrivateFile,
  replacePrivateFile,
} from '../private-file.ts';
import type { Sealer } from '../sealed-key.ts';
import { readVouched, vouch } from '../vouched.ts';
import { decodeEntry, encodeEntry, type Entry, fileOf } from './entry.ts';

const EXTENSION = '.send';
/** A file of ours is shorter: calldata and the signed form of it, in hex. */
const FILE_BYTES_MAX = 512 * 1024;

export interface StoreNeeds {
  /** `<home>/.wallets/sends`. */
  readonly folder: string;
  readonly sealer: Sealer;
  /** A line for the owner. */
  readonly tell: (text: string) => void;
}

export class SendStore {
  readonly #needs: StoreNeeds;
  /** By file, in the order in which they were sent. */
  readonly #entries = new Map<string, Entry>();
  /** Those of them that are not over. */
  readonly #live = new Map<string, Entry>();
  /** Files by sender and id. */
  readonly #byId = new Map<string, string>();
  #order = 0;

  private constructor(needs: StoreNeeds) {
    this.#needs = needs;
  }

  /** @throws as the file system does */
  static async open(needs: StoreNeeds): Promise<SendStore> {
    const store = new SendStore(needs);
    const found: Entry[] = [];
    for (const name of await namesIn(needs.folder)) {
      if (!name.endsWith(EXTENSION)) continue;
      const entry = await store.#load(name);
      if (entry !== undefined) found.push(entry);
    }
    for (const entry of found.toSorted((a, b) => a.order - b.order)) store.#keep(entry);
    return store;
  }

  /** The place of the next one in the order. */
  next(): number {
    this.#order += 1;
    return this.#order;
  }

  find(sender: string, id: string): Entry | undefined {
    const file = this.#byId.get(idOf(sender, id));
    return file === undefined ? undefined : this.#entries.get(file);
  }

  /** What is not over, by nonce. */
  live(chainId: Entry['chainId'], address: string): readonly Entry[] {
    return this.allLive()
      .filter((entry) => entry.address === address && BigInt(entry.chainId) === BigInt(chainId))
      .toSorted((a, b) => Number(a.nonce) - Number(b.nonce));
  }

  /** What is over, and had one of these nonces or a later one. */
  over(chainId: Entry['chainId'], address: string, from: bigint): readonly Entry[] {
    return [...this.#entries.values()].filter(
      (entry) =>
        entry.live === undefined &&
        entry.nonce >= from &&
        entry.address === address &&
        BigInt(entry.chainId) === BigInt(chainId),
    );
  }

  allLive(): readonly Entry[] {
    return [...this.#live.values()];
  }

  /** Resolves when it is on disk. Two of one entry must not overlap. @throws as the file system does: nothing has changed then */
  async put(entry: Entry): Promise<void> {
    await makePrivateFolder(this.#needs.folder);
    await replacePrivateFile(this.#path(entry), vouch(this.#needs.sealer, encodeEntry(entry)));
    this.#keep(entry);
    await this.#forgetOldest();
  }

  /** Resolves when it is gone from the disk. @throws as the file system does */
  async remove(entry: Entry): Promise<void> {
    await removePrivateFile(this.#path(entry));
    this.#entries.delete(fileOf(entry));
    this.#live.delete(fileOf(entry));
    const id = idOf(entry.sender, entry.id);
    if (this.#byId.get(id) === fileOf(entry)) this.#byId.delete(id);
  }

  #keep(entry: Entry): void {
    this.#order = Math.max(this.#order, entry.order);
    const before = this.#entries.get(fileOf(entry));
    // Another one has its nonce now, and its file.
    if (before !== undefined) this.#byId.delete(idOf(before.sender, before.id));
    this.#entries.set(fileOf(entry), entry);
    if (entry.live === undefined) this.#live.delete(fileOf(entry));
    else this.#live.set(fileOf(entry), entry);
    this.#byId.set(idOf(entry.sender, entry.id), fileOf(entry));
  }

  async #forgetOldest(): Promise<void> {
    const over = this.#entries.size - FINISHED_MAX;
    if (over <= 0) return;
    const finished = [...this.#entries.values()].filter(({ live }) => live === undefined);
    for (const entry of finished.slice(0, over)) await this.remove(entry);
  }

  async #load(name: string): Promise<Entry | undefined> {
    const { folder, sealer, tell } = this.#needs;
    const path = join(folder, name);
    const bytes = await readFile(path);
    const content = bytes.length <= FILE_BYTES_MAX ? readVouched(sealer, bytes) : undefined;
    const entry = content === undefined ? undefined : decodeEntry(content);
    if (entry !== undefined && name === fileOf(entry) + EXTENSION) return entry;
    const kept = await moveAside(path, new Date());
    tell(
      `${path} is not what was written there. It is kept as ${kept}; what it was to send may or may not be on its way.`,
    );
    return undefined;
  }

  #path(entry: Entry): string {
    return join(this.#needs.folder, fileOf(entry) + EXTENSION);
  }
}

/** None where nothing was ever sent. */
async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  }
}

function idOf(sender: string, id: string): string {
  return `${sender} ${id}`;
}
