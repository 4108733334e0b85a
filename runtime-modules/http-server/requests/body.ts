/** Bodies of requests: collected once, within the limits of one and of all together (M147). */
import type { IncomingMessage } from 'node:http';
import type { Counters } from '../counters.ts';
import type { Reply } from './reply.ts';

export interface BodyLimits {
  readonly counters: Counters;
  /** Of one request. */
  readonly bytesMax: number;
  /** Of all requests under way. */
  readonly totalBytesMax: number;
}

export const NO_BYTES = new Uint8Array();

/** Whether bytes follow the headers. */
export function hasBody({ headers }: IncomingMessage): boolean {
  const length = headers['content-length'];
  return headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0');
}

/**
 * Collects a request's body and hands it on. One that is too large is answered here, with 413 or 503; of a client that leaves nothing
 * is heard. What is collected counts as held until the reply is over.
 */
export function takeBody(
  request: IncomingMessage,
  reply: Reply,
  limits: BodyLimits,
  then: (body: Uint8Array) => void,
): void {
  if (!hasBody(request)) return then(NO_BYTES);
  const { headers } = request;
  const length = headers['content-length'];
  if (length !== undefined && Number(length) > limits.bytesMax) return tooLarge(reply, limits);
  if (headers.expect !== undefined) reply.writeContinue();
  collect(request, reply, limits, then);
}

function collect(
  request: IncomingMessage,
  reply: Reply,
  limits: BodyLimits,
  then: (body: Uint8Array) => void,
): void {
  const { counters } = limits;
  const chunks: Uint8Array[] = [];
  let size = 0;
  const stop = (): void => {
    chunks.length = 0;
    request.removeListener('data', onData);
    request.removeListener('end', onEnd);
    request.resume();
  };
  const onData = (chunk: Uint8Array): void => {
    size += chunk.length;
    counters.bytesIn += chunk.length;
    counters.heldBytes += chunk.length;
    reply.heldBytes += chunk.length;
    if (size > limits.bytesMax) {
      stop();
      tooLarge(reply, limits);
    } else if (counters.heldBytes > limits.totalBytesMax) {
      stop();
      reply.answerLast(503, 'too many large requests at once; try again');
    } else {
      chunks.push(chunk);
    }
  };
  const onEnd = (): void => then(joined(chunks, size));
  request.on('data', onData);
  request.on('end', onEnd);
}

function tooLarge(reply: Reply, limits: BodyLimits): void {
  reply.answerLast(413, `the body may have at most ${limits.bytesMax} bytes`);
}

/** Always bytes of their own: the chunks are views of larger buffers. */
function joined(chunks: readonly Uint8Array[], size: number): Uint8Array {
  const body = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    body.set(chunk, at);
    at += chunk.length;
  }
  return body;
}
