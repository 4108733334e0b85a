/**
 * A process's FIFO: requests, counted and bounded, and settled outstanding requests, whose room was reserved when they were sent.
 * It is also the queue kept while awaiting (kernel.md §1.10): both are one line of arrivals. Senders of a full one wait here.
 */
import type { KernelMessage } from '../wit/types.ts';
import {
  MAILBOX_BYTES_MAX,
  MAILBOX_MESSAGES_MAX,
  SUSPENDED_SENDER_S,
  WAITING_RESPONSE_BYTES_MAX,
} from './limits.ts';
import { Outstanding, type Accepted } from './registers.ts';
import type { TimerEntry, TimerWheel } from './timer-wheel.ts';

/** Bytes a message counts for: those it keeps alive. */
export function messageBytes(message: KernelMessage): number {
  const part =
    message.message.kind === 'request' ? message.message.request : message.message.response;
  let bytes = part.body.length + (message.blob?.bytes.length ?? 0) + (part.metadata?.length ?? 0);
  if (part.capabilities.length > 0) {
    for (const capability of part.capabilities) bytes += capability.params.length + 64;
  }
  return bytes;
}

/** A sender that waits for room. */
class SuspendedSender implements TimerEntry {
  nextDue: TimerEntry | undefined = undefined;
  previousDue: TimerEntry | undefined = undefined;
  readonly message: KernelMessage;
  readonly admit: () => boolean;
  readonly resume: () => void;
  readonly giveUp: () => void;
  readonly #queue: SuspendedSenders;

  constructor(
    queue: SuspendedSenders,
    message: KernelMessage,
    hooks: SenderHooks,
    resume: () => void,
  ) {
    this.#queue = queue;
    this.message = message;
    this.admit = hooks.admit;
    this.giveUp = hooks.giveUp;
    this.resume = resume;
  }

  expire(): void {
    this.#queue.expired(this);
  }
}

export interface SenderHooks {
  /** Tries to hand the message over now; false when there is still no room for it. */
  readonly admit: () => boolean;
  /** The message will not be handed over. */
  readonly giveUp: () => void;
}

/** Senders waiting for room in one place, in order; each waits at most SUSPENDED_SENDER_S. */
export class SuspendedSenders {
  readonly #timers: TimerWheel;
  readonly #waiting = new Set<SuspendedSender>();

  constructor(timers: TimerWheel) {
    this.#timers = timers;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** Resolves when the message has been handed over or given up; the sender sleeps until then. */
  suspend(message: KernelMessage, hooks: SenderHooks): Promise<void> {
    return new Promise((resolve) => {
      const sender = new SuspendedSender(this, message, hooks, resolve);
      this.#waiting.add(sender);
      this.#timers.arm(sender, SUSPENDED_SENDER_S);
    });
  }

  /** Hands over as many as there is room for, oldest first; nobody overtakes. */
  admit(): void {
    for (const sender of this.#waiting) {
      if (!sender.admit()) return;
      this.#remove(sender);
    }
  }

  /** The same where each sender has room of its own: one without does not hold up the others. */
  admitEach(): void {
    for (const sender of this.#waiting) {
      if (sender.admit()) this.#remove(sender);
    }
  }

  /** Gives all of them up: the receiver is gone. */
  close(): void {
    for (const sender of this.#waiting) this.expired(sender);
  }

  expired(sender: SuspendedSender): void {
    sender.giveUp();
    this.#remove(sender);
  }

  #remove(sender: SuspendedSender): void {
    this.#timers.disarm(sender);
    this.#waiting.delete(sender);
    sender.resume();
  }
}

export class Mailbox {
  #items: (Accepted | undefined)[] = [];
  #head = 0;
  #requests = 0;
  #bytes = 0;
  #replyBytes = 0;

  /** Items waiting, requests and replies. */
  get size(): number {
    return this.#items.length - this.#head;
  }

  /** Requests waiting. */
  get requests(): number {
    return this.#requests;
  }

  /** Bytes the waiting requests keep alive. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Adds a request, unless there is no room for it. An oversized one fits into a mailbox without requests. */
  offer(message: KernelMessage): boolean {
    const bytes = messageBytes(message);
    if (this.#requests >= MAILBOX_MESSAGES_MAX) return false;
    if (this.#requests > 0 && this.#bytes + bytes > MAILBOX_BYTES_MAX) return false;
    this.#requests++;
    this.#bytes += bytes;
    this.#items.push(message);
    return true;
  }

  /** Whether a response may be added: its place is reserved, but not any number of bytes. */
  hasRoomFor(reply: KernelMessage): boolean {
    return (
      this.#replyBytes === 0 || this.#replyBytes + messageBytes(reply) <= WAITING_RESPONSE_BYTES_MAX
    );
  }

  /** Adds a settled request; always has a place. */
  push(entry: Outstanding): void {
    if (entry.reply !== undefined) this.#replyBytes += messageBytes(entry.reply);
    this.#items.push(entry);
  }

  /** Whether a waiting request has this id (K44). */
  hasRequest(id: KernelMessage['id']): boolean {
    for (let at = this.#head; at < this.#items.length; at++) {
      const item = this.#items[at];
      if (item !== undefined && !(item instanceof Outstanding) && item.id === id) return true;
    }
    return false;
  }

  shift(): Accepted | undefined {
    if (this.#head === this.#items.length) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head++] = undefined;
    if (this.#head === this.#items.length) {
      this.#items.length = 0;
      this.#head = 0;
    } else if (this.#head >= 1_024 && this.#head * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    if (item instanceof Outstanding) {
      if (item.reply !== undefined) this.#replyBytes -= messageBytes(item.reply);
    } else if (item !== undefined) {
      this.#requests--;
      this.#bytes -= messageBytes(item);
    }
    return item;
  }
}
