/**
 * Answers that come in pieces: a process gives the head with `x-hyperware-stream: 1`, then pushes bytes under the id that the request
 * had in its header `x-hyperware-request-id` (compute-market.md §12.1; ours). A push is answered when the connection has taken it, so a
 * process is as fast as its client.
 */
import type { KernelPort, ProcessEnding } from '../../../kernel/module.ts';
import { httpServerRequest, type HttpServerError } from '../../../wit/http-server-api.ts';
import { plainRequest } from '../../../wit/message.ts';
import type { ProcessId } from '../../../wit/types.ts';
import type { Clock } from '../../shared/clock.ts';
import { STREAM_IDLE_S_MAX, STREAMS_PER_PROCESS_MAX } from '../limits.ts';
import { Deadline, Deadlines } from './deadlines.ts';
import type { Abandonable, Reply } from './reply.ts';

export interface StreamsNeeds {
  readonly port: Pick<KernelPort, 'send' | 'our' | 'print'>;
  readonly clock: Clock;
}

/** Whose answer, to which request. */
export interface StreamOf {
  readonly id: string;
  readonly process: ProcessId;
  readonly reply: Reply;
}

const CLOSED: HttpServerError = { kind: 'StreamClosed' };

class Stream extends Deadline implements Abandonable {
  readonly of: StreamOf;
  readonly #streams: Streams;

  constructor(of: StreamOf, streams: Streams) {
    super();
    this.of = of;
    this.#streams = streams;
  }

  /** The process has been silent for too long: what was sent is not all. */
  override expire(): void {
    this.#streams.cut(this);
  }

  /** The client has left. */
  abandon(): void {
    this.#streams.left(this);
  }
}

export class Streams {
  readonly #needs: StreamsNeeds;
  readonly #idle: Deadlines;
  readonly #byId = new Map<string, Stream>();
  readonly #count = new Map<ProcessId, number>();

  constructor(needs: StreamsNeeds) {
    this.#needs = needs;
    this.#idle = new Deadlines(needs.clock);
  }

  get size(): number {
    return this.#byId.size;
  }

  /** From now on the answer is pushed; `begin` sends its head. */
  open(of: StreamOf, begin: () => void): void {
    const { id, process, reply } = of;
    const count = this.#count.get(process) ?? 0;
    if (count >= STREAMS_PER_PROCESS_MAX) {
      this.#needs.port.print(1, `http-server: ${process} streams ${count} answers already`);
      return reply.answerText(503, `${process} has too many answers under way`);
    }
    begin();
    const stream = new Stream(of, this);
    this.#byId.set(id, stream);
    this.#count.set(process, count + 1);
    reply.waiting = stream;
    this.#idle.arm(stream, STREAM_IDLE_S_MAX);
    // Gone while the answer was on its way.
    if (reply.destroyed) this.left(stream);
  }

  /** Sends more of an answer of `process`. A promise where the client is slower than that; it settles when there is room, or nobody. */
  push(
    process: ProcessId,
    { id, bytes, fin, abort }: Push,
  ): HttpServerError | undefined | Promise<HttpServerError | undefined> {
    const stream = this.#byId.get(id);
    if (stream === undefined || stream.of.process !== process) return CLOSED;
    const { reply } = stream.of;
    if (abort) {
      this.cut(stream);
      return undefined;
    }
    const room = bytes === undefined || bytes.length === 0 || reply.write(bytes);
    if (fin) {
      this.#forget(stream);
      reply.end();
      return undefined;
    }
    this.#idle.disarm(stream);
    this.#idle.arm(stream, STREAM_IDLE_S_MAX);
    if (room) return undefined;
    return new Promise((settle) => {
      const over = (): void => {
        reply.off('drain', over);
        reply.off('close', over);
        settle(this.#byId.get(id) === stream ? undefined : CLOSED);
      };
      reply.on('drain', over);
      reply.on('close', over);
    });
  }

  /** Nobody will push any more. */
  processGone(process: ProcessId, _ending: ProcessEnding): void {
    if (!this.#count.has(process)) return;
    for (const stream of [...this.#byId.values()]) {
      if (stream.of.process === process) this.cut(stream);
    }
  }

  /** Ends it so that the client sees that something is missing. */
  cut(stream: Stream): void {
    this.#forget(stream);
    stream.of.reply.destroy();
  }

  /** The client is gone; its process need not go on. */
  left(stream: Stream): void {
    if (!this.#forget(stream)) return;
    const { id, process } = stream.of;
    const { port } = this.#needs;
    const body = httpServerRequest.encode({ kind: 'HttpStreamClosed', value: { request_id: id } });
    port.send({
      target: { node: port.our.node, process },
      rsvp: undefined,
      message: { kind: 'request', request: plainRequest(body, undefined) },
      blob: undefined,
    });
  }

  close(): void {
    this.#idle.close();
    this.#byId.clear();
  }

  /** @returns whether it was open */
  #forget(stream: Stream): boolean {
    const { id, process, reply } = stream.of;
    if (!this.#byId.delete(id)) return false;
    const left = (this.#count.get(process) ?? 1) - 1;
    if (left === 0) this.#count.delete(process);
    else this.#count.set(process, left);
    this.#idle.disarm(stream);
    reply.waiting = undefined;
    reply.release();
    return true;
  }
}

interface Push {
  readonly id: string;
  readonly bytes: Uint8Array | undefined;
  readonly fin: boolean;
  readonly abort: boolean;
}
