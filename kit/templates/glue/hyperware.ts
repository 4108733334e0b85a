/**
 * Canonical-ABI glue of `hyperware:process/standard@1.0.0` for AssemblyScript (not TypeScript: compiled by asc, see
 * kit/build/assemblyscript.ts). A guest exports `main(our: string): void`; kit generates `init` and `cabi_realloc` around it.
 *
 * Everything is pointers into linear memory, because a guest in this language is there to be fast and small. What the host
 * passes lives in an arena until the next `receive()`; copy what must live longer.
 */

// ---- memory the host allocates

const ARENA_BYTES: usize = 65_536;
let arena: usize = 0;
let arenaEnd: usize = 0;
let arenaNext: usize = 0;
/** Earlier, smaller arenas of this turn, chained through their first word; freed at the next reset. */
let spent: usize = 0;

/** Frees everything that the host has passed so far. */
export function resetArena(): void {
  while (spent != 0) {
    const next = load<usize>(spent);
    heap.free(spent);
    spent = next;
  }
  arenaNext = arena;
}

/** The allocator the host calls to pass lists and strings. */
export function cabi_realloc(old: usize, oldSize: usize, align: usize, size: usize): usize {
  let at = (arenaNext + align - 1) & ~(align - 1);
  if (arena == 0 || at + size > arenaEnd) {
    const bytes = max(size + align + 8, ARENA_BYTES);
    if (arena != 0) {
      store<usize>(arena - 8, spent);
      spent = arena - 8;
    }
    arena = heap.alloc(bytes + 8) + 8;
    arenaEnd = arena + bytes;
    at = (arena + align - 1) & ~(align - 1);
  }
  arenaNext = at + size;
  if (oldSize > 0) memory.copy(at, old, min(oldSize, size));
  return at;
}

// ---- the 19 host functions, as the canonical ABI lowers them

// @ts-ignore: decorator
@external("hyperware:process/standard@1.0.0", "print-to-terminal")
declare function hostPrint(verbosity: i32, ptr: usize, len: usize): void;
// @ts-ignore: decorator
@external("hyperware:process/standard@1.0.0", "receive")
declare function hostReceive(ret: usize): void;
// @ts-ignore: decorator
@external("hyperware:process/standard@1.0.0", "our")
declare function hostOur(ret: usize): void;
// @ts-ignore: decorator
@external("hyperware:process/standard@1.0.0", "get-state")
declare function hostGetState(ret: usize): void;
// @ts-ignore: decorator
@external("hyperware:process/standard@1.0.0", "set-state")
declare function hostSetState(ptr: usize, len: usize): void;
// @ts-ignore: decorator
@external("hyperware:process/standard@1.0.0", "clear-state")
declare function hostClearState(): void;
// @ts-ignore: decorator
@external("hyperware:process/standard@1.0.0", "has-blob")
declare function hostHasBlob(): i32;
// @ts-ignore: decorator
@external("hyperware:process/standard@1.0.0", "get-blob")
declare function hostGetBlob(ret: usize): void;
// @ts-ignore: decorator
@external("hyperware:process/standard@1.0.0", "last-blob")
declare function hostLastBlob(ret: usize): void;
// @ts-ignore: decorator
@external("hyperware:process/standard@1.0.0", "send-response")
declare function hostSendResponse(
  inherit: i32, body: usize, bodyLen: usize,
  hasMetadata: i32, metadata: usize, metadataLen: usize,
  capabilities: usize, capabilitiesLen: usize,
  hasBlob: i32, hasMime: i32, mime: usize, mimeLen: usize, bytes: usize, bytesLen: usize,
): void;
// @ts-ignore: decorator
@external("hyperware:process/standard@1.0.0", "send-request")
declare function hostSendRequest(params: usize): void;
// @ts-ignore: decorator
@external("hyperware:process/standard@1.0.0", "send-and-await-response")
declare function hostSendAndAwait(params: usize, ret: usize): void;
// @ts-ignore: decorator
@external("hyperware:process/standard@1.0.0", "set-on-exit")
declare function hostSetOnExit(kind: i32, requests: usize, requestsLen: usize): void;

// ---- bytes and text

/** UTF-8 at `ptr` to a string. */
export function text(ptr: usize, len: usize): string {
  return String.UTF8.decodeUnsafe(ptr, len);
}

/** Prints a line. */
export function print(verbosity: i32, line: string): void {
  const bytes = String.UTF8.encode(line);
  hostPrint(verbosity, changetype<usize>(bytes), bytes.byteLength);
}

// ---- what was received

/** `result<tuple<address, message>, tuple<send-error, option<context>>>`: discriminant, then 144 bytes. */
const DELIVERY = memory.data(152, 8);
const AWAITED = memory.data(136, 8);
const PAIR = memory.data(32, 8);
/** Where the message that the accessors read begins: an address (32 bytes), then a message (64). */
let current: usize = DELIVERY + 8;

export const REQUEST: i32 = 0;
export const RESPONSE: i32 = 1;
export const SEND_ERROR: i32 = 2;

/** Waits for the next item: REQUEST, RESPONSE or SEND_ERROR. Frees what was received before. */
export function receive(): i32 {
  resetArena();
  hostReceive(DELIVERY);
  current = DELIVERY + 8;
  return load<u8>(DELIVERY) != 0 ? SEND_ERROR : <i32>load<u8>(current, 32);
}

/** Pointer to the source: four strings (pointer, length): node, process, package, publisher. */
export function source(): usize {
  return current;
}
/** One of the four strings of an address in memory. */
export function addressPart(address: usize, part: i32): string {
  return text(load<u32>(address + part * 8), load<u32>(address + part * 8, 4));
}
/** Of a request: whether a response is expected. */
export function expectsResponse(): bool {
  return load<u8>(current, 48) != 0;
}
export function body(): usize {
  return load<u8>(current, 32) == 0 ? load<u32>(current, 64) : load<u32>(current, 44);
}
export function bodyLength(): usize {
  return load<u8>(current, 32) == 0 ? load<u32>(current, 68) : load<u32>(current, 48);
}
/** Of a send error: 0 offline, 1 timeout. */
export function sendErrorKind(): i32 {
  return load<u8>(DELIVERY, 8);
}

// ---- blobs

const BLOB = memory.data(24, 8);

export function hasBlob(): bool {
  return hostHasBlob() != 0;
}
/** Fetches the current message's blob; false when there is none. Then `blob()` and `blobLength()` tell where it is. */
export function fetchBlob(): bool {
  hostGetBlob(BLOB);
  return load<u8>(BLOB) != 0;
}
export function blob(): usize {
  return load<u32>(BLOB, 16);
}
export function blobLength(): usize {
  return load<u32>(BLOB, 20);
}

// ---- sending

/** Answers the current request with bytes. `inherit`: take over the blob received last. */
export function respond(ptr: usize, len: usize, inherit: bool = false): void {
  hostSendResponse(inherit ? 1 : 0, ptr, len, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
}
/** Answers with bytes and a blob without a type. */
export function respondWithBlob(ptr: usize, len: usize, bytes: usize, bytesLen: usize): void {
  hostSendResponse(0, ptr, len, 0, 0, 0, 0, 0, 1, 0, 0, 0, bytes, bytesLen);
}

/** An address built from text `node@process:package:publisher`; lives as long as the process. */
export function address(node: string, process: string, pkg: string, publisher: string): usize {
  const at = heap.alloc(32);
  put(at, node);
  put(at + 8, process);
  put(at + 16, pkg);
  put(at + 24, publisher);
  return at;
}

function put(at: usize, value: string): void {
  const bytes = String.UTF8.encode(value);
  const copy = heap.alloc(max(bytes.byteLength, 1));
  memory.copy(copy, changetype<usize>(bytes), bytes.byteLength);
  store<u32>(at, <u32>copy);
  store<u32>(at, <u32>bytes.byteLength, 4);
}

/** The four arguments of `send-request` in memory: target 0, request 32, context 88, blob 100. */
const PARAMS = memory.data(128, 8);

/** Sends a request; `seconds` < 0: no response expected. */
export function sendRequest(target: usize, ptr: usize, len: usize, seconds: i64 = -1): void {
  fill(target, ptr, len, seconds);
  store<u8>(PARAMS, 0, 100);
  hostSendRequest(PARAMS);
}

/** Sends a request and waits; false on a send error. Then `body()` and `source()` describe the response. */
export function sendAndAwait(target: usize, ptr: usize, len: usize, seconds: i64): bool {
  fill(target, ptr, len, seconds);
  hostSendAndAwait(PARAMS, AWAITED);
  current = AWAITED + 8;
  return load<u8>(AWAITED) == 0;
}

function fill(target: usize, ptr: usize, len: usize, seconds: i64): void {
  memory.fill(PARAMS, 0, 128);
  memory.copy(PARAMS, target, 32);
  store<u8>(PARAMS, seconds < 0 ? 0 : 1, 40);
  store<i64>(PARAMS, seconds, 48);
  store<u32>(PARAMS, <u32>ptr, 56);
  store<u32>(PARAMS, <u32>len, 60);
}

// ---- state and end

export function setState(ptr: usize, len: usize): void {
  hostSetState(ptr, len);
}
/** Loads the stored state; false when there is none. Then `state()` and `stateLength()` tell where it is. */
export function fetchState(): bool {
  hostGetState(PAIR);
  return load<u8>(PAIR) != 0;
}
export function state(): usize {
  return load<u32>(PAIR, 4);
}
export function stateLength(): usize {
  return load<u32>(PAIR, 8);
}
export function clearState(): void {
  hostClearState();
}
/** 0: nothing happens when this process ends; 1: it restarts. */
export function setOnExit(kind: i32): void {
  hostSetOnExit(kind, 0, 0);
}
