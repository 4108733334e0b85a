/** Running a script (runtime-modules.md §10.3): reads, checks, initialises and starts it, then hands it its arguments. */
import type { Address, Capability, ProcessId } from '../../../wit/types.ts';
import { isProcessId } from './command-line.ts';
import { type Guest, isObject, jsonOf, type Reply, textOf } from './guest.ts';

const STEP_TIMEOUT_S = 5;

const FAILURES = {
  noManifest: 'no scripts manifest in package',
  badManifest: 'could not parse scripts.json file',
  notListed: 'script not in scripts.json file',
  noWasm: 'failed to read script Wasm from VFS',
  kernel: 'kernel unresponsive',
} as const;

interface Script {
  readonly root: boolean;
  readonly public: boolean;
  readonly networking: boolean;
  readonly requests: readonly CapabilityItem[];
  readonly grants: readonly CapabilityItem[];
  readonly witVersion: number | null;
}

interface CapabilityItem {
  readonly process: string;
  readonly params: string;
}

/**
 * Starts `script` (a process id, the wasm's name being its process part) with `args`.
 * @returns the reason when it could not be started
 */
export function runScript(guest: Guest, script: string, args: string): string | undefined {
  const [name = '', pkg = '', publisher = ''] = script.split(':');
  const folder = `/${pkg}:${publisher}/pkg`;
  const manifest = readVfs(guest, `${folder}/scripts.json`);
  const bytes = manifest ? guest.blob()?.bytes : undefined;
  if (bytes === undefined) return FAILURES.noManifest;
  const entry = decodeEntry(jsonOf(bytes), `${name}.wasm`);
  if (typeof entry === 'string') return entry;

  const id = `${guest.randomName()}:${pkg}:${publisher}`;
  const path = `${folder}/${name}.wasm`;
  // The blob that this leaves is what InitializeProcess inherits; no other answer may come between the two.
  if (!readVfs(guest, path)) return FAILURES.noWasm;
  for (const grant of entry.grants) grantFrom(guest, id, grant);
  const started =
    askKernel(guest, initialize(guest, id, path, entry), true) === 'InitializedProcess' &&
    askKernel(guest, { RunProcess: id }, false) === 'StartedProcess';
  if (!started) return FAILURES.kernel;
  guest.send({ node: guest.our.node, process: processId(id) }, args);
  return undefined;
}

/** The entry, or why there is none. */
function decodeEntry(scripts: unknown, file: string): Script | string {
  if (!isObject(scripts)) return FAILURES.badManifest;
  const entry = scripts[file];
  if (entry === undefined) return FAILURES.notListed;
  if (!isObject(entry)) return FAILURES.badManifest;
  const { root, public: open, request_networking: networking } = entry;
  if (typeof root !== 'boolean' || typeof open !== 'boolean' || typeof networking !== 'boolean') {
    return FAILURES.badManifest;
  }
  const witVersion = entry['wit_version'];
  return {
    root,
    public: open,
    networking,
    requests: capabilityItems(entry['request_capabilities']),
    grants: capabilityItems(entry['grant_capabilities']),
    witVersion: typeof witVersion === 'number' ? witVersion : null,
  };
}

/** Strings mean messaging; what is neither that nor `{"process","params"}` is skipped. */
function capabilityItems(list: unknown): CapabilityItem[] {
  if (!Array.isArray(list)) return [];
  return list.flatMap((item: unknown) => {
    const process = isObject(item) ? item['process'] : item;
    const params = isObject(item) ? item['params'] : 'messaging';
    if (typeof process !== 'string' || params === undefined || !isProcessId(process)) return [];
    return [{ process, params: JSON.stringify(params) }];
  });
}

function grantFrom(guest: Guest, id: string, grant: CapabilityItem): void {
  const capabilities = [{ issuer: `${guest.our.node}@${id}`, params: grant.params }];
  const body = { GrantCapabilities: { target: grant.process, capabilities } };
  guest.send(kernelOf(guest), JSON.stringify(body));
}

function initialize(guest: Guest, id: string, path: string, script: Script): unknown {
  const node = guest.our.node;
  const capabilities = [
    ...script.requests.map((item) => ({ issuer: `${node}@${item.process}`, params: item.params })),
    { issuer: `${node}@${guest.our.process}`, params: '"messaging"' },
    ...(script.networking ? [{ issuer: `${node}@kernel:distro:sys`, params: '"network"' }] : []),
    ...(script.root ? guest.capabilities().map(capabilityJson) : []),
  ];
  return {
    InitializeProcess: {
      id,
      wasm_bytes_handle: path,
      wit_version: script.witVersion,
      on_exit: 'None',
      // The kernel prints a line for each capability we do not hold, so ask for none twice.
      initial_capabilities: [
        ...new Map(capabilities.map((cap) => [JSON.stringify(cap), cap])).values(),
      ],
      public: script.public,
    },
  };
}

function capabilityJson(capability: Capability): { issuer: string; params: string } {
  const { node, process } = capability.issuer;
  return { issuer: `${node}@${process}`, params: capability.params };
}

/** Whether the file was read; its bytes are then the current blob. */
function readVfs(guest: Guest, path: string): boolean {
  const vfs: Address = { node: guest.our.node, process: processId('vfs:distro:sys') };
  const reply = guest.ask(vfs, JSON.stringify({ path, action: 'Read' }), {
    timeoutS: STEP_TIMEOUT_S,
  });
  // An error answer counts as well: theirs goes on with the blob before, and starts that.
  return reply.kind === 'response' && jsonOf(reply.body) === 'Read';
}

function askKernel(guest: Guest, command: unknown, inherit: boolean): string | undefined {
  const reply: Reply = guest.ask(kernelOf(guest), JSON.stringify(command), {
    timeoutS: STEP_TIMEOUT_S,
    inherit,
  });
  if (reply.kind !== 'response') return undefined;
  const answer = jsonOf(reply.body);
  return typeof answer === 'string' ? answer : textOf(reply.body);
}

function kernelOf(guest: Guest): Address {
  return { node: guest.our.node, process: processId('kernel:distro:sys') };
}

/** Of text known to be one. */
function processId(text: string): ProcessId {
  return text as ProcessId;
}
