/**
 * Files and folders in a row: what is inside a sealed backup. An entry is the length of its header (u32, little-endian), the header
 * as JSON, and for a file its content in blocks, each after its length; a block of length 0 ends it. The last entry says how many
 * there were. Sizes are not said ahead, because a log may grow while it is read.
 */
import { BackupError } from './backup-error.ts';
import { BLOCK_BYTES, ENTRY_BYTES_MAX } from './limits.ts';

/** `path` is relative, with slashes, and has no empty, `.` or `..` part. */
export type Entry =
  | { readonly kind: 'file'; readonly path: string; readonly mode: number }
  | { readonly kind: 'folder'; readonly path: string; readonly mode: number }
  /** A link that the home's owner made; kept as it is. */
  | { readonly kind: 'link'; readonly path: string; readonly target: string };

export interface Total {
  readonly entries: number;
  readonly bytes: number;
}

export interface Sink {
  write(bytes: Uint8Array): Promise<void>;
}

export class ArchiveWriter {
  readonly #sink: Sink;
  #entries = 0;
  #bytes = 0;

  constructor(sink: Sink) {
    this.#sink = sink;
  }

  /** `content` only for a file; its pieces are written as they come. */
  async add(entry: Entry, content?: AsyncIterable<Uint8Array>): Promise<void> {
    await this.#header(entry);
    this.#entries += 1;
    if (entry.kind !== 'file') return;
    for await (const piece of content ?? []) {
      for (let at = 0; at < piece.length; at += BLOCK_BYTES) {
        const block = piece.subarray(at, at + BLOCK_BYTES);
        await this.#sink.write(length(block.length));
        await this.#sink.write(block);
        this.#bytes += block.length;
      }
    }
    await this.#sink.write(length(0));
  }

  async finish(): Promise<Total> {
    const total = { entries: this.#entries, bytes: this.#bytes };
    await this.#header({ kind: 'end', ...total });
    return total;
  }

  async #header(value: object): Promise<void> {
    const text = Buffer.from(JSON.stringify(value));
    if (text.length > ENTRY_BYTES_MAX)
      throw new BackupError('io', 'a path in the home is too long');
    await this.#sink.write(length(text.length));
    await this.#sink.write(text);
  }
}

/**
 * Hands out each entry in order; `take` must read a file's content before it returns.
 * @throws BackupError 'damaged' for anything but a whole archive
 */
export async function readArchive(
  chunks: AsyncIterable<Uint8Array>,
  take: (entry: Entry, content: AsyncIterable<Uint8Array>) => Promise<void>,
): Promise<Total> {
  const bytes = new Bytes(chunks);
  const total = { entries: 0, bytes: 0 };
  for (;;) {
    const header = parseHeader(await bytes.take(await bytes.number(ENTRY_BYTES_MAX)));
    if (header.kind === 'end') {
      if (header.entries !== total.entries || header.bytes !== total.bytes)
        throw damaged('it holds other things than it says');
      await bytes.end();
      return total;
    }
    total.entries += 1;
    const content = header.kind === 'file' ? blocks(bytes) : nothing();
    await take(
      header,
      counted(content, (count) => (total.bytes += count)),
    );
  }
}

async function* blocks(bytes: Bytes): AsyncGenerator<Uint8Array> {
  for (;;) {
    const count = await bytes.number(BLOCK_BYTES);
    if (count === 0) return;
    yield await bytes.take(count);
  }
}

async function* nothing(): AsyncGenerator<Uint8Array> {
  // Folders and links have no content.
}

async function* counted(
  content: AsyncIterable<Uint8Array>,
  count: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  for await (const piece of content) {
    count(piece.length);
    yield piece;
  }
}

/** Bytes of a stream, a wished number at a time. */
class Bytes {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array();

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  async take(count: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    let missing = count;
    while (missing > 0) {
      if (this.#rest.length === 0) {
        const next = await this.#chunks.next();
        if (next.done === true) throw damaged('it ends too early');
        this.#rest = next.value;
        continue;
      }
      const part = this.#rest.subarray(0, missing);
      this.#rest = this.#rest.subarray(part.length);
      parts.push(part);
      missing -= part.length;
    }
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
  }

  async number(max: number): Promise<number> {
    const value = Buffer.from(await this.take(4)).readUInt32LE(0);
    if (value > max) throw damaged('a length in it is too large');
    return value;
  }

  /** Reads to the end, where the seal is checked. */
  async end(): Promise<void> {
    for (;;) {
      if (this.#rest.length > 0) throw damaged('there is something after its end');
      const next = await this.#chunks.next();
      if (next.done === true) return;
      this.#rest = next.value;
    }
  }
}

type Header = Entry | ({ readonly kind: 'end' } & Total);

function parseHeader(bytes: Uint8Array): Header {
  let value: Record<string, unknown>;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>;
  } catch (cause) {
    throw damaged('an entry has no header', cause);
  }
  const { kind, path, mode, target, entries, bytes: size } = value;
  if (kind === 'end' && typeof entries === 'number' && typeof size === 'number')
    return { kind, entries, bytes: size };
  if (typeof path !== 'string' || !isPlainPath(path)) throw damaged('an entry has no usable path');
  if ((kind === 'file' || kind === 'folder') && typeof mode === 'number')
    return { kind, path, mode: mode & 0o777 };
  if (kind === 'link' && typeof target === 'string') return { kind, path, target };
  throw damaged('an entry is of no known kind');
}

/** Whether joining it to a folder stays in that folder. */
function isPlainPath(path: string): boolean {
  if (path.includes('\0') || (process.platform === 'win32' && /[\\:]/.test(path))) return false;
  return path.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
}

function length(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function damaged(what: string, cause?: unknown): BackupError {
  return new BackupError('damaged', `the backup is damaged: ${what}`, { cause });
}
