/** An HTTP request to its process and the answer back (runtime-modules.md §6.6). */
import type { IncomingMessage } from 'node:http';
import type { Address, KernelMessage, LazyLoadBlob, NodeId } from '../../../wit/types.ts';
import type { FileStreams } from '../../shared/file-streams.ts';
import { answerHead } from './answer-head.ts';
import { answerFile } from './file-answer.ts';
import type { HttpBinding } from '../bindings/bindings.ts';
import { NO_BYTES } from './body.ts';
import { ANSWER_S_MAX } from '../limits.ts';
import type { Found } from '../bindings/match.ts';
import { hasBody, type Reply } from './reply.ts';
import { askedSeconds, requestJson } from './request-json.ts';
import type { Streams } from './streams.ts';
import type { Visit } from './visit.ts';
import { Waiting, type WaitingTable } from './waiting.ts';

/** A request without a body has an empty blob, not none. */
const EMPTY_BLOB: LazyLoadBlob = { mime: undefined, bytes: NO_BYTES };

class HttpWaiting extends Waiting {
  readonly #parts: Pick<ForwardParts, 'streams' | 'files'>;

  constructor(reply: Reply, target: Address, parts: Pick<ForwardParts, 'streams' | 'files'>) {
    super(reply, target);
    this.#parts = parts;
  }

  override answered({ message, blob, source }: KernelMessage): void {
    const { reply } = this;
    const head = message.kind === 'response' ? answerHead(message.response.body) : undefined;
    if (head === undefined) return reply.answerEmpty(500);
    const bytes = blob?.bytes ?? NO_BYTES;
    const { headers, length, stream, file } = head.lines;
    if (file !== undefined && hasBody(head.status)) {
      const { status } = head;
      void answerFile(reply, { status, headers, path: file, source }, this.#parts.files?.());
      return;
    }
    if (stream && reply.req.method !== 'HEAD' && hasBody(head.status)) {
      this.#parts.streams.open({ id: String(this.id), process: this.target.process, reply }, () =>
        reply.begin(head.status, headers, bytes),
      );
      return;
    }
    if (length !== undefined && bytes.length === 0 && reply.req.method === 'HEAD') {
      reply.answerReady(head.status, [...headers, 'Content-Length', length], undefined);
    } else {
      reply.answer(head.status, headers, bytes);
    }
  }
}

export interface ForwardParts {
  readonly our: NodeId;
  readonly waiting: WaitingTable;
  /** Answers that come in pieces. */
  readonly streams: Streams;
  /** Files of vfs, for answers that are one. */
  readonly files: (() => FileStreams | undefined) | undefined;
  /** Seconds an answer may take when the request does not say. */
  readonly answerS: number;
  readonly print: (verbosity: number, text: string) => void;
}

/** Sends the request on; the reply is given when the answer comes. */
export function forward(
  { our, waiting, streams, files, answerS }: ForwardParts,
  request: IncomingMessage,
  { visit, found, reply, body }: Forwarded,
): void {
  const seconds = Math.min(askedSeconds(visit.headers) ?? answerS, ANSWER_S_MAX);
  const id = waiting.nextId();
  const target = { node: our, process: found.binding.process };
  const sent = {
    body: requestJson(request, visit, found, id),
    blob: body.length === 0 ? EMPTY_BLOB : { mime: undefined, bytes: body },
    asked: seconds,
    seconds,
  };
  waiting.send(new HttpWaiting(reply, target, { streams, files }), sent, id);
}

export interface Forwarded {
  readonly visit: Visit;
  readonly found: Found<HttpBinding>;
  readonly reply: Reply;
  readonly body: Uint8Array;
}
