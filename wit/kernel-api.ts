/**
 * The JSON bodies of `kernel:distro:sys` (kernel.md §4) and the JSON twins of the WIT records inside them (§1.13). Decoding takes
 * both forms of an attached capability, bare and paired with a signature; encoding writes the pair, as the reference does.
 */
import { formatJson, parseJson, type JsonObject, type JsonValue } from './json.ts';
import {
  booleanOf,
  capabilityOf,
  capabilityTree,
  fields,
  idOf,
  list,
  Mismatch,
  onExitOf,
  onExitTree,
  optional,
  textOf,
  u32Of,
  u64Of,
  variant,
} from './kernel-json.ts';
import type { Capability, OnExit, ProcessId, Result } from './types.ts';

export interface InitializeProcess {
  readonly id: ProcessId;
  readonly wasmBytesHandle: string;
  readonly witVersion: number | undefined;
  readonly onExit: OnExit;
  readonly initialCapabilities: readonly Capability[];
  readonly public: boolean;
}

export type KernelCommand =
  | { readonly kind: 'Booted' }
  | ({ readonly kind: 'InitializeProcess' } & InitializeProcess)
  | {
      readonly kind: 'GrantCapabilities' | 'DropCapabilities';
      readonly target: ProcessId;
      readonly capabilities: readonly Capability[];
    }
  | { readonly kind: 'SetOnExit'; readonly target: ProcessId; readonly onExit: OnExit }
  /** `RestartProcess` is our extension: a fresh instance at once, under the same entry and capabilities. */
  | { readonly kind: 'RunProcess' | 'KillProcess' | 'RestartProcess'; readonly id: ProcessId }
  | { readonly kind: 'Shutdown' }
  | { readonly kind: 'Debug'; readonly debug: KernelDebug };

/** `Usage` and `Logs` are our extensions: what every process has used so far, and what was printed lately. */
export type KernelDebug =
  | { readonly kind: 'ProcessMap' | 'Usage' }
  | { readonly kind: 'Process'; readonly id: ProcessId }
  /** Printouts after number `after` (0: the newest), at most `limit`. */
  | { readonly kind: 'Logs'; readonly after: number; readonly limit: number }
  | { readonly kind: 'HasCap'; readonly on: ProcessId; readonly capability: Capability };

/** An entry of the process map as `Debug` shows it. */
export interface ProcessDescription {
  readonly wasmBytesHandle: string;
  readonly witVersion: number | undefined;
  readonly onExit: OnExit;
  readonly capabilities: readonly Capability[];
  readonly public: boolean;
}

/** What one process has used and holds now; sums run over its restarts. */
export interface ProcessUsage {
  readonly state: string;
  /** Instructions charged. */
  readonly fuel: number;
  readonly cpuMs: number;
  /** Linear memory held now. */
  readonly memoryBytes: number;
  readonly messagesReceived: number;
  readonly messagesSent: number;
  /** Items waiting in the mailbox, and the bytes they keep alive. */
  readonly mailbox: number;
  readonly mailboxBytes: number;
  readonly capabilities: number;
  /** Since its last start; 0 when it does not run. */
  readonly uptimeMs: number;
  readonly restarts: number;
  /** Why it last ended or could not start, in one line; undefined while it never did. */
  readonly lastEnd?: string | undefined;
  /** Requests that runtime modules have taken from it and not finished. */
  readonly queuedOperations?: number;
  /** Of its package, all its processes together; absent where storage is not accounted for. */
  readonly package?: PackageUsage;
}

/** What a package uses of the node's storage, and may use. */
export interface PackageUsage {
  /** Files and databases; undefined while they are being counted. */
  readonly diskBytes: number | undefined;
  readonly diskBytesMax: number;
  readonly openHandles: number;
}

/** One printout. */
export interface LogLine {
  /** Counts up by one. */
  readonly seq: number;
  /** Unix time in milliseconds. */
  readonly timeMs: number;
  readonly verbosity: number;
  readonly process: ProcessId;
  readonly text: string;
}

export type KernelResponse =
  | { readonly kind: 'InitializedProcess' | 'InitializeProcessError' }
  | { readonly kind: 'StartedProcess' | 'RunProcessError' }
  | { readonly kind: 'KilledProcess' | 'RestartedProcess'; readonly id: ProcessId }
  /** A sentence. */
  | { readonly kind: 'RestartProcessError'; readonly reason: string }
  | { readonly kind: 'Logs'; readonly lines: readonly LogLine[]; readonly next: number }
  | { readonly kind: 'ProcessMap'; readonly processes: ReadonlyMap<ProcessId, ProcessDescription> }
  | { readonly kind: 'Process'; readonly process: ProcessDescription | undefined }
  | { readonly kind: 'HasCap'; readonly has: boolean | undefined }
  | { readonly kind: 'Usage'; readonly processes: ReadonlyMap<ProcessId, ProcessUsage> };

const utf8 = new TextEncoder();

/** A command from a message body; the error is a sentence saying what is wrong. Never throws. */
export function decodeKernelCommand(body: Uint8Array): Result<KernelCommand, string> {
  const tree = parseJson(body);
  if (tree === undefined) return { ok: false, error: 'the body is not JSON' };
  try {
    return { ok: true, value: command(tree) };
  } catch (cause) {
    if (cause instanceof Mismatch) return { ok: false, error: cause.message };
    throw cause;
  }
}

export function encodeKernelCommand(value: KernelCommand): Uint8Array {
  return utf8.encode(formatJson(commandTree(value)));
}

export function encodeKernelResponse(response: KernelResponse): Uint8Array {
  return utf8.encode(formatJson(responseTree(response)));
}

/** An on-exit from its JSON twin, as manifests write it; the error says what is wrong. */
export function decodeOnExit(tree: JsonValue): Result<OnExit, string> {
  try {
    return { ok: true, value: onExitOf(tree) };
  } catch (cause) {
    if (cause instanceof Mismatch) return { ok: false, error: cause.message };
    throw cause;
  }
}

// --- decoding ------------------------------------------------------------------------------------------------------------------

function command(tree: JsonValue): KernelCommand {
  const [name, payload] = variant(tree, 'command');
  switch (name) {
    case 'Booted':
    case 'Shutdown':
      return { kind: name };
    case 'InitializeProcess':
      return initializeProcess(payload);
    case 'GrantCapabilities':
    case 'DropCapabilities': {
      const [target, capabilities] = fields(payload, ['target', 'capabilities']);
      return { kind: name, target: idOf(target), capabilities: list(capabilities, capabilityOf) };
    }
    case 'SetOnExit': {
      const [target, onExit] = fields(payload, ['target', 'on_exit']);
      return { kind: name, target: idOf(target), onExit: onExitOf(onExit) };
    }
    case 'RunProcess':
    case 'KillProcess':
    case 'RestartProcess':
      return { kind: name, id: idOf(payload) };
    case 'Debug':
      return { kind: name, debug: debugOf(payload) };
    default:
      throw new Mismatch(`unknown command ${JSON.stringify(name)}`);
  }
}

function initializeProcess(payload: JsonValue | undefined): KernelCommand {
  const [id, handle, witVersion, onExit, capabilities, isPublic] = fields(payload, [
    'id',
    'wasm_bytes_handle',
    'wit_version',
    'on_exit',
    'initial_capabilities',
    'public',
  ]);
  return {
    kind: 'InitializeProcess',
    id: idOf(id),
    wasmBytesHandle: textOf(handle, 'wasm_bytes_handle'),
    witVersion: optional(witVersion, u32Of),
    onExit: onExitOf(onExit),
    initialCapabilities: list(capabilities, capabilityOf),
    public: booleanOf(isPublic, 'public'),
  };
}

function debugOf(tree: JsonValue | undefined): KernelDebug {
  const [name, payload] = variant(tree, 'Debug');
  if (name === 'ProcessMap' || name === 'Usage') return { kind: name };
  if (name === 'Process') return { kind: name, id: idOf(payload) };
  if (name === 'Logs') {
    const [after, limit] = fields(payload, ['after', 'limit']);
    return { kind: name, after: Number(u64Of(after ?? null)), limit: u32Of(limit ?? null) };
  }
  if (name !== 'HasCap') throw new Mismatch(`unknown debug command ${JSON.stringify(name)}`);
  const [on, cap] = fields(payload, ['on', 'cap']);
  return { kind: name, on: idOf(on), capability: capabilityOf(cap) };
}

// --- encoding ------------------------------------------------------------------------------------------------------------------

function commandTree(value: KernelCommand): JsonValue {
  switch (value.kind) {
    case 'Booted':
    case 'Shutdown':
      return value.kind;
    case 'InitializeProcess':
      return {
        InitializeProcess: {
          id: value.id,
          wasm_bytes_handle: value.wasmBytesHandle,
          wit_version: value.witVersion ?? null,
          on_exit: onExitTree(value.onExit),
          initial_capabilities: value.initialCapabilities.map(capabilityTree),
          public: value.public,
        },
      };
    case 'GrantCapabilities':
    case 'DropCapabilities':
      return {
        [value.kind]: {
          target: value.target,
          capabilities: value.capabilities.map(capabilityTree),
        },
      };
    case 'SetOnExit':
      return { SetOnExit: { target: value.target, on_exit: onExitTree(value.onExit) } };
    case 'RunProcess':
    case 'KillProcess':
    case 'RestartProcess':
      return { [value.kind]: value.id };
    case 'Debug':
      return { Debug: debugTree(value.debug) };
  }
}

function debugTree(value: KernelDebug): JsonValue {
  if (value.kind === 'Process') return { Process: value.id };
  if (value.kind === 'Logs') return { Logs: { after: value.after, limit: value.limit } };
  if (value.kind !== 'HasCap') return value.kind;
  return { HasCap: { on: value.on, cap: capabilityTree(value.capability) } };
}

function responseTree(response: KernelResponse): JsonValue {
  switch (response.kind) {
    case 'KilledProcess':
    case 'RestartedProcess':
      return { [response.kind]: response.id };
    case 'RestartProcessError':
      return { RestartProcessError: response.reason };
    case 'Logs':
      return { Debug: { Logs: { lines: response.lines.map(lineTree), next: response.next } } };
    case 'ProcessMap':
      return { Debug: { ProcessMap: mapTree(response.processes, descriptionTree) } };
    case 'Process':
      return {
        Debug: {
          Process: response.process === undefined ? null : descriptionTree(response.process),
        },
      };
    case 'HasCap':
      return { Debug: { HasCap: response.has ?? null } };
    case 'Usage':
      return { Debug: { Usage: mapTree(response.processes, usageTree) } };
    default:
      return response.kind;
  }
}

function mapTree<T>(map: ReadonlyMap<ProcessId, T>, each: (value: T) => JsonValue): JsonObject {
  return Object.fromEntries([...map].map(([id, value]) => [id, each(value)]));
}

function descriptionTree(value: ProcessDescription): JsonObject {
  return {
    wasm_bytes_handle: value.wasmBytesHandle,
    wit_version: value.witVersion ?? null,
    on_exit: onExitTree(value.onExit),
    capabilities: value.capabilities.map(capabilityTree),
    public: value.public,
  };
}

function lineTree({ seq, timeMs, verbosity, process, text }: LogLine): JsonObject {
  return { seq, time_ms: Math.round(timeMs), verbosity, process, text };
}

function packageTree({ diskBytes, diskBytesMax, openHandles }: PackageUsage): JsonObject {
  return {
    disk_bytes: diskBytes ?? null,
    // Without limit: JSON has no infinity.
    disk_bytes_max: Number.isFinite(diskBytesMax) ? diskBytesMax : null,
    open_handles: openHandles,
  };
}

function usageTree(value: ProcessUsage): JsonObject {
  return {
    state: value.state,
    fuel: Math.round(value.fuel),
    cpu_ms: Math.round(value.cpuMs),
    memory_bytes: value.memoryBytes,
    messages_received: value.messagesReceived,
    messages_sent: value.messagesSent,
    mailbox: value.mailbox,
    mailbox_bytes: value.mailboxBytes,
    capabilities: value.capabilities,
    uptime_ms: Math.round(value.uptimeMs),
    restarts: value.restarts,
    last_end: value.lastEnd ?? null,
    queued_operations: value.queuedOperations ?? 0,
    ...(value.package === undefined ? {} : { package: packageTree(value.package) }),
  };
}
