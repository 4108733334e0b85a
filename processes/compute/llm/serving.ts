/** One request from its dispatch to its bill, streamed or whole (compute-market.md §12.2): heads late enough to be true, signs of life meanwhile. */
import { type HttpReply, type HttpStream, reply, sseEvent } from '../../lib/http-server.ts';
import { type Head, readChunk, readWhole, usageChunk } from './answers.ts';
import type { Bill } from './bill.ts';
import { type Answer, type Asked, type Dispatch, UpstreamError } from './dispatch.ts';
import { type ApiError, apiError, errorJson, type ModelRequest } from './openai.ts';

export interface Order {
  readonly request: ModelRequest;
  readonly head: Head;
  readonly bill: Bill;
  readonly asked: Omit<Asked, 'signal'>;
  /** Of the HTTP request: aborted when the client leaves before the head is sent. */
  readonly signal: AbortSignal;
  readonly headers: Readonly<Record<string, string>>;
}

const SSE = 'text/event-stream; charset=utf-8';
const SSE_HEADERS = { 'cache-control': 'no-cache', 'x-accel-buffering': 'no' };
const KEEP_ALIVE = ': keep-alive\n\n';
/** Seconds after which a client may try again, when nothing better is known. */
const RETRY_S = 5;
const BAD_ANSWER = 'the backend answered what cannot be read';

/** Answers an order whose money is kept. Whatever happens, it is settled. */
export async function serve(order: Order, dispatch: Dispatch): Promise<HttpReply> {
  const gone = new AbortController();
  order.signal.addEventListener('abort', () => gone.abort(order.signal.reason));
  if (order.signal.aborted) gone.abort(order.signal.reason);
  let begun: Awaited<ReturnType<Dispatch['begin']>>;
  try {
    begun = await dispatch.begin({ ...order.asked, signal: gone.signal });
  } catch (error) {
    await order.bill.settle(undefined, { cut: true });
    return failed(error, order);
  }
  const { answer, first } = begun;
  if (order.request.stream) {
    return reply.stream(
      (stream) => {
        stream.signal.addEventListener('abort', () => gone.abort(stream.signal.reason));
        return streamed(order, { answer, first, stream });
      },
      { type: SSE, headers: { ...order.headers, ...SSE_HEADERS } },
    );
  }
  if (first === undefined || first.length > 0) return whole(order, answer, first);
  // It takes its time: the head goes out, and white space, which JSON may begin with, until the answer is there.
  return reply.stream(
    async (stream) => {
      stream.signal.addEventListener('abort', () => gone.abort(stream.signal.reason));
      const alive = (): Promise<void> => stream.write(' ');
      const { json } = await wholeAnswer(order, { answer, first, from: 'stream', alive });
      await stream.write(json);
    },
    { type: 'application/json', headers: order.headers },
  );
}

interface Streaming {
  readonly answer: Answer;
  readonly first: readonly string[] | undefined;
  readonly stream: HttpStream;
}

async function streamed(order: Order, { answer, first, stream }: Streaming): Promise<void> {
  const { bill, head, request } = order;
  try {
    for (let lines = first; lines !== undefined; lines = await answer.next('stream')) {
      if (lines.length === 0) await stream.write(KEEP_ALIVE);
      else await deliver(order, stream, lines);
    }
    const tokens = await bill.settle(answer.backend, { cut: false, hashes: answer.hashes });
    const usage = request.includeUsage ? sseEvent(usageChunk(head, request.endpoint, tokens)) : '';
    await stream.write(`${usage}${sseEvent('[DONE]')}`);
  } catch (error) {
    answer.stop(stream.signal.aborted ? 'left' : 'failed');
    await bill.settle(answer.backend, { cut: true });
    if (stream.signal.aborted) return;
    // No `[DONE]`: it is not whole.
    await stream.write(sseEvent(errorJson(toldOf(error))));
    if (!(error instanceof UpstreamError)) throw error;
  }
}

/** Sends events; what they hold is delivered when the connection has taken them. */
async function deliver(order: Order, stream: HttpStream, lines: readonly string[]): Promise<void> {
  let events = '';
  let deltas = 0;
  let text = '';
  let fault: UpstreamError | undefined;
  for (const line of lines) {
    const read = readChunk(line, order.head, order.request);
    if (typeof read !== 'object') {
      fault = new UpstreamError(502, read ?? BAD_ANSWER);
      break;
    }
    order.bill.said(read.usage);
    if (read.json !== undefined) events += sseEvent(read.json);
    deltas += read.deltas;
    text += read.text;
  }
  if (events !== '') await stream.write(events);
  order.bill.delivered({ deltas, text });
  if (fault !== undefined) throw fault;
}

async function whole(
  order: Order,
  answer: Answer,
  first: readonly string[] | undefined,
): Promise<HttpReply> {
  try {
    const alive = (): Promise<void> => Promise.resolve();
    const how = { answer, first, from: 'request', alive } as const;
    const { json, cost } = await wholeAnswer(order, how);
    const headers = { ...order.headers, 'x-hn-cost': String(cost) };
    return reply.bytes(new TextEncoder().encode(json), { type: 'application/json', headers });
  } catch (error) {
    return failed(error, order);
  }
}

/** @throws UpstreamError; settled all the same */
async function wholeAnswer(
  order: Order,
  {
    answer,
    first,
    from,
    alive,
  }: {
    readonly answer: Answer;
    readonly first: readonly string[] | undefined;
    readonly from: 'request' | 'stream';
    readonly alive: () => Promise<void>;
  },
): Promise<{ readonly json: string; readonly cost: bigint }> {
  try {
    let body = '';
    for (let lines = first; lines !== undefined; lines = await answer.next(from)) {
      if (lines.length === 0) await alive();
      else body += lines.join('');
    }
    const read = readWhole(body, order.head, order.request);
    if (typeof read !== 'object') throw new UpstreamError(502, read ?? BAD_ANSWER);
    order.bill.said(read.usage);
    order.bill.delivered({ deltas: read.pieces, text: read.text });
    const tokens = await order.bill.settle(answer.backend, { cut: false, hashes: answer.hashes });
    return { json: read.json(tokens), cost: tokens.cost };
  } catch (error) {
    answer.stop(order.signal.aborted ? 'left' : 'failed');
    await order.bill.settle(answer.backend, { cut: true });
    throw error;
  }
}

/** What a client is told about a fault of a backend, or of ours. */
function toldOf(error: unknown): ApiError {
  if (!(error instanceof UpstreamError))
    return apiError(500, 'server_error', 'the server failed to answer this');
  const { status, message } = error;
  if (status === 404)
    return apiError(404, 'invalid_request_error', message, {
      code: 'model_not_found',
      param: 'model',
    });
  if (status === 408 || status === 504)
    return apiError(504, 'server_error', message, { code: 'timeout' });
  if (status === 429 || status === 503)
    return apiError(503, 'overloaded', message, { code: 'overloaded' });
  // A backend that wants a key of its own, say, is a matter of the operator.
  const client = status === 400 || status === 413 || status === 422;
  return client
    ? apiError(400, 'invalid_request_error', message)
    : apiError(500, 'server_error', message);
}

/** An error as the answer. */
export function refused(error: ApiError, headers: Readonly<Record<string, string>>): HttpReply {
  const body = new TextEncoder().encode(errorJson(error));
  return reply.bytes(body, { type: 'application/json', status: error.status, headers });
}

function failed(error: unknown, { headers, signal }: Order): HttpReply {
  // Nobody reads it.
  if (signal.aborted) return refused(apiError(499, 'server_error', 'the client has left'), headers);
  if (!(error instanceof UpstreamError)) throw error;
  const told = toldOf(error);
  const retry = told.status === 503 ? { 'retry-after': String(error.retryS ?? RETRY_S) } : {};
  return refused(told, { ...headers, ...retry });
}
