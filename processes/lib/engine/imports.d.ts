/**
 * The host functions as a JavaScript guest sees them, before host.ts evens out the engines: QuickJS wants and gives u64 as a number
 * (a bigint traps the component) and `none` as null; StarlingMonkey gives a bigint and undefined. Records are camelCase.
 */
declare module 'hyperware:process/standard@1.0.0' {
  export interface WireProcessId {
    processName: string;
    packageName: string;
    publisherNode: string;
  }
  export interface WireAddress {
    node: string;
    process: WireProcessId;
  }
  export interface WireBlob {
    mime?: string | null | undefined;
    bytes: Uint8Array;
  }
  export interface WireCapability {
    issuer: WireAddress;
    params: string;
  }
  export interface WireRequest {
    inherit: boolean;
    expectsResponse?: number | bigint | null | undefined;
    body: Uint8Array;
    metadata?: string | null | undefined;
    capabilities: WireCapability[];
  }
  export interface WireResponse {
    inherit: boolean;
    body: Uint8Array;
    metadata?: string | null | undefined;
    capabilities: WireCapability[];
  }
  export type WireMessage =
    | { tag: 'request'; val: WireRequest }
    | { tag: 'response'; val: [WireResponse, Uint8Array | null | undefined] };
  export type WireOnExit =
    | { tag: 'none' }
    | { tag: 'restart' }
    | { tag: 'requests'; val: [WireAddress, WireRequest, WireBlob | null | undefined][] };
  export interface WireSendError {
    kind: 'offline' | 'timeout';
    target: WireAddress;
    message: WireMessage;
    lazyLoadBlob?: WireBlob | null | undefined;
  }
  type OptionalBlob = WireBlob | null | undefined;
  export function printToTerminal(verbosity: number, message: string): void;
  export function our(): WireAddress;
  export function getOnExit(): WireOnExit;
  export function setOnExit(onExit: WireOnExit): void;
  export function getState(): Uint8Array | null | undefined;
  export function setState(bytes: Uint8Array): void;
  export function clearState(): void;
  /** Throws an Error whose `payload` is the spawn error's name. */
  export function spawn(
    name: string | null | undefined,
    wasmPath: string,
    onExit: WireOnExit,
    requestCapabilities: WireCapability[],
    grantCapabilities: [WireProcessId, string][],
    isPublic: boolean,
  ): WireProcessId;
  export function saveCapabilities(caps: WireCapability[]): void;
  export function dropCapabilities(caps: WireCapability[]): void;
  export function ourCapabilities(): WireCapability[];
  /** Throws an Error whose `payload` is `[WireSendError, context]`. */
  export function receive(): [WireAddress, WireMessage];
  export function hasBlob(): boolean;
  export function getBlob(): OptionalBlob;
  export function lastBlob(): OptionalBlob;
  export function sendRequest(
    target: WireAddress,
    request: WireRequest,
    context: Uint8Array | null | undefined,
    blob: OptionalBlob,
  ): void;
  export function sendRequests(
    requests: [WireAddress, WireRequest, Uint8Array | null | undefined, OptionalBlob][],
  ): void;
  export function sendResponse(response: WireResponse, blob: OptionalBlob): void;
  /** Throws an Error whose `payload` is a WireSendError. */
  export function sendAndAwaitResponse(
    target: WireAddress,
    request: WireRequest,
    blob: OptionalBlob,
  ): [WireAddress, WireMessage];
}

/** Put into QuickJS guests by kit (kit/build/quickjs-native.ts). Not there yet while the module is loaded. */
declare module 'hyperloom:guest/native@1.0.0' {
  /** Null for what is no UTF-8. */
  export function decodeUtf8(bytes: Uint8Array): string | null;
  /** The text must be well-formed. */
  export function encodeUtf8(text: string): Uint8Array;
  export function sha256(bytes: Uint8Array): Uint8Array;
  export function keccak256(bytes: Uint8Array): Uint8Array;
}

/** Given to QuickJS guests by kit's copy of the world. */
declare module 'wasi:random/random@0.2.12' {
  export function getRandomBytes(length: number): Uint8Array;
}
