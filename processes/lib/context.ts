/** One received request, as its handler sees it: nothing refers to a hidden current message (kit.md §10.1). */
import type { Address, Capability, LazyLoadBlob, Response } from '../../wit/types.ts';
import { packageOf } from '../../wit/address.ts';
import type { Conversation, Prompt } from './conversation.ts';
import { encodeError, ERROR_METADATA } from './contract.ts';
import { errorBodyOf } from './errors.ts';
import type { Host } from './host.ts';

export interface AnswerOptions {
  readonly blob?: LazyLoadBlob;
  readonly metadata?: string;
  readonly capabilities?: readonly Capability[];
}

export interface Received {
  readonly source: Address;
  readonly body: Uint8Array;
  readonly metadata: string | undefined;
  readonly capabilities: readonly Capability[];
  /** Seconds the requester waits; undefined when no response is expected. */
  readonly timeoutS: number | undefined;
  /** Called before an answer that is given after the handler has returned. */
  readonly beforeAnswer: () => void;
}

/** How a handler's result becomes a response; what the contract says, or undefined outside of one. */
export type EncodeResult = ((value: unknown) => Uint8Array) | undefined;

/** The answer to a request whose handler has returned. */
export interface DeferredReply {
  /** Answers with the handler's result, as its contract says; without a contract with a text or bytes. */
  resolve(value?: unknown, options?: AnswerOptions): void;
  /** Answers with an error; a `Refusal` keeps its kind. */
  reject(error: unknown): void;
}

/** The reason of `Context.signal`. */
export class RequesterGone extends Error {
  override readonly name = 'RequesterGone';
}

export class Context {
  readonly source: Address;
  readonly body: Uint8Array;
  readonly metadata: string | undefined;
  readonly capabilities: readonly Capability[];
  readonly expectsResponse: boolean;
  readonly #host: Host;
  readonly #conversation: Conversation;
  readonly #prompt: Prompt;
  readonly #timeoutS: number | undefined;
  readonly #beforeAnswer: () => void;
  #signal: AbortSignal | undefined;
  #deferred = false;
  #encode: EncodeResult;
  #blob: { readonly value: LazyLoadBlob | undefined } | undefined;
  #answered = false;

  constructor(host: Host, conversation: Conversation, received: Received) {
    this.source = received.source;
    this.body = received.body;
    this.metadata = received.metadata;
    this.capabilities = received.capabilities;
    this.expectsResponse = received.timeoutS !== undefined;
    this.#timeoutS = received.timeoutS;
    this.#beforeAnswer = received.beforeAnswer;
    this.#host = host;
    this.#conversation = conversation;
    this.#prompt = conversation.open(received.timeoutS);
    if (!host.hasBlob()) this.#blob = { value: undefined };
  }

  /** Whether the sender is on this node. */
  get isLocal(): boolean {
    return this.source.node === this.#host.our().node;
  }

  /** Whether the sender belongs to this package, on this node. */
  get isOurPackage(): boolean {
    return this.isLocal && packageOf(this.source.process) === packageOf(this.#host.our().process);
  }

  get text(): string {
    return new TextDecoder().decode(this.body);
  }

  get answered(): boolean {
    return this.#answered;
  }

  /** Whether the answer is somebody else's business, see `deferReply`. */
  get deferred(): boolean {
    return this.#deferred;
  }

  /**
   * Aborted when the requester has certainly stopped waiting, so that work for nobody can end. Counted from the first use, by the kernel;
   * never for a request that wants no response.
   */
  get signal(): AbortSignal {
    if (this.#signal === undefined) {
      const gone = new AbortController();
      this.#signal = gone.signal;
      if (this.#timeoutS !== undefined) {
        this.#conversation.afterSeconds(this.#timeoutS, () =>
          gone.abort(new RequesterGone('the requester has stopped waiting')),
        );
      }
    }
    return this.#signal;
  }

  /** What the handler returns is no answer then; what is given to the result of this is. The state is saved before it leaves. */
  deferReply(): DeferredReply {
    this.#deferred = true;
    const answer = (body: Uint8Array | string, options?: AnswerOptions): void => {
      this.#beforeAnswer();
      this.reply(body, options);
    };
    return {
      // Proof of the type: without a contract a handler answers with text or bytes.
      resolve: (value, options) =>
        answer(this.#encode?.(value) ?? (value as string | Uint8Array), options),
      reject: (error) => answer(encodeError(errorBodyOf(error)), { metadata: ERROR_METADATA }),
    };
  }

  /** For the process loop: what the result of this request's method is encoded with. */
  encodeWith(encode: EncodeResult): void {
    this.#encode = encode;
  }

  /** The blob that came with the request. Copied into this process only when asked for, or when the handler waits. */
  blob(): LazyLoadBlob | undefined {
    // Not get-blob: a state call in between makes that forget (kernel.md §2.1).
    this.#blob ??= { value: this.#host.lastBlob() };
    return this.#blob.value;
  }

  /** Answers before the handler returns. @throws Error when the request has been answered. No-op when no response is expected. */
  reply(body: Uint8Array | string, options: AnswerOptions = {}): void {
    if (this.#answered) throw new Error('this request has been answered already');
    this.#answered = true;
    if (!this.expectsResponse) return;
    const response: Response = {
      inherit: false,
      body: typeof body === 'string' ? new TextEncoder().encode(body) : body,
      metadata: options.metadata,
      capabilities: options.capabilities ?? [],
    };
    this.#conversation.answer(this.#prompt, response, options.blob);
  }
}
