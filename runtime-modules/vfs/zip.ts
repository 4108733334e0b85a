/**
 * Unpacking archives (runtime-modules.md §2.6). The whole directory of the archive is checked before anything is written: names that
 * would leave the target, too many members and too many bytes are refused. Sizes stated there are enforced while unpacking.
 */
import { createWriteStream } from 'node:fs';
import { Readable, Transform, type TransformCallback } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { crc32, createZstdDecompress, inflateRaw, zstdDecompress } from 'node:zlib';
import { fromBuffer, type Entry, type ZipFile } from 'yauzl';
import { ioFailure } from '../shared/io-error.ts';
import { ZIP_BYTES_MAX, ZIP_MEMBERS_MAX, ZIP_WHOLE_BYTES_MAX } from './limits.ts';
import { writeNew } from './write.ts';

/** Zip's numbers for ways to compress. */
const METHOD_STORED = 0;
const METHOD_DEFLATE = 8;
const METHOD_ZSTD = 93;

const inflateRawAsync = promisify(inflateRaw);
const zstdDecompressAsync = promisify(zstdDecompress);

/** Why an archive was refused: 'not-a-zip' as a whole, or 'unpack' for one of its members. */
export class ZipFailure extends Error {
  override readonly name = 'ZipFailure';
  readonly kind: 'not-a-zip' | 'unpack';
  constructor(kind: ZipFailure['kind'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

export interface Member {
  /** Relative, normalised: no empty, `.` or `..` segments. Empty for the target itself. */
  readonly segments: readonly string[];
  readonly isDirectory: boolean;
  /** When unpacked. */
  readonly bytes: number;
  /** Unpacks into a new file. */
  readonly writeTo: (disk: string, mode: number, signal: AbortSignal) => Promise<void>;
}

/** The members in archive order, all names checked. @throws ZipFailure; IOError 27 when it is too large */
export async function membersOf(archive: Uint8Array): Promise<readonly Member[]> {
  const zip = await openZip(archive);
  const entries = await entriesOf(zip);
  if (entries.length > ZIP_MEMBERS_MAX) throw ioFailure('EFBIG');
  const bytes = entries.reduce((sum, entry) => sum + entry.uncompressedSize, 0);
  if (!(bytes <= ZIP_BYTES_MAX)) throw ioFailure('EFBIG');
  return entries.map((entry) => ({
    segments: segmentsOf(entry.fileName),
    isDirectory: /[/\\]$/.test(entry.fileName),
    bytes: entry.uncompressedSize,
    writeTo: (disk, mode, signal) => unpack(zip, entry, { disk, mode, signal }),
  }));
}

function openZip(archive: Uint8Array): Promise<ZipFile> {
  const bytes = Buffer.from(archive.buffer, archive.byteOffset, archive.length);
  return new Promise((resolve, reject) => {
    fromBuffer(bytes, { lazyEntries: true, validateEntrySizes: true }, (error, zip) => {
      if (error !== null) reject(new ZipFailure('not-a-zip', error.message, { cause: error }));
      else resolve(zip);
    });
  });
}

function entriesOf(zip: ZipFile): Promise<Entry[]> {
  return new Promise((resolve, reject) => {
    const entries: Entry[] = [];
    if (zip.entryCount > ZIP_MEMBERS_MAX) return reject(ioFailure('EFBIG'));
    zip.on('entry', (entry: Entry) => {
      entries.push(entry);
      // An archive that lies about its count is cut off here.
      if (entries.length <= ZIP_MEMBERS_MAX) zip.readEntry();
      else resolve(entries);
    });
    zip.once('end', () => resolve(entries));
    // Bad names arrive here too: the reader refuses `..` and absolute ones itself.
    zip.once('error', (error: Error) =>
      reject(new ZipFailure('unpack', error.message, { cause: error })),
    );
    zip.readEntry();
  });
}

function segmentsOf(fileName: string): readonly string[] {
  const name = fileName.replaceAll('\\', '/');
  const segments = name.split('/').filter((segment) => segment !== '' && segment !== '.');
  if (name.startsWith('/') || segments.includes('..') || name.includes('\0'))
    throw new ZipFailure('unpack', `member name ${JSON.stringify(fileName)} is refused`);
  return segments;
}

interface Target {
  readonly disk: string;
  readonly mode: number;
  readonly signal: AbortSignal;
}

async function unpack(zip: ZipFile, entry: Entry, target: Target): Promise<void> {
  const isSmall =
    entry.uncompressedSize <= ZIP_WHOLE_BYTES_MAX && entry.compressedSize <= ZIP_WHOLE_BYTES_MAX;
  try {
    await (isSmall ? unpackWhole : unpackStream)(zip, entry, target);
  } catch (error) {
    if (target.signal.aborted || isHostError(error)) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new ZipFailure('unpack', `${entry.fileName}: ${why}`, { cause: error });
  }
}

async function unpackWhole(zip: ZipFile, entry: Entry, target: Target): Promise<void> {
  const packed = await buffer(await memberStream(zip, entry, true));
  const maxOutputLength = Math.max(1, entry.uncompressedSize);
  const content = await decompress(entry, packed, maxOutputLength);
  if (content.length !== entry.uncompressedSize) throw new Error('size mismatch');
  if (crc32(content) !== entry.crc32) throw new Error('checksum mismatch');
  await writeNew(target.disk, target.mode, content, target.signal);
}

async function decompress(entry: Entry, packed: Buffer, maxOutputLength: number): Promise<Buffer> {
  if (entry.isEncrypted()) throw new Error('encrypted');
  switch (entry.compressionMethod) {
    case METHOD_STORED:
      return packed;
    case METHOD_DEFLATE:
      return inflateRawAsync(packed, { maxOutputLength });
    case METHOD_ZSTD:
      return zstdDecompressAsync(packed, { maxOutputLength });
    default:
      throw new Error(`compression method ${entry.compressionMethod} is not supported`);
  }
}

async function unpackStream(zip: ZipFile, entry: Entry, target: Target): Promise<void> {
  const isZstd = entry.compressionMethod === METHOD_ZSTD;
  const source = await memberStream(zip, entry, isZstd);
  const stages = isZstd ? [createZstdDecompress()] : [];
  const file = createWriteStream(target.disk, { flags: 'wx', mode: target.mode });
  await pipeline([source, ...stages, new Checked(entry), file], { signal: target.signal });
}

function memberStream(zip: ZipFile, entry: Entry, raw: boolean): Promise<Readable> {
  return new Promise((resolve, reject) => {
    const done = (error: Error | null, stream: Readable): void =>
      error === null ? resolve(stream) : reject(error);
    // The types of the reader lag behind its options.
    const options = { decodeFileData: false } as unknown as Parameters<
      ZipFile['openReadStream']
    >[1];
    if (raw) zip.openReadStream(entry, options as never, done);
    else zip.openReadStream(entry, done);
  });
}

/** Passes data on and fails when it is not what the archive's directory said. */
class Checked extends Transform {
  readonly #entry: Entry;
  #crc = 0;
  #length = 0;

  constructor(entry: Entry) {
    super();
    this.#entry = entry;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#crc = crc32(chunk, this.#crc);
    this.#length += chunk.length;
    if (this.#length > this.#entry.uncompressedSize) done(new Error('longer than stated'));
    else done(null, chunk);
  }

  override _flush(done: TransformCallback): void {
    if (this.#length !== this.#entry.uncompressedSize) done(new Error('shorter than stated'));
    else if (this.#crc !== this.#entry.crc32) done(new Error('checksum mismatch'));
    else done();
  }
}

/** Failures of writing the file, as opposed to failures of the archive. */
function isHostError(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error;
}
