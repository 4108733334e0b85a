/**
 * What keys send, one queue for each key and chain: who asks gets the hash when it is on disk and was broadcast, and the rest happens by
 * itself until it is mined, also after a restart.
 */
import type { Outgoing, SignerError } from '../../../wit/signer-api.ts';
import type { KernelMessage, Result, U64 } from '../../../wit/types.ts';
import type { KernelPort } from '../../../kernel/module.ts';
import type { Clock } from '../../shared/clock.ts';
import { ioErrorText } from '../../shared/io-error.ts';
import { KeyedLock } from '../../shared/keyed-lock.ts';
import { LIVE_MAX, PENDING_MAX, POLL_MS, SETTLE_POLL_MS } from '../limits.ts';
import { Chains } from './chain.ts';
import { contentOf, type Entry } from './entry.ts';
import { defaultLimit, firstFees, neededFee } from './fees.ts';
import { type Prepared, type QueueNeeds, SendQueue } from './queue.ts';
import { SendStore, type StoreNeeds } from './store.ts';

/** What a process asks to be sent, by the key of an address. */
export interface SendRequest {
  /** Its package: what it calls `id` is so called in all of it, for processes come and go. */
  readonly sender: string;
  readonly id: string;
  readonly address: string;
  readonly chainId: U64;
  readonly transaction: Outgoing;
}

/** What a transaction may cost, for whoever allows it. */
export interface SendCost {
  readonly gasLimit: U64;
  /** The most that a unit of gas may cost. */
  readonly feeLimit: bigint;
}

export interface OutboxNeeds extends StoreNeeds {
  readonly port: Pick<KernelPort, 'our' | 'send'>;
  readonly clock: Clock;
  readonly sign: QueueNeeds['sign'];
}

type Sent = Result<Entry, SignerError>;

export class Outbox {
  readonly #needs: OutboxNeeds;
  readonly #chains: Chains;
  readonly #store: SendStore;
  readonly #queues = new Map<string, SendQueue>();
  readonly #lock = new KeyedLock();
  #timer: { readonly dueMs: number; readonly handle: object } | undefined;
  #looking = false;
  #closed = false;

  private constructor(needs: OutboxNeeds, store: SendStore) {
    this.#needs = needs;
    this.#chains = new Chains(needs);
    this.#store = store;
  }

  /** What was left pending is looked after at once. @throws as the file system does */
  static async open(needs: OutboxNeeds): Promise<Outbox> {
    const outbox = new Outbox(needs, await SendStore.open(needs));
    outbox.#lookLater();
    return outbox;
  }

  /**
   * @param allow  charges what it may cost, after everything that may refuse it
   * @throws as the file system does: nothing was sent then
   */
  send(
    request: SendRequest,
    allow: (cost: SendCost) => Promise<Result<undefined, SignerError>>,
  ): Promise<Sent> {
    return this.#lock.run([`id ${request.sender} ${request.id}`], async () => {
      const { sender, id, address, chainId, transaction } = request;
      const content = contentOf(address, chainId, transaction);
      const queue = this.#queue(chainId, address);
      const before = this.#store.find(sender, id);
      if (before !== undefined) {
        if (before.content !== content) return failed('IdTaken');
        // Who asks again may have seen that the chain does not have it any more.
        if (before.state.kind === 'Mined')
          await this.#lock.run([keyOf(chainId, address)], () => this.#lookAt(queue));
        this.#lookLater();
        return { ok: true, value: this.#store.find(sender, id) ?? before };
      }
      if (!(await this.#makeRoom(queue, keyOf(chainId, address)))) return failed('QueueFull');
      const prepared = await this.#prepare(request, content);
      if (!prepared.ok) return prepared;
      const allowed = await allow(prepared.value);
      if (!allowed.ok) return allowed;
      return this.#lock.run([keyOf(chainId, address)], async () => {
        if (!this.#hasRoom(queue)) return failed('QueueFull');
        const sent = await queue.send(prepared.value);
        this.#lookLater();
        return sent;
      });
    });
  }

  find(sender: string, id: string): Entry | undefined {
    return this.#store.find(sender, id);
  }

  /** @throws as the file system does */
  forget(chainId: U64, address: string): Promise<void> {
    return this.#lock.run([keyOf(chainId, address)], () => this.#queue(chainId, address).forget());
  }

  answered(message: KernelMessage): void {
    this.#chains.answered(message);
  }

  failed(id: U64): void {
    this.#chains.failed(id);
  }

  /** Resolves when nothing is being written. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#timer !== undefined) this.#needs.clock.cancel(this.#timer.handle);
    this.#chains.close();
    await this.#lock.run([...this.#queues.keys()], () => Promise.resolve());
  }

  async #prepare(
    { sender, id, address, chainId, transaction }: SendRequest,
    content: string,
  ): Promise<Result<Prepared, SignerError>> {
    const { to, value, data } = transaction;
    const [estimated, price] = await Promise.all([
      transaction.gasLimit === undefined
        ? this.#chains.estimate(chainId, { from: address, to, value, data })
        : undefined,
      this.#chains.gasPrice(chainId),
    ]);
    if (!price.ok) return unavailable(price.error.text);
    if (estimated?.ok === false)
      return estimated.error.kind === 'refused'
        ? { ok: false, error: { kind: 'Refused', value: estimated.error.text } }
        : unavailable(estimated.error.text);
    // What a call needs may grow until it is mined.
    const gas = estimated === undefined ? transaction.gasLimit : (estimated.value * 5n) / 4n;
    const gasLimit = Number(gas ?? 0);
    if (!Number.isSafeInteger(gasLimit)) return unavailable('a wild estimate of gas');
    const feeLimit = transaction.maxFeePerGas ?? defaultLimit(price.value);
    const fees = firstFees(price.value, feeLimit);
    if (fees === undefined) {
      const costs = { needed: neededFee(price.value), maxFeePerGas: feeLimit };
      return { ok: false, error: { kind: 'FeeTooLow', value: costs } };
    }
    const what = { sender, id, content, chainId, address, to, value, gasLimit, feeLimit };
    return { ok: true, value: { ...what, data, fees } };
  }

  /** Where there is none, some of it may have been mined since the last look. */
  async #makeRoom(queue: SendQueue, key: string): Promise<boolean> {
    if (this.#hasRoom(queue)) return true;
    await this.#lock.run([key], () => this.#lookAt(queue));
    return this.#hasRoom(queue);
  }

  #hasRoom(queue: SendQueue): boolean {
    return queue.pending < PENDING_MAX && this.#store.allLive().length < LIVE_MAX;
  }

  #queue(chainId: U64, address: string): SendQueue {
    const key = keyOf(chainId, address);
    const known = this.#queues.get(key);
    if (known !== undefined) return known;
    const { clock, sign } = this.#needs;
    const needs = { chains: this.#chains, store: this.#store, clock, sign };
    const made = new SendQueue(needs, chainId, address);
    this.#queues.set(key, made);
    return made;
  }

  /** Sooner where something is pending than where all is mined. */
  #lookLater(): void {
    const live = this.#store.allLive();
    if (this.#closed || this.#looking || live.length === 0) return;
    const { clock } = this.#needs;
    const settling = live.every(({ state }) => state.kind === 'Mined');
    const delayMs = settling ? SETTLE_POLL_MS : POLL_MS;
    const dueMs = clock.nowMs() + delayMs;
    if (this.#timer !== undefined) {
      if (this.#timer.dueMs <= dueMs) return;
      clock.cancel(this.#timer.handle);
    }
    this.#timer = { dueMs, handle: clock.schedule(() => void this.#look(), delayMs) };
  }

  /** At every queue that has something; one that fails holds up no other. */
  async #look(): Promise<void> {
    this.#timer = undefined;
    this.#looking = true;
    const due = new Map(
      this.#store
        .allLive()
        .map(({ chainId, address }) => [keyOf(chainId, address), { chainId, address }]),
    );
    await Promise.all(
      [...due].map(([key, { chainId, address }]) =>
        this.#lock.run([key], () => this.#lookAt(this.#queue(chainId, address))),
      ),
    );
    this.#looking = false;
    this.#lookLater();
  }

  async #lookAt(queue: SendQueue): Promise<void> {
    if (this.#closed) return;
    try {
      await queue.look();
    } catch (error) {
      // A full disk: what was not written is looked at again.
      const text = ioErrorText(error);
      if (text === undefined) throw error;
      this.#needs.tell(`what was sent cannot be kept: ${text}. It is tried again.`);
    }
  }
}

function keyOf(chainId: U64, address: string): string {
  return `queue ${chainId} ${address}`;
}

function failed(kind: 'IdTaken' | 'QueueFull'): Sent {
  return { ok: false, error: { kind } };
}

function unavailable(value: string): { readonly ok: false; readonly error: SignerError } {
  return { ok: false, error: { kind: 'NoChain', value } };
}
