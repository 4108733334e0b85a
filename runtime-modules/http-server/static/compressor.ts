/** Compressed forms of static content, made once for each binding, one after another and beside the thread. */
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import { COMPRESS_BYTES_MAX, COMPRESS_BYTES_MIN } from '../limits.ts';
import type { StaticContent } from './static.ts';

const brotli = promisify(brotliCompress);
const zip = promisify(gzip);

/** Of the sizes that bundles have, this is within 3 % of the best and ten times quicker. */
const BROTLI_QUALITY = 7;
/** A form that saves less is not worth its memory. */
const WORTHWHILE = 0.9;

const TEXTUAL =
  /^(?:text\/|image\/svg\+xml|application\/(?:javascript|json|xml|wasm|manifest))|[+](?:json|xml)/i;

export class Compressor {
  readonly #queue: { readonly content: StaticContent; readonly wanted: () => boolean }[] = [];
  #running: Promise<void> | undefined;
  #closed = false;

  /** Gives content its ETag and compressed forms when its turn comes, if it is still wanted then. */
  add(content: StaticContent, wanted: () => boolean): void {
    this.#queue.push({ content, wanted });
    this.#running ??= this.#run();
  }

  /** Resolves when nothing is left to do. */
  async idle(): Promise<void> {
    await this.#running;
  }

  /** What is not begun is left. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    // Whoever binds may bind more in the same breath; the content must be in place before it is asked whether it is wanted.
    await Promise.resolve();
    for (let job = this.#queue.shift(); job !== undefined; job = this.#queue.shift()) {
      if (!this.#closed && job.wanted()) await prepare(job.content);
    }
    this.#running = undefined;
  }
}

async function prepare(content: StaticContent): Promise<void> {
  const { bytes, mime } = content;
  await content.hash();
  if (bytes.length < COMPRESS_BYTES_MIN || bytes.length > COMPRESS_BYTES_MAX) return;
  if (!TEXTUAL.test(mime)) return;
  const params = {
    [constants.BROTLI_PARAM_QUALITY]: BROTLI_QUALITY,
    [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
  };
  const small = await brotli(bytes, { params });
  if (small.length < bytes.length * WORTHWHILE) content.add('br', small);
  const zipped = await zip(bytes);
  if (zipped.length < bytes.length * WORTHWHILE) content.add('gzip', zipped);
}
