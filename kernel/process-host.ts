/**
 * The one internal host interface of all WIT generations: what a running guest can ask of its process (kernel.md §2).
 * Bindings (kernel/hart) lift arguments out of guest memory, call this, and lower the result. They know nothing else of the kernel.
 */
import type {
  Address,
  Capability,
  LazyLoadBlob,
  Message,
  OnExit,
  OutgoingRequest,
  ProcessId,
  Request,
  Response,
  Result,
  SendError,
  SpawnError,
  SpawnOptions,
} from '../wit/types.ts';

/** A value now, or later. Bindings suspend the guest only for the latter. */
export type MaybePromise<T> = T | Promise<T>;

/** What `receive` yields, and `send-and-await-response`: there a response or a send error, without a context. */
export type Delivery =
  | { readonly kind: 'message'; readonly source: Address; readonly message: Message }
  | {
      readonly kind: 'send-error';
      readonly error: SendError;
      readonly context: Uint8Array | undefined;
    };

/** A guest's own fault, or a host function's refusal that must end it. Caught only by the hart; ends that process. */
export class Trap extends Error {
  override readonly name = 'Trap';
}

/**
 * The 19 host functions. Any of them may throw (or reject with) a `Trap`.
 *
 * `receive` and `sendAndAwaitResponse` are the hot path and avoid a promise: they return their result when it is there already;
 * otherwise they return undefined and call `wake` exactly once later. That call may come from inside another guest's host call, so
 * a `wake` only queues its guest for the hart's run queue. Only one of the two can be pending at a time, because a process is
 * single-threaded. The wake of `sendAndAwaitResponse` gets a `Trap` when the await itself must end the guest (K44).
 */
export interface ProcessHost {
  /** Before `init`, for guests of kinode:process@0.7.0 and 0.8.0: a message without a blob clears the blob register (kernel.md §9). */
  clearsBlobWithoutOne(): void;
  printToTerminal(verbosity: number, text: string): MaybePromise<void>;
  our(): Address;
  getOnExit(): OnExit;
  setOnExit(onExit: OnExit): MaybePromise<void>;
  getState(): MaybePromise<Uint8Array | undefined>;
  setState(bytes: Uint8Array): MaybePromise<void>;
  clearState(): MaybePromise<void>;
  spawn(options: SpawnOptions): MaybePromise<Result<ProcessId, SpawnError>>;
  saveCapabilities(capabilities: readonly Capability[]): MaybePromise<void>;
  dropCapabilities(capabilities: readonly Capability[]): MaybePromise<void>;
  ourCapabilities(): MaybePromise<readonly Capability[]>;
  receive(wake: (delivery: Delivery) => void): Delivery | undefined;
  hasBlob(): boolean;
  getBlob(): LazyLoadBlob | undefined;
  lastBlob(): LazyLoadBlob | undefined;
  sendRequest(request: OutgoingRequest): MaybePromise<void>;
  sendRequests(requests: readonly OutgoingRequest[]): MaybePromise<void>;
  sendResponse(response: Response, blob: LazyLoadBlob | undefined): MaybePromise<void>;
  sendAndAwaitResponse(
    target: Address,
    request: Request,
    blob: LazyLoadBlob | undefined,
    wake: (awaited: Delivery | Trap) => void,
  ): Delivery | undefined;
}
