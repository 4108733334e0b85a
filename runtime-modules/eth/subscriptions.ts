/**
 * Who listens to what (eth.md §4): a subscription is a subscriber's address and its own id; streams are shared. Updates go out as
 * requests, one after another; a subscriber that cannot keep up loses the subscription and is told, never the node.
 */
import type { KernelPort } from '../../kernel/module.ts';
import { formatAddress } from '../../wit/address.ts';
import { plainRequest } from '../../wit/message.ts';
import { formatJson } from '../../wit/json.ts';
import type { Address, ProcessId, U64 } from '../../wit/types.ts';
import { type Filter, Stream, type StreamSource, type Listener } from './streams.ts';
import type { CallOutcome } from './rpc-socket.ts';

/** Subscriptions of one subscriber; a further one is refused as `RateLimited`. */
export const SUBSCRIPTIONS_PER_SUBSCRIBER_MAX = 1_024;
/** Subscriptions of all together. */
export const SUBSCRIPTIONS_MAX = 65_536;
/** Updates that wait for one subscriber; past it the subscription ends. */
export const UPDATES_WAITING_MAX = 1_000;

export interface Subscriber {
  readonly address: Address;
  /** Of the subscribe request; updates carry it. */
  readonly rsvp: Address | undefined;
}

export type SubscribeRefusal =
  | { readonly kind: 'too-many' }
  /** What the last provider said; undefined: there was none. */
  | { readonly kind: 'unavailable'; readonly outcome: CallOutcome | undefined };

export class Subscriptions {
  readonly #port: Pick<KernelPort, 'our' | 'send' | 'offer' | 'print'>;
  readonly #source: StreamSource;
  readonly #streams = new Map<string, { stream: Stream; opening: ReturnType<Stream['open']> }>();
  /** By subscriber, then by its id. */
  readonly #subscribers = new Map<string, Map<U64, Subscription>>();
  #count = 0;

  constructor(port: Pick<KernelPort, 'our' | 'send' | 'offer' | 'print'>, source: StreamSource) {
    this.#port = port;
    this.#source = source;
  }

  /** Resolves when updates flow, with undefined. A subscription of the same id is replaced. */
  async add(
    subscriber: Subscriber,
    id: U64,
    filter: Filter,
  ): Promise<SubscribeRefusal | undefined> {
    const who = formatAddress(subscriber.address);
    this.remove(subscriber.address, id);
    const mine = this.#subscribers.get(who) ?? new Map<U64, Subscription>();
    if (mine.size >= SUBSCRIPTIONS_PER_SUBSCRIBER_MAX || this.#count >= SUBSCRIPTIONS_MAX)
      return { kind: 'too-many' };
    const { stream, opening } = this.#stream(filter);
    const subscription = new Subscription(subscriber, id, stream, this.#port, () =>
      this.#forget(who, subscription),
    );
    this.#subscribers.set(who, mine);
    mine.set(id, subscription);
    this.#count += 1;
    stream.listeners.add(subscription);
    const failed = await opening;
    if (failed === undefined) return undefined;
    this.#forget(who, subscription);
    return { kind: 'unavailable', outcome: failed.outcome };
  }

  /** False: there is none. Its subscriber hears nothing any more. */
  remove(address: Address, id: U64): boolean {
    const who = formatAddress(address);
    const subscription = this.#subscribers.get(who)?.get(id);
    if (subscription === undefined) return false;
    subscription.silence();
    this.#forget(who, subscription);
    return true;
  }

  has(address: Address, id: U64): boolean {
    return this.#subscribers.get(formatAddress(address))?.has(id) ?? false;
  }

  /** Everything of one subscriber: its process ended, or its node went offline. */
  removeAll(address: Address): void {
    const who = formatAddress(address);
    for (const subscription of [...(this.#subscribers.get(who)?.values() ?? [])]) {
      subscription.silence();
      this.#forget(who, subscription);
    }
  }

  processGone(process: ProcessId): void {
    this.removeAll({ node: this.#port.our.node, process });
  }

  /** Distinct streams upstream. */
  get streams(): number {
    return this.#streams.size;
  }

  /** By subscriber and id, which node carries it; undefined: our own connection. */
  state(): ReadonlyMap<string, ReadonlyMap<string, string | undefined>> {
    const shown = new Map<string, Map<string, string | undefined>>();
    for (const [who, mine] of this.#subscribers) {
      const ids = [...mine].map(([id, { stream }]) => [String(id), stream.relay] as const);
      shown.set(who, new Map(ids));
    }
    return shown;
  }

  close(): void {
    for (const { stream } of this.#streams.values()) stream.close();
    this.#subscribers.clear();
  }

  #stream(filter: Filter): { stream: Stream; opening: ReturnType<Stream['open']> } {
    const key = `${filter.chainId} ${filter.kind} ${formatJson(filter.params)}`;
    const shared = this.#streams.get(key);
    if (shared !== undefined) return shared;
    const stream = new Stream(filter, this.#source, () => this.#streams.delete(key));
    const entry = { stream, opening: stream.open() };
    this.#streams.set(key, entry);
    return entry;
  }

  #forget(who: string, subscription: Subscription): void {
    const mine = this.#subscribers.get(who);
    if (mine?.get(subscription.id) !== subscription) return;
    mine.delete(subscription.id);
    if (mine.size === 0) this.#subscribers.delete(who);
    this.#count -= 1;
    const { stream } = subscription;
    stream.listeners.delete(subscription);
    if (stream.listeners.size === 0) stream.close();
  }
}

class Subscription implements Listener {
  readonly id: U64;
  readonly stream: Stream;
  readonly #subscriber: Subscriber;
  readonly #port: Pick<KernelPort, 'our' | 'send' | 'offer' | 'print'>;
  readonly #over: () => void;
  readonly #waiting: Uint8Array[] = [];
  #sending = false;
  #stopped = false;

  constructor(
    subscriber: Subscriber,
    id: U64,
    stream: Stream,
    port: Pick<KernelPort, 'our' | 'send' | 'offer' | 'print'>,
    over: () => void,
  ) {
    this.id = id;
    this.stream = stream;
    this.#subscriber = subscriber;
    this.#port = port;
    this.#over = over;
  }

  update(result: string): void {
    if (this.#waiting.length >= UPDATES_WAITING_MAX) {
      this.ended('closed: its subscriber does not keep up');
      return;
    }
    this.#push(`{"Ok":{"id":${this.id},"result":${result}}}`);
  }

  ended(reason: string): void {
    this.#waiting.length = 0;
    const error = `subscription (${formatAddress(this.#subscriber.address)}) ${reason}`;
    this.#push(`{"Err":{"id":${this.id},"error":${JSON.stringify(error)}}}`);
    this.#stopped = true;
    this.#over();
  }

  /** Whatever still waits stays unsaid. */
  silence(): void {
    this.#waiting.length = 0;
    this.#stopped = true;
  }

  #push(body: string): void {
    if (this.#stopped) return;
    this.#waiting.push(utf8.encode(body));
    if (!this.#sending) void this.#send();
  }

  async #send(): Promise<void> {
    this.#sending = true;
    for (let body = this.#waiting.shift(); body !== undefined; body = this.#waiting.shift()) {
      const { address, rsvp } = this.#subscriber;
      const message = {
        target: address,
        rsvp,
        message: { kind: 'request', request: plainRequest(body) },
        blob: undefined,
      } as const;
      const offered = this.#port.offer(message);
      // Awaited only when its mailbox is full: updates of one turn leave in that turn.
      const became = typeof offered === 'string' ? offered : await offered;
      if (became === 'full' && !this.#stopped) {
        this.silence();
        this.#port.print(
          1,
          `eth: ${formatAddress(address)} lost a subscription: its mailbox is full`,
        );
        this.#over();
      }
      if (became === 'refused') {
        this.silence();
        this.#over();
      }
    }
    this.#sending = false;
  }
}

const utf8 = new TextEncoder();
