/**
 * TypeScript twins of the records of `hyperware:process/standard@1.0.0`, in WIT order (kernel.md §1.13), and the kernel message
 * that carries them (kernel.md §1.3). Values here are immutable once built; byte arrays belong to whoever holds the record and
 * must not be written to.
 */

/** An unsigned 64-bit integer: a number up to 2^53-1, a bigint only above. Always normalised, so that === and Map keys work. */
export type U64 = number | bigint;

/** A node's name on chain, such as `alice.os`. */
export type NodeId = string;

/** `process:package:publisher`, the three parts joined. Made by `wit/address.ts`. */
export type ProcessId = string & { readonly brand: 'ProcessId' };

/** `package:publisher`. */
export type PackageId = string & { readonly brand: 'PackageId' };

export interface Address {
  readonly node: NodeId;
  readonly process: ProcessId;
}

export interface LazyLoadBlob {
  readonly mime: string | undefined;
  readonly bytes: Uint8Array;
}

/** A right at `issuer`, described by JSON text (kernel.md §3.1). */
export interface Capability {
  readonly issuer: Address;
  readonly params: string;
}

export interface Request {
  readonly inherit: boolean;
  /** Whole seconds; undefined when no response is expected. */
  readonly expectsResponse: U64 | undefined;
  readonly body: Uint8Array;
  readonly metadata: string | undefined;
  readonly capabilities: readonly Capability[];
}

export interface Response {
  readonly inherit: boolean;
  readonly body: Uint8Array;
  readonly metadata: string | undefined;
  readonly capabilities: readonly Capability[];
}

/** `context` is what the requester stored with the request this answers; it never leaves its node. */
export type Message =
  | { readonly kind: 'request'; readonly request: Request }
  | {
      readonly kind: 'response';
      readonly response: Response;
      readonly context: Uint8Array | undefined;
    };

/** The four arguments of `send-request`. */
export interface OutgoingRequest {
  readonly target: Address;
  readonly request: Request;
  readonly context: Uint8Array | undefined;
  readonly blob: LazyLoadBlob | undefined;
}

export type OnExit =
  | { readonly kind: 'none' }
  | { readonly kind: 'restart' }
  | {
      readonly kind: 'requests';
      readonly requests: readonly {
        readonly target: Address;
        readonly request: Request;
        readonly blob: LazyLoadBlob | undefined;
      }[];
    };

export type SendErrorKind = 'offline' | 'timeout';

/** What a requester gets instead of a response (kernel.md §1.9). */
export interface SendError {
  readonly kind: SendErrorKind;
  readonly target: Address;
  readonly message: Message;
  readonly blob: LazyLoadBlob | undefined;
}

export type SpawnError = 'name-taken' | 'no-file-at-path';

export interface SpawnOptions {
  readonly name: string | undefined;
  readonly wasmPath: string;
  readonly onExit: OnExit;
  readonly requestCapabilities: readonly Capability[];
  readonly grantCapabilities: readonly { readonly process: ProcessId; readonly params: string }[];
  readonly public: boolean;
}

/** The unit the kernel routes and that nodes exchange (kernel.md §1.3). */
export interface KernelMessage {
  readonly id: U64;
  readonly source: Address;
  readonly target: Address;
  /** Where a response must go when that is not the source. */
  readonly rsvp: Address | undefined;
  readonly message: Message;
  readonly blob: LazyLoadBlob | undefined;
  /** One per attached capability, in order; present only on messages that came from another node (kernel.md §3.6). */
  readonly signatures?: readonly Uint8Array[];
}

/** Success or an expected refusal, as a value. */
export type Result<T, E> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: E };
