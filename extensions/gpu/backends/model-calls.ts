/**
 * Model requests that the process sends (compute-market.md §12; wit/hn-ext/schema.ts, `llm.*`): the body is asked for piece by piece, the
 * answer sent as fast as credit comes, so that a client that reads slowly slows the model server. What is not known any more is not
 * answered: whoever asked is gone.
 */
import { createHash, type Hash } from 'node:crypto';
import {
  LLM_BODY_BYTES_MAX,
  LLM_CALLS_MAX,
  LLM_CHUNK_BYTES,
  LLM_WINDOW_BYTES,
} from '../../../wit/hn-ext/limits.ts';
import type { Body, Frame } from '../../../wit/hn-ext/schema.ts';
import type { Clock } from '../../link/clock.ts';
import type { Link } from '../../link/link.ts';
import { type Backend, BackendError, type Endpoint, ENDPOINTS } from './backend.ts';

export type ModelFrame = Frame<'llm.request' | 'llm.body' | 'llm.credit' | 'llm.cancel'>;

export interface ModelCallsNeeds {
  readonly send: Link['send'];
  readonly backend: (id: string) => Backend | undefined;
  readonly clock: Pick<Clock, 'after'>;
}

/** Bytes of answer that wait for credit, above which the backend waits. */
const WAITING_BYTES_MAX = 64 * 1024;
/** Milliseconds of one request. */
const DEADLINE_MS_MAX = 3_600_000;

interface Call {
  readonly rid: string;
  readonly backend: Backend;
  readonly endpoint: Endpoint;
  readonly body: Buffer;
  have: number;
  credit: number;
  chunks: number;
  /** Of the answer, not sent yet. */
  waiting: Buffer[];
  waitingBytes: number;
  readonly hash: Hash;
  /** There is room for more of the answer. */
  room: PromiseWithResolvers<void>;
  readonly abort: AbortController;
  readonly stopClock: () => void;
}

export class ModelCalls {
  readonly #needs: ModelCallsNeeds;
  readonly #calls = new Map<string, Call>();

  constructor(needs: ModelCallsNeeds) {
    this.#needs = needs;
  }

  frame(frame: ModelFrame): void {
    if (frame.t === 'llm.request') return this.#request(frame.body);
    const call = this.#calls.get(frame.body.rid);
    if (call === undefined) return;
    switch (frame.t) {
      case 'llm.body':
        return this.#body(call, frame.body);
      case 'llm.credit':
        call.credit = Math.min(LLM_WINDOW_BYTES, call.credit + frame.body.bytes);
        return this.#flush(call);
      case 'llm.cancel':
        this.#end(call);
        return undefined;
      default:
        return frame satisfies never;
    }
  }

  /** The channel is gone, and whoever asked with it. */
  lost(): void {
    for (const call of this.#calls.values()) this.#end(call);
  }

  #request({ rid, backend: id, endpoint, bytes, credit, deadlineMs }: Body<'llm.request'>): void {
    const fail = (status: number, message: string): void =>
      this.#needs.send('llm.error', { rid, status, message });
    const backend = this.#needs.backend(id);
    const known = ENDPOINTS.find((one) => one === endpoint);
    if (this.#calls.has(rid)) return;
    if (this.#calls.size >= LLM_CALLS_MAX) return fail(503, 'too many requests at once');
    if (backend === undefined) return fail(503, `there is no backend ${id} now`);
    if (known === undefined) return fail(400, 'no such endpoint');
    if (bytes === 0 || bytes > LLM_BODY_BYTES_MAX) return fail(413, 'the request is too long');
    const stopClock = this.#needs.clock.after(Math.min(deadlineMs, DEADLINE_MS_MAX), () => {
      this.#end(call);
      fail(504, 'the answer takes too long');
    });
    const call: Call = {
      rid,
      backend,
      endpoint: known,
      body: Buffer.alloc(bytes),
      have: 0,
      credit: Math.min(LLM_WINDOW_BYTES, credit),
      chunks: 0,
      waiting: [],
      waitingBytes: 0,
      hash: createHash('sha256'),
      room: Promise.withResolvers(),
      abort: new AbortController(),
      stopClock,
    };
    this.#calls.set(rid, call);
    this.#needs.send('llm.more', { rid, offset: 0 });
  }

  #body(call: Call, { offset, data }: Body<'llm.body'>): void {
    const { rid, body, have } = call;
    if (offset !== have || data.length === 0 || have + data.length > body.length) return;
    body.set(data, have);
    call.have += data.length;
    if (call.have < body.length) this.#needs.send('llm.more', { rid, offset: call.have });
    else void this.#run(call);
  }

  async #run(call: Call): Promise<void> {
    const { rid, backend, endpoint, body, abort, hash } = call;
    try {
      await backend.call({
        endpoint,
        body: body.toString('utf8'),
        signal: abort.signal,
        take: (json) => this.#take(call, json),
      });
      while (call.waitingBytes > 0) await this.#roomIn(call);
      const sha256 = hash.digest('hex');
      const requestSha256 = createHash('sha256').update(body).digest('hex');
      if (this.#end(call))
        this.#needs.send('llm.done', { rid, chunks: call.chunks, sha256, requestSha256 });
    } catch (error) {
      if (!this.#end(call)) return;
      const known = error instanceof BackendError;
      const message = known ? error.message : 'the backend failed';
      this.#needs.send('llm.error', { rid, status: known ? error.status : 502, message });
    }
  }

  async #take(call: Call, json: string): Promise<void> {
    call.abort.signal.throwIfAborted();
    // A line of its own: outside of strings, JSON means the same with a space.
    const line = Buffer.from(`${json.replaceAll(/[\r\n]/g, ' ')}\n`);
    call.hash.update(line);
    call.waiting.push(line);
    call.waitingBytes += line.length;
    this.#flush(call);
    while (call.waitingBytes > WAITING_BYTES_MAX) await this.#roomIn(call);
  }

  async #roomIn(call: Call): Promise<void> {
    await call.room.promise;
    call.abort.signal.throwIfAborted();
  }

  /** Sends what credit allows; lines that wait together go together. */
  #flush(call: Call): void {
    while (call.waitingBytes > 0 && call.credit > 0) {
      const [first = Buffer.alloc(0)] = call.waiting;
      const all = call.waiting.length === 1 ? first : Buffer.concat(call.waiting);
      const data = all.subarray(0, Math.min(LLM_CHUNK_BYTES, call.credit));
      const rest = all.subarray(data.length);
      call.waiting = rest.length === 0 ? [] : [rest];
      call.waitingBytes = rest.length;
      call.credit -= data.length;
      this.#needs.send('llm.chunk', { rid: call.rid, i: call.chunks++, data });
    }
    if (call.waitingBytes > WAITING_BYTES_MAX) return;
    call.room.resolve();
    call.room = Promise.withResolvers();
  }

  /** False: it was over. */
  #end(call: Call): boolean {
    if (!this.#calls.delete(call.rid)) return false;
    call.stopClock();
    call.abort.abort();
    call.room.resolve();
    return true;
  }
}
