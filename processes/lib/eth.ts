/**
 * Chains, through `eth:distro:sys` (kit.md §10.9, eth.md §2-§4). `import … from 'hyperware/eth'`. Quantities are numbers where they count
 * blocks and transactions, bigints where they are money; bytes and hashes stay the `0x` hex of JSON-RPC.
 */
import type { Context } from './context.ts';
import { type Caller, member, ModuleError } from './modules.ts';
import { NoResponse } from './errors.ts';
import { sleep } from './timers.ts';
import {
  blockOf,
  type Block,
  filterOf,
  logOf,
  type Log,
  type LogFilter,
  numberOf,
  quantity,
  receiptOf,
  type Receipt,
} from './eth-values.ts';

export type { Block, Log, LogFilter, Receipt } from './eth-values.ts';

/** Before a subscription that was refused or has ended is made again, in milliseconds; doubled each time up to the second. */
export const RESUBSCRIBE_MS_MIN = 5_000;
export const RESUBSCRIBE_MS_MAX = 60_000;
/** A chain may take a while to answer, and the module may ask several providers. */
const TIMEOUT_S = 60;
const ETH = 'eth:distro:sys';
const RESPONSE = '{"Response":';

/** `code`: as in eth.md §2, such as `NoRpcForChain`, or `NoMessaging`; of `RpcError`, `rpc` is what the provider said. */
export class EthError extends ModuleError {
  override readonly name = 'EthError';
  readonly rpc:
    | { readonly code: number; readonly message: string; readonly data: unknown }
    | undefined;
  constructor(code: string, what: string, detail?: unknown) {
    const rpc = code === 'RpcError' ? detail : undefined;
    const message = member(rpc, 'message');
    const shown = typeof message === 'string' ? message : detail;
    super(
      code,
      what,
      typeof shown === 'string' || shown === undefined ? shown : JSON.stringify(shown),
    );
    this.rpc =
      typeof message === 'string'
        ? { code: Number(member(rpc, 'code')), message, data: member(rpc, 'data') ?? undefined }
        : undefined;
  }
}

export interface EthOptions {
  readonly chainId: number;
  /** Of every request, in seconds; default 60. */
  readonly timeoutS?: number;
}

export interface Transaction {
  readonly to: string;
  /** Calldata, `0x` hex. */
  readonly data?: string;
  readonly from?: string;
  /** Wei. */
  readonly value?: bigint;
}

/** A block by its number, its 32-byte hash, or what the chain calls it. */
export type BlockTag = number | 'latest' | 'earliest' | 'pending' | 'safe' | 'finalized';

export interface ReadOptions {
  /** Default `latest`. */
  readonly block?: BlockTag;
  /** A read that decides money or identity: a trusted provider has to answer it, or two others alike (findings.md F35). */
  readonly agreed?: boolean;
}

export interface SubscribeOptions {
  /** The subscription was lost and is back: what happened in between may be missing. */
  readonly onResumed?: () => void | Promise<void>;
  /** Ends it. */
  readonly signal?: AbortSignal;
}

export interface Subscription {
  /** Ends it; its callback is not called any more. */
  close(): void;
}

interface Live {
  readonly eth: Eth;
  readonly kind: string;
  readonly params: unknown;
  readonly options: SubscribeOptions;
  /** Of the process: a name for each time it is made, so that what is late from the time before is known as such. */
  id: number;
  readonly update: (result: unknown) => void | Promise<void>;
}

/** By id; of all chains of this process, for an id belongs to the process. */
const live = new Map<number, Live>();
let lastId = 0;

/**
 * For `onMessage` of the process: updates of subscriptions arrive as requests. Resolves when the callback is done, with false when the
 * message is none of them.
 */
export async function takeEthUpdate(context: Context): Promise<boolean> {
  if (!context.isLocal || context.source.process !== ETH) return false;
  const body: unknown = JSON.parse(context.text);
  const ok = member(body, 'Ok');
  const ended = member(body, 'Err');
  const subscription = live.get(Number(member(ok ?? ended, 'id')));
  // Of a subscription that was closed while the update was on its way.
  if (subscription === undefined) return true;
  if (ok !== undefined) await subscription.update(member(ok, 'result'));
  else await subscription.eth.resubscribe(subscription);
  return true;
}

/** Every method rejects with `EthError`, or with `NoResponse`. */
export class Eth {
  readonly chainId: number;
  readonly #caller: Caller;
  readonly #timeoutS: number;

  constructor(caller: Caller, { chainId, timeoutS = TIMEOUT_S }: EthOptions) {
    this.#caller = caller;
    this.chainId = chainId;
    this.#timeoutS = timeoutS;
  }

  /** Any method of eth.md §2, and its result as it is. */
  async request(method: string, params: unknown = null, { agreed = false } = {}): Promise<unknown> {
    return member(JSON.parse(decode(await this.raw(method, params, { agreed }))), 'Response');
  }

  /** The same, unread: the JSON text `{"Response":…}`. For megabytes of logs that somebody else reads. */
  async raw(method: string, params: unknown = null, { agreed = false } = {}): Promise<Uint8Array> {
    const { chainId } = this;
    const value = { chain_id: chainId, method, params };
    return this.#ask(method, agreed ? { AgreedRequest: value } : { Request: value });
  }

  async blockNumber(): Promise<number> {
    return numberOf(await this.request('eth_blockNumber'), 'eth_blockNumber');
  }

  async gasPrice(): Promise<bigint> {
    return quantity(await this.request('eth_gasPrice'), 'eth_gasPrice');
  }

  /** Wei. */
  async balance(address: string, options: ReadOptions = {}): Promise<bigint> {
    return quantity(await this.#read('eth_getBalance', [address], options), 'eth_getBalance');
  }

  /** Transactions sent from there: the nonce of the next one. */
  async transactionCount(address: string, options: ReadOptions = {}): Promise<number> {
    const method = 'eth_getTransactionCount';
    return numberOf(await this.#read(method, [address], options), method);
  }

  async code(address: string, options: ReadOptions = {}): Promise<string> {
    return String(await this.#read('eth_getCode', [address], options));
  }

  async storageAt(address: string, slot: string, options: ReadOptions = {}): Promise<string> {
    return String(await this.#read('eth_getStorageAt', [address, slot], options));
  }

  /** What the call returns, `0x` hex. A revert is an EthError with `rpc`. */
  async call(transaction: Transaction, options: ReadOptions = {}): Promise<string> {
    return String(await this.#read('eth_call', [wire(transaction)], options));
  }

  async estimateGas(transaction: Transaction, options: ReadOptions = {}): Promise<bigint> {
    const params = [wire(transaction), tag(options.block)];
    return quantity(await this.request('eth_estimateGas', params), 'eth_estimateGas');
  }

  /** In the order of the chain. */
  async logs(filter: LogFilter, { agreed = false } = {}): Promise<Log[]> {
    const found = await this.request('eth_getLogs', [filterOf(filter)], { agreed });
    if (!Array.isArray(found)) throw new EthError('RpcMalformedResponse', 'eth_getLogs');
    return found.map((each) => logOf(each));
  }

  /** Undefined where there is none. */
  async block(
    which: BlockTag | `0x${string}`,
    { agreed = false } = {},
  ): Promise<Block | undefined> {
    const byHash = typeof which === 'string' && which.startsWith('0x');
    const method = byHash ? 'eth_getBlockByHash' : 'eth_getBlockByNumber';
    const params = [byHash ? which : tag(which as BlockTag), false];
    const found = await this.request(method, params, { agreed });
    return found === null ? undefined : blockOf(found);
  }

  /** Undefined while it is in no block. */
  async receipt(hash: string): Promise<Receipt | undefined> {
    const found = await this.request('eth_getTransactionReceipt', [hash]);
    return found === null ? undefined : receiptOf(found);
  }

  /** Sends what was signed elsewhere; its hash. */
  async sendRaw(signed: string): Promise<string> {
    return String(await this.request('eth_sendRawTransaction', [signed]));
  }

  /**
   * Logs as they happen, and again as `removed` when a reorganisation takes them back. Resolves when it flows: what is refused is tried
   * again, and so is what ends. `takeEthUpdate` has to see what arrives.
   */
  subscribeLogs(
    filter: Omit<LogFilter, 'fromBlock' | 'toBlock'>,
    onLog: (log: Log) => void | Promise<void>,
    options: SubscribeOptions = {},
  ): Promise<Subscription> {
    return this.#subscribe('logs', filterOf(filter), options, (result) => onLog(logOf(result)));
  }

  /** New blocks: many. */
  subscribeHeads(
    onHead: (head: Block) => void | Promise<void>,
    options: SubscribeOptions = {},
  ): Promise<Subscription> {
    return this.#subscribe('newHeads', {}, options, (result) => onHead(blockOf(result)));
  }

  /** For `takeEthUpdate`: the subscription has ended upstream. */
  async resubscribe(ended: Live): Promise<void> {
    live.delete(ended.id);
    if (await this.#make(ended)) await ended.options.onResumed?.();
  }

  async #subscribe(
    kind: string,
    params: unknown,
    options: SubscribeOptions,
    update: Live['update'],
  ): Promise<Subscription> {
    const one: Live = { eth: this, kind, params, options, id: 0, update };
    const close = (): void => {
      if (!live.delete(one.id)) return;
      // Nobody waits for the answer: if it is lost, so is the subscription with this process.
      this.#ask('UnsubscribeLogs', { UnsubscribeLogs: one.id }).catch(() => undefined);
    };
    options.signal?.addEventListener('abort', close);
    await this.#make(one);
    return { close };
  }

  /** Until it is accepted, as the reference's library does; false: it was closed meanwhile. */
  async #make(one: Live): Promise<boolean> {
    const { kind, params, options } = one;
    for (let waitMs = RESUBSCRIBE_MS_MIN; ; waitMs = Math.min(waitMs * 2, RESUBSCRIBE_MS_MAX)) {
      if (options.signal?.aborted === true) return false;
      one.id = ++lastId;
      // Before the answer: the first update may overtake it.
      live.set(one.id, one);
      const value = { sub_id: one.id, chain_id: this.chainId, kind, params };
      try {
        await this.#ask(`SubscribeLogs ${kind}`, { SubscribeLogs: value });
        return live.has(one.id);
      } catch (error) {
        live.delete(one.id);
        if (!isPassing(error)) throw error;
        this.#caller.host.print(2, `eth: ${String(error)}; again in ${waitMs / 1_000} s`);
      }
      await sleep(this.#caller, waitMs);
    }
  }

  #read(method: string, params: readonly unknown[], options: ReadOptions): Promise<unknown> {
    const { agreed = false } = options;
    return this.request(method, [...params, tag(options.block)], { agreed });
  }

  async #ask(what: string, body: unknown): Promise<Uint8Array> {
    const options = { timeoutS: this.#timeoutS };
    const reply = await this.#caller
      .request(ETH, JSON.stringify(body), options)
      .catch((error: unknown) => {
        if (error instanceof NoResponse && !mayMessage(this.#caller))
          throw new EthError('NoMessaging', what, `request_capabilities lacks "${ETH}"`);
        throw error;
      });
    const answer = reply.body;
    if (startsWith(answer, RESPONSE) || startsWith(answer, '"Ok"')) return answer;
    const refused = member(JSON.parse(decode(answer)), 'Err');
    if (typeof refused === 'string') throw new EthError(refused, what);
    const [code = 'RpcMalformedResponse'] = Object.keys(refused ?? {});
    throw new EthError(code, what, member(refused, code));
  }
}

/** Whether trying again may help: not so when the request itself is at fault. */
function isPassing(error: unknown): boolean {
  if (error instanceof NoResponse) return true;
  if (!(error instanceof EthError)) return false;
  return !['MalformedRequest', 'InvalidParams', 'PermissionDenied', 'NoMessaging'].includes(
    error.code,
  );
}

function mayMessage({ host }: Caller): boolean {
  return host
    .ourCapabilities()
    .some(({ issuer, params }) => issuer.process === ETH && params.trim() === '"messaging"');
}

function wire({ to, data = '0x', from, value }: Transaction): Record<string, string> {
  return {
    ...(from === undefined ? {} : { from }),
    to,
    input: data,
    ...(value === undefined ? {} : { value: `0x${value.toString(16)}` }),
  };
}

function tag(block: BlockTag = 'latest'): string {
  return typeof block === 'number' ? `0x${block.toString(16)}` : block;
}

function startsWith(bytes: Uint8Array, text: string): boolean {
  for (let i = 0; i < text.length; i++) if (bytes[i] !== text.charCodeAt(i)) return false;
  return true;
}

function decode(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
