/**
 * A chain behind another node (eth.md §7): requests and subscriptions travel as kernel messages between the two `eth:distro:sys`. Here is
 * the asking side; `serve-nodes.ts` is the other.
 */
import type { KernelPort } from '../../kernel/module.ts';
import { moduleId } from '../../wit/address.ts';
import { ethResponse, type EthError, type ProviderConfig } from '../../wit/eth-api.ts';
import { plainRequest } from '../../wit/message.ts';
import type { Address, KernelMessage, SendErrorKind, U64 } from '../../wit/types.ts';
import type { Clock } from '../shared/clock.ts';
import { MethodMarks } from './method-marks.ts';
import { members } from './rpc-frame.ts';
import type { CallOutcome } from './rpc-socket.ts';
import type { Upstream, UpstreamSink } from './url-provider.ts';

/** A relayed call is given up after this, in milliseconds. */
export const RELAY_MS_MAX = 30_000;
/** What relayed requests tell the other node, in seconds. */
const RELAY_EXPECTS_S = 60;
/** Between two keepalives of a relayed subscription, and how long one may take, in milliseconds. */
export const KEEPALIVE_MS = 30_000;
const KEEPALIVE_EXPECTS_S = 30;
/** A relayed subscription without an update for this long is dead, in milliseconds. */
export const SILENCE_MS_MAX = 2 * 60 * 60 * 1000;
const HEALTH_CALL_MS = 10_000;
const HEALTH_FIRST_MS = 60_000;
const HEALTH_MS_MAX = 60 * 60 * 1000;

export interface NodeProviderNeeds {
  readonly clock: Clock;
  readonly port: Pick<KernelPort, 'our' | 'send'>;
  readonly waiting: Outstanding;
  /** Random over the whole range. */
  readonly relayId: () => U64;
}

/** Messages of ours that other nodes have to answer, by id and node. */
export class Outstanding {
  readonly #waiting = new Map<string, (outcome: RelayOutcome) => void>();

  wait(id: U64, node: string, then: (outcome: RelayOutcome) => void): void {
    this.#waiting.set(`${id} ${node}`, then);
  }

  forget(id: U64, node: string): void {
    this.#waiting.delete(`${id} ${node}`);
  }

  ids(): U64[] {
    return [...this.#waiting.keys()].map((key) => {
      const id = BigInt(key.split(' ', 1)[0]!);
      return id <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(id) : id;
    });
  }

  answered(message: KernelMessage): void {
    if (message.message.kind !== 'response') return;
    const { body } = message.message.response;
    this.#settle(message.id, message.source.node, { kind: 'answer', body });
  }

  failed(id: U64, node: string, kind: SendErrorKind): void {
    this.#settle(id, node, { kind });
  }

  #settle(id: U64, node: string, outcome: RelayOutcome): void {
    const key = `${id} ${node}`;
    const then = this.#waiting.get(key);
    this.#waiting.delete(key);
    then?.(outcome);
  }
}

export type RelayOutcome =
  | { readonly kind: 'answer'; readonly body: Uint8Array }
  | { readonly kind: SendErrorKind };

/** What another node made of a request. 'refused': by an error that is its own and not a chain's. */
export type RelayedOutcome =
  | CallOutcome
  | { readonly kind: 'ok' }
  | { readonly kind: 'refused'; readonly error: EthError };

interface Relayed {
  readonly id: U64;
  readonly sink: UpstreamSink;
  lastMs: number;
  timer: object | undefined;
  keepaliveId: U64 | undefined;
}

export class NodeProvider {
  readonly kind = 'node';
  readonly name: string;
  readonly trusted: boolean;
  readonly chainId: U64;
  readonly marks: MethodMarks;
  readonly #needs: NodeProviderNeeds;
  readonly #address: Address;
  readonly #relayed = new Map<U64, Relayed>();
  #usable = true;
  #online = true;
  #check: object | undefined;
  #checkMs = HEALTH_FIRST_MS;

  constructor(
    config: ProviderConfig & { readonly provider: { readonly kind: 'Node' } },
    needs: NodeProviderNeeds,
  ) {
    this.name = config.provider.value.hns_update.name;
    this.trusted = config.trusted;
    this.chainId = config.chain_id;
    this.#needs = needs;
    this.#address = { node: this.name, process: moduleId('eth') };
    this.marks = new MethodMarks(needs.clock);
  }

  get label(): string {
    return this.name;
  }

  get online(): boolean {
    return this.#online && this.#usable;
  }

  /** False once it answered what a provider does not. */
  get usable(): boolean {
    return this.#usable && this.name !== this.#needs.port.our.node;
  }

  /**
   * Passes a request on, under the id it came with (E24).
   * @param body the request as it came
   */
  async call(id: U64, body: Uint8Array, timeoutMs: number): Promise<RelayedOutcome> {
    return this.#ask(id, body, Math.min(timeoutMs, RELAY_MS_MAX));
  }

  /** @param subscribe makes the body for a relay id */
  async subscribe(
    id: U64,
    subscribe: (relayId: U64) => Uint8Array,
    sink: UpstreamSink,
  ): Promise<{ readonly outcome: RelayedOutcome; readonly upstream?: Upstream }> {
    const { clock, relayId } = this.#needs;
    const relayed: Relayed = {
      id: relayId(),
      sink,
      lastMs: clock.nowMs(),
      timer: undefined,
      keepaliveId: undefined,
    };
    // Known before the answer: the first update may overtake it.
    this.#relayed.set(relayed.id, relayed);
    const outcome = await this.#ask(id, subscribe(relayed.id), RELAY_MS_MAX);
    if (outcome.kind !== 'ok') {
      this.#relayed.delete(relayed.id);
      // It answered, and not as one who serves subscriptions does.
      if (outcome.kind === 'result') this.#unusable();
      return { outcome };
    }
    this.#keepAlive(relayed);
    return { outcome, upstream: { close: () => this.#end(relayed, undefined) } };
  }

  /** An update from this node; false: it is of no subscription of ours (E27). */
  update(id: U64, update: { readonly result: string } | { readonly error: string }): boolean {
    const relayed = this.#relayed.get(id);
    if (relayed === undefined) return false;
    relayed.lastMs = this.#needs.clock.nowMs();
    if ('result' in update) relayed.sink.update(update.result);
    else this.#end(relayed, update.error);
    return true;
  }

  close(): void {
    if (this.#check !== undefined) this.#needs.clock.cancel(this.#check);
    for (const relayed of this.#relayed.values()) this.#end(relayed, 'the provider was removed');
  }

  async #ask(id: U64, body: Uint8Array, timeoutMs: number): Promise<RelayedOutcome> {
    const { clock, waiting } = this.#needs;
    const answer = await new Promise<RelayOutcome>((resolve) => {
      const timer = clock.schedule(() => {
        waiting.forget(id, this.name);
        resolve({ kind: 'timeout' });
      }, timeoutMs);
      waiting.wait(id, this.name, (outcome) => {
        clock.cancel(timer);
        resolve(outcome);
      });
      this.#send(body, { id, expectsResponse: RELAY_EXPECTS_S });
    });
    if (answer.kind !== 'answer') {
      this.#failed();
      return answer.kind === 'timeout'
        ? { kind: 'timeout' }
        : { kind: 'lost', reason: 'the node is offline' };
    }
    const outcome = decodeRelayed(answer.body);
    if (outcome.kind === 'refused' && outcome.error.kind === 'RpcMalformedResponse')
      this.#unusable();
    return outcome;
  }

  #send(body: Uint8Array, options: { readonly id?: U64; readonly expectsResponse?: number }): void {
    const { id, expectsResponse } = options;
    this.#needs.port.send({
      ...(id === undefined ? {} : { id }),
      target: this.#address,
      rsvp: undefined,
      message: { kind: 'request', request: { ...plainRequest(body), expectsResponse } },
      blob: undefined,
    });
  }

  /** The bare relay id, at once and every 30 s, under one message id; whoever knows it stays silent (E26). */
  #keepAlive(relayed: Relayed): void {
    const { clock, waiting, relayId } = this.#needs;
    const id = (relayed.keepaliveId = relayId());
    const beat = (): void => {
      if (clock.nowMs() - relayed.lastMs >= SILENCE_MS_MAX) {
        const hours = SILENCE_MS_MAX / 3_600_000;
        const text = `No updates received for ${hours} hours, subscription considered dead.`;
        this.#end(relayed, text);
        return;
      }
      waiting.wait(id, this.name, () =>
        this.#end(relayed, 'subscription node-provider failed keepalive'),
      );
      this.#send(utf8.encode(String(relayed.id)), { id, expectsResponse: KEEPALIVE_EXPECTS_S });
      relayed.timer = clock.schedule(beat, KEEPALIVE_MS);
    };
    beat();
  }

  #end(relayed: Relayed, reason: string | undefined): void {
    if (!this.#relayed.delete(relayed.id)) return;
    if (relayed.timer !== undefined) this.#needs.clock.cancel(relayed.timer);
    if (relayed.keepaliveId !== undefined)
      this.#needs.waiting.forget(relayed.keepaliveId, this.name);
    this.#send(utf8.encode(`{"UnsubscribeLogs":${relayed.id}}`), {});
    if (reason !== undefined) relayed.sink.ended(reason);
  }

  #unusable(): void {
    this.#usable = false;
    this.#failed();
  }

  #failed(): void {
    this.#online = false;
    this.#check ??= this.#needs.clock.schedule(() => void this.#checkHealth(), this.#checkMs);
  }

  /** Any answer at all counts as alive. */
  async #checkHealth(): Promise<void> {
    this.#check = undefined;
    const body = utf8.encode(
      `{"Request":{"chain_id":${this.chainId},"method":"eth_blockNumber","params":[]}}`,
    );
    // What comes next if this one fails too: asking notes the failure.
    this.#checkMs = Math.min(this.#checkMs * 2, HEALTH_MS_MAX);
    const outcome = await this.#ask(this.#needs.relayId(), body, HEALTH_CALL_MS);
    if (outcome.kind === 'timeout' || outcome.kind === 'lost') return;
    this.#online = true;
    this.#usable = true;
    this.#checkMs = HEALTH_FIRST_MS;
  }
}

const utf8 = new TextEncoder();

/** An `EthResponse` of another node, its result left as text. */
function decodeRelayed(body: Uint8Array): RelayedOutcome {
  const malformed = { kind: 'refused', error: { kind: 'RpcMalformedResponse' } } as const;
  const decoded = ethResponse.decode(body);
  if (!decoded.ok) return malformed;
  const response = decoded.value;
  switch (response.kind) {
    case 'Ok':
      return { kind: 'ok' };
    case 'Err':
      return response.value.kind === 'RpcError'
        ? { kind: 'error', error: response.value.value }
        : { kind: 'refused', error: response.value };
    case 'Response': {
      const result = members(new TextDecoder().decode(body))?.get('Response');
      return result === undefined ? malformed : { kind: 'result', result };
    }
  }
}
