/**
 * One request of a process to a chain (eth.md §3): the cache, then providers in order of preference, then once more after a second. An
 * error of the request itself goes straight back; only a provider's own trouble makes us ask the next one.
 */
import type { EthError, EthRpcRequest, RpcErrorObject } from '../../wit/eth-api.ts';
import type { U64 } from '../../wit/types.ts';
import type { Clock } from '../shared/clock.ts';
import type { Provider, ProviderList } from './provider-list.ts';
import { faultOf } from './rpc-error.ts';
import type { CallOutcome } from './rpc-socket.ts';
import type { RelayedOutcome } from './node-provider.ts';

/** Methods a process may call; others are `InvalidMethod`. */
export const METHODS: ReadonlySet<string> = new Set([
  'eth_getBalance',
  'eth_sendRawTransaction',
  'eth_call',
  'eth_chainId',
  'eth_getTransactionReceipt',
  'eth_getTransactionCount',
  'eth_estimateGas',
  'eth_blockNumber',
  'eth_getBlockByHash',
  'eth_getBlockByNumber',
  'eth_getTransactionByHash',
  'eth_getCode',
  'eth_getStorageAt',
  'eth_gasPrice',
  'eth_accounts',
  'eth_hashrate',
  'eth_getLogs',
  'eth_subscribe',
  'eth_unsubscribe',
]);

/** A success of a URL provider answers the same request again for this long, in milliseconds (E5). */
export const CACHE_MS = 1_000;
/** Answers kept; the least recent go first. */
export const CACHE_ENTRIES_MAX = 500;
/** Bytes of answers kept. */
export const CACHE_CHARS_MAX = 16 * 1024 * 1024;
/** When the requester names no time, in milliseconds. */
export const REQUEST_MS_DEFAULT = 60_000;
/** While another provider could be asked, one that is silent is given up after this, in milliseconds. */
export const ATTEMPT_MS_MAX = 10_000;
/** Before the second pass over all providers, in milliseconds. */
const AGAIN_MS = 1_000;
/** How much earlier than its requester gives up the answer is sent, in milliseconds: a typed timeout is of use only before that. */
const MARGIN_MS = 50;

export type Served =
  | { readonly ok: true; readonly result: string }
  | { readonly ok: false; readonly error: EthError };

export interface RequestParts {
  readonly providers: ProviderList;
  readonly clock: Clock;
}

/** A request on its way. */
export interface Asked {
  /** Of the kernel message; relays keep it. */
  readonly id: U64;
  /** The body it came in; relays send it on as it is. */
  readonly body: Uint8Array;
  readonly request: EthRpcRequest;
  readonly timeoutS: U64 | undefined;
}

interface Cached {
  readonly atMs: number;
  readonly result: string;
}

export class Requests {
  readonly #parts: RequestParts;
  readonly #cache = new Map<string, Cached>();
  #cachedChars = 0;

  constructor(parts: RequestParts) {
    this.#parts = parts;
  }

  async serve({ id, body, request, timeoutS }: Asked, signal: AbortSignal): Promise<Served> {
    const { clock, providers } = this.#parts;
    const params = paramsText(request);
    const key = `${request.chain_id} ${request.method} ${params}`;
    const cached = this.#cached(key);
    if (cached !== undefined) return { ok: true, result: cached };
    if (!METHODS.has(request.method)) {
      return { ok: false, error: { kind: 'InvalidMethod', value: request.method } };
    }
    const timeoutMs = Math.max(1, millis(timeoutS) - MARGIN_MS);
    const endMs = clock.nowMs() + timeoutMs;
    const call: Call = { id, body, method: request.method, params, endMs };
    let last: EthError = { kind: 'NoRpcForChain' };
    for (let pass = 0; pass < 2 && !signal.aborted; pass++) {
      const all = providers.of(request.chain_id);
      const served = await this.#pass(all, call, key, signal);
      if (served.ok || served.final) return served;
      last = served.error;
      // Without an error of the chain there is nothing a second look could change.
      if (last.kind !== 'RpcError' || pass > 0) break;
      if (clock.nowMs() + AGAIN_MS >= endMs) break;
      await sleep(clock, AGAIN_MS);
    }
    return { ok: false, error: last };
  }

  async #pass(
    all: readonly Provider[],
    call: Call,
    key: string,
    signal: AbortSignal,
  ): Promise<Served & { readonly final?: boolean }> {
    const { clock } = this.#parts;
    const asked = worthAsking(all, call);
    let last: EthError = { kind: 'NoRpcForChain' };
    for (let at = 0; at < asked.length; at++) {
      const provider = asked[at]!;
      const leftMs = call.endMs - clock.nowMs();
      if (leftMs <= 0) return { ok: false, error: { kind: 'RpcTimeout' }, final: true };
      if (signal.aborted) break;
      const others = at < asked.length - 1;
      const outcome = await ask(provider, call, others ? Math.min(leftMs, ATTEMPT_MS_MAX) : leftMs);
      switch (outcome.kind) {
        case 'result':
          provider.marks.succeeded(call.method);
          if (provider.kind === 'url') this.#keep(key, outcome.result);
          return { ok: true, result: outcome.result };
        case 'error': {
          const fault = faultOf(call.method, outcome.error);
          provider.marks.failed(call.method, call.params, fault);
          last = rpcError(outcome.error);
          if (fault === 'request') return { ok: false, error: last, final: true };
          break;
        }
        case 'refused':
          if (last.kind !== 'RpcError') last = outcome.error;
          break;
        case 'timeout':
          if (!others) return { ok: false, error: { kind: 'RpcTimeout' }, final: true };
          break;
        case 'lost':
        case 'ok':
          break;
      }
    }
    return { ok: false, error: last };
  }

  #cached(key: string): string | undefined {
    const found = this.#cache.get(key);
    if (found === undefined) return undefined;
    if (this.#parts.clock.nowMs() - found.atMs < CACHE_MS) {
      this.#cache.delete(key);
      this.#cache.set(key, found);
      return found.result;
    }
    this.#drop(key, found);
    return undefined;
  }

  #keep(key: string, result: string): void {
    const before = this.#cache.get(key);
    if (before !== undefined) this.#drop(key, before);
    this.#cache.set(key, { atMs: this.#parts.clock.nowMs(), result });
    this.#cachedChars += key.length + result.length;
    for (const [oldest, entry] of this.#cache) {
      if (this.#cache.size <= CACHE_ENTRIES_MAX && this.#cachedChars <= CACHE_CHARS_MAX) break;
      this.#drop(oldest, entry);
    }
  }

  #drop(key: string, entry: Cached): void {
    this.#cache.delete(key);
    this.#cachedChars -= key.length + entry.result.length;
  }
}

/** The first one where all are avoided: a provider that may fail is better than none. */
function worthAsking(all: readonly Provider[], call: Call): readonly Provider[] {
  const isWorth = ({ online, marks }: Provider): boolean =>
    online && marks.allows(call.method, call.params);
  // As a rule they are, and nothing is copied.
  if (all.every(isWorth)) return all;
  const some = all.filter(isWorth);
  return some.length > 0 ? some : all.slice(0, 1);
}

/** What is asked of each provider. */
interface Call {
  readonly id: U64;
  readonly body: Uint8Array;
  readonly method: string;
  readonly params: string;
  readonly endMs: number;
}

function ask(
  provider: Provider,
  call: Call,
  timeoutMs: number,
): Promise<CallOutcome | RelayedOutcome> {
  return provider.kind === 'url'
    ? provider.call(call.method, call.params, timeoutMs)
    : provider.call(call.id, call.body, timeoutMs);
}

/** As providers want it: the library sends null for no parameters, and some take lists only (eth.md §2). */
function paramsText({ params }: EthRpcRequest): string {
  return params === 'null' ? '[]' : params;
}

export function rpcError(error: RpcErrorObject): EthError {
  return { kind: 'RpcError', value: error };
}

function millis(timeoutS: U64 | undefined): number {
  if (timeoutS === undefined) return REQUEST_MS_DEFAULT;
  return Math.min(Number(timeoutS) * 1000, 24 * 60 * 60 * 1000);
}

function sleep(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => {
    clock.schedule(resolve, ms);
  });
}
