/** One received request, as its handler sees it: nothing refers to a hidden current message (kit.md §10.1). */
import type { Address, Capability, LazyLoadBlob, Response } from '../../wit/types.ts';
import { packageOf } from '../../wit/address.ts';
import type { Conversation, Prompt } from './conversation.ts';
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
  readonly expectsResponse: boolean;
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
  #blob: { readonly value: LazyLoadBlob | undefined } | undefined;
  #answered = false;

  constructor(host: Host, conversation: Conversation, received: Received) {
    this.source = received.source;
    this.body = received.body;
    this.metadata = received.metadata;
    this.capabilities = received.capabilities;
    this.expectsResponse = received.expectsResponse;
    this.#host = host;
    this.#conversation = conversation;
    this.#prompt = conversation.open(received.expectsResponse);
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
