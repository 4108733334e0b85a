/**
 * What the library needs of its surroundings: the 19 host functions in the terms of wit/types.ts, blocking as they are for a guest.
 * In a component it is `wit-host.ts`; in tests `testing/memory-host.ts`. Applications use it through the rest of the library only.
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
} from '../../wit/types.ts';

/** What `receive` yields. `context` is what was stored with the request that failed. */
export type Delivery =
  | { readonly kind: 'message'; readonly source: Address; readonly message: Message }
  | {
      readonly kind: 'send-error';
      readonly error: SendError;
      readonly context: Uint8Array | undefined;
    };

export interface Host {
  our(): Address;
  print(verbosity: number, text: string): void;
  getOnExit(): OnExit;
  setOnExit(onExit: OnExit): void;
  getState(): Uint8Array | undefined;
  setState(bytes: Uint8Array): void;
  clearState(): void;
  spawn(options: SpawnOptions): Result<ProcessId, SpawnError>;
  saveCapabilities(capabilities: readonly Capability[]): void;
  dropCapabilities(capabilities: readonly Capability[]): void;
  ourCapabilities(): readonly Capability[];
  /** Blocks. Undefined only in tests, when nothing more will come: the loop then returns. */
  receive(): Delivery | undefined;
  hasBlob(): boolean;
  getBlob(): LazyLoadBlob | undefined;
  lastBlob(): LazyLoadBlob | undefined;
  sendRequest(request: OutgoingRequest): void;
  sendRequests(requests: readonly OutgoingRequest[]): void;
  sendResponse(response: Response, blob: LazyLoadBlob | undefined): void;
  /** Blocks; what else arrives meanwhile is kept for `receive`. */
  sendAndAwaitResponse(
    target: Address,
    request: Request,
    blob: LazyLoadBlob | undefined,
  ): Result<{ readonly source: Address; readonly message: Message }, SendError>;
}

let installed: Host | undefined;

/** Called once by whatever starts the guest. */
export function installHost(host: Host): void {
  installed = host;
}

/** The host of this process. @throws Error outside of one, e.g. at a module's top level. */
export function host(): Host {
  if (installed === undefined) {
    throw new Error('the host can be used inside init only, not when a module is loaded');
  }
  return installed;
}
