/** `defineProcess`: a process as handlers (kit.md §10.3). */
import type { Address, OnExit, SendError } from '../../wit/types.ts';
import { address, formatAddress, OUR } from '../../wit/address.ts';
import { readJsonWith } from '../../wit/codec-core.ts';
import { engineCursor } from '../../wit/json-cursor.ts';
import type { ArgsOf, Contract, Methods, ResultOf } from './contract.ts';
import type { AnswerOptions, Context } from './context.ts';
import type { Conversation, Reply, RequestOptions, SendOptions } from './conversation.ts';
import { drainJobs } from './engine/jobs.ts';
import { installTimeouts } from './engine/timeouts.ts';
import { type Host, host } from './host.ts';
import { ProcessLoop } from './process-loop.ts';
import type { StateCell, StateSpec } from './state.ts';
import { bytesOf } from './utf8.ts';

type Awaitable<T> = T | Promise<T>;

/** A handler of a method without a result need not return anything. */
type Answer<R> = [R] extends [undefined] ? R | void : R;

/** One handler for every method of the contract. */
export type Handlers<M extends Methods, S> = {
  readonly [K in keyof M]: (
    args: ArgsOf<M[K]>,
    context: Context,
    process: Process<S>,
  ) => Awaitable<Answer<ResultOf<M[K]>>>;
};

/** What a part of a process answers to a request; undefined: nothing, or it has answered by itself. */
export interface PartAnswer extends AnswerOptions {
  readonly body: Uint8Array;
}

/** Takes requests in the place of contract and `onMessage`. */
export type Taker = (context: Context) => Awaitable<PartAnswer | undefined>;

/** Something that serves beside the contract, such as an `HttpServer`. */
export interface Part<S> {
  /** Runs once, after `setup`; requests that arrive meanwhile wait; a rejection ends the process. */
  start(process: Process<S>): Promise<void>;
}

export interface Definition<M extends Methods, S> {
  readonly contract?: Contract<M>;
  readonly on?: Handlers<M, S>;
  readonly state?: StateSpec<S>;
  /** Runs first. Requests that arrive meanwhile wait; a throw ends the process. */
  readonly setup?: (process: Process<S>) => Awaitable<void>;
  /** What browsers are served: an `HttpServer` of `hyperware/http-server`. Its paths are bound when `setup` is done. */
  readonly http?: Part<S>;
  /** Requests that the contract does not cover. What it returns (text or bytes) is the answer, unless it answered by itself. */
  readonly onMessage?: (
    context: Context,
    process: Process<S>,
  ) => Awaitable<string | Uint8Array | undefined | void>;
  /** Failures of requests that were not awaited. */
  readonly onSendError?: (error: SendError, process: Process<S>) => void;
  /**
   * `interleaved` (default): while one handler awaits a response, others run. `serial`: one request after another; a handler's
   * own requests block the process.
   */
  readonly concurrency?: 'interleaved' | 'serial';
}

/** Names of targets that are remembered. */
const RESOLVED_MAX = 64;

/** What handlers can do. */
export class Process<S> {
  readonly our: Address;
  readonly #host: Host;
  readonly #conversation: Conversation;
  readonly #state: StateCell<S> | undefined;
  /** Most requests go to a few targets, and reading a name costs a tenth of a request. */
  readonly #resolved = new Map<string, Address>();
  readonly #takers = new Map<string, Taker>();
  #exited = false;

  constructor(host: Host, conversation: Conversation, state: StateCell<S> | undefined) {
    this.our = host.our();
    this.#host = host;
    this.#conversation = conversation;
    this.#state = state;
  }

  /** The state; assign to replace it. @throws Error when the definition has none. */
  get state(): S {
    return this.#cell().value;
  }

  set state(value: S) {
    this.#cell().value = value;
  }

  /** Stores the state now, not when the handler is done. */
  flush(): void {
    this.#cell().save();
  }

  get exited(): boolean {
    return this.#exited;
  }

  /** Ends the process when the handler is done; its on-exit rule applies. */
  exit(): void {
    this.#exited = true;
  }

  /** Prints a line: 0 the owner must see, 1 debug, 2 detail, 3 everything. */
  print(text: string, verbosity = 0): void {
    this.#host.print(verbosity, text);
  }

  /** Asks another process. `target`: an address, its text, or `process:package:publisher` of this node. */
  request(target: Target, body: Uint8Array | string, options?: RequestOptions): Promise<Reply> {
    return this.#conversation.request(this.resolve(target), bytesOf(body), options);
  }

  /** Tells another process; no response is wanted, no failure reported. */
  send(target: Target, body: Uint8Array | string, options?: SendOptions): void {
    this.#conversation.send(this.resolve(target), bytesOf(body), options);
  }

  /** From now on requests of that process of this node go to `taker`, and not to contract and `onMessage`. */
  take(source: string, taker: Taker): void {
    this.#takers.set(source, taker);
  }

  /** For the process loop: who takes requests from there. */
  takerOf(source: Address): Taker | undefined {
    const taker = this.#takers.get(source.process);
    // A process of the same name on another node speaks for that node only.
    return taker !== undefined && source.node === this.our.node ? taker : undefined;
  }

  setOnExit(onExit: OnExit): void {
    this.#host.setOnExit(onExit);
  }

  /** The address a `Target` stands for, a node called `our` being this one. @throws Error for text that is none */
  resolve(target: Target): Address {
    if (typeof target !== 'string') return target;
    const known = this.#resolved.get(target);
    if (known !== undefined) return known;
    const to = address(target.includes('@') ? target : `${this.our.node}@${target}`);
    const resolved = to.node === OUR ? { ...to, node: this.our.node } : to;
    if (this.#resolved.size >= RESOLVED_MAX) this.#resolved.clear();
    this.#resolved.set(target, resolved);
    return resolved;
  }

  /** Everything of the host, for what the library does not cover yet. */
  get host(): Host {
    return this.#host;
  }

  toString(): string {
    return formatAddress(this.our);
  }

  #cell(): StateCell<S> {
    if (this.#state === undefined) throw new Error('the process has no state: pass `state`');
    return this.#state;
  }
}

export type Target = Address | string;

/** What a process module exports as its default. */
export interface ProcessModule<M extends Methods, S> {
  readonly definition: Definition<M, S>;
  init(our: string): void;
}

/** A process; export it as the module's default. */
export function defineProcess<M extends Methods, S>(
  definition: Definition<M, S>,
): ProcessModule<M, S> {
  return {
    definition,
    init() {
      readJsonWith(engineCursor);
      const surroundings = host();
      const loop = new ProcessLoop(surroundings, definition);
      installTimeouts((ms, work) => loop.after(ms, work));
      loop.start();
      drainJobs();
      while (!loop.ended) {
        loop.rest();
        const delivery = surroundings.receive();
        if (delivery === undefined) return;
        loop.deliver(delivery);
        drainJobs();
      }
      loop.finish();
    },
  };
}
