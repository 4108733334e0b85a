/** Files of this machine that a job reads: hashed where they are, and sent to the market in parts that it does not have yet. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { BuildError } from '../build/build-error.ts';
import { buildJob } from '../build/job.ts';
import { JobError } from './job-error.ts';
import type { MarketApi } from './market-api.ts';

/** Of one request; the market takes 8 MiB at most. */
const PART_BYTES = 4 * 1024 * 1024;

export interface LocalFile {
  /** On this machine. */
  readonly from: string;
  readonly size: number;
  readonly sha256: string;
  /** What was made of `from`, and is sent in its place. */
  readonly made?: Uint8Array;
}

/** @throws JobError for what is no file */
export async function localFile(from: string): Promise<LocalFile> {
  try {
    const found = await stat(from);
    if (!found.isFile()) throw new JobError('file', `${from} is no file`);
    const hash = createHash('sha256');
    let size = 0;
    for await (const piece of createReadStream(from)) {
      // Proof of the type: a stream without encoding gives bytes.
      const bytes = piece as Buffer;
      size += bytes.length;
      hash.update(bytes);
    }
    return { from, size, sha256: hash.digest('hex') };
  } catch (error) {
    if (error instanceof JobError) throw error;
    throw new JobError('file', `${from} cannot be read`, { cause: error });
  }
}

/** Whether it is the source of a wasm job (kit/build/job.ts). */
export function isJobSource(path: string): boolean {
  return path.endsWith('.as.ts') || path.endsWith('.c');
}

/** The module of a wasm job: a file as it is, or what a source is built to. @throws JobError */
export async function localModule(from: string): Promise<LocalFile> {
  if (!isJobSource(from)) return localFile(from);
  // First, for its errors are of the file.
  await localFile(from);
  try {
    const { module: made } = await buildJob(from);
    return {
      from,
      size: made.length,
      sha256: createHash('sha256').update(made).digest('hex'),
      made,
    };
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    throw new JobError('file', error.message, { cause: error });
  }
}

/**
 * Sends what the market lacks of a file, from where it stopped.
 * @param sent  told how many bytes the market has
 * @throws JobError
 */
export async function upload(
  api: MarketApi,
  file: LocalFile,
  sent: (bytes: number) => void,
): Promise<void> {
  const { from, size, sha256 } = file;
  const path = `/api/uploads/${sha256}`;
  const head = await api.ask(path, { method: 'HEAD', statuses: [404] });
  if (head.headers.get('x-upload-complete') === 'true') {
    sent(size);
    return;
  }
  let offset = head.status === 404 ? 0 : Number(head.headers.get('x-upload-bytes') ?? 0);
  await using handle = file.made === undefined ? await open(from) : undefined;
  for (;;) {
    const bytesMax = Math.min(PART_BYTES, size - offset);
    const part =
      file.made?.subarray(offset, offset + bytesMax) ?? (await partOf(handle!, offset, bytesMax));
    if (part.length < bytesMax) throw new JobError('file', `${from} has changed meanwhile`);
    const { bytes, complete } = await api.json<{ bytes: number; complete: boolean }>(
      `${path}?offset=${offset}&size=${size}`,
      { method: 'PUT', body: part, headers: { 'content-type': 'application/octet-stream' } },
    );
    sent(bytes);
    if (complete) return;
    if (!(bytes > offset)) throw new JobError('refused', `the market takes no more of ${from}`);
    offset = bytes;
  }
}

/** Fewer bytes than asked for at its end. */
async function partOf(handle: FileHandle, offset: number, bytes: number): Promise<Uint8Array> {
  const part = Buffer.alloc(bytes);
  const { bytesRead } = await handle.read(part, 0, bytes, offset);
  return part.subarray(0, bytesRead);
}
