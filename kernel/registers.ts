/**
 * The per-process registers and what sending and receiving do to them (kernel.md §1.4 - §1.8). Nothing here does I/O, knows the
 * clock or routes: it turns the guest's words into kernel messages and kernel messages into what the guest sees.
 */
import type {
  Address,
  KernelMessage,
  LazyLoadBlob,
  Request,
  Response,
  SendError,
  SendErrorKind,
  U64,
} from '../wit/types.ts';
import { Contexts } from './contexts.ts';
import { hold, letGo } from './held-blob.ts';
import type { Delivery } from './process-host.ts';
import type { TimerEntry } from './timer-wheel.ts';

/** What a response needs of the message it would answer. Bodies and blobs are not kept alive by it. */
export interface Prompt {
  readonly id: U64;
  readonly source: Address;
  readonly rsvp: Address | undefined;
}

/** A request whose response is awaited: the entry of `contexts`, its timer, and later the reply itself. */
export class Outstanding implements TimerEntry {
  nextDue: TimerEntry | undefined = undefined;
  previousDue: TimerEntry | undefined = undefined;
  readonly request: KernelMessage;
  /** As the guest passed it: it may still say `our` (K15). */
  readonly target: Address;
  readonly context: Uint8Array | undefined;
  readonly prompt: Prompt | undefined;
  /** What it counts for in `openBytes`. */
  readonly bytes: number;
  /** Exactly one of these two is set when the entry has been settled (H16). */
  reply: KernelMessage | undefined = undefined;
  error: SendError | undefined = undefined;
  readonly #owner: { expired(entry: Outstanding): void };

  constructor(
    request: KernelMessage,
    asked: {
      readonly target: Address;
      readonly context: Uint8Array | undefined;
      readonly bytes: number;
    },
    prompt: Prompt | undefined,
    owner: { expired(entry: Outstanding): void },
  ) {
    this.request = request;
    this.target = asked.target;
    this.context = asked.context;
    this.bytes = asked.bytes;
    this.prompt = prompt;
    this.#owner = owner;
  }

  expire(): void {
    this.#owner.expired(this);
  }
}

/** An accepted item: a request, or an outstanding entry that has been settled. */
export type Accepted = KernelMessage | Outstanding;

export class Registers {
  prompt: Prompt | undefined = undefined;
  lastBlob: LazyLoadBlob | undefined = undefined;
  blobFlag = false;
  /** Outstanding requests by id. An entry leaves it when it is settled, not when it is delivered. */
  readonly contexts = new Contexts();
  /** Requests sent and not yet ended for the guest: outstanding ones, and settled ones it has not received. Their number and bytes. */
  open = 0;
  openBytes = 0;
  /** Generations before 1.0.0: a message without a blob clears the blob register (kernel.md §9). */
  clearsBlob = false;

  /** The message of a request (kernel.md §1.5). `self` is the sender, `freshId` an id that no outstanding request has. */
  request(
    self: Address,
    freshId: U64,
    target: Address,
    request: Request,
    blob: LazyLoadBlob | undefined,
  ): KernelMessage {
    const { prompt } = this;
    const inherits = request.inherit;
    return {
      id: inherits && prompt !== undefined ? prompt.id : freshId,
      source: self,
      target,
      rsvp: request.expectsResponse !== undefined ? self : inherits ? prompt?.rsvp : undefined,
      message: { kind: 'request', request },
      // Not the current message's blob: an older one is attached when the current message had none (K24).
      blob: blob ?? (inherits ? this.lastBlob : undefined),
    };
  }

  /** The message of a response; undefined when nothing was asked (K18). An inherited blob wins over the explicit one (K26). */
  response(
    self: Address,
    response: Response,
    blob: LazyLoadBlob | undefined,
  ): KernelMessage | undefined {
    const { prompt } = this;
    if (prompt === undefined) return undefined;
    return {
      id: prompt.id,
      source: self,
      target: prompt.rsvp ?? prompt.source,
      rsvp: undefined,
      message: { kind: 'response', response, context: undefined },
      blob: response.inherit ? this.lastBlob : blob,
    };
  }

  /**
   * Applies the register effects of handing `item` to the guest and returns what the guest sees (kernel.md §1.7). The register takes
   * over the hold that it has on its blob (held-blob.ts).
   */
  deliver(item: Accepted): Delivery {
    if (!(item instanceof Outstanding)) {
      this.#takeBlob(item.blob);
      const { message } = item;
      if (
        message.kind === 'request' &&
        (message.request.expectsResponse !== undefined || item.rsvp !== undefined)
      ) {
        this.prompt = { id: item.id, source: item.source, rsvp: item.rsvp };
      }
      return { kind: 'message', source: item.source, message };
    }
    this.close(item);
    this.prompt = item.prompt;
    const { reply, error, context } = item;
    if (reply === undefined) {
      this.blobFlag = false;
      // An outstanding item without a reply was settled by an error: `settle` sets one of the two.
      return { kind: 'send-error', error: error as SendError, context };
    }
    this.#takeBlob(reply.blob);
    const message =
      context !== undefined && reply.message.kind === 'response'
        ? { kind: 'response' as const, response: reply.message.response, context }
        : reply.message;
    return { kind: 'message', source: reply.source, message };
  }

  /** Enters an outstanding request; one under the same id is replaced and returned. */
  expect(entry: Outstanding): Outstanding | undefined {
    const { id } = entry.request;
    const replaced = this.contexts.get(id);
    if (replaced !== undefined) this.close(replaced);
    this.contexts.add(entry);
    hold(entry.request.blob);
    this.open++;
    this.openBytes += entry.bytes;
    return replaced;
  }

  /** The guest has got the outcome of this request, or never will. */
  close(entry: Outstanding): void {
    this.open--;
    this.openBytes -= entry.bytes;
  }

  /** Takes the outstanding request of that id out of `contexts`, answered; undefined when there is none (K9). */
  settleReply(reply: KernelMessage): Outstanding | undefined {
    const entry = this.contexts.get(reply.id);
    if (entry === undefined) return undefined;
    this.contexts.delete(reply.id);
    entry.reply = reply;
    hold(reply.blob);
    // No send error brings it back any more.
    letGo(entry.request.blob);
    return entry;
  }

  /** Takes `entry` out of `contexts`, failed. A refusal takes the place of the request's metadata in what its requester gets back (F24). */
  settleError(entry: Outstanding, kind: SendErrorKind, target: Address, refusal?: string): void {
    if (this.contexts.get(entry.request.id) === entry) this.contexts.delete(entry.request.id);
    const { message, blob } = entry.request;
    const told =
      refusal === undefined || message.kind !== 'request'
        ? message
        : { kind: message.kind, request: { ...message.request, metadata: refusal } };
    entry.error = { kind, target, message: told, blob };
  }

  #takeBlob(blob: LazyLoadBlob | undefined): void {
    this.blobFlag = blob !== undefined;
    if (blob === undefined && !this.clearsBlob) return;
    const last = this.lastBlob;
    this.lastBlob = blob;
    letGo(last);
  }
}
