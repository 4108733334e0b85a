/** The batches of this node: files in the drive `cache`, and their manifest beside them. */
import { toHex } from '../../../contracts/hex.ts';
import type { Caller } from '../../lib/modules.ts';
import { type Drive, drive } from '../../lib/vfs.ts';
import { manifest, type Manifest, type ManifestItem } from '../contract.ts';
import { type Batch, fileNameOf, fileOf, keccak, PROTOCOL } from './batch.ts';

/** Bytes of batches that one answer holds. */
export const ANSWER_BYTES_MAX = 4 * 1024 * 1024;

export class BatchStore {
  readonly #caller: Caller;
  readonly #files: Drive;
  #manifest: Manifest;

  private constructor(caller: Caller, files: Drive, found: Manifest) {
    this.#caller = caller;
    this.#files = files;
    this.#manifest = found;
  }

  /** A manifest that cannot be read is as good as none: what it named is fetched again. */
  static async open(caller: Caller, chainId: number): Promise<BatchStore> {
    const files = await drive(caller, 'cache');
    const manifestFilename = `manifest-chain${chainId}-protocol${PROTOCOL}.json`;
    const text = (await files.exists(manifestFilename)) ? await files.read(manifestFilename) : '';
    const read = manifest.decode(text);
    const empty: Manifest = {
      items: new Map(),
      manifestFilename,
      chainId: String(chainId),
      protocolVersion: PROTOCOL,
    };
    return new BatchStore(caller, files, read.ok ? read.value : empty);
  }

  get manifest(): Manifest {
    return this.#manifest;
  }

  /** Up to where there is no gap; undefined: nothing is there. */
  get last(): number | undefined {
    let last: number | undefined;
    for (const { metadata } of this.#inOrder()) {
      if (last !== undefined && Number(metadata.fromBlock) > last + 1) break;
      last = Math.max(last ?? 0, Number(metadata.toBlock));
    }
    return last;
  }

  async add(batch: Batch): Promise<void> {
    const fileName = fileNameOf(batch.metadata);
    const bytes = new TextEncoder().encode(fileOf(batch));
    const fileHash = toHex(await keccak(this.#caller, bytes));
    await this.#files.write(fileName, bytes);
    const item = { metadata: batch.metadata, isEmpty: batch.logs === '[]', fileHash, fileName };
    await this.#keep(new Map(this.#manifest.items).set(fileName, item));
  }

  /** A file of the manifest, and no other. */
  async content(fileName: string): Promise<string | undefined> {
    if (!this.#manifest.items.has(fileName)) return undefined;
    return new TextDecoder().decode(await this.#files.read(fileName));
  }

  /** The batches that reach from that block on, as many as one answer holds: up to which block, and their JSON. */
  async range(from: number, to: number): Promise<{ last: number; text: string } | undefined> {
    const texts: string[] = [];
    let last = from - 1;
    let bytes = 0;
    for (const { fileName, metadata } of this.#inOrder()) {
      if (Number(metadata.toBlock) < from || Number(metadata.fromBlock) > Math.min(to, last + 1))
        continue;
      const text = await this.content(fileName);
      if (text === undefined || (texts.length > 0 && bytes + text.length > ANSWER_BYTES_MAX)) break;
      texts.push(text);
      bytes += text.length;
      last = Math.max(last, Number(metadata.toBlock));
    }
    return texts.length === 0 ? undefined : { last, text: `[${texts.join(',')}]` };
  }

  async clear(): Promise<void> {
    for (const fileName of this.#manifest.items.keys()) await this.#files.remove(fileName);
    await this.#keep(new Map());
  }

  #inOrder(): ManifestItem[] {
    return [...this.#manifest.items.values()].toSorted(
      (a, b) => Number(a.metadata.fromBlock) - Number(b.metadata.fromBlock),
    );
  }

  async #keep(items: ReadonlyMap<string, ManifestItem>): Promise<void> {
    this.#manifest = { ...this.#manifest, items };
    await this.#files.write(this.#manifest.manifestFilename, manifest.stringify(this.#manifest));
  }
}
