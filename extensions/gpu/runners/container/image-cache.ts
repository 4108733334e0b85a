/**
 * Images that jobs brought, within a budget of disk (compute-market.md §9.2): past it the least recently used goes. What the operator loaded by hand is
 * not in here and stays. The list is a file, so that it outlives the extension; losing it only forgets what may be removed.
 */
import { readFile, rename, writeFile } from 'node:fs/promises';
import type Docker from 'dockerode';
import { list, record, text, u64 } from '../../../../wit/codec.ts';
import { statusOf, within } from './engine.ts';

/** Bytes of all images that jobs brought. */
export const IMAGE_BYTES_MAX = 100 * 1024 ** 3;

const kept = list(record({ image: text, usedAt: u64 }));

export interface ImageCacheOptions {
  /** Where the list is kept; without it, in memory. */
  readonly file?: string;
  readonly bytesMax?: number;
}

export class ImageCache {
  readonly #docker: Docker;
  readonly #options: ImageCacheOptions;
  /** When each was used last, in milliseconds since 1970. */
  readonly #usedAt = new Map<string, number>();
  #loaded: Promise<void> | undefined;
  /** Changes of the file, one after another. */
  #saving = Promise.resolve();

  constructor(docker: Docker, options: ImageCacheOptions = {}) {
    this.#docker = docker;
    this.#options = options;
  }

  /** A job brought it. */
  async brought(image: string): Promise<void> {
    await this.#load();
    this.#usedAt.set(image, Date.now());
    await this.#save();
  }

  /** A job is to use it; what the operator loaded is not noted. */
  async used(image: string): Promise<void> {
    await this.#load();
    if (!this.#usedAt.has(image)) return;
    this.#usedAt.set(image, Date.now());
    await this.#save();
  }

  /** Removes what is over the budget, but nothing that is `inUse`. */
  async trim(inUse: ReadonlySet<string>): Promise<void> {
    await this.#load();
    const sizes = new Map<string, number>();
    for (const image of this.#usedAt.keys()) {
      const size = await this.#sizeOf(image);
      // Removed by somebody else.
      if (size === undefined) this.#usedAt.delete(image);
      else sizes.set(image, size);
    }
    let total = [...sizes.values()].reduce((sum, size) => sum + size, 0);
    const oldest = [...sizes].toSorted(
      ([one], [other]) => this.#usedAt.get(one)! - this.#usedAt.get(other)!,
    );
    for (const [image, size] of oldest) {
      if (total <= (this.#options.bytesMax ?? IMAGE_BYTES_MAX)) break;
      if (inUse.has(image) || !(await this.#remove(image))) continue;
      this.#usedAt.delete(image);
      total -= size;
    }
    await this.#save();
  }

  async #sizeOf(image: string): Promise<number | undefined> {
    try {
      return (await within('looking at an image', () => this.#docker.getImage(image).inspect()))
        .Size;
    } catch (error) {
      if (statusOf(error) === 404) return undefined;
      throw error;
    }
  }

  /** False if the engine keeps it: a container of somebody's needs it. */
  async #remove(image: string): Promise<boolean> {
    try {
      await within('removing an image', () => this.#docker.getImage(image).remove());
      return true;
    } catch (error) {
      return statusOf(error) === 404;
    }
  }

  #load(): Promise<void> {
    this.#loaded ??= this.#read();
    return this.#loaded;
  }

  async #read(): Promise<void> {
    const { file } = this.#options;
    if (file === undefined) return;
    const found = await readFile(file, 'utf8').catch(() => '[]');
    const list = kept.decode(found);
    if (list.ok)
      for (const { image, usedAt } of list.value) this.#usedAt.set(image, Number(usedAt));
  }

  async #save(): Promise<void> {
    const { file } = this.#options;
    if (file === undefined) return;
    this.#saving = this.#saving.then(async () => {
      const all = [...this.#usedAt].map(([image, usedAt]) => ({ image, usedAt }));
      await writeFile(`${file}.new`, kept.stringify(all));
      await rename(`${file}.new`, file);
    });
    await this.#saving;
  }
}
