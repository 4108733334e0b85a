/**
 * Who is on this node: the kernel, runtime modules and processes, with what the access rules ask about them (kernel.md §1.12,
 * §5.3). All state of a process that the kernel itself keeps is declared here.
 *
 *   initialized --run--> starting --guest starts--> running --ends--> removed | backoff --wait over--> starting
 *                           `--no image, no instance--> zombie
 */
import { KERNEL, STATE, VFS, packageOf } from '../wit/address.ts';
import { capabilityKey } from '../wit/json.ts';
import type { Address, Capability, NodeId, OnExit, ProcessId } from '../wit/types.ts';
import type { TimerHandle } from './clock.ts';
import type { Guest, Image } from './engine.ts';
import { DELIVERED_CAPABILITIES_MAX } from './limits.ts';
import type { HostSide } from './harts.ts';
import type { ModuleQueue } from './module-queue.ts';

/** The params of the capability that lets its holder message the issuer; stored with the quotes. */
export const MESSAGING = '"messaging"';
/** The params of the kernel's capability for sending to and receiving from other nodes. */
export const NETWORK = '"network"';

/** What is common to everybody a message can come from or go to. */
abstract class Member {
  readonly id: ProcessId;
  readonly address: Address;
  /** `capabilityKey` of the messaging capability for this member: the access check is one map lookup. */
  readonly messagingKey: string;
  /** May message anybody on this node (rule C, K47). */
  readonly trusted: boolean;
  /** Any local process may message it without a capability. */
  public: boolean;
  /** Its capabilities by `capabilityKey`. */
  readonly held = new Map<string, Capability>();
  /** False while it counts as non-existing: killed, or waiting for its restart. */
  exists = true;
  /** Level-2 and guest prints start with it: `package:publisher: `. */
  readonly printPrefix: string;

  constructor(address: Address, isPublic: boolean) {
    this.id = address.process;
    this.address = address;
    this.public = isPublic;
    this.trusted = this.id === KERNEL || this.id === STATE || this.id === VFS;
    this.messagingKey = capabilityKey(messagingCapability(address));
    this.printPrefix = `${packageOf(this.id)}: `;
  }
}

/** `kernel:distro:sys` itself. */
export class KernelMember extends Member {
  readonly kind = 'kernel';
}

export class ModuleMember extends Member {
  readonly kind = 'module';
  /** Set once, right after construction: the queue needs the member and the member the queue. */
  queue!: ModuleQueue;
}

export type ProcessState =
  | 'initialized'
  | 'starting'
  | 'running'
  | 'zombie'
  | 'backoff'
  | 'removed';

/** What an InitializeProcess fixes about a process; the persisted part of its entry. */
export interface ProcessSettings {
  readonly wasmBytesHandle: string;
  readonly witVersion: number | undefined;
  readonly onExit: OnExit;
  readonly public: boolean;
}

export class Process extends Member {
  readonly kind = 'process';
  readonly wasmBytesHandle: string;
  readonly witVersion: number | undefined;
  /** Of the process map. The running instance exits by its host's copy (kernel.md §4.5). */
  onExit: OnExit;
  state: ProcessState = 'initialized';
  /** Registers and mailbox of the present instance; replaced at each restart. */
  host!: HostSide;
  /** Until the image is there. */
  bytes: Uint8Array | undefined;
  image: Image | undefined = undefined;
  guest: Guest | undefined = undefined;
  startedAtMs = 0;
  /** The wait for its next start, while in state backoff. */
  pendingRestart: TimerHandle | undefined = undefined;
  restarts = 0;
  /** Why its last instance ended, in one line. */
  lastEnd: string | undefined = undefined;
  received = 0;
  sent = 0;
  /** What its earlier instances used. */
  pastFuel = 0;
  pastCpuMs = 0;
  /** Keys of capabilities that arrived attached to messages: these may be saved (H2). Oldest first. */
  readonly #delivered = new Map<string, Capability>();

  constructor(address: Address, settings: ProcessSettings, bytes: Uint8Array | undefined) {
    super(address, settings.public);
    this.wasmBytesHandle = settings.wasmBytesHandle;
    this.witVersion = settings.witVersion;
    this.onExit = settings.onExit;
    this.bytes = bytes;
  }

  /** Whether the entry belongs on disk: a process that is not to be restarted is not (H7). */
  get persistent(): boolean {
    return this.onExit.kind !== 'none';
  }

  noteDelivered(capabilities: readonly Capability[]): void {
    for (const capability of capabilities) {
      const key = capabilityKey(capability);
      this.#delivered.delete(key);
      this.#delivered.set(key, capability);
    }
    for (const oldest of this.#delivered.keys()) {
      if (this.#delivered.size <= DELIVERED_CAPABILITIES_MAX) break;
      this.#delivered.delete(oldest);
    }
  }

  /** The remembered ones. */
  delivered(): Iterable<Capability> {
    return this.#delivered.values();
  }

  wasDelivered(key: string): boolean {
    return this.#delivered.has(key);
  }

  /** What was revoked cannot be saved later by somebody it was once shown to. */
  forgetDeliveredFrom(issuer: ProcessId, node: NodeId): void {
    for (const [key, capability] of this.#delivered) {
      if (capability.issuer.process === issuer && capability.issuer.node === node) {
        this.#delivered.delete(key);
      }
    }
  }
}

export type Party = KernelMember | ModuleMember | Process;

export function messagingCapability(issuer: Address): Capability {
  return { issuer, params: MESSAGING };
}

export class ProcessTable {
  readonly our: NodeId;
  readonly kernel: KernelMember;
  readonly networkCapability: Capability;
  /** `capabilityKey` of `networkCapability`. */
  readonly networkKey: string;
  readonly #parties = new Map<ProcessId, Party>();
  /** Those of #parties that are modules: killing a process must not look at every other one. */
  readonly modules: ModuleMember[] = [];

  constructor(our: NodeId) {
    this.our = our;
    this.kernel = new KernelMember({ node: our, process: KERNEL }, false);
    this.networkCapability = { issuer: this.kernel.address, params: NETWORK };
    this.networkKey = capabilityKey(this.networkCapability);
    this.#parties.set(KERNEL, this.kernel);
  }

  get(id: ProcessId): Party | undefined {
    return this.#parties.get(id);
  }

  process(id: ProcessId): Process | undefined {
    const party = this.#parties.get(id);
    return party?.kind === 'process' ? party : undefined;
  }

  module(id: ProcessId): ModuleMember | undefined {
    const party = this.#parties.get(id);
    return party?.kind === 'module' ? party : undefined;
  }

  add(party: Party): void {
    this.#parties.set(party.id, party);
    if (party.kind === 'module') this.modules.push(party);
  }

  remove(party: Party): void {
    if (this.#parties.get(party.id) === party) this.#parties.delete(party.id);
    party.exists = false;
  }

  all(): IterableIterator<Party> {
    return this.#parties.values();
  }

  addressOf(id: ProcessId): Address {
    return { node: this.our, process: id };
  }
}
