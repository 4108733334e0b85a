/** A file that a job left, into the downloads of the browser; only if it is what the provider signed. */
import { ApiProblem, type MarketApi } from './market-api.ts';
import { sha256Of } from './files.ts';

/** Above, a browser would hold too much: `kit job result` streams. */
export const DOWNLOAD_BYTES_MAX = 512 * 1024 * 1024;
/** How long the browser gets to take the file over, in milliseconds. */
const HANDED_OVER_MS = 60_000;

interface Output {
  readonly path: string;
  readonly size: number;
  readonly sha256: string;
}

/** @throws ApiProblem */
export async function saveOutput(
  api: MarketApi,
  jobId: string,
  { path, size, sha256 }: Output,
): Promise<void> {
  if (size > DOWNLOAD_BYTES_MAX)
    throw new ApiProblem('TOO_LARGE', `too large for a browser: kit job result ${jobId}`);
  const answer = await api.ask(`api/jobs/${jobId}/result?path=${encodeURIComponent(path)}`);
  const content = await answer.blob();
  if (content.size !== size || (await sha256Of(content)) !== sha256)
    throw new ApiProblem('BAD_HASH', `${path} is not what the provider signed; it was not saved`);
  const link = document.createElement('a');
  // Never shown in this page's name: what a job left may be a page with scripts.
  link.href = URL.createObjectURL(new Blob([content], { type: 'application/octet-stream' }));
  link.download = path.slice(path.lastIndexOf('/') + 1);
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), HANDED_OVER_MS);
}
