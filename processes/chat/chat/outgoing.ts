/**
 * Delivers what is kept as sent: of one conversation in order and one at a time, again and again until the other side has stored it, over restarts
 * of either (findings F28). The other side knows a message that it has by its id, so an answer that was lost is no second message.
 */
import {
  type Address,
  client,
  formatAddress,
  NoResponse,
  type Process,
  Refusal,
  RemoteError,
  sleep,
} from '../../lib/index.ts';
import { chat } from '../contract.ts';
import { shortened } from './printable.ts';
import { type Conversations, type Message, remember, settled, waiting } from './conversations.ts';

/** Of one attempt, in seconds. */
export const DELIVERY_TIMEOUT_S = 10;
/** Before the second attempt, in ms; doubled each time up to the second. A quarter more or less is drawn, so that nodes do not come at once. */
export const RETRY_MS_MIN = 2_000;
export const RETRY_MS_MAX = 300_000;
const JITTER = 0.25;
/** After so long a message that did not arrive has failed, in ms. */
export const GIVE_UP_MS = 7 * 24 * 3_600_000;
/** Messages to one side that wait to be delivered. */
export const WAITING_MAX = 100;

/** How an attempt went; undefined: it is there. */
type Trouble = { readonly refused: boolean; readonly why: string } | undefined;

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: Refusal) => void;
}

export class Outgoing {
  readonly #process: Process<Conversations>;
  readonly #addressOf: (name: string) => Address;
  /** Conversations that are being delivered, and what ends the wait for the next attempt, also before it has begun. */
  readonly #running = new Map<string, AbortController>();
  /** Who waits for the first attempt of a message, by its id. */
  readonly #waiters = new Map<string, Waiter>();

  constructor(process: Process<Conversations>, addressOf: (name: string) => Address) {
    this.#process = process;
    this.#addressOf = addressOf;
  }

  /** Goes on with what an earlier run of this process has left. */
  start(): void {
    for (const name of this.#process.state.keys()) this.wake(name);
  }

  /** Keeps a message and resolves when it is there. @throws Refusal when it is not, yet or for good */
  post(name: string, content: string): Promise<void> {
    const process = this.#process;
    if (waiting(process.state, name).length >= WAITING_MAX) {
      throw new Refusal('TooMany', `${WAITING_MAX} messages to ${name} wait to be delivered`);
    }
    const id = crypto.randomUUID();
    process.state = remember(process.state, name, {
      id,
      author: process.our.node,
      content,
      delivery: { kind: 'Sent' },
      sentMs: Date.now(),
    });
    process.flush();
    return new Promise((resolve, reject) => {
      this.#waiters.set(id, { resolve, reject });
      this.wake(name);
    });
  }

  /** Tries now: something says that the other side may be there. */
  wake(name: string): void {
    const running = this.#running.get(name);
    if (running !== undefined) return running.abort();
    if (waiting(this.#process.state, name).length > 0) void this.#deliverAll(name);
  }

  async #deliverAll(name: string): Promise<void> {
    this.#running.set(name, new AbortController());
    // Before anything goes out: what was sent must be known as such after a crash.
    this.#process.flush();
    let failures = 0;
    for (;;) {
      const [next] = waiting(this.#process.state, name);
      if (next === undefined) break;
      const trouble = await this.#attempt(name, next);
      const over = trouble?.refused === true || Date.now() - next.sentMs > GIVE_UP_MS;
      if (trouble === undefined || over) {
        this.#settle(name, next, trouble);
        failures = 0;
        continue;
      }
      this.#tellWaiters(name, trouble.why);
      await this.#pause(name, failures++);
    }
    this.#running.delete(name);
  }

  async #attempt(name: string, { id, content }: Message): Promise<Trouble> {
    const to = this.#addressOf(name);
    const target = to.node === this.#process.our.node ? formatAddress(to) : to.node;
    const peer = client(this.#process, chat, to, { timeoutS: DELIVERY_TIMEOUT_S });
    try {
      await peer.Send({ target, message: content, id });
      return undefined;
    } catch (error) {
      if (error instanceof NoResponse)
        return { refused: false, why: `${target} could not be reached (${error.kind})` };
      if (!(error instanceof RemoteError)) throw error;
      return {
        refused: true,
        why: shortened(`${target} refused it: ${error.kind}: ${error.message}`),
      };
    }
  }

  #settle(name: string, { id, content }: Message, trouble: Trouble): void {
    const process = this.#process;
    const kind = trouble === undefined ? 'Delivered' : 'Failed';
    process.state = settled(process.state, name, { id, kind });
    process.flush();
    const waiter = this.#waiters.get(id ?? '');
    this.#waiters.delete(id ?? '');
    if (waiter === undefined) {
      const told = trouble === undefined ? 'delivered' : `failed (${trouble.why})`;
      process.print(`to ${name}: ${shortened(content)}: ${told}`);
    } else if (trouble === undefined) waiter.resolve();
    else waiter.reject(new Refusal('Failed', trouble.why));
  }

  /** All of that conversation: who waits behind the first has been tried as much. */
  #tellWaiters(name: string, why: string): void {
    for (const { id = '' } of waiting(this.#process.state, name)) {
      const waiter = this.#waiters.get(id);
      this.#waiters.delete(id);
      waiter?.reject(new Refusal('Undelivered', `${why}; it is kept and tried again`));
    }
  }

  async #pause(name: string, failures: number): Promise<void> {
    const delayMs = Math.min(RETRY_MS_MIN * 2 ** failures, RETRY_MS_MAX);
    const drawnMs = delayMs * (1 - JITTER + 2 * JITTER * Math.random());
    const awake = this.#running.get(name) ?? new AbortController();
    try {
      await sleep(this.#process, drawnMs, { signal: awake.signal });
    } catch (error) {
      if (!awake.signal.aborted) throw error;
    }
    this.#running.set(name, new AbortController());
  }
}
