/**
 * Requests on their way to a process or, by RPC, to anybody, until they are answered, fail, run out of time or lose their client
 * (runtime-modules.md §6.6). Each ends exactly once, and then nothing of it is left.
 */
import { randomFillSync } from 'node:crypto';
import type { KernelPort, SendFailure } from '../../../kernel/module.ts';
import { plainRequest } from '../../../wit/message.ts';
import type { Address, KernelMessage, LazyLoadBlob, ProcessId, U64 } from '../../../wit/types.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Counters } from '../counters.ts';
import { Deadline, Deadlines } from './deadlines.ts';
import type { Abandonable, Reply } from './reply.ts';

/** One of them. */
export abstract class Waiting extends Deadline implements Abandonable {
  readonly reply: Reply;
  readonly target: Address;
  id: U64 = 0;
  sentMs = 0;
  table: WaitingTable | undefined = undefined;

  constructor(reply: Reply, target: Address) {
    super();
    this.reply = reply;
    this.target = target;
  }

  /** The response, from whom it was asked of. */
  abstract answered(message: KernelMessage): void;

  /** Nobody answered in time (M141). */
  override expire(): void {
    this.table?.forget(this);
    this.reply.answerEmpty(408);
  }

  /** The client has left. */
  abandon(): void {
    this.table?.forget(this);
  }

  /** It reached nobody, or whom it reached has died since. */
  fail(why: SendFailure): void {
    const { process, node } = this.target;
    switch (why) {
      case 'gone':
        return this.reply.answerText(503, `${process} is not running`);
      case 'full':
        return this.reply.answerText(503, `${process} has too many requests waiting`, RETRY);
      case 'unreachable':
        return this.reply.answerText(503, `${node} cannot be reached`);
      case 'too-large':
        return this.reply.answerText(413, `${node} takes no message of that size`);
      case 'not-permitted':
        // As if it had been silent (M142); the kernel has told the owner why.
        return this.reply.answerEmpty(408);
    }
  }
}

const RETRY = ['Retry-After', '1'];

export interface WaitingNeeds {
  readonly port: Pick<KernelPort, 'send' | 'print' | 'our'>;
  readonly clock: Clock;
  readonly counters: Counters;
}

export class WaitingTable {
  readonly #needs: WaitingNeeds;
  readonly #deadlines: Deadlines;
  readonly #byId = new Map<U64, Waiting>();
  readonly #ids = new IdPool();

  constructor(needs: WaitingNeeds) {
    this.#needs = needs;
    this.#deadlines = new Deadlines(needs.clock);
  }

  get size(): number {
    return this.#byId.size;
  }

  /** An id for `send`, where the body has to name it. */
  nextId(): number {
    return this.#ids.next();
  }

  /** Sends a request for somebody who waits at most `seconds`; `asked` is what the receiver is told about that. */
  send(
    waiting: Waiting,
    { body, blob, metadata, asked, seconds }: WaitingRequest,
    id = this.#ids.next(),
  ): void {
    waiting.id = id;
    waiting.table = this;
    waiting.sentMs = this.#needs.clock.nowMs();
    waiting.reply.waiting = waiting;
    // Before it is sent: a module may answer at once.
    this.#byId.set(id, waiting);
    this.#deadlines.arm(waiting, seconds);
    this.post(waiting.target, { body, blob, metadata, asked }, id);
  }

  /** Sends a request that nobody here waits for. */
  post(
    target: Address,
    { body, blob, metadata, asked }: Omit<WaitingRequest, 'seconds'>,
    id = this.#ids.next(),
  ): void {
    const request = plainRequest(body, asked);
    this.#needs.port.send({
      id,
      target,
      rsvp: undefined,
      message: {
        kind: 'request',
        request: metadata === undefined ? request : { ...request, metadata },
      },
      blob,
    });
  }

  /** A response of anybody. One from somebody else than was asked is ignored (M145), as is a late one. */
  answered(message: KernelMessage): void {
    const waiting = this.#byId.get(message.id);
    if (waiting === undefined) return;
    const { source } = message;
    const { target } = waiting;
    if (source.process !== target.process || source.node !== target.node) {
      this.#needs.port.print(
        1,
        `ignored an answer of ${source.process} to a request for ${target.process}`,
      );
      return;
    }
    this.forget(waiting);
    this.#needs.counters.onAnswer?.(this.#needs.clock.nowMs() - waiting.sentMs);
    waiting.answered(message);
  }

  failed(id: U64, why: SendFailure): void {
    const waiting = this.#byId.get(id);
    if (waiting === undefined) return;
    this.forget(waiting);
    waiting.fail(why);
  }

  /** Whom they were for has ended: they need not wait any longer. */
  processGone(process: ProcessId): void {
    const { node } = this.#needs.port.our;
    for (const waiting of [...this.#byId.values()]) {
      if (waiting.target.process !== process || waiting.target.node !== node) continue;
      this.forget(waiting);
      waiting.fail('gone');
    }
  }

  forget(waiting: Waiting): void {
    if (!this.#byId.delete(waiting.id)) return;
    this.#deadlines.disarm(waiting);
    waiting.reply.waiting = undefined;
  }

  close(): void {
    this.#deadlines.close();
    this.#byId.clear();
  }
}

export interface WaitingRequest {
  readonly body: Uint8Array;
  readonly blob: LazyLoadBlob | undefined;
  readonly metadata?: string | undefined;
  /** The message's expects-response. */
  readonly asked: U64 | undefined;
  readonly seconds: number;
}

/** Random message ids that a number holds exactly, from bytes drawn in bulk. */
class IdPool {
  readonly #words = new Uint32Array(512);
  #at = this.#words.length;

  next(): number {
    if (this.#at >= this.#words.length) {
      randomFillSync(this.#words);
      this.#at = 0;
    }
    const high = this.#words[this.#at++]! & 0x1f_ffff;
    return high * 0x1_0000_0000 + this.#words[this.#at++]!;
  }
}
