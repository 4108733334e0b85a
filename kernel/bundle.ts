/**
 * A package's own declarations, decoded: `manifest.json`, `metadata.json`, `scripts.json` (packages.md §4-§6, kernel.md §7.3), and
 * what they mean to the kernel: process entries and capabilities. Pure; every refusal names the file and the field.
 */
import { isSafePackageId, parseProcessId, processIn } from '../wit/address.ts';
import { formatJson, isJsonObject, type JsonValue, parseJson } from '../wit/json.ts';
import {
  boolean,
  fields,
  onExit,
  optionalU32,
  Refusal,
  required,
  string,
} from './bundle-fields.ts';
import type {
  Address,
  Capability,
  NodeId,
  OnExit,
  PackageId,
  ProcessId,
  Result,
} from '../wit/types.ts';
import type { StoredEntry } from './store.ts';

/** Why a package's file cannot be used; `message` is for its author. */
export interface BundleError {
  readonly file: 'manifest.json' | 'metadata.json' | 'scripts.json';
  /** Where in the file, such as `[0].process_name`; empty for the whole of it. */
  readonly field: string;
  readonly message: string;
}

/** A right at `process`, issued on the node that installs. `params` is JSON text. */
export interface CapabilityItem {
  readonly process: ProcessId;
  readonly params: string;
}

export interface ManifestEntry {
  readonly processName: string;
  /** Inside `pkg/`, without leading slash. */
  readonly wasmPath: string;
  readonly onExit: OnExit;
  readonly requestNetworking: boolean;
  readonly requests: readonly CapabilityItem[];
  readonly grants: readonly CapabilityItem[];
  readonly public: boolean;
  /** Items of either array that are no capability, as lines to print; the rest of the entry counts. */
  readonly skipped: readonly string[];
}

export interface Metadata {
  readonly packageName: string;
  readonly publisher: string;
  readonly package: PackageId;
  readonly currentVersion: string;
  readonly witVersion: number | undefined;
}

export interface ScriptEntry {
  readonly root: boolean;
  readonly public: boolean;
  readonly requestNetworking: boolean;
  readonly requests: readonly CapabilityItem[];
  readonly grants: readonly CapabilityItem[];
  readonly witVersion: number | undefined;
}

export const MESSAGING = '"messaging"';
export const NETWORK = '"network"';

const PROCESS_NAME = /^[a-z0-9-]+$/;

/** The processes a package starts. An unparseable id in a request refuses the file (kernel.md §7.3); in a grant it is skipped. */
export function decodeManifest(text: string): Result<readonly ManifestEntry[], BundleError> {
  return decoded('manifest.json', text, (tree) => {
    if (!Array.isArray(tree)) throw new Refusal('', 'it must be an array of processes');
    const entries = tree.map((item: JsonValue, index) => manifestEntry(item, `[${index}]`));
    const names = entries.map((entry) => entry.processName);
    const twice = names.findIndex((name, index) => names.indexOf(name) !== index);
    if (twice !== -1) {
      throw new Refusal(`[${twice}].process_name`, `"${names[twice]}" is declared twice`);
    }
    return entries;
  });
}

/** Name, publisher and version; the rest of the file is for app stores. */
export function decodeMetadata(text: string): Result<Metadata, BundleError> {
  return decoded('metadata.json', text, (tree) => {
    const properties = fields(fields(tree, '').get('properties'), 'properties');
    const packageName = string(properties, 'package_name', 'properties.');
    const publisher = string(properties, 'publisher', 'properties.');
    const id = `${packageName}:${publisher}`;
    if (!isSafePackageId(id)) {
      throw new Refusal(
        'properties.package_name',
        `"${id}" is no package id: the name must be of a-z, 0-9 and -, the publisher may have dots too`,
      );
    }
    return {
      packageName,
      publisher,
      // Proof of the brand: checked above.
      package: id as PackageId,
      currentVersion: string(properties, 'current_version', 'properties.'),
      witVersion: optionalU32(properties, 'wit_version', 'properties.'),
    };
  });
}

/** Scripts by wasm file name. */
export function decodeScripts(text: string): Result<ReadonlyMap<string, ScriptEntry>, BundleError> {
  return decoded('scripts.json', text, (tree) => {
    const scripts = new Map<string, ScriptEntry>();
    for (const [name, value] of fields(tree, '')) {
      const entry = fields(value, name);
      const at = `${name}.`;
      scripts.set(name, {
        root: boolean(entry, 'root', at),
        public: boolean(entry, 'public', at),
        requestNetworking: boolean(entry, 'request_networking', at),
        requests: items(entry.get('request_capabilities') ?? [], `${at}request_capabilities`).items,
        grants: items(entry.get('grant_capabilities') ?? [], `${at}grant_capabilities`).items,
        witVersion: optionalU32(entry, 'wit_version', at),
      });
    }
    return scripts;
  });
}

/** What the process map holds for a manifest entry. */
export function entryOf(metadata: Metadata, entry: ManifestEntry): StoredEntry {
  return {
    wasmBytesHandle: `/${metadata.package}/pkg/${entry.wasmPath}`,
    witVersion: metadata.witVersion,
    onExit: entry.onExit,
    public: entry.public,
  };
}

export function processOf(metadata: Metadata, entry: ManifestEntry): ProcessId {
  return processIn(entry.processName, metadata.package);
}

/**
 * What a bundled process holds at every boot (kernel.md §3.8): messaging to itself, what it requests, the network if it asks, and its
 * package's `pkg` drive.
 */
export function initialCapabilities(
  our: NodeId,
  metadata: Metadata,
  entry: ManifestEntry,
): readonly Capability[] {
  const drive = (kind: string): CapabilityItem => ({
    process: 'vfs:distro:sys' as ProcessId,
    params: `{"drive":"/${metadata.package}/pkg","kind":"${kind}"}`,
  });
  const held: CapabilityItem[] = [
    { process: processOf(metadata, entry), params: MESSAGING },
    ...entry.requests,
    drive('read'),
    drive('write'),
  ];
  if (entry.requestNetworking) {
    held.push({ process: 'kernel:distro:sys' as ProcessId, params: NETWORK });
  }
  return held.map((item) => issued(our, item.process, item.params));
}

/** What a process hands to others (second pass): each to the process named, issued by the granter. */
export function grantedCapabilities(
  our: NodeId,
  metadata: Metadata,
  entry: ManifestEntry,
): readonly { readonly to: ProcessId; readonly capability: Capability }[] {
  const granter = processOf(metadata, entry);
  return entry.grants.map((item) => ({
    to: item.process,
    capability: issued(our, granter, item.params),
  }));
}

function issued(node: NodeId, process: ProcessId, params: string): Capability {
  const issuer: Address = { node, process };
  return { issuer, params };
}

/** Compact JSON text with object keys sorted, numbers kept as they were (K122). */
function sortedJson(value: JsonValue): string {
  return formatJson(value, { sortKeys: true });
}

function decoded<T>(
  file: BundleError['file'],
  text: string,
  read: (tree: JsonValue) => T,
): Result<T, BundleError> {
  const tree = parseJson(text);
  if (tree === undefined) return { ok: false, error: { file, field: '', message: notJson(text) } };
  try {
    return { ok: true, value: read(tree) };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { ok: false, error: { file, field: error.field, message: error.message } };
  }
}

function notJson(text: string): string {
  try {
    JSON.parse(text);
    return 'it is not JSON (nested too deep)';
  } catch (error) {
    return `it is not JSON: ${(error as Error).message}`;
  }
}

function manifestEntry(tree: JsonValue, at: string): ManifestEntry {
  const entry = fields(tree, at);
  const processName = string(entry, 'process_name', `${at}.`);
  if (!PROCESS_NAME.test(processName)) {
    throw new Refusal(`${at}.process_name`, `"${processName}" must be of a-z, 0-9 and -`);
  }
  const wasmPath = string(entry, 'process_wasm_path', `${at}.`).replace(/^\//, '');
  if (
    wasmPath === '' ||
    wasmPath.split('/').some((part) => part === '' || part === '.' || part === '..')
  ) {
    throw new Refusal(`${at}.process_wasm_path`, `"${wasmPath}" must be a path inside pkg/`);
  }
  const requests = items(
    required(entry, 'request_capabilities', `${at}.`),
    `${at}.request_capabilities`,
  );
  const grants = items(required(entry, 'grant_capabilities', `${at}.`), `${at}.grant_capabilities`);
  const badId = requests.badIds[0];
  if (badId !== undefined) {
    throw new Refusal(
      `${at}.request_capabilities`,
      `${badId} is not a process id (process:package:publisher)`,
    );
  }
  return {
    processName,
    wasmPath,
    onExit: onExit(required(entry, 'on_exit', `${at}.`), `${at}.on_exit`),
    requestNetworking: boolean(entry, 'request_networking', `${at}.`),
    requests: requests.items,
    grants: grants.items,
    public: boolean(entry, 'public', `${at}.`),
    skipped: [
      ...requests.others.map((value) => `manifest requested invalid cap: ${value}`),
      ...[...grants.badIds, ...grants.others].map(
        (value) => `${processName} manifest tried to grant invalid cap: ${value}`,
      ),
    ],
  };
}

interface Items {
  readonly items: readonly CapabilityItem[];
  /** Values whose process id cannot be parsed, as JSON text. */
  readonly badIds: readonly string[];
  /** Values that are no capability at all, as JSON text. */
  readonly others: readonly string[];
}

function items(tree: JsonValue, at: string): Items {
  if (!Array.isArray(tree)) throw new Refusal(at, 'it must be an array');
  const good: CapabilityItem[] = [];
  const badIds: string[] = [];
  const others: string[] = [];
  for (const item of tree as readonly JsonValue[]) {
    const members = isJsonObject(item) ? new Map(Object.entries(item)) : undefined;
    const process = members === undefined ? item : members.get('process');
    const params = members === undefined ? 'messaging' : members.get('params');
    if (typeof process !== 'string' || params === undefined) others.push(sortedJson(item));
    else {
      const id = parseProcessId(process);
      if (id.ok) good.push({ process: id.value, params: sortedJson(params) });
      else badIds.push(sortedJson(item));
    }
  }
  return { items: good, badIds, others };
}
