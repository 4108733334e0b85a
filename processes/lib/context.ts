/** One received request, as its handler sees it: nothing refers to a hidden current message (kit.md §10.1). */
import type { Address, Capability, LazyLoadBlob, Request, Response } from '../../wit/types.ts';
import { packageOf } from '../../wit/address.ts';
import type { Conversation, Prompt } from './conversation.ts';
import { type Call, encodeError, ERROR_METADATA } from './contract.ts';
import { errorBodyOf } from './errors.ts';
import type { Host } from './host.ts';
import { bytesOf, textOf } from './utf8.ts';

export interface AnswerOptions {
  readonly blob?: LazyLoadBlob;
  readonly metadata?: string;
  readonly capabilities?: readonly Capability[];
}

/** What all requests of a process have in common. */
export interface Desk {
  readonly host: Host;
  readonly conversation: Conversation;
  /** Called before an answer that is given after the handler has returned. */
  readonly beforeAnswer: () => void;
  /** A handler's result as a response: what the contract says. */
  readonly encode: (call: Call, value: unknown) => Uint8Array;
}

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

/** Few fields: each costs as much as three calls, and every request makes one of these. */
export class Context {
  readonly source: Address;
  readonly #request: Request;
  readonly #desk: Desk;
  readonly #prompt: Prompt;
  #blob: LazyLoadBlob | undefined | typeof UNREAD;
  #answered = false;
  #deferred = false;
  #call: Call | undefined;
  #signal: AbortSignal | undefined;

  constructor(desk: Desk, source: Address, request: Request) {
    this.source = source;
    this.#request = request;
    this.#desk = desk;
    this.#prompt = desk.conversation.open(request.expectsResponse);
    this.#blob = desk.host.hasBlob() ? UNREAD : undefined;
  }

  get body(): Uint8Array {
    return this.#request.body;
  }

  get metadata(): string | undefined {
    return this.#request.metadata;
  }

  get capabilities(): readonly Capability[] {
    return this.#request.capabilities;
  }

  get expectsResponse(): boolean {
    return this.#request.expectsResponse !== undefined;
  }

  /** Whether the sender is on this node. */
  get isLocal(): boolean {
    return this.source.node === this.#desk.host.our().node;
  }

  /** Whether the sender belongs to this package, on this node. */
  get isOurPackage(): boolean {
    const our = this.#desk.host.our();
    return this.isLocal && packageOf(this.source.process) === packageOf(our.process);
  }

  get text(): string {
    return textOf(this.body);
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
    if (this.#signal !== undefined) return this.#signal;
    const gone = new AbortController();
    this.#signal = gone.signal;
    const { expectsResponse } = this.#request;
    if (expectsResponse !== undefined) {
      this.#desk.conversation.afterSeconds(Number(expectsResponse), () =>
        gone.abort(new RequesterGone('the requester has stopped waiting')),
      );
    }
    return gone.signal;
  }

  /** What the handler returns is no answer then; what is given to the result of this is. The state is saved before it leaves. */
  deferReply(): DeferredReply {
    this.#deferred = true;
    const call = this.#call;
    const answer = (body: Uint8Array | string, options?: AnswerOptions): void => {
      this.#desk.beforeAnswer();
      this.reply(body, options);
    };
    return {
      resolve: (value, options) =>
        answer(
          // Proof of the type: without a contract a handler answers with text or bytes.
          call === undefined ? (value as string | Uint8Array) : this.#desk.encode(call, value),
          options,
        ),
      reject: (error) => answer(encodeError(errorBodyOf(error)), { metadata: ERROR_METADATA }),
    };
  }

  /** For the process loop: which method of the contract it asks for. */
  calledAs(call: Call): void {
    this.#call = call;
  }

  /** The blob that came with the request. Copied into this process only when asked for, or when the handler waits. */
  blob(): LazyLoadBlob | undefined {
    // Not get-blob: a state call in between makes that forget (kernel.md §2.1).
    if (this.#blob === UNREAD) this.#blob = this.#desk.host.lastBlob();
    return this.#blob;
  }

  /** For the process loop: whether it has a blob that is still with the host. */
  get hasUnreadBlob(): boolean {
    return this.#blob === UNREAD;
  }

  /** Answers before the handler returns. @throws Error when the request has been answered. No-op when no response is expected. */
  reply(body: Uint8Array | string, options: AnswerOptions = NO_OPTIONS): void {
    if (this.#answered) throw new Error('this request has been answered already');
    this.#answered = true;
    if (!this.expectsResponse) return;
    const response: Response = {
      inherit: false,
      body: bytesOf(body),
      metadata: options.metadata,
      capabilities: options.capabilities ?? NO_CAPABILITIES,
    };
    this.#desk.conversation.answer(this.#prompt, response, options.blob);
  }
}

/** In the place of a blob that the host still has. */
const UNREAD = Symbol('unread');
const NO_OPTIONS: AnswerOptions = {};
const NO_CAPABILITIES: readonly Capability[] = [];
