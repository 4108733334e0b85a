/** Folders into archives and back. */
import { constants } from 'node:fs';
import {
  chmod,
  lstat,
  mkdir,
  open,
  opendir,
  readlink,
  symlink,
  type FileHandle,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errorCode } from '../shared/io-error.ts';
import type { ArchiveWriter, Entry } from './archive.ts';
import { BLOCK_BYTES } from './limits.ts';

/** Bits of a mode that a backup keeps. */
const MODE = 0o777;

export interface AddOptions {
  /** Names in the folder itself that are left out. */
  readonly skip?: (name: string) => boolean;
  /** What goes away while it is read is left out, as it would have been a moment later. For a node that runs. */
  readonly lenient?: boolean;
  /** Told of what is no file, folder or link. */
  readonly leftOut: (path: string) => void;
}

/** Adds everything below `folder` as lying below `prefix` (empty: at the top), folders before what is in them. */
export async function addTree(
  writer: ArchiveWriter,
  folder: string,
  prefix: string,
  options: AddOptions,
): Promise<void> {
  for await (const { name } of await opendir(folder, { bufferSize: 256 })) {
    if (options.skip?.(name) === true) continue;
    const path = prefix === '' ? name : `${prefix}/${name}`;
    try {
      await addOne(writer, join(folder, name), path, options);
    } catch (error) {
      if (options.lenient !== true || errorCode(error) !== 'ENOENT') throw error;
    }
  }
}

async function addOne(
  writer: ArchiveWriter,
  disk: string,
  path: string,
  { leftOut, lenient = false }: AddOptions,
): Promise<void> {
  const stats = await lstat(disk);
  const mode = stats.mode & MODE;
  if (stats.isDirectory()) {
    await writer.add({ kind: 'folder', path, mode });
    await addTree(writer, disk, path, { leftOut, lenient });
  } else if (stats.isSymbolicLink()) {
    await writer.add({ kind: 'link', path, target: await readlink(disk) });
  } else if (stats.isFile()) {
    // Opened before its entry is begun: an entry cannot be taken back.
    await using file = await open(disk, constants.O_RDONLY | constants.O_NOFOLLOW);
    await writer.add({ kind: 'file', path, mode }, contentOf(file));
  } else leftOut(path);
}

async function* contentOf(file: FileHandle): AsyncGenerator<Uint8Array> {
  const buffer = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, BLOCK_BYTES, null);
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
  }
}

/** Entries out of an archive, into a folder of its own. */
export class TreeWriter {
  readonly #root: string;
  /** Made last, so that nothing is ever written through one. */
  readonly #links: { readonly disk: string; readonly target: string }[] = [];
  readonly #modes: { readonly disk: string; readonly mode: number }[] = [];
  readonly #folders = new Set<string>();

  constructor(root: string) {
    this.#root = root;
    this.#folders.add(root);
  }

  async take(entry: Entry, content: AsyncIterable<Uint8Array>): Promise<void> {
    const disk = join(this.#root, entry.path);
    await this.#makeFolder(dirname(disk));
    if (entry.kind === 'link') this.#links.push({ disk, target: entry.target });
    else if (entry.kind === 'folder') {
      await this.#makeFolder(disk);
      this.#modes.push({ disk, mode: entry.mode });
    } else await writeFile(disk, entry.mode, content);
  }

  /** Links, modes, and all names on the disk. */
  async finish(): Promise<void> {
    for (const { disk, target } of this.#links) await symlink(target, disk);
    for (const { disk, mode } of this.#modes.toReversed()) await chmod(disk, mode);
    for (const folder of this.#folders) await syncFolder(folder);
  }

  async #makeFolder(disk: string): Promise<void> {
    if (this.#folders.has(disk)) return;
    await mkdir(disk, { recursive: true, mode: 0o700 });
    this.#folders.add(disk);
  }
}

/** So that a power cut does not take the names in it back. Not every system can. */
export async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  await using handle = await open(folder, constants.O_RDONLY);
  await handle.sync();
}

async function writeFile(
  disk: string,
  mode: number,
  content: AsyncIterable<Uint8Array>,
): Promise<void> {
  await using file = await open(disk, 'wx', 0o600);
  for await (const piece of content) {
    let done = 0;
    while (done < piece.length) done += (await file.write(piece, done)).bytesWritten;
  }
  await file.chmod(mode);
  await file.sync();
}
