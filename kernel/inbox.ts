/**
 * What arrives at one instance of a process, and what it waits for: mailbox, outstanding requests, and the one `receive` or await
 * that may be pending (kernel.md §1.7, §1.10). The kernel's side calls `offer`, `reply`, `fail`; the host functions the rest.
 */
import type { Address, KernelMessage, SendErrorKind, U64 } from '../wit/types.ts';
import { hold, keep } from './held-blob.ts';
import { OUTSTANDING_BYTES_MAX, OUTSTANDING_REQUESTS_MAX } from './limits.ts';
import { Mailbox, messageBytes, SuspendedSenders, type SenderHooks } from './mailbox.ts';
import { Trap, type Delivery, type MaybePromise } from './process-host.ts';
import { Outstanding, Registers } from './registers.ts';
import type { TimerWheel } from './timer-wheel.ts';

/** How an await ends: with its settled request, or by ending the guest (K44). */
export type Outcome = Outstanding | Trap;

/** A `KernelLink` is one. */
export interface InboxLink {
  readonly timers: TimerWheel;
  print(verbosity: number, text: string): MaybePromise<void>;
}

export class Inbox {
  readonly registers = new Registers();
  readonly mailbox = new Mailbox();
  readonly #link: InboxLink;
  readonly #senders: SuspendedSenders;
  /** Set while a `receive` is pending; it takes whatever comes. */
  #wakeReceive: ((delivery: Delivery) => void) | undefined;
  /** Set while an await is pending, which takes the outcome of this request only. */
  #awaited: Outstanding | undefined;
  /** Unset while the awaited request is being sent. */
  #wakeAwait: ((item: Outcome) => void) | undefined;
  #closed = false;

  constructor(link: InboxLink) {
    this.#link = link;
    this.#senders = new SuspendedSenders(link.timers);
  }

  /** Whether the instance is over. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Takes a request, or hands it to a waiting `receive`; false when there is no room for it. */
  offer(message: KernelMessage): boolean {
    const receive = this.#wakeReceive;
    if (receive !== undefined) {
      this.#wakeReceive = undefined;
      hold(message.blob);
      receive(this.registers.deliver(message));
      return true;
    }
    if (this.#awaited !== undefined && message.id === this.#awaited.request.id) {
      this.#fulfil(new Trap('a request arrived under the id of the awaited response'));
      return true;
    }
    if (this.#senders.size > 0 || !this.mailbox.offer(message)) return false;
    hold(message.blob);
    return true;
  }

  /** Puts a sender that `offer` refused to sleep. */
  suspend(message: KernelMessage, giveUp: () => void): Promise<void> {
    keep(message.blob);
    const hooks: SenderHooks = { admit: () => this.mailbox.offer(message), giveUp };
    return this.#senders.suspend(message, hooks);
  }

  /** Takes a response; one that nobody asked for, or whose request has failed already, is dropped (K9, K10). False: dropped. */
  reply(message: KernelMessage): boolean {
    const { id } = message;
    if (!this.mailbox.hasRoomFor(message) && this.registers.contexts.has(id)) {
      void this.#link.print(0, `dropped a response: too many bytes of them wait`);
      this.fail(id, 'timeout', message.source);
      return false;
    }
    const entry = this.registers.settleReply(message);
    if (entry === undefined) return false;
    this.#link.timers.disarm(entry);
    this.#arrive(entry);
    return true;
  }

  /** Ends the outstanding request of that id with a send error; does nothing when there is none. */
  fail(id: U64, kind: SendErrorKind, target: Address, refusal?: string): void {
    const entry = this.registers.contexts.get(id);
    if (entry === undefined) return;
    this.#link.timers.disarm(entry);
    this.registers.settleError(entry, kind, target, refusal);
    this.#arrive(entry);
  }

  /** A timer of an outstanding request went off. */
  expired(entry: Outstanding): void {
    this.registers.settleError(entry, 'timeout', entry.target);
    this.#arrive(entry);
  }

  /** Before its guest starts on another hart: the requests that have arrived, and those of senders that wait for room. */
  handOver(): KernelMessage[] {
    const arrived: KernelMessage[] = [];
    for (;;) {
      for (let item = this.mailbox.shift(); item !== undefined; item = this.mailbox.shift()) {
        if (!(item instanceof Outstanding)) arrived.push(item);
      }
      if (this.#senders.size === 0) return arrived;
      this.#senders.admit();
    }
  }

  /** The instance is over: its timers stop, who waits for room in its mailbox gives up, and it may call nothing any more. */
  close(): void {
    this.#closed = true;
    this.#wakeReceive = undefined;
    this.#awaited = undefined;
    this.#wakeAwait = undefined;
    for (const entry of this.registers.contexts.values()) this.#link.timers.disarm(entry);
    this.registers.contexts.clear();
    this.#senders.close();
  }

  /** Older generations: a message without a blob clears the blob register (kernel.md §9). Called before `init`. */
  clearsBlobWithoutOne(): void {
    this.registers.clearsBlob = true;
  }

  /** Senders that wait for room. */
  get suspendedSenders(): number {
    return this.#senders.size;
  }

  /** The next delivery, or undefined, and then `wake` gets it when it arrives. */
  next(wake: (delivery: Delivery) => void): Delivery | undefined {
    const item = this.mailbox.shift();
    if (item === undefined) {
      this.#wakeReceive = wake;
      return undefined;
    }
    if (this.#senders.size > 0) this.#senders.admit();
    return this.registers.deliver(item);
  }

  /** Enters a request that expects a response and starts its time. @throws Trap over the limits. `target`: as the guest passed it. */
  enter(message: KernelMessage, target: Address, context: Uint8Array | undefined): Outstanding {
    const { registers } = this;
    const bytes = messageBytes(message) + (context?.length ?? 0);
    if (registers.open >= OUTSTANDING_REQUESTS_MAX) {
      throw new Trap(`more than ${OUTSTANDING_REQUESTS_MAX} requests without a response`);
    }
    if (registers.open > 0 && registers.openBytes + bytes > OUTSTANDING_BYTES_MAX) {
      throw new Trap(`more than ${OUTSTANDING_BYTES_MAX} bytes in requests without a response`);
    }
    const asked = { target, context, bytes };
    const entry = new Outstanding(message, asked, registers.prompt, this);
    const replaced = registers.expect(entry);
    if (replaced !== undefined) this.#link.timers.disarm(replaced);
    const { message: content } = message;
    if (content.kind === 'request' && content.request.expectsResponse !== undefined) {
      this.#link.timers.arm(entry, content.request.expectsResponse);
    }
    return entry;
  }

  /**
   * Enters the request, sends it and waits for its outcome. Returns that outcome when it came while sending; otherwise undefined,
   * and `wake` gets it later.
   */
  enterAndWait(
    message: KernelMessage,
    target: Address,
    send: (message: KernelMessage) => MaybePromise<void>,
    wake: (outcome: Outcome) => void,
  ): Outcome | undefined {
    const inherits = message.message.kind === 'request' && message.message.request.inherit;
    if (inherits && this.mailbox.hasRequest(message.id)) {
      return new Trap('a request has arrived under the id of the awaited response');
    }
    const entry = this.enter(message, target, undefined);
    this.#awaited = entry;
    const sent = send(message);
    // Suspended by a full mailbox: the outcome arrives as a reply or an error, like any other.
    if (sent instanceof Promise) sent.catch(() => undefined);
    if (this.#awaited !== entry) return this.#arrivedEarly(entry);
    this.#wakeAwait = wake;
    return undefined;
  }

  /** While sending, an await is only ended by its own entry or by a request under its id. */
  #arrivedEarly(entry: Outstanding): Outcome {
    if (entry.reply !== undefined || entry.error !== undefined) return entry;
    return new Trap('a request arrived under the id of the awaited response');
  }

  #arrive(entry: Outstanding): void {
    const receive = this.#wakeReceive;
    if (receive !== undefined) {
      this.#wakeReceive = undefined;
      receive(this.registers.deliver(entry));
    } else if (this.#awaited === entry) {
      this.#fulfil(entry);
    } else {
      this.mailbox.push(entry);
    }
  }

  #fulfil(item: Outcome): void {
    const wake = this.#wakeAwait;
    this.#awaited = undefined;
    this.#wakeAwait = undefined;
    wake?.(item);
  }
}
