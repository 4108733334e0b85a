/** Child processes. */
import type { Capability, OnExit, ProcessId } from '../../wit/types.ts';
import { packageOf } from '../../wit/address.ts';
import type { Host } from './host.ts';

export interface ChildOptions {
  /** The process folder's name: the component `pkg/<entry>.wasm` of this package. */
  readonly entry: string;
  /** Process name; a random one if absent. */
  readonly name?: string;
  /** Default: nothing happens when the child ends. */
  readonly onExit?: OnExit;
  /** Of those this process holds. */
  readonly requestCapabilities?: readonly Capability[];
  /** Issued by the child, handed to others. */
  readonly grantCapabilities?: readonly { readonly process: ProcessId; readonly params: string }[];
  readonly public?: boolean;
}

/** A child could not be started. */
export class SpawnFailed extends Error {
  override readonly name = 'SpawnFailed';
  readonly kind: 'name-taken' | 'no-file-at-path';
  constructor(kind: 'name-taken' | 'no-file-at-path', path: string) {
    super(`${path}: ${kind}`);
    this.kind = kind;
  }
}

/** Starts a child from a component of this package. Blocks until it runs. @throws SpawnFailed */
export function spawnChild(host: Host, options: ChildOptions): ProcessId {
  const wasmPath = `/${packageOf(host.our().process)}/pkg/${options.entry}.wasm`;
  const result = host.spawn({
    name: options.name,
    wasmPath,
    onExit: options.onExit ?? { kind: 'none' },
    requestCapabilities: options.requestCapabilities ?? [],
    grantCapabilities: options.grantCapabilities ?? [],
    public: options.public ?? false,
  });
  if (!result.ok) throw new SpawnFailed(result.error, wasmPath);
  return result.value;
}
