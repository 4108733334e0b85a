/**
 * Prepared components on disk, by content. An entry carries a MAC under a key of this node, over everything it says and the name it
 * is filed under: what a file in the home claims to be is never run on a mere hash (findings.md F10). A damaged, foreign or stale
 * entry is as good as none and is written anew.
 *
 * File: magic (8 bytes) | MAC (32) | u32 count | count x u32 length | the modules, in order. Little-endian.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PREPARATION_VERSION } from './prepare.ts';

const MAGIC = Buffer.from('hlimage1');
const MAC_BYTES = 32;
const HEADER_BYTES = MAGIC.length + MAC_BYTES;

export class ImageCache {
  readonly #folder: string;
  readonly #key: Uint8Array;

  /** `key`: secret bytes of this node, kept between runs. The folder is made at the first write. */
  constructor(folder: string, key: Uint8Array) {
    this.#folder = folder;
    this.#key = key;
  }

  /** The modules filed under `hash`, or undefined if there is no entry that this node wrote for this version. */
  async read(hash: string): Promise<readonly Uint8Array[] | undefined> {
    const file = await readFile(this.#path(hash)).catch(() => undefined);
    if (
      file === undefined ||
      file.length < HEADER_BYTES + 4 ||
      !file.subarray(0, MAGIC.length).equals(MAGIC)
    )
      return undefined;
    const content = file.subarray(HEADER_BYTES);
    if (!timingSafeEqual(file.subarray(MAGIC.length, HEADER_BYTES), this.#mac(hash, content)))
      return undefined;
    return unpack(content);
  }

  /** Files the modules; a crash leaves the old entry or the new one. Failing is no error: the next start prepares again. */
  async write(hash: string, modules: readonly Uint8Array[]): Promise<void> {
    const content = pack(modules);
    const path = this.#path(hash);
    const draft = `${path}.${randomBytes(6).toString('hex')}`;
    try {
      await mkdir(this.#folder, { recursive: true });
      await writeFile(draft, Buffer.concat([MAGIC, this.#mac(hash, content), content]), {
        mode: 0o600,
      });
      await rename(draft, path);
    } catch {
      await rm(draft, { force: true }).catch(() => undefined);
    }
  }

  #path(hash: string): string {
    return join(this.#folder, `${hash}.image`);
  }

  #mac(hash: string, content: Uint8Array): Buffer {
    return createHmac('sha256', this.#key)
      .update(`${PREPARATION_VERSION}\n${hash}\n`)
      .update(content)
      .digest();
  }
}

function pack(modules: readonly Uint8Array[]): Buffer {
  const head = Buffer.alloc(4 + 4 * modules.length);
  head.writeUInt32LE(modules.length);
  modules.forEach((module, i) => head.writeUInt32LE(module.length, 4 + 4 * i));
  return Buffer.concat([head, ...modules]);
}

/** The MAC was checked, so the content is what `pack` made. */
function unpack(content: Buffer): Uint8Array[] {
  const count = content.readUInt32LE();
  let at = 4 + 4 * count;
  return Array.from({ length: count }, (_, i) => {
    const length = content.readUInt32LE(4 + 4 * i);
    at += length;
    return content.subarray(at - length, at);
  });
}
