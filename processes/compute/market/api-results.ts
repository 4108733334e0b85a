/** What a job left, as a download: one file or a part of it, or all of them as a tar; streamed, so that no size is too large. */
import { type HttpReply, type HttpRequest, type HttpStream, reply } from '../../lib/http-server.ts';
import { contentType } from '../../lib/content-types.ts';
import type { OutputFile } from '../../../wit/jobs/result.ts';
import { resultOf } from './completion.ts';
import { ApiError } from './http-guard.ts';
import type { Market } from './parts.ts';
import type { JobRecord } from './record.ts';
import { TAR_END, tarHeader, tarPadding } from './tar.ts';

/** Bytes that go out at once: what is held of a file at any time. */
export const PIECE_BYTES = 1024 * 1024;

export async function outputReply(
  market: Market,
  job: JobRecord,
  request: HttpRequest,
): Promise<HttpReply> {
  const result = resultOf(job);
  if (result === undefined) {
    const details = { state: job.state };
    throw new ApiError(409, 'NO_RESULT', `the job is ${job.state}: there is no result`, details);
  }
  if (job.expired === true) {
    throw new ApiError(410, 'GONE', 'what the job left was removed after seven days');
  }
  const path = request.query.get('path');
  if (path === undefined) return tarReply(market, result.outputs, result.receipt.outputsRoot);
  const file = result.outputs.find((output) => output.path === path);
  if (file === undefined) throw new ApiError(404, 'NOT_FOUND', `the job left no ${path}`);
  return fileReply(market, file);
}

async function tarReply(
  market: Market,
  outputs: readonly OutputFile[],
  root: string,
): Promise<HttpReply> {
  for (const file of outputs) await mustBeThere(market, file);
  return reply.stream(
    async (stream) => {
      for (const { path, size, sha256 } of outputs) {
        await stream.write(tarHeader(path, size));
        await pieces(market, sha256, { from: 0, to: size - 1 }, stream);
        const padding = tarPadding(size);
        if (padding.length > 0) await stream.write(padding);
      }
      await stream.write(TAR_END);
    },
    { type: 'application/x-tar', headers: { etag: `"${root}"` } },
  );
}

/** The http-server reads the file itself (F46): parts of it, what the client has already, and sizes are its business. */
async function fileReply(market: Market, file: OutputFile): Promise<HttpReply> {
  await mustBeThere(market, file);
  const { sha256, path } = file;
  return reply.file(market.artifacts.path(sha256), {
    type: contentType(path),
    etag: `"${sha256}"`,
  });
}

/** The next piece is read while one goes out. */
async function pieces(
  { artifacts }: Market,
  sha256: string,
  { from, to }: Range,
  stream: HttpStream,
): Promise<void> {
  if (to < from) return;
  const read = (at: number): Promise<Uint8Array> =>
    artifacts.read(sha256, at, Math.min(PIECE_BYTES, to - at + 1));
  let next = read(from);
  for (let at = from; at <= to;) {
    const piece = await next;
    if (piece.length === 0) throw new Error(`${sha256} is shorter than it was`);
    at += piece.length;
    if (at <= to) next = read(at);
    // A client that leaves must not leave a read behind that nobody looks at.
    await stream.write(piece).catch((error: unknown) => {
      next.catch(nothing);
      throw error;
    });
  }
}

async function mustBeThere(
  { artifacts }: Market,
  { sha256, size, path }: OutputFile,
): Promise<void> {
  if ((await artifacts.bytesOf(sha256)) === size) return;
  throw new ApiError(409, 'NOT_YET', `${path} is not fetched yet, or not here any more`);
}

interface Range {
  readonly from: number;
  /** Its last byte. */
  readonly to: number;
}

function nothing(): void {}
