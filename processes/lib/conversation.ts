/**
 * Which request is which. The contract answers "the current message" implicitly (kernel.md §1.4-§1.7): a response goes to the
 * request that arrived last, and a response that comes in makes current again what was current when its request was sent. Handlers
 * that interleave would answer each other's requesters. So this file mirrors that register, answers a request only while it is
 * current, and sees to it that every unanswered request becomes current again.
 */
import { TIMER } from '../../wit/address.ts';
import type { Address, Capability, LazyLoadBlob, Request, Response, U64 } from '../../wit/types.ts';
import { noResponse } from './errors.ts';
import type { Delivery, Host } from './host.ts';
import { bytesOf } from './utf8.ts';

/** One received request that may be answered. */
export interface Prompt {
  answered: boolean;
  /** Given while another request was current; sent when this one is again. */
  waiting: { readonly response: Response; readonly blob: LazyLoadBlob | undefined } | undefined;
  /** Requests sent while this was current whose end will make it current again. */
  outstanding: number;
  /** Milliseconds that its requester may still be waiting, at most, of those that were counted. */
  msLeft: number;
  /** Until it is made current again, see `keepReachable`. */
  nextMs: number;
  /** The timer that is to make it current again: the number of its request; 0 for none. */
  anchor: number;
}

export interface Reply {
  readonly source: Address;
  readonly body: Uint8Array;
  readonly metadata: string | undefined;
  readonly capabilities: readonly Capability[];
  readonly blob: LazyLoadBlob | undefined;
}

export interface RequestOptions {
  /** Seconds until the request fails with `NoResponse`; fractions are rounded up. Default 5. */
  readonly timeoutS?: number | undefined;
  readonly metadata?: string;
  readonly capabilities?: readonly Capability[];
  readonly blob?: LazyLoadBlob | undefined;
  /** Ends the wait with the signal's reason; a response that comes later is dropped. Without effect while a request blocks. */
  readonly signal?: AbortSignal | undefined;
  /** May last much longer than the answer to whatever is being handled may take, such as a long sleep. */
  readonly background?: boolean;
}

export interface SendOptions extends Omit<RequestOptions, 'timeoutS' | 'signal' | 'background'> {
  /** Hands the current request on: its blob goes along, and the target's response goes to its requester, not to us. */
  readonly forward?: boolean;
}

export interface ConversationOptions {
  /** Requests block the whole process until their response is there; what arrives meanwhile waits in the kernel. */
  readonly blocking: boolean;
  /** Called before anything that may replace the blob received last. */
  readonly beforeWait: () => void;
}

interface Pending {
  readonly prompt: Prompt | undefined;
  /** Whether its end is what the prompt waits for; not so where the wait may be given up, or lasts longer than an answer may take. */
  readonly counts: boolean;
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: unknown) => void;
}

export const DEFAULT_TIMEOUT_S = 5;
/**
 * How often a request that waits for something other than a response is made current again. Its answer rings the timer, so it leaves at
 * once. A timer of another make may not know what ringing is; until one has been seen to, timers take so long first, then each time
 * half as long again, below a second, and an answer is late by half of what its request waited anyway, at worst.
 */
const ANCHOR_MS_MIN = 4;
const ANCHOR_MS_MAX = 999;
const ANCHOR_GROWTH = 1.5;
const ANCHOR_BODY = '"lib:anchor"';

export class Conversation {
  readonly #host: Host;
  /** By the number in its context. What was given up stays until its end, which changes what is current. */
  readonly #pending = new Map<number, Pending>();
  readonly #options: ConversationOptions;
  #current: Prompt | undefined;
  #lastId = 0;
  /** Whether the timer is known to let itself be rung. */
  #rings = false;
  #timerAddress: Address | undefined;

  constructor(host: Host, options: ConversationOptions) {
    this.#host = host;
    this.#options = options;
  }

  /** Sends a request and resolves with its response; rejects with `NoResponse`. */
  request(target: Address, body: Uint8Array, options: RequestOptions = {}): Promise<Reply> {
    if (options.signal?.aborted === true) return Promise.reject(options.signal.reason);
    if (this.#options.blocking) return this.#ask(target, body, options);
    return this.start(target, body, options);
  }

  /** As `request`, never blocking. */
  start(target: Address, body: Uint8Array, options: RequestOptions): Promise<Reply> {
    const { signal } = options;
    const prompt = this.#current;
    return new Promise((resolve, reject) => {
      if (signal === undefined) {
        const counts = options.background !== true;
        this.#send(target, body, options, { prompt, counts, resolve, reject });
        return;
      }
      const onAbort = (): void => reject(signal.reason);
      const ended = (): void => signal.removeEventListener('abort', onAbort);
      signal.addEventListener('abort', onAbort);
      this.#send(target, body, options, {
        prompt,
        counts: false,
        resolve: (reply) => (ended(), resolve(reply)),
        reject: (reason) => (ended(), reject(reason)),
      });
    });
  }

  /** Calls `work` in `seconds`, as the kernel counts them: when a request to ourselves has timed out. */
  afterSeconds(seconds: number, work: () => void): void {
    this.#anchor(this.#current, { seconds, counts: false, work });
  }

  /** Sends a request that wants no response. */
  send(target: Address, body: Uint8Array, options: SendOptions = {}): void {
    const request = { ...requestOf(body, options, undefined), inherit: options.forward === true };
    this.#host.sendRequest({ target, request, context: undefined, blob: options.blob });
  }

  /** A request has arrived, whose sender waits so long; it is the current one from now on. */
  open(timeoutS: U64 | undefined): Prompt {
    const expectsResponse = timeoutS !== undefined;
    const prompt: Prompt = {
      answered: !expectsResponse,
      waiting: undefined,
      outstanding: 0,
      msLeft: Number(timeoutS ?? 0) * 1_000,
      nextMs: this.#rings ? ANCHOR_MS_MAX : ANCHOR_MS_MIN,
      anchor: 0,
    };
    // A request that wants no response may still be answerable (its sender handed it on), so what is current is unknown after it.
    this.#current = expectsResponse ? prompt : undefined;
    return prompt;
  }

  /** Answers now if the request is current, else as soon as it is. A second answer is an error. */
  answer(prompt: Prompt, response: Response, blob: LazyLoadBlob | undefined): void {
    if (prompt.answered || prompt.waiting !== undefined) {
      throw new Error('this request has been answered already');
    }
    if (prompt === this.#current) {
      prompt.answered = true;
      this.#host.sendResponse(response, blob);
      return;
    }
    prompt.waiting = { response, blob };
    if (prompt.anchor !== 0) {
      const body = bytesOf(`{"Ring":"${labelOf(prompt.anchor)}"}`);
      this.send(this.#timer(), body);
      prompt.anchor = 0;
    }
  }

  /** The end of a request of ours. False when it is none that this conversation sent. */
  settle(delivery: Delivery): boolean {
    const context = contextOf(delivery);
    const id = idIn(context);
    const pending = id === undefined ? undefined : this.#pending.get(id);
    if (id === undefined || pending === undefined) {
      this.#current = undefined; // Something of the application's own; what is current now is not ours to know.
      return false;
    }
    this.#pending.delete(id);
    this.#current = pending.prompt;
    if (pending.prompt !== undefined && pending.counts) pending.prompt.outstanding -= 1;
    this.#flush();
    if (delivery.kind === 'send-error') {
      pending.reject(noResponse(delivery.error));
    } else if (delivery.message.kind === 'response') {
      const { response } = delivery.message;
      pending.resolve({
        source: delivery.source,
        body: response.body,
        metadata: response.metadata,
        capabilities: response.capabilities,
        blob: this.#receivedBlob(),
      });
    }
    return true;
  }

  /**
   * Called when handlers have run as far as they can: if the current request is unanswered and nothing of its own is under way,
   * nothing would ever make it current again. A timer does, also one that does not answer, by its time-out. Not for longer than the
   * requester waits, or a request that is never answered would keep the process awake for ever.
   */
  keepReachable(): void {
    const prompt = this.#current;
    if (prompt === undefined || prompt.answered || prompt.outstanding > 0) return;
    if (prompt.msLeft <= 0) return;
    const ms = Math.ceil(prompt.nextMs);
    prompt.nextMs = Math.min(ANCHOR_MS_MAX, prompt.nextMs * ANCHOR_GROWTH);
    prompt.msLeft -= ms;
    // Who may not ask the timer has the kernel's shortest time-out instead.
    const unheard = (): void => {
      prompt.anchor = 0;
      prompt.msLeft -= 1_000 - ms;
      prompt.nextMs = ANCHOR_MS_MAX;
    };
    const heard = (reply: Reply): void => {
      prompt.anchor = 0;
      if (reply.body.length > 0) this.#rings = true;
    };
    const anchor = this.#lastId + 1;
    prompt.anchor = anchor;
    const options = { timeoutS: 1, metadata: labelOf(anchor) };
    const pending = { prompt, counts: true, resolve: heard, reject: unheard };
    this.#send(this.#timer(), bytesOf(`{"SetTimer":${ms}}`), options, pending);
  }

  #timer(): Address {
    return (this.#timerAddress ??= { node: this.#host.our().node, process: TIMER });
  }

  /** Whether this is what `afterSeconds` sent. It takes the place of the current request, as any request does. */
  takeAnchor(delivery: Delivery): boolean {
    const isAnchor =
      delivery.kind === 'message' &&
      delivery.message.kind === 'request' &&
      delivery.message.request.metadata === ANCHOR_METADATA &&
      delivery.source.process === this.#host.our().process;
    if (isAnchor) this.#current = undefined;
    return isAnchor;
  }

  /** A request to ourselves that nobody answers: its timeout makes `prompt` current again, and calls `work`. */
  #anchor(
    prompt: Prompt | undefined,
    end: { readonly seconds: number; readonly counts: boolean; readonly work: () => void },
  ): void {
    const { seconds: timeoutS, counts, work } = end;
    const options = { timeoutS, metadata: ANCHOR_METADATA };
    const pending = { prompt, counts, resolve: work, reject: work };
    this.#send(this.#host.our(), bytesOf(ANCHOR_BODY), options, pending);
  }

  #flush(): void {
    const prompt = this.#current;
    if (prompt?.waiting === undefined) return;
    const { response, blob } = prompt.waiting;
    prompt.waiting = undefined;
    prompt.answered = true;
    this.#host.sendResponse(response, blob);
  }

  #send(target: Address, body: Uint8Array, options: RequestOptions, pending: Pending): void {
    const id = ++this.#lastId;
    this.#pending.set(id, pending);
    if (pending.prompt !== undefined && pending.counts) pending.prompt.outstanding += 1;
    // Never `inherit`: it would give this request the id of the current one, and two of them would be told apart no more.
    this.#host.sendRequest({
      target,
      request: requestOf(body, options, timeoutOf(options)),
      context: contextFor(id),
      blob: options.blob,
    });
  }

  #ask(target: Address, body: Uint8Array, options: RequestOptions): Promise<Reply> {
    this.#options.beforeWait();
    const request = requestOf(body, options, timeoutOf(options));
    const result = this.#host.sendAndAwaitResponse(target, request, options.blob);
    if (!result.ok) return Promise.reject(noResponse(result.error));
    const { source, message } = result.value;
    if (message.kind !== 'response') return Promise.reject(new Error('not a response'));
    const { body: answer, metadata, capabilities } = message.response;
    return Promise.resolve({
      source,
      body: answer,
      metadata,
      capabilities,
      blob: this.#receivedBlob(),
    });
  }

  #receivedBlob(): LazyLoadBlob | undefined {
    return this.#host.hasBlob() ? this.#host.getBlob() : undefined;
  }
}

/** What the timer of an anchor is rung by. */
function labelOf(anchor: number): string {
  return `lib:${anchor}`;
}

const ANCHOR_METADATA = '{"lib":"anchor"}';

function timeoutOf(options: RequestOptions): number {
  return Math.max(1, Math.ceil(options.timeoutS ?? DEFAULT_TIMEOUT_S));
}

function requestOf(
  body: Uint8Array,
  options: SendOptions,
  expectsResponse: number | undefined,
): Request {
  const { metadata, capabilities = [] } = options;
  return { inherit: false, expectsResponse, body, metadata, capabilities };
}

/** What begins the contexts of this library: nobody else's by accident. */
const MARK = 0x6c69623a;
const CONTEXT_BYTES = 12;
/** Contexts are written and read here: a view costs a guest as much as ten numbers. */
const scratch = new DataView(new ArrayBuffer(CONTEXT_BYTES));
const scratchBytes = new Uint8Array(scratch.buffer);

/** Bytes, not text: turning text into bytes and back costs an eighth of a request in a guest. */
function contextFor(id: number): Uint8Array {
  scratch.setUint32(0, MARK);
  scratch.setFloat64(4, id);
  return scratchBytes.slice();
}

function idIn(context: Uint8Array | undefined): number | undefined {
  if (context?.length !== CONTEXT_BYTES) return undefined;
  scratchBytes.set(context);
  return scratch.getUint32(0) === MARK ? scratch.getFloat64(4) : undefined;
}

function contextOf(delivery: Delivery): Uint8Array | undefined {
  if (delivery.kind === 'send-error') return delivery.context;
  return delivery.message.kind === 'response' ? delivery.message.context : undefined;
}
