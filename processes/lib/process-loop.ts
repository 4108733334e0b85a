/** Drives one process: what arrives goes to its handlers, what they return goes back. */
import { formatAddress } from '../../wit/address.ts';
import { type AnswerOptions, Context } from './context.ts';
import { type Call, encodeError, ERROR_METADATA, type Methods } from './contract.ts';
import { Conversation, type RequestOptions } from './conversation.ts';
import { describe } from './engine/console.ts';
import { errorBodyOf, INTERNAL, Refusal } from './errors.ts';
import type { Delivery, Host } from './host.ts';
import { bytesOf, type Definition, Process, type Target } from './process.ts';
import type { StateCell } from './state.ts';
import { sleep } from './timers.ts';

type Handler = (args: unknown, context: Context, process: unknown) => unknown;

export class ProcessLoop<M extends Methods, S> {
  readonly process: Process<S>;
  readonly #host: Host;
  readonly #definition: Definition<M, S>;
  readonly #conversation: Conversation;
  readonly #state: StateCell<S> | undefined;
  /** Handlers under way, which may still want the blob of their request. */
  readonly #running = new Set<Context>();
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
    const { request } = delivery.message;
    const context = new Context(this.#host, this.#conversation, {
      source: delivery.source,
      body: request.body,
      metadata: request.metadata,
      capabilities: request.capabilities,
      timeoutS: request.expectsResponse === undefined ? undefined : Number(request.expectsResponse),
      beforeAnswer: () => this.#state?.save(),
    });
    this.#running.add(context);
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
      settle(
        () => taker(context),
        (answer) => this.#done(context, answer?.body, answer),
        (reason) => this.#failed(context, 'request', reason),
      );
      return;
    }
    const { contract, on, onMessage } = this.#definition;
    const call = contract?.requests.decode(context.body);
    if (call?.ok === true && on !== undefined) {
      this.#call(context, call.value, on[call.value.kind] as Handler | undefined);
      return;
    }
    if (onMessage !== undefined) {
      settle(
        () => onMessage(context, this.process),
        (answer) => this.#done(context, answer ?? undefined),
        (reason) => this.#failed(context, 'onMessage', reason),
      );
      return;
    }
    const why =
      call?.ok === false ? `${call.error.path || 'body'}: expected ${call.error.expected}` : '';
    const refusal = new Refusal(
      'BadRequest',
      `the request cannot be understood${why && `: ${why}`}`,
    );
    this.#failed(context, 'request', refusal);
  }

  #call(context: Context, call: Call, handler: Handler | undefined): void {
    const access = this.#definition.contract?.access[call.kind] ?? 'any';
    const allowed =
      access === 'any' || (access === 'local' ? context.isLocal : context.isOurPackage);
    const responses = this.#definition.contract?.responses;
    const encode = (value: unknown): Uint8Array =>
      responses?.encode({ ...call, value }) ?? new Uint8Array();
    context.encodeWith(encode);
    settle(
      () => {
        if (!allowed) throw new Refusal('Forbidden', `${call.kind} is for ${access} callers`);
        if (handler === undefined) throw new Refusal('NotHandled', `${call.kind} has no handler`);
        return handler(call.value, context, this.process);
      },
      (value) =>
        this.#done(context, context.answered || context.deferred ? undefined : encode(value)),
      (reason) => this.#failed(context, call.kind, reason),
    );
  }

  /** State first, so that nothing acknowledged is lost when the process dies between the two. */
  #done(context: Context, answer: Uint8Array | string | undefined, options?: AnswerOptions): void {
    this.#running.delete(context);
    this.#state?.save();
    if (answer !== undefined && !context.answered) context.reply(answer, options);
  }

  #failed(context: Context, handler: string, reason: unknown): void {
    this.#running.delete(context);
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
    for (const context of this.#running) context.blob();
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
