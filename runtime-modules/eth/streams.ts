/**
 * What flows from a chain to its subscribers (eth.md §4): one stream upstream for each distinct filter, however many listen. A stream
 * outlives its provider while another one can carry it on; what a log stream missed in between is fetched, and logs that a
 * reorganisation took back are delivered as removed.
 */
import type { EthSubscriptionKind } from '../../wit/eth-api.ts';
import { isJsonObject, type JsonValue, formatJson } from '../../wit/json.ts';
import type { U64 } from '../../wit/types.ts';
import { LogWindow } from './log-window.ts';
import type { CallOutcome } from './rpc-socket.ts';
import type { Upstream, UpstreamSink } from './url-provider.ts';

export interface Filter {
  readonly chainId: U64;
  readonly kind: EthSubscriptionKind;
  /** As the subscriber gave it. */
  readonly params: JsonValue;
}

/** One who listens to a stream. */
export interface Listener {
  /** JSON text of what happened. */
  update(result: string): void;
  /** The stream is over; told once. */
  ended(reason: string): void;
}

/** Reaches a chain on behalf of streams. */
export interface StreamSource {
  /** Opens the filter at the first provider that takes it, `without` being asked. */
  open(filter: Filter, sink: UpstreamSink, without?: object): Promise<Opened>;
  /** One call at any provider of the chain. */
  call(chainId: U64, method: string, params: string): Promise<CallOutcome>;
}

export type Opened =
  | {
      readonly ok: true;
      readonly upstream: Upstream;
      /** Who carries it. */
      readonly provider: object;
      /** Its name, if it is a node. */
      readonly relay: string | undefined;
    }
  | { readonly ok: false; readonly outcome: CallOutcome | undefined };

/** Updates that arrive while missed ones are fetched; past it the stream ends. */
export const CATCH_UP_UPDATES_MAX = 10_000;
/** Blocks that one `eth_getLogs` of a catch-up asks for. */
export const CATCH_UP_BLOCKS = 2_000;
/** Blocks a catch-up goes back; a longer gap ends the stream, and its subscribers know that they missed something. */
export const CATCH_UP_BLOCKS_MAX = 100_000;

type Held = string[] | undefined;

export class Stream {
  readonly filter: Filter;
  readonly listeners = new Set<Listener>();
  /** The node that carries it; undefined: a URL. */
  relay: string | undefined;
  readonly #source: StreamSource;
  readonly #over: () => void;
  #upstream: Upstream | undefined;
  #provider: object | undefined;
  #window: LogWindow | undefined;
  /** While missed logs are fetched, what comes live waits here. */
  #held: Held;
  #ended = false;

  /** @param over called once, when nothing flows any more */
  constructor(filter: Filter, source: StreamSource, over: () => void) {
    this.filter = filter;
    this.#source = source;
    this.#over = over;
  }

  /** Opens it; undefined when it flows, else what the last provider said. */
  async open(): Promise<{ readonly outcome: CallOutcome | undefined } | undefined> {
    this.#held = this.filter.kind === 'logs' ? [] : undefined;
    const opened = await this.#open();
    if (!opened.ok) {
      this.#end(undefined);
      return { outcome: opened.outcome };
    }
    if (this.filter.kind === 'logs') {
      const head = await this.#head();
      if (head !== undefined) this.#window = new LogWindow(head);
      this.#release();
    }
    return undefined;
  }

  /** The last listener is gone, or the node ends. */
  close(): void {
    this.#end(undefined);
  }

  async #open(): Promise<Opened> {
    const sink: UpstreamSink = {
      update: (result) => this.#update(result),
      resumed: () => void this.#catchUp(),
      ended: (reason) => void this.#moveOn(reason),
    };
    const opened = await this.#source.open(this.filter, sink, this.#provider);
    if (!opened.ok) return opened;
    if (this.#ended) opened.upstream.close();
    this.#upstream = opened.upstream;
    this.#provider = opened.provider;
    this.relay = opened.relay;
    return opened;
  }

  /** The provider is lost: another one carries on, or it is over (E12). */
  async #moveOn(reason: string): Promise<void> {
    if (this.#ended) return;
    this.#upstream = undefined;
    this.#held ??= this.#window === undefined ? undefined : [];
    const opened = await this.#open();
    if (!opened.ok) return this.#end(`closed unexpectedly: ${reason}`);
    await this.#catchUp();
  }

  async #catchUp(): Promise<void> {
    if (this.filter.kind !== 'logs' || this.#ended) return this.#release();
    if (this.#window === undefined)
      return this.#end('closed unexpectedly: what was missed cannot be told');
    this.#held ??= [];
    const from = this.#window.resumeFrom;
    const fetched = await this.#fetch(from);
    if (this.#ended) return;
    if (fetched === undefined)
      return this.#end('closed unexpectedly: what was missed cannot be fetched');
    for (const log of this.#window.reconcile(from, `[${fetched.join(',')}]`)) this.#deliver(log);
    this.#release();
  }

  /** The logs from a block on, in pieces that providers accept. */
  async #fetch(from: number): Promise<readonly string[] | undefined> {
    const head = await this.#head();
    if (head === undefined || head - from > CATCH_UP_BLOCKS_MAX) return undefined;
    const found: string[] = [];
    for (let at = from; at <= head; at += CATCH_UP_BLOCKS) {
      const to = Math.min(at + CATCH_UP_BLOCKS - 1, head);
      const params = isJsonObject(this.filter.params) ? this.filter.params : {};
      const range = { ...params, fromBlock: hex(at), toBlock: hex(to) };
      const { chainId } = this.filter;
      const outcome = await this.#source.call(chainId, 'eth_getLogs', formatJson([range]));
      if (outcome.kind !== 'result') return undefined;
      const inside = outcome.result.trim().slice(1, -1).trim();
      if (inside !== '') found.push(inside);
    }
    return found;
  }

  async #head(): Promise<number | undefined> {
    const outcome = await this.#source.call(this.filter.chainId, 'eth_blockNumber', '[]');
    if (outcome.kind !== 'result') return undefined;
    const head = Number(JSON.parse(outcome.result));
    return Number.isSafeInteger(head) ? head : undefined;
  }

  #update(result: string): void {
    if (this.#ended) return;
    if (this.#held === undefined) return this.#pass(result);
    if (this.#held.length >= CATCH_UP_UPDATES_MAX)
      return this.#end('closed unexpectedly: more updates than can be held back');
    this.#held.push(result);
  }

  #release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const result of held) this.#pass(result);
  }

  #pass(result: string): void {
    if (this.#window?.take(result) ?? true) this.#deliver(result);
  }

  #deliver(result: string): void {
    for (const listener of [...this.listeners]) listener.update(result);
  }

  #end(reason: string | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#held = undefined;
    this.#upstream?.close();
    this.#over();
    const told = [...this.listeners];
    this.listeners.clear();
    if (reason !== undefined) for (const listener of told) listener.ended(reason);
  }
}

function hex(block: number): string {
  return `0x${block.toString(16)}`;
}
