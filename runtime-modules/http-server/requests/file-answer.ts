/**
 * Answers whose body is a file of vfs (findings F46): a process gives the head with `x-hyperware-file: PATH`, a path of its own package, and
 * the bytes never pass through it. One range of bytes is served, and what the client already has is not sent again. Ours.
 */
import type { KernelMessage } from '../../../wit/types.ts';
import type { FileSource, FileStreams } from '../../shared/file-streams.ts';
import { ioErrorText } from '../../shared/io-error.ts';
import { parseRange } from '../static/static.ts';
import type { RawHeaders, Reply } from './reply.ts';

/** Bytes read at a time. */
const CHUNK_BYTES = 512 * 1024;

export interface FileAnswer {
  readonly status: number;
  readonly headers: RawHeaders;
  readonly path: string;
  /** Of the process that answered. */
  readonly source: KernelMessage['source'];
}

/** Answers with the file; never rejects. */
export async function answerFile(
  reply: Reply,
  { status, headers, path, source }: FileAnswer,
  files: FileStreams | undefined,
): Promise<void> {
  // What a process holds beside its own package's drives is not known of an answer: only those are served.
  const asker = { source, caller: { exists: true, holds: () => false, heldFrom: () => [] } };
  const found = files?.source(asker, path);
  if (found?.ok !== true) return reply.answerEmpty(found === undefined ? 503 : 500);
  let file: FileSource;
  try {
    file = await found.value();
  } catch (error) {
    return reply.answerEmpty(/os error 2\b/.test(ioErrorText(error) ?? '') ? 404 : 500);
  }
  try {
    await send(reply, status, headers, file);
  } catch {
    // Half of it is sent: a cut connection says so.
    reply.destroy();
  } finally {
    await file.close();
  }
}

async function send(
  reply: Reply,
  status: number,
  headers: RawHeaders,
  file: FileSource,
): Promise<void> {
  const { range, 'if-range': condition, 'if-none-match': known } = reply.req.headers;
  const tag = valueOf(headers, 'etag');
  if (status === 200 && tag !== undefined && known?.split(',').some((each) => each.trim() === tag))
    return reply.answerReady(304, headers, undefined);
  const all = [...headers, 'Accept-Ranges', 'bytes'];
  const wanted =
    status === 200 && range !== undefined && (condition === undefined || condition === tag)
      ? parseRange(range, file.size)
      : undefined;
  if (wanted === 'none')
    return reply.answerText(416, 'nothing there', ['Content-Range', `bytes */${file.size}`]);
  const { from, to } = wanted ?? { from: 0, to: file.size - 1 };
  const bytes = to - from + 1;
  const part = wanted === undefined ? [] : ['Content-Range', `bytes ${from}-${to}/${file.size}`];
  const sent = wanted === undefined ? status : 206;
  if (reply.req.method === 'HEAD')
    return reply.answerReady(sent, [...all, ...part, 'Content-Length', String(bytes)], undefined);
  reply.begin(sent, [...all, ...part], NOTHING, bytes);
  await stream(reply, file, { from, to });
  reply.release();
  reply.end();
  return undefined;
}

const NOTHING = new Uint8Array();

/** Two buffers in turn, each filled again when the host has taken it: a large file leaves nothing for the collector. */
async function stream(
  reply: Reply,
  file: FileSource,
  { from, to }: { readonly from: number; readonly to: number },
): Promise<void> {
  const size = Math.min(CHUNK_BYTES, to + 1 - from);
  const turns = [0, 1].map(() => ({ buffer: Buffer.allocUnsafeSlow(size), taken: TAKEN }));
  for (let at = from; at <= to && !reply.destroyed;) {
    const turn = turns.shift()!;
    await turn.taken;
    const wanted = turn.buffer.subarray(0, Math.min(size, to + 1 - at));
    const got = await file.read(at, [wanted]);
    if (got === 0) throw new Error('the file has become shorter');
    at += got;
    // Called with an error too: then there is nobody to send to.
    turn.taken = new Promise((resolve) => {
      reply.write(wanted.subarray(0, got), () => resolve());
    });
    turns.push(turn);
  }
}

const TAKEN: Promise<void> = Promise.resolve();

function valueOf(headers: RawHeaders, name: string): string | undefined {
  const at = headers.findIndex((text, index) => index % 2 === 0 && text.toLowerCase() === name);
  return at === -1 ? undefined : headers[at + 1];
}
