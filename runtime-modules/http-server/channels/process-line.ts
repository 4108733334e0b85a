/**
 * The line of messages from channels to one process. A full mailbox loses nothing: what it has no room for waits here in order, and
 * whoever brings more is told to hold back (findings.md §5: modules never wait; here it is the sockets that do).
 */
import type { Offered } from '../../../kernel/module.ts';
import type { LazyLoadBlob, ProcessId, U64 } from '../../../wit/types.ts';

/** Sends a request to a process, as `KernelPort.offer` does: a promise while its mailbox is full. */
export type SendToProcess = (
  target: ProcessId,
  body: Uint8Array,
  blob: LazyLoadBlob | undefined,
  options?: { readonly id?: U64; readonly response?: boolean },
) => Offered | Promise<Offered>;

/** Where a message came from. */
export interface Origin {
  /** A message of his waits in line; he should bring no more until `line.flows`. */
  waits(bytes: number): void;
  /** It waits no longer. */
  moved(bytes: number): void;
}

export interface LineEvents {
  /** Nobody waits any more. */
  flows(line: ProcessLine): void;
  /** The process is gone or may not be sent to; the line has ended. */
  unreachable(line: ProcessLine): void;
}

interface Waiting {
  readonly origin: Origin;
  readonly body: Uint8Array;
  readonly blob: LazyLoadBlob | undefined;
  readonly id: U64 | undefined;
}

export class ProcessLine {
  readonly process: ProcessId;
  readonly #send: SendToProcess;
  readonly #events: LineEvents;
  /** From #head on; those before it have moved, and are undefined. */
  #waiting: (Waiting | undefined)[] = [];
  #head = 0;
  #ended = false;

  constructor(process: ProcessId, send: SendToProcess, events: LineEvents) {
    this.process = process;
    this.#send = send;
    this.#events = events;
  }

  /** Messages that wait for room. */
  get waiting(): number {
    return this.#waiting.length - this.#head;
  }

  /** Sends a request, or keeps it in order behind those that wait. `id`: of the message; undefined draws one. */
  deliver(origin: Origin, body: Uint8Array, blob: LazyLoadBlob | undefined, id?: U64): void {
    if (this.#ended) return;
    if (this.waiting > 0) return this.#wait({ origin, body, blob, id });
    const sent = this.#offer(body, blob, id);
    if (sent === 'refused') this.#unreachable();
    else if (typeof sent !== 'string') {
      this.#wait({ origin, body, blob, id });
      void this.#flush(sent);
    }
  }

  /** Forgets what waits from there, but for what is being offered already. */
  discard(origin: Origin): void {
    const [offered, ...others] = this.#take();
    if (offered === undefined) return;
    this.#waiting = [offered, ...others.filter((message) => message.origin !== origin)];
    for (const message of others) if (message.origin === origin) tellMoved(message);
  }

  /** Forgets what waits; nothing is sent any more. */
  end(): void {
    this.#ended = true;
    for (const message of this.#take()) tellMoved(message);
  }

  /** All that waits, out of the line. */
  #take(): Waiting[] {
    const taken = this.#waiting.slice(this.#head).filter((message) => message !== undefined);
    this.#waiting = [];
    this.#head = 0;
    return taken;
  }

  #offer(
    body: Uint8Array,
    blob: LazyLoadBlob | undefined,
    id: U64 | undefined,
  ): ReturnType<SendToProcess> {
    return id === undefined
      ? this.#send(this.process, body, blob)
      : this.#send(this.process, body, blob, { id });
  }

  #wait(message: Waiting): void {
    this.#waiting.push(message);
    message.origin.waits(bytesOf(message));
  }

  /** Ends when nobody waits: each round either moves a message on, or waits in the mailbox's own line for at most some seconds. */
  async #flush(offered: Promise<Offered>): Promise<void> {
    let sent = await offered;
    while (!this.#ended) {
      if (sent === 'refused') return this.#unreachable();
      // Given up while it waited: the mailbox is still full, and it is offered again.
      if (sent === 'taken') this.#move();
      const next = this.#waiting[this.#head];
      if (next === undefined) return this.#events.flows(this);
      const again = this.#offer(next.body, next.blob, next.id);
      sent = typeof again === 'string' ? again : await again;
    }
  }

  #move(): void {
    const message = this.#waiting[this.#head];
    if (message === undefined) return;
    this.#waiting[this.#head++] = undefined;
    // Cut off when they are half of it: each time would copy all the others.
    if (2 * this.#head >= this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#head);
      this.#head = 0;
    }
    tellMoved(message);
  }

  #unreachable(): void {
    this.end();
    this.#events.unreachable(this);
  }
}

function tellMoved(message: Waiting): void {
  message.origin.moved(bytesOf(message));
}

function bytesOf({ body, blob }: Waiting): number {
  return body.length + (blob?.bytes.length ?? 0);
}
