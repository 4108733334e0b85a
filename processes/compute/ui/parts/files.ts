/** Files of this computer that a job reads: hashed here, and sent to the market in parts that it does not have yet. */
import { sha256Hex } from '../../../../wit/jobs/digest.ts';
import { ApiProblem, type MarketApi } from './market-api.ts';

/** Above, a browser would hold too much: `kit job submit` streams. */
export const FILE_BYTES_MAX = 256 * 1024 * 1024;
const PART_BYTES = 4 * 1024 * 1024;

export interface HashedFile {
  readonly file: File;
  readonly sha256: string;
}

/** @throws ApiProblem for one that is too large */
export async function hashed(file: File): Promise<HashedFile> {
  if (file.size > FILE_BYTES_MAX)
    throw new ApiProblem(
      'TOO_LARGE',
      `${file.name} is too large for a browser: kit job submit sends it`,
    );
  return { file, sha256: await sha256Of(file) };
}

export async function sha256Of(content: Blob): Promise<string> {
  const bytes = new Uint8Array(await content.arrayBuffer());
  // Browsers have it on this machine and over TLS only.
  if (globalThis.crypto?.subtle === undefined) return sha256Hex(bytes);
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** @param sent  told the share of the file that the market has. @throws ApiProblem */
export async function upload(
  api: MarketApi,
  { file, sha256 }: HashedFile,
  sent: (share: number) => void,
): Promise<void> {
  const path = `api/uploads/${sha256}`;
  const known = await api.ask(path, { method: 'HEAD', accept: [404] });
  if (known.headers.get('x-upload-complete') === 'true') return;
  let offset = known.status === 404 ? 0 : Number(known.headers.get('x-upload-bytes') ?? 0);
  for (;;) {
    const body = file.slice(offset, offset + PART_BYTES);
    const { bytes, complete } = await api.json<{ bytes: number; complete: boolean }>(
      `${path}?offset=${offset}&size=${file.size}`,
      { method: 'PUT', body },
    );
    sent(file.size === 0 ? 1 : bytes / file.size);
    if (complete) return;
    if (!(bytes > offset))
      throw new ApiProblem('STUCK', `the market takes no more of ${file.name}`);
    offset = bytes;
  }
}
