/**
 * All that runtime modules ever see of the kernel (style guide §3). A module decodes synchronously (body and authority), then works
 * asynchronously, and returns its answer; the kernel fills in id, target and metadata.
 */
import type {
  Address,
  Capability,
  KernelMessage,
  LazyLoadBlob,
  ProcessId,
  Result,
  SendError,
  U64,
} from '../wit/types.ts';
import type { MaybePromise } from './process-host.ts';

/** What a module returns before it becomes a response. */
export interface Answer {
  readonly body: Uint8Array;
  readonly blob?: LazyLoadBlob | undefined;
  /**
   * When it is sent and where to; the columns of runtime-modules.md §1.2. Default 'if-wanted'.
   * 'if-wanted': when rsvp or expects-response is set, to rsvp else source, echoing metadata.
   * 'if-expected': only when expects-response is set, no metadata.
   * 'always': to rsvp else source, no metadata. 'always-to-source': ignores rsvp.
   */
  readonly send?: 'if-wanted' | 'if-expected' | 'always' | 'always-to-source';
  /** False: do not echo the request's metadata. Default: true for 'if-wanted', false otherwise. */
  readonly echoMetadata?: boolean;
}

/** What the kernel can say about the process that asks. Looked up once, synchronously. */
export interface Caller {
  /** Whether the source process holds a capability equal to this one (issuer and JSON value). */
  holds(capability: Capability): boolean;
  /** What the source process holds of one issuer's capabilities, messaging included. */
  heldFrom(issuer: Address): readonly Capability[];
  /** Whether the kernel knows this process. */
  readonly exists: boolean;
}

/** Whether a process that has ended comes back by its on-exit (`restarting`) or not, being over or killed (`ended`). */
export type ProcessEnding = 'ended' | 'restarting';

/**
 * Why a request of a module failed before anybody answered: nobody of that name runs, its mailbox is full, the module may not message
 * it, the other node did not take it, or it is more than that node takes at a time.
 */
export type SendFailure = 'gone' | 'full' | 'not-permitted' | 'unreachable' | 'too-large';

export interface ModuleRequest {
  /** The message's id; what answers it outside the module, such as an extension, needs it. */
  readonly id: U64;
  readonly source: Address;
  /** True when the source is a process of this node. */
  readonly local: boolean;
  readonly rsvp: Address | undefined;
  readonly body: Uint8Array;
  readonly blob: LazyLoadBlob | undefined;
  readonly metadata: string | undefined;
  readonly expectsResponse: boolean;
  /** Whole seconds the requester waits for the response, then it gets a timeout; undefined when it expects none. */
  readonly timeoutS: number | undefined;
  readonly capabilities: readonly Capability[];
  readonly caller: Caller;
}

export interface RuntimeModule<Work = unknown> extends AsyncDisposable {
  /** 'vfs' answers as `vfs:distro:sys`. */
  readonly name: string;
  /** Whether any local process may send to it without a capability; only timer is. */
  readonly public: boolean;
  /**
   * Checks body and authority; no I/O, no await. A refusal is the answer to give, or undefined to stay silent.
   * Must not throw on any input.
   */
  decode(request: ModuleRequest): Result<Work, Answer | undefined>;
  /** Work with equal keys runs one after another; undefined runs at once. Default: the source process. */
  orderKey?(work: Work): string | undefined;
  /**
   * Whether this capability of its own narrows what its holder may do. A process cannot drop one that does, and what it spawns holds
   * it too; otherwise it would be rid of its limits at will. Must not throw.
   */
  limits?(capability: Capability): boolean;
  /**
   * Does the work. `signal` aborts when the requester is killed or the node shuts down. A throw is a bug: logged, and not answered.
   * What needs no waiting is best answered without a promise.
   */
  handle(work: Work, signal: AbortSignal): MaybePromise<Answer | undefined>;
  /**
   * A local process has ended, by itself or killed. Frees what the module keeps for it; `restarting`: another instance of it will
   * come, unless an `ended` follows. Must not throw.
   */
  onProcessGone?(process: ProcessId, ending: ProcessEnding): void;
  /** A response to a request this module sent through its port. */
  onResponse?(message: KernelMessage): void;
  /**
   * A request this module sent failed, under the id `send` returned for it. Never called from within that `send`. Only what keeps a
   * request from its receiver is told: the time that an answer may take is the module's own to keep.
   */
  onSendError?(error: SendError, id: KernelMessage['id'], why: SendFailure): void;
}

/**
 * What became of a request that was offered to a process. 'full': its mailbox had no room for as long as senders wait. 'refused': it
 * may not be sent there, or there is nobody.
 */
export type Offered = 'taken' | 'full' | 'refused';

/** For modules that start conversations or change authority; handed to them at construction. */
export interface KernelPort {
  readonly our: Address;
  /** Sends a request or response as this module. Returns the id. */
  send(
    message: Omit<KernelMessage, 'source' | 'id'> & { readonly id?: KernelMessage['id'] },
  ): KernelMessage['id'];
  /**
   * As `send`, for a module that can hold back what it sends: waits for room in a full mailbox, as a process would. A promise only
   * then; nothing else should be sent to that process until it resolves.
   */
  offer(
    message: Omit<KernelMessage, 'source' | 'id'> & { readonly id?: KernelMessage['id'] },
  ): Offered | Promise<Offered>;
  /** Adds capabilities to a process's store; resolves when they are persisted. False: no such process. */
  grant(process: ProcessId, capabilities: readonly Capability[]): Promise<boolean>;
  /** One printout (kernel.md §8.3), as this module. */
  print(verbosity: number, text: string): void;
}
