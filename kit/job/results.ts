/** What a job left, on this machine: each file is believed by its hash only, and all of them by the root that the provider signed. */
import { createHash } from 'node:crypto';
import { access, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { clashingPath, pathProblem } from '../../wit/jobs/paths.ts';
import type { OutputFile } from '../../wit/jobs/result.ts';
import { printable } from '../report.ts';
import { JobError } from './job-error.ts';
import type { JobView } from './job-record.ts';
import type { MarketApi } from './market-api.ts';
import { checkReceipt, type Checking, rootOf } from './receipt.ts';

export interface SaveOptions extends Checking {
  readonly folder: string;
  /** Files that are there already are replaced. */
  readonly force: boolean;
  readonly received: (path: string, bytes: number, of: number) => void;
}

/**
 * Fetches all outputs of a job into a folder.
 * @returns what is there now
 * @throws JobError: `bad-hash` for what is not what the provider signed; that file is not kept. `bad-signature` where it was not the provider
 *   who signed; nothing is fetched then
 */
export async function saveResults(
  api: MarketApi,
  job: JobView,
  { folder, force, received, ...checking }: SaveOptions,
): Promise<readonly OutputFile[]> {
  const { jobId, result, state } = job;
  if (result === null) throw new JobError('not-found', `the job is ${state}: there is no result`);
  const { outputs } = result;
  checkOutputs(outputs, result.outputsRoot);
  await checkReceipt(api, job, checking);
  if (!force) for (const { path } of outputs) await mustBeAbsent(join(folder, path));
  for (const output of outputs) {
    const to = join(folder, output.path);
    await mkdir(dirname(to), { recursive: true });
    const part = `${to}.part`;
    try {
      await fetchTo(api, jobId, output, { part, received });
      await rename(part, to);
    } finally {
      await rm(part, { force: true });
    }
  }
  return outputs;
}

/** Before anything is written: the list is a provider's. */
function checkOutputs(outputs: readonly OutputFile[], root: string): void {
  const paths = outputs.map(({ path }) => path);
  for (const path of paths) {
    const problem = pathProblem(path);
    if (problem !== undefined)
      throw new JobError('bad-hash', `the job left ${printable(path)}, which ${problem}`);
  }
  const clash = clashingPath(paths);
  if (clash !== undefined)
    throw new JobError(
      'bad-hash',
      `the job left ${printable(clash)} twice: fetch single files with --path`,
    );
  if (rootOf(outputs) !== root.toLowerCase())
    throw new JobError('bad-hash', 'the list of files is not the one that the provider signed');
}

async function fetchTo(
  api: MarketApi,
  jobId: string,
  { path, size, sha256 }: OutputFile,
  { part, received }: { readonly part: string } & Pick<SaveOptions, 'received'>,
): Promise<void> {
  const answer = await api.ask(
    `/api/jobs/${encodeURIComponent(jobId)}/result?path=${encodeURIComponent(path)}`,
  );
  const hash = createHash('sha256');
  let bytes = 0;
  await using file = await open(part, 'w');
  for await (const piece of answer.body ?? []) {
    bytes += piece.length;
    if (bytes > size) break;
    hash.update(piece);
    await file.writeFile(piece);
    received(path, bytes, size);
  }
  if (bytes !== size || hash.digest('hex') !== sha256)
    throw new JobError(
      'bad-hash',
      `${printable(path)} is not what the provider signed; it was not kept`,
    );
  received(path, size, size);
}

async function mustBeAbsent(path: string): Promise<void> {
  const there = await access(path).then(
    () => true,
    () => false,
  );
  if (there) throw new JobError('file', `${path} is there already; --force replaces it`);
}
