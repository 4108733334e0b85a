/**
 * Messages from one peer on their way to processes whose mailbox may be full. Messages for one process stay in order; others pass. Past a
 * bound the connection is not read until there is room: the peer's senders wait then, not this node.
 */
import type { KernelMessage, ProcessId } from '../../wit/types.ts';
import { INBOX_BYTES_MAX } from './limits.ts';
import { weightOf } from './wire.ts';

export interface InboxNeeds {
  /** A promise while the receiver has no room; nothing else is sent to that process until it resolves. */
  readonly deliver: (message: KernelMessage) => void | Promise<void>;
  /** There is too much here, or no longer. */
  readonly pressure: (high: boolean) => void;
}

export class Inbox {
  readonly #needs: InboxNeeds;
  /** Of processes that had no room: what waits behind the message that waits for it. */
  readonly #lines = new Map<ProcessId, KernelMessage[]>();
  #bytes = 0;
  #high = false;
  #closed = false;

  constructor(needs: InboxNeeds) {
    this.#needs = needs;
  }

  get isHigh(): boolean {
    return this.#high;
  }

  take(message: KernelMessage): void {
    const line = this.#lines.get(message.target.process);
    if (line === undefined) return this.#deliver(message);
    line.push(message);
    this.#count(weightOf(message));
  }

  /** Nothing is delivered any more. */
  close(): void {
    this.#closed = true;
    this.#lines.clear();
  }

  #deliver(message: KernelMessage): void {
    const { process } = message.target;
    const delivered = this.#needs.deliver(message);
    if (delivered === undefined) return;
    const bytes = weightOf(message);
    if (!this.#lines.has(process)) this.#lines.set(process, []);
    this.#count(bytes);
    void delivered.then(() => {
      this.#count(-bytes);
      this.#next(process);
    });
  }

  #next(process: ProcessId): void {
    const line = this.#lines.get(process);
    if (line === undefined || this.#closed) return;
    for (let message = line.shift(); message !== undefined; message = line.shift()) {
      const bytes = weightOf(message);
      this.#count(-bytes);
      const delivered = this.#needs.deliver(message);
      if (delivered === undefined) continue;
      this.#count(bytes);
      void delivered.then(() => {
        this.#count(-bytes);
        this.#next(process);
      });
      return;
    }
    this.#lines.delete(process);
  }

  #count(bytes: number): void {
    this.#bytes += bytes;
    const high = this.#high ? this.#bytes > INBOX_BYTES_MAX / 2 : this.#bytes > INBOX_BYTES_MAX;
    if (high === this.#high || this.#closed) return;
    this.#high = high;
    this.#needs.pressure(high);
  }
}
