/**
 * A chain behind a URL (eth.md §3, §8): connected when first needed, reconnected once when the connection is lost, offline after that
 * until a health check succeeds. Subscriptions live on through a reconnect; what they missed is theirs to fetch.
 */
import type { ProviderConfig, RpcAuth } from '../../wit/eth-api.ts';
import type { U64 } from '../../wit/types.ts';
import type { Clock } from '../shared/clock.ts';
import { MethodMarks } from './method-marks.ts';
import { CONNECT_MS_MAX, type CallOutcome, RpcSocket } from './rpc-socket.ts';

/** Between two health checks of a provider that is offline, in milliseconds. */
export const HEALTH_CHECK_MS = 120_000;
const HEALTH_CALL_MS = 10_000;
/** An upstream subscription is made or refused within this, in milliseconds. */
export const SUBSCRIBE_MS_MAX = 30_000;

/** A new connection says within this which chain it leads to, in milliseconds. */
export const CHAIN_ID_MS_MAX = 5_000;

/** What a subscription upstream tells. */
export interface UpstreamSink {
  /** `result` is JSON text. */
  update(result: string): void;
  /** The connection was lost and is back; updates in between are missing. */
  resumed(): void;
  /** It is over. */
  ended(reason: string): void;
}

export interface Upstream {
  /** Unsubscribes; the sink hears nothing any more. */
  close(): void;
}

interface Subscription {
  readonly params: string;
  readonly sink: UpstreamSink;
  /** The provider's name for it on the present connection. */
  name: string | undefined;
}

export interface UrlProviderNeeds {
  readonly clock: Clock;
  readonly print: (verbosity: number, text: string) => void;
}

export class UrlProvider {
  readonly kind = 'url';
  readonly url: string;
  readonly auth: RpcAuth | undefined;
  readonly trusted: boolean;
  readonly chainId: U64;
  readonly marks: MethodMarks;
  readonly #needs: UrlProviderNeeds;
  readonly #subscriptions = new Set<Subscription>();
  #socket: RpcSocket | undefined;
  #opening: Promise<RpcSocket | undefined> | undefined;
  #online = true;
  /** The chain that it is on and should not be, as the owner was told. */
  #elsewhere: string | undefined;
  #check: object | undefined;
  #closed = false;

  constructor(
    config: ProviderConfig & { readonly provider: { readonly kind: 'RpcUrl' } },
    needs: UrlProviderNeeds,
  ) {
    const { url, auth } = config.provider.value;
    this.url = url;
    this.auth = auth;
    this.trusted = config.trusted;
    this.chainId = config.chain_id;
    this.#needs = needs;
    this.marks = new MethodMarks(needs.clock);
  }

  /** False from a transport failure to the next health check that succeeds. */
  get online(): boolean {
    return this.#online;
  }

  /** Without what may be a key in its path or query. */
  get label(): string {
    return labelOf(this.url);
  }

  /**
   * One call; a connection lost on the way is made again, once.
   * @param params JSON text
   */
  async call(method: string, params: string, timeoutMs: number): Promise<CallOutcome> {
    const { clock } = this.#needs;
    const endMs = clock.nowMs() + timeoutMs;
    let outcome: CallOutcome = { kind: 'lost', reason: 'not connected' };
    for (let attempt = 0; attempt < 2; attempt++) {
      const socket = this.#live ?? (await this.#connected());
      if (socket === undefined) break;
      const leftMs = endMs - clock.nowMs();
      if (leftMs <= 0) return { kind: 'timeout' };
      outcome = await socket.call(method, params, leftMs);
      if (outcome.kind !== 'lost') return outcome;
    }
    this.#failed(outcome.kind === 'lost' ? outcome.reason : 'not connected');
    return outcome;
  }

  /**
   * `eth_subscribe`. The outcome 'result' comes with the subscription; marks and the online flag are not looked at (eth.md §4).
   * @param params JSON text of the two elements: kind and filter
   */
  async subscribe(
    params: string,
    sink: UpstreamSink,
  ): Promise<{ readonly outcome: CallOutcome; readonly upstream?: Upstream }> {
    const socket = await this.#connected();
    if (socket === undefined) {
      this.#failed('not connected');
      return { outcome: { kind: 'lost', reason: 'not connected' } };
    }
    const subscription: Subscription = { params, sink, name: undefined };
    // Known before the answer: the first update may come in the same turn.
    this.#subscriptions.add(subscription);
    const outcome = await this.#name(socket, subscription);
    if (outcome.kind !== 'result') {
      this.#subscriptions.delete(subscription);
      if (outcome.kind !== 'error') socket.close('a subscription got no answer');
      return { outcome };
    }
    return { outcome, upstream: { close: () => this.#unsubscribe(subscription) } };
  }

  /** Drops the connection and everything on it. */
  close(): void {
    this.#closed = true;
    if (this.#check !== undefined) this.#needs.clock.cancel(this.#check);
    this.#endSubscriptions('the provider was removed');
    this.#socket?.close('the provider was removed');
  }

  async #name(socket: RpcSocket, subscription: Subscription): Promise<CallOutcome> {
    const outcome = await socket.call('eth_subscribe', subscription.params, SUBSCRIBE_MS_MAX);
    if (outcome.kind !== 'result') return outcome;
    const name = JSON.parse(outcome.result) as unknown;
    if (typeof name !== 'string') {
      const message = 'eth_subscribe returned no name';
      return { kind: 'error', error: { code: -32_603, message, data: undefined } };
    }
    subscription.name = name;
    for (const early of this.#early.splice(0)) this.#notified(early.subscription, early.result);
    return outcome;
  }

  /** Updates under a name that the answer, which comes in another turn, has yet to tell. */
  readonly #early: { readonly subscription: string; readonly result: string }[] = [];

  #notified(name: string, result: string): void {
    let waiting = false;
    for (const subscription of this.#subscriptions) {
      if (subscription.name === name) return subscription.sink.update(result);
      waiting ||= subscription.name === undefined;
    }
    if (waiting && this.#early.length < EARLY_UPDATES_MAX)
      this.#early.push({ subscription: name, result });
  }

  #unsubscribe(subscription: Subscription): void {
    if (!this.#subscriptions.delete(subscription) || subscription.name === undefined) return;
    this.#socket?.tell('eth_unsubscribe', JSON.stringify([subscription.name]));
  }

  /** The connection, if there is one. */
  get #live(): RpcSocket | undefined {
    return !this.#closed && this.#socket?.alive === true ? this.#socket : undefined;
  }

  #connected(): Promise<RpcSocket | undefined> {
    if (this.#closed) return Promise.resolve(undefined);
    if (this.#live !== undefined) return Promise.resolve(this.#live);
    return (this.#opening ??= this.#open().finally(() => (this.#opening = undefined)));
  }

  async #open(): Promise<RpcSocket | undefined> {
    const opened = await RpcSocket.open({ url: this.url, auth: this.auth }, this.#needs.clock, {
      notified: (name, result) => this.#notified(name, result),
      ended: (reason) => void this.#lost(reason),
    });
    if (!opened.ok) {
      this.#needs.print(1, `eth: cannot connect to ${this.label}: ${opened.error}`);
      return undefined;
    }
    if (!(await this.#leadsHere(opened.value))) return undefined;
    if (this.#closed) opened.value.close('the provider was removed');
    this.#socket = opened.value;
    this.#online = true;
    return opened.value;
  }

  /**
   * Whether it is of the chain that its owner said. Whoever lies can lie here too: this is for URLs of another chain, whose answers would
   * be as good as any other's. One that has no such method is taken at its owner's word.
   */
  async #leadsHere(socket: RpcSocket): Promise<boolean> {
    const outcome = await socket.call('eth_chainId', '[]', CHAIN_ID_MS_MAX);
    if (outcome.kind === 'error') return true;
    if (outcome.kind !== 'result') {
      socket.close('it does not say which chain it is on');
      return false;
    }
    const found = chainIdIn(outcome.result);
    if (found === String(this.chainId)) {
      this.#elsewhere = undefined;
      return true;
    }
    if (found !== this.#elsewhere) {
      const why = `and not of ${this.chainId}, which it was named for: it is not asked`;
      this.#needs.print(0, `eth: ${this.label} is a provider of chain ${found}, ${why}`);
    }
    this.#elsewhere = found;
    socket.close('it is on another chain');
    return false;
  }

  /** With subscriptions on it a lost connection is made again at once; without, when it is next needed. */
  async #lost(reason: string): Promise<void> {
    this.#socket = undefined;
    this.#early.length = 0;
    for (const subscription of this.#subscriptions) subscription.name = undefined;
    if (this.#closed || this.#subscriptions.size === 0) return;
    const socket = await this.#connected();
    if (socket === undefined) {
      this.#endSubscriptions(reason);
      this.#failed(reason);
      return;
    }
    for (const subscription of [...this.#subscriptions]) {
      if (subscription.name !== undefined) continue;
      const outcome = await this.#name(socket, subscription);
      if (outcome.kind === 'result') subscription.sink.resumed();
      else if (this.#subscriptions.delete(subscription)) subscription.sink.ended(reason);
    }
  }

  #endSubscriptions(reason: string): void {
    const ended = [...this.#subscriptions];
    this.#subscriptions.clear();
    for (const { sink } of ended) sink.ended(reason);
  }

  #failed(reason: string): void {
    if (this.#closed) return;
    if (this.#online) this.#needs.print(1, `eth: ${this.label} is offline: ${reason}`);
    this.#online = false;
    this.#check ??= this.#needs.clock.schedule(() => void this.#checkHealth(), HEALTH_CHECK_MS);
  }

  async #checkHealth(): Promise<void> {
    this.#check = undefined;
    const socket = await this.#connected();
    const outcome = await socket?.call('eth_blockNumber', '[]', HEALTH_CALL_MS);
    if (outcome?.kind === 'result' || outcome?.kind === 'error') {
      this.#online = true;
      return;
    }
    this.#failed('the health check failed');
  }
}

/** In decimal; of a result that is no number, what it is instead. */
function chainIdIn(result: string): string {
  const id = /^"(0x[0-9a-fA-F]{1,16})"$/.exec(result)?.[1];
  return id === undefined ? '(no number)' : BigInt(id).toString();
}

/** Updates kept for subscriptions that have no name yet. */
const EARLY_UPDATES_MAX = 64;

/** Scheme, host and port of a URL: paths and queries of providers are keys. */
export function labelOf(url: string): string {
  try {
    const { protocol, host } = new URL(url);
    return `${protocol}//${host}`;
  } catch {
    return 'a URL that cannot be read';
  }
}

// A health check connects first, and all of it fits well between two checks.
if (CONNECT_MS_MAX + CHAIN_ID_MS_MAX + HEALTH_CALL_MS >= HEALTH_CHECK_MS)
  throw new Error('health checks overlap');
