/** The kernel's side of a process that lives on the kernel's own thread: every question but state and spawn is answered at once. */
import { formatAddress, isSafeProcessId, packageOf } from '../wit/address.ts';
import type {
  Address,
  Capability,
  KernelMessage,
  OnExit,
  ProcessId,
  Result,
  SpawnError,
  SpawnOptions,
} from '../wit/types.ts';
import type { CapabilityStore } from './capability-store.ts';
import type { Dispatcher } from './dispatch.ts';
import type { KernelLink } from './host-standard.ts';
import type { Ids } from './ids.ts';
import type { Journal } from './journal.ts';
import type { Lifecycle } from './lifecycle.ts';
import type { PrintSink } from './print.ts';
import { Trap, type MaybePromise } from './process-host.ts';
import { messagingCapability, type Process, type ProcessTable } from './process-table.ts';
import type { KernelStore } from './store.ts';
import type { TimerWheel } from './timer-wheel.ts';

export interface LinkParts {
  readonly table: ProcessTable;
  readonly capabilities: CapabilityStore;
  readonly journal: Journal;
  readonly store: KernelStore;
  readonly dispatcher: Dispatcher;
  readonly timers: TimerWheel;
  readonly ids: Ids;
  readonly sink: PrintSink;
  /** Asked for lazily: processes are created by it. */
  readonly lifecycle: () => Lifecycle;
}

export class LocalLink implements KernelLink {
  readonly our: Address;
  readonly timers: TimerWheel;
  readonly #process: Process;
  readonly #parts: LinkParts;

  constructor(process: Process, parts: LinkParts) {
    this.our = process.address;
    this.timers = parts.timers;
    this.#process = process;
    this.#parts = parts;
  }

  newId(): number {
    return this.#parts.ids.id53();
  }

  resolve(target: Address): Address {
    return this.#parts.dispatcher.resolve(target);
  }

  send(message: KernelMessage): MaybePromise<void> {
    return this.#parts.dispatcher.send(this.#process, message);
  }

  filterOutgoing(capabilities: readonly Capability[]): readonly Capability[] {
    return this.#parts.capabilities.filterOutgoing(this.#process, capabilities);
  }

  saveCapabilities(capabilities: readonly Capability[]): MaybePromise<void> {
    const { capabilities: store } = this.#parts;
    const allowed = capabilities.filter((capability) => {
      if (store.maySave(this.#process, capability)) return true;
      const what = `${formatAddress(capability.issuer)} ${capability.params}`;
      this.#say(0, `did not save a capability that nobody gave it: ${what}`);
      return false;
    });
    if (store.add(this.#process, allowed) > 0)
      this.#say(0, 'did not save capabilities: too many, or params too long');
    return this.#committed('save-capabilities');
  }

  dropCapabilities(capabilities: readonly Capability[]): MaybePromise<void> {
    const droppable = capabilities.filter((capability) => {
      if (!this.#limits(capability)) return true;
      this.#say(0, `keeps what limits it: ${capability.issuer.process} ${capability.params}`);
      return false;
    });
    this.#parts.capabilities.drop(this.#process, droppable);
    return this.#committed('drop-capabilities');
  }

  ourCapabilities(): readonly Capability[] {
    return this.#parts.capabilities.all(this.#process);
  }

  async getState(): Promise<Uint8Array | undefined> {
    try {
      return await this.#parts.store.readState(this.#process.id);
    } catch (error) {
      // The contract of get-state is that it never traps; the owner learns of it here.
      this.#say(0, `its state could not be read: ${reasonOf(error)}`);
      return undefined;
    }
  }

  async setState(bytes: Uint8Array): Promise<void> {
    await this.#parts.store.commit([{ kind: 'put-state', id: this.#process.id, bytes }]);
    this.#say(2, 'persisted state');
  }

  async clearState(): Promise<void> {
    await this.#parts.store.commit([{ kind: 'delete-state', id: this.#process.id }]);
    this.#say(2, 'cleared state');
  }

  setOnExit(onExit: OnExit): MaybePromise<void> {
    this.#parts.lifecycle().setOnExit(this.#process, onExit);
    this.#say(2, 'set on-exit');
    return this.#committed('set-on-exit');
  }

  async spawn(options: SpawnOptions, wasm: Uint8Array): Promise<Result<ProcessId, SpawnError>> {
    const result = this.#spawnNow(options, wasm);
    await this.#committed('spawn');
    if (result.ok) this.#say(2, `spawned ${result.value}`);
    return result;
  }

  print(verbosity: number, text: string): MaybePromise<void> {
    const { id, printPrefix } = this.#process;
    return this.#parts.sink.print({ verbosity, process: id, text: `${printPrefix}${text}` });
  }

  /** Whether the module that issued it says that it narrows what its holder may do (kernel/module.ts). */
  #limits(capability: Capability): boolean {
    const { issuer } = capability;
    if (issuer.node !== this.#process.address.node) return false;
    return this.#parts.table.module(issuer.process)?.queue.limits(capability) ?? false;
  }

  /** Steps 2 to 7 of kernel.md §2.2, grants before run (H12). */
  #spawnNow(options: SpawnOptions, wasm: Uint8Array): Result<ProcessId, SpawnError> {
    const { table, capabilities, ids } = this.#parts;
    const lifecycle = this.#parts.lifecycle();
    const parent = this.#process;
    const text = `${options.name ?? ids.name64()}:${packageOf(parent.id)}`;
    if (!isSafeProcessId(text))
      throw new Trap(`spawn: ${JSON.stringify(text)} is no safe process id`);
    // Proof of the brand: a safe id is three non-empty segments.
    const id = text as ProcessId;
    const initialized = lifecycle.initialize(
      {
        id,
        wasmBytesHandle: options.wasmPath,
        witVersion: parent.witVersion,
        onExit: options.onExit,
        public: options.public,
        capabilities: [
          ...capabilities.filterOutgoing(parent, options.requestCapabilities),
          ...capabilities.all(parent).filter((held) => this.#limits(held)),
        ],
      },
      wasm,
    );
    const child = initialized.ok ? initialized.value : table.process(id);
    if (child === undefined || child.state === 'zombie')
      return { ok: false, error: 'no-file-at-path' };
    for (const grant of options.grantCapabilities) {
      const holder = table.get(grant.process);
      if (holder === undefined) continue;
      capabilities.add(holder, [{ issuer: child.address, params: grant.params }]);
    }
    capabilities.add(child, [messagingCapability(parent.address)]);
    capabilities.add(parent, [messagingCapability(child.address)]);
    if (lifecycle.run(id) === undefined) return { ok: true, value: id };
    if (initialized.ok) lifecycle.kill(id, { revoke: true });
    return { ok: false, error: 'no-file-at-path' };
  }

  /** What this call changed is on disk; a process is not told that it is when it is not. */
  #committed(what: string): MaybePromise<void> {
    const committed = this.#parts.journal.commit();
    return committed?.catch((cause: unknown) => {
      throw new Trap(`${what} failed: the process map could not be written`, { cause });
    });
  }

  #say(verbosity: number, text: string): void {
    void this.print(verbosity, text);
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
