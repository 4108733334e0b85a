/**
 * `/rpc:distro:sys/message`: a program of this machine, such as kit, sends a message in the module's name (runtime-modules.md §6.10).
 * Who may do that is decided before this is asked (F21).
 */
import { OUR } from '../../../wit/address.ts';
import { rpcRequest } from '../../../wit/http-server-api.ts';
import type { KernelMessage, LazyLoadBlob } from '../../../wit/types.ts';
import type { ForwardParts } from './forward.ts';
import { ANSWER_S_MAX, RPC_BYTES_MAX } from '../limits.ts';
import type { Reply } from './reply.ts';
import { askedSeconds } from './request-json.ts';
import type { Visit } from './visit.ts';
import { Waiting } from './waiting.ts';

export const RPC_PATH = '/rpc:distro:sys/message';

const HTML = ['Content-Type', 'text/html'];
/** Bytes made into numbers at a time: a fraction of a millisecond of work. A multiple of 3, so that base64 goes on seamlessly. */
const STEP_BYTES = 24_576;

const utf8 = new TextEncoder();

class RpcWaiting extends Waiting {
  override answered({ message, blob }: KernelMessage): void {
    const { reply } = this;
    const body = message.kind === 'response' ? message.response.body : new Uint8Array();
    const text = answerText(body, blob);
    if (body.length + (blob?.bytes.length ?? 0) > STEP_BYTES) {
      return reply.answerInPieces(200, HTML, undefined, text);
    }
    reply.answer(200, HTML, Buffer.concat([...text]));
  }
}

/** Sends the message that a body asks for, and answers. */
export function rpc(
  { our, waiting, answerS, print }: ForwardParts,
  visit: Visit,
  reply: Reply,
  bytes: Uint8Array,
): void {
  const decoded = bytes.length > RPC_BYTES_MAX ? undefined : rpcRequest.decode(bytes);
  if (decoded?.ok !== true) return reply.answerEmpty(400);
  const { process, node, expects_response: asked, body, metadata, mime, data } = decoded.value;
  print(2, `http-server: passing on RPC message to ${process}`);
  const target = { node: node === undefined || node === OUR ? our : node, process };
  const request = {
    body: utf8.encode(body ?? ''),
    blob: data === undefined ? undefined : blobOf(data, mime),
    metadata,
    asked,
  };
  if (asked === undefined) {
    waiting.post(target, request);
    return reply.answerEmpty(200);
  }
  // Not as long as the message may wait, but as any answer may (M170).
  const seconds = Math.min(askedSeconds(visit.headers) ?? answerS, ANSWER_S_MAX);
  waiting.send(new RpcWaiting(reply, target), { ...request, seconds });
}

/** What is no base64 is no blob (M171). */
function blobOf(data: string, mime: string | undefined): LazyLoadBlob | undefined {
  // The decoder would skip spaces.
  if (/\s/.test(data)) return undefined;
  try {
    return { mime, bytes: Uint8Array.fromBase64(data, { lastChunkHandling: 'strict' }) };
  } catch {
    return undefined;
  }
}

/** The response as kit reads it: both vectors as numbers, and the blob's are those of its base64 text. */
function* answerText(body: Uint8Array, blob: LazyLoadBlob | undefined): Generator<Uint8Array> {
  yield utf8.encode('{"body":[');
  yield* numbers(body, (step) => step);
  if (blob === undefined) {
    yield utf8.encode('],"lazy_load_blob":null}');
    return;
  }
  yield utf8.encode(`],"lazy_load_blob":{"mime":${JSON.stringify(blob.mime ?? null)},"bytes":[`);
  yield* numbers(blob.bytes, (step) => Buffer.from(Buffer.from(step).toString('base64'), 'latin1'));
  yield utf8.encode(']}}');
}

function* numbers(bytes: Uint8Array, as: (step: Uint8Array) => Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += STEP_BYTES) {
    const text = as(bytes.subarray(at, at + STEP_BYTES)).join(',');
    yield utf8.encode(at === 0 ? text : `,${text}`);
  }
}
