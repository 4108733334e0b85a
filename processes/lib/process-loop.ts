/** Drives one process: what arrives goes to its handlers, what they return goes back. */
import { formatAddress } from '../../wit/address.ts';
import { Context, type Desk } from './context.ts';
import { type Call, encodeError, ERROR_METADATA, type Methods } from './contract.ts';
import { Conversation, type RequestOptions } from './conversation.ts';
import { describe } from './engine/console.ts';
import { errorBodyOf, INTERNAL, Refusal } from './errors.ts';
import type { Delivery, Host } from './host.ts';
import { type Definition, type PartAnswer, Process, type Target } from './process.ts';
import type { StateCell } from './state.ts';
import { sleep } from './timers.ts';
import { bytesOf } from './utf8.ts';

/** Of a method of the contract, of `onMessage` or a `Taker`, which have no arguments. */
type Handler = (first: unknown, second: unknown, third?: unknown) => unknown;

/** What a request is handled as: a method of the contract, or what reports call it. */
type Asked = Call | typeof PART | typeof MESSAGE;
const PART = 'request';
const MESSAGE = 'onMessage';

export class ProcessLoop<M extends Methods, S> {
  readonly process: Process<S>;
  readonly #host: Host;
  readonly #definition: Definition<M, S>;
  readonly #conversation: Conversation;
  readonly #state: StateCell<S> | undefined;
  readonly #desk: Desk;
  /** Requests whose handlers are under way and may still want the blob, which is with the host. */
  readonly #unread = new Set<Context>();
  /** Requests that arrived before `setup` was done. */
  #early: Context[] = [];
  #ready = false;
  #failure: { readonly reason: unknown } | undefined;

  constructor(host: Host, definition: Definition<M, S>) {
    this.#host = host;
    this.#definition = definition;
    this.#conversation = new Conversation(host, {
      blocking: definition.concurrency === 'serial',
      beforeWait: () => this.#keepBlobs(),
    });
    this.#state = definition.state?.open(host);
    this.process = new Process(host, this.#conversation, this.#state);
    const beforeAnswer = (): void => this.#state?.save();
    const responses = definition.contract?.responses;
    const encode = ({ kind }: Call, value: unknown): Uint8Array =>
      responses?.encode({ kind, value }) ?? new Uint8Array();
    this.#desk = { host, conversation: this.#conversation, beforeAnswer, encode };
  }

  /** Whether the process is to end, by its own wish or because `setup` failed. */
  get ended(): boolean {
    return this.process.exited || this.#failure !== undefined;
  }

  start(): void {
    settle(
      () => {
        const { setup, http } = this.#definition;
        const state = this.#state;
        const prepared =
          state?.damaged === true
            ? state.keepCopy(this.process).then(() => setup?.(this.process))
            : setup?.(this.process);
        if (http === undefined) return prepared;
        return Promise.resolve(prepared).then(() => http.start(this.process));
      },
      () => {
        this.#ready = true;
        this.#state?.save();
        for (const context of this.#early.splice(0)) this.#handle(context);
      },
      (reason) => {
        this.#failure = { reason };
      },
    );
  }

  /** Calls `work` in `ms` milliseconds, without blocking even a serial process. */
  after(ms: number, work: () => void): { cancel(): void } {
    const cancelled = new AbortController();
    const waiter = {
      resolve: (target: Target) => this.process.resolve(target),
      request: (target: Target, body: Uint8Array | string, options: RequestOptions = {}) =>
        this.#conversation.start(this.process.resolve(target), bytesOf(body), options),
    };
    // Rejects when it is cancelled only.
    sleep(waiter, ms, { signal: cancelled.signal }).then(work, () => {});
    return { cancel: () => cancelled.abort() };
  }

  /** To be called when everything that can run has run, and before the next delivery is fetched. */
  rest(): void {
    this.#keepBlobs();
    this.#conversation.keepReachable();
  }

  deliver(delivery: Delivery): void {
    if (delivery.kind === 'send-error' || delivery.message.kind === 'response') {
      const ours = this.#conversation.settle(delivery);
      if (!ours && delivery.kind === 'send-error') {
        this.#definition.onSendError?.(delivery.error, this.process);
      }
      return;
    }
    if (this.#conversation.takeAnchor(delivery)) return;
    const context = new Context(this.#desk, delivery.source, delivery.message.request);
    if (context.hasUnreadBlob) this.#unread.add(context);
    if (this.#ready) this.#handle(context);
    else this.#early.push(context);
  }

  /** Stores what changed; rethrows what made `setup` fail, so that the process ends as by a trap. */
  finish(): void {
    if (this.#failure !== undefined) throw this.#failure.reason;
    this.#state?.save();
  }

  #handle(context: Context): void {
    const taker = this.process.takerOf(context.source);
    if (taker !== undefined) {
      this.#work(context, PART, taker as Handler);
      return;
    }
    const { contract, on, onMessage } = this.#definition;
    const call = contract?.requests.decode(context.body);
    if (call?.ok === true && on !== undefined) {
      const { value } = call;
      context.calledAs(value);
      // Proof of the type: the contract decoded the argument of that method.
      this.#work(context, value, on[value.kind] as Handler | undefined);
      return;
    }
    if (onMessage !== undefined) {
      this.#work(context, MESSAGE, onMessage as Handler);
      return;
    }
    const why =
      call?.ok === false ? `${call.error.path || 'body'}: expected ${call.error.expected}` : '';
    const refusal = new Refusal(
      'BadRequest',
      `the request cannot be understood${why && `: ${why}`}`,
    );
    this.#failed(context, PART, refusal);
  }

  /** What is not asynchronous is done on return, without a promise. */
  #work(context: Context, asked: Asked, handler: Handler | undefined): void {
    let result: unknown;
    try {
      result =
        asked === PART || asked === MESSAGE
          ? handler?.(context, this.process)
          : this.#call(context, asked, handler);
    } catch (error) {
      this.#failed(context, asked, error);
      return;
    }
    if (!(result instanceof Promise)) this.#finish(context, asked, result);
    else {
      result.then(
        (value: unknown) => this.#finish(context, asked, value),
        (error: unknown) => this.#failed(context, asked, error),
      );
    }
  }

  #call(context: Context, { kind, value }: Call, handler: Handler | undefined): unknown {
    const access = this.#definition.contract?.access[kind] ?? 'any';
    if (access !== 'any' && !(access === 'local' ? context.isLocal : context.isOurPackage)) {
      throw new Refusal('Forbidden', `${kind} is for ${access} callers`);
    }
    if (handler === undefined) throw new Refusal('NotHandled', `${kind} has no handler`);
    return handler(value, context, this.process);
  }

  /** The handler has returned. */
  #finish(context: Context, asked: Asked, value: unknown): void {
    try {
      this.#answer(context, asked, value);
    } catch (error) {
      this.#failed(context, asked, error);
    }
  }

  /** State first, so that nothing acknowledged is lost when the process dies between the two. */
  #answer(context: Context, asked: Asked, value: unknown): void {
    if (context.hasUnreadBlob) this.#unread.delete(context);
    // Proof of the types: what the types of `Taker` and `onMessage` allow.
    const part = asked === PART ? (value as PartAnswer | undefined) : undefined;
    const answer =
      asked === PART
        ? part?.body
        : asked === MESSAGE
          ? ((value ?? undefined) as Uint8Array | string | undefined)
          : context.answered || context.deferred
            ? undefined
            : this.#desk.encode(asked, value);
    this.#state?.save();
    if (answer !== undefined && !context.answered) context.reply(answer, part);
  }

  #failed(context: Context, asked: Asked, reason: unknown): void {
    if (context.hasUnreadBlob) this.#unread.delete(context);
    const handler = typeof asked === 'string' ? asked : asked.kind;
    // A fault of ours is shown with its stack; what others refused or did not answer is their doing, and passed on.
    const { kind, message } = errorBodyOf(reason);
    this.#host.print(
      kind === INTERNAL ? 0 : 2,
      `${handler} from ${formatAddress(context.source)}: ${kind === INTERNAL ? describe(reason) : `${kind}: ${message}`}`,
    );
    if (!context.answered)
      context.reply(encodeError({ kind, message }), { metadata: ERROR_METADATA });
  }

  /** The host forgets a blob when the next one arrives. */
  #keepBlobs(): void {
    if (this.#unread.size === 0) return;
    for (const context of this.#unread) context.blob();
    this.#unread.clear();
  }
}

/** Runs something that may or may not be asynchronous; what is not is done on return, without a promise. */
function settle<T>(
  body: () => T | Promise<T>,
  done: (value: T) => void,
  failed: (reason: unknown) => void,
): void {
  let result: T | Promise<T>;
  try {
    result = body();
    if (!(result instanceof Promise)) {
      done(result);
      return;
    }
  } catch (error) {
    failed(error);
    return;
  }
  result.then((value) => done(value)).catch((error: unknown) => failed(error));
}
