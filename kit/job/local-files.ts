/** Files of this machine that a job reads: hashed where they are, and sent to the market in parts that it does not have yet. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { JobError } from './job-error.ts';
import type { MarketApi } from './market-api.ts';

/** Of one request; the market takes 8 MiB at most. */
const PART_BYTES = 4 * 1024 * 1024;

export interface LocalFile {
  /** On this machine. */
  readonly from: string;
  readonly size: number;
  readonly sha256: string;
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
  await using handle = await open(from);
  for (;;) {
    const part = Buffer.alloc(Math.min(PART_BYTES, size - offset));
    const { bytesRead } = await handle.read(part, 0, part.length, offset);
    if (bytesRead < part.length) throw new JobError('file', `${from} has changed meanwhile`);
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
