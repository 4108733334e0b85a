/**
 * The façade: what the node's composition root, the net module, the native console and tests use. Everything else of the kernel is
 * behind it; runtime modules see `module.ts` only.
 *
 *   new Kernel -> registerModule* -> boot -> (running) -> shutdown
 */
import { isSafeProcessId, KERNEL, moduleId, packageOf, TERMINAL } from '../wit/address.ts';
import { plainRequest } from '../wit/message.ts';
import type {
  Capability,
  KernelMessage,
  NodeId,
  PackageId,
  ProcessId,
  Result,
  SendErrorKind,
} from '../wit/types.ts';
import type { PackageUsage, ProcessDescription, ProcessUsage } from '../wit/kernel-api.ts';
import { CapabilitySigner } from './capability-signature.ts';
import { CapabilityStore } from './capability-store.ts';
import { systemClock, type Clock } from './clock.ts';
import { Dispatcher, type RemoteTransport } from './dispatch.ts';
import type { Engine } from './engine.ts';
import { EventDebug } from './event-debug.ts';
import type { HartPool } from './harts.ts';
import { RandomIds, type Ids } from './ids.ts';
import { Journal } from './journal.ts';
import { KernelProcess } from './kernel-process.ts';
import {
  Lifecycle,
  type InitializeRefusal,
  type NewProcess,
  type RunRefusal,
} from './lifecycle.ts';
import { LocalLink, type LinkParts } from './local-link.ts';
import type { KernelPort, RuntimeModule } from './module.ts';
import { ModuleQueue } from './module-queue.ts';
import { bootRequests } from './on-exit.ts';
import { PrintLog } from './print-log.ts';
import type { PrintSink } from './print.ts';
import type { MaybePromise } from './process-host.ts';
import {
  messagingCapability,
  ModuleMember,
  ProcessTable,
  type Party,
  type Process,
} from './process-table.ts';
import { describeProcess, describeUsage, type OutsideUse } from './snapshot.ts';
import type { KernelStore, StoredEntry, StoredProcess } from './store.ts';
import { TimerWheel } from './timer-wheel.ts';

export interface KernelOptions {
  /** The node's name. */
  readonly our: NodeId;
  readonly engine: Engine;
  /** Other threads for processes; the kernel disposes of it. */
  readonly harts?: HartPool;
  readonly store: KernelStore;
  /** Seed of the node's Ed25519 networking key, 32 bytes; not kept as given. */
  readonly seed: Uint8Array;
  readonly sink: PrintSink;
  /** What packages use of the node's storage; absent: nobody accounts for it. */
  readonly storage?: StorageUse;
  readonly clock?: Clock;
  /** Unix time in milliseconds; default: this machine's. */
  readonly wallMs?: () => number;
  readonly ids?: Ids;
  /** Somebody with the right to asked for a shutdown; called once. */
  readonly onShutdown?: () => void;
}

/** A process to start with at boot: its entry, what it holds, and its component. */
export interface BootEntry extends StoredProcess {
  /** Not looked at for a module. */
  readonly wasm: Uint8Array;
}

/** What the composition root knows about storage, for the kernel to show and to keep to. */
export interface StorageUse {
  use(of: PackageId): PackageUsage;
  /** Unfinished requests of a package at one module. */
  operationsMax(of: PackageId): number;
}

export class Kernel {
  readonly our: NodeId;
  /** Event printing and step-through, for the native terminal only. */
  readonly debug: EventDebug;
  readonly clock: Clock;
  readonly #table: ProcessTable;
  readonly #capabilities: CapabilityStore;
  readonly #journal: Journal;
  readonly #store: KernelStore;
  readonly #sink: PrintSink;
  readonly #ids: Ids;
  readonly #timers: TimerWheel;
  readonly #dispatcher: Dispatcher;
  readonly #lifecycle: Lifecycle;
  readonly #signer: CapabilitySigner;
  readonly #harts: HartPool | undefined;
  readonly #storage: StorageUse | undefined;
  #shutdown: Promise<void> | undefined;

  constructor(options: KernelOptions) {
    this.our = options.our;
    this.#harts = options.harts;
    this.#storage = options.storage;
    this.clock = options.clock ?? systemClock;
    this.#store = options.store;
    const log = new PrintLog(options.sink, options.wallMs ?? Date.now);
    this.#sink = log;
    this.#ids = options.ids ?? new RandomIds();
    this.#timers = new TimerWheel(this.clock);
    this.#table = new ProcessTable(options.our);
    this.#journal = new Journal(options.store);
    this.#capabilities = new CapabilityStore(options.our, this.#journal, this.#table);
    this.#signer = new CapabilitySigner(options.seed);
    this.debug = new EventDebug(options.our, log);
    this.#dispatcher = new Dispatcher({
      table: this.#table,
      capabilities: this.#capabilities,
      signer: this.#signer,
      sink: log,
      debug: this.debug,
    });
    this.#lifecycle = this.#makeLifecycle(options.engine, options.harts);
    const commands = new KernelProcess({
      table: this.#table,
      capabilities: this.#capabilities,
      journal: this.#journal,
      dispatcher: this.#dispatcher,
      lifecycle: this.#lifecycle,
      nowMs: () => this.clock.nowMs(),
      storageOf: (party) => this.#outside(party),
      log,
      onShutdown: () => options.onShutdown?.(),
    });
    this.#dispatcher.commands = (source, message) => commands.handle(source, message);
    this.#capabilities.add(this.#table.kernel, [
      this.#table.networkCapability,
      messagingCapability(this.#table.kernel.address),
    ]);
  }

  /**
   * Adds a runtime module as `<name>:distro:sys`. It and those registered before get messaging for each other and the kernel, and
   * the network capability (kernel.md §3.8). Before `boot`.
   */
  registerModule(module: RuntimeModule): KernelPort {
    const member = this.#member(module.name, module.public);
    if (this.#table.get(member.id) !== undefined)
      throw new Error(`${member.id} is registered already`);
    const storage = this.#storage;
    member.queue = new ModuleQueue(member, module, {
      timers: this.#timers,
      send: (source, message) => {
        void this.#dispatcher.send(source, {
          ...message,
          target: this.#dispatcher.resolve(message.target),
        });
      },
      report: (text) => this.#dispatcher.say(0, text, member.id),
      jobsPerPackageMax: storage === undefined ? undefined : (of) => storage.operationsMax(of),
    });
    this.#table.add(member);
    for (const native of this.#natives()) {
      this.#capabilities.add(native, [messagingCapability(member.address)]);
      this.#capabilities.add(member, [messagingCapability(native.address)]);
    }
    this.#capabilities.add(member, [this.#table.networkCapability]);
    return this.port(module.name);
  }

  /** What a module is constructed with; its first `send` must come after its registration. */
  port(name: string): KernelPort {
    const { address } = this.#member(name, false);
    const member = (): ModuleMember => {
      const found = this.#table.module(address.process);
      if (found === undefined) throw new Error(`no runtime module ${address.process}`);
      return found;
    };
    const complete: (message: Parameters<KernelPort['send']>[0]) => KernelMessage = (message) => ({
      ...message,
      id: message.id ?? this.#ids.id53(),
      source: address,
      target: this.#dispatcher.resolve(message.target),
    });
    return {
      our: address,
      send: (message) => {
        const completed = complete(message);
        void this.#dispatcher.send(member(), completed);
        return completed.id;
      },
      offer: (message) => this.#dispatcher.offer(member(), complete(message)),
      grant: (process, capabilities) => this.grant(process, capabilities),
      print: (verbosity, text) => this.#dispatcher.say(verbosity, text, address.process),
    };
  }

  /** Where messages to other nodes go; without one, requests to them fail `offline`. */
  setNet(net: RemoteTransport | undefined): void {
    this.#dispatcher.net = net;
  }

  /** A message from another node, its source proved by the transport; routed by rule B. A promise while its receiver has no room. */
  inject(message: KernelMessage): MaybePromise<void> {
    return this.#dispatcher.inject(message);
  }

  /**
   * The transport gives a message up that it was sent; its sender learns of it if it awaits a response. `refusal`: why it was not sent at
   * all, where that is more than the kind says (`wit/send-refusal.ts`).
   */
  failed(message: KernelMessage, kind: SendErrorKind, refusal?: string): void {
    this.#dispatcher.failed(message, kind, refusal);
  }

  /**
   * What boot code merges its bundles into: the processes a previous run left, and the modules registered now (their handle is
   * `''`) with what they were granted before, so that manifests can grant them more.
   */
  async persisted(): Promise<readonly StoredProcess[]> {
    const kept = await this.#store.load();
    const modules = this.#natives().map(({ id, public: isPublic }): StoredProcess => {
      const capabilities = kept.find((process) => process.id === id)?.capabilities ?? [];
      return { id, entry: moduleEntry(isPublic), capabilities };
    });
    const processes = kept.filter(
      ({ id, entry }) => entry.wasmBytesHandle !== '' && isSafeProcessId(id) && id !== KERNEL,
    );
    return [...modules, ...processes];
  }

  /**
   * Creates every process, gives modules what their entry says they hold, fires boot-time requests, writes the map, then starts
   * the processes. A process of the store that is not among `entries` is removed from it.
   */
  async boot(entries: readonly BootEntry[]): Promise<void> {
    const wanted = new Set(entries.map((entry) => entry.id));
    for (const { id, entry, capabilities } of await this.#store.load()) {
      const present = this.#table.get(id);
      if (present !== undefined) this.#capabilities.add(present, capabilities);
      else if (!wanted.has(id) && entry.wasmBytesHandle !== '') {
        this.#journal.add({ kind: 'delete-process', id });
      }
    }
    for (const { id, public: isPublic } of this.#natives()) {
      this.#journal.add({ kind: 'put-process', id, entry: moduleEntry(isPublic) });
    }
    const created = entries.flatMap((entry) => this.#bootOne(entry) ?? []);
    for (const process of created) this.#bootRequests(process);
    await this.#journal.commit();
    for (const process of created) this.#lifecycle.run(process.id);
  }

  /** Creates a process that waits for `run`, as the kernel: capabilities are granted as given. */
  async initialize(
    settings: NewProcess,
    wasm: Uint8Array,
  ): Promise<Result<ProcessId, InitializeRefusal>> {
    const initialized = this.#lifecycle.initialize(settings, wasm);
    await this.#journal.commit();
    return initialized.ok ? { ok: true, value: initialized.value.id } : initialized;
  }

  /** Starts an initialized process. */
  run(id: ProcessId): RunRefusal | undefined {
    return this.#lifecycle.run(id);
  }

  /** Ends a process without its on-exit; false when there is none. `revoke` (default true) takes what it issued from everybody. */
  async kill(id: ProcessId, options: { readonly revoke?: boolean } = {}): Promise<boolean> {
    const killed = this.#lifecycle.kill(id, { revoke: options.revoke ?? true });
    await this.#journal.commit();
    return killed;
  }

  /** Adds capabilities to a process or module; resolves when they are on disk. False: no such process. */
  async grant(id: ProcessId, capabilities: readonly Capability[]): Promise<boolean> {
    const holder = this.#table.get(id);
    if (holder === undefined) return false;
    if (this.#capabilities.add(holder, capabilities) > 0) {
      this.#dispatcher.say(
        0,
        `did not grant all capabilities to ${id}: too many, or params too long`,
      );
    }
    await this.#journal.commit();
    return true;
  }

  /** A line typed at the native console: a request from and to the terminal process. False: it does not run. */
  consoleInput(line: string): boolean {
    const terminal = this.#table.process(TERMINAL);
    if (terminal === undefined || !terminal.exists) return false;
    void this.#dispatcher.send(terminal, {
      id: this.#ids.id53(),
      source: terminal.address,
      target: terminal.address,
      rsvp: undefined,
      message: {
        kind: 'request',
        request: plainRequest(new TextEncoder().encode(line)),
      },
      blob: undefined,
    });
    return true;
  }

  /** The process map as `Debug` shows it. */
  processMap(): Map<ProcessId, ProcessDescription> {
    return new Map(this.#parties().map((party) => [party.id, describeProcess(party)]));
  }

  /** What everybody on the node has used so far. */
  usage(): Map<ProcessId, ProcessUsage> {
    const nowMs = this.clock.nowMs();
    return new Map(
      this.#parties().map((party) => [party.id, describeUsage(party, nowMs, this.#outside(party))]),
    );
  }

  /** The end of what a live process wrote to stdout and stderr; undefined where its hart does not say. */
  output(id: ProcessId): string | undefined {
    return this.#table.process(id)?.guest?.output?.();
  }

  /** Ends every process without its on-exit, aborts and disposes of the modules in reverse order. Safe to call twice. */
  shutdown(): Promise<void> {
    return (this.#shutdown ??= this.#close());
  }

  async #close(): Promise<void> {
    await this.#lifecycle.close();
    await this.#harts?.[Symbol.asyncDispose]();
    const modules = [...this.#table.all()].filter((party) => party.kind === 'module');
    for (const module of modules.toReversed()) await module.queue.close();
    this.#timers.close();
    await this.#journal.commit();
  }

  #makeLifecycle(engine: Engine, harts: HartPool | undefined): Lifecycle {
    const common = {
      table: this.#table,
      capabilities: this.#capabilities,
      journal: this.#journal,
      dispatcher: this.#dispatcher,
      ids: this.#ids,
    };
    const parts: LinkParts = {
      ...common,
      store: this.#store,
      timers: this.#timers,
      sink: this.#sink,
      lifecycle: () => this.#lifecycle,
    };
    const link = (process: Process): LocalLink => new LocalLink(process, parts);
    return new Lifecycle({ ...common, engine, harts, clock: this.clock, link });
  }

  #outside(party: Party): OutsideUse {
    if (party.kind !== 'process') return { queuedOperations: 0, package: undefined };
    let queuedOperations = 0;
    for (const each of this.#table.all())
      if (each.kind === 'module') queuedOperations += each.queue.jobsOf(party.address);
    return { queuedOperations, package: this.#storage?.use(packageOf(party.id)) };
  }

  #member(name: string, isPublic: boolean): ModuleMember {
    return new ModuleMember(this.#table.addressOf(moduleId(name)), isPublic);
  }

  #parties(): Party[] {
    return [...this.#table.all()].filter((party) => party.exists);
  }

  #bootOne(entry: BootEntry): Process | undefined {
    const { id, capabilities } = entry;
    const native = this.#table.get(id);
    if (native !== undefined && native.kind !== 'process') {
      this.#capabilities.add(native, capabilities);
      return undefined;
    }
    const created = this.#lifecycle.initialize({ ...entry.entry, id, capabilities }, entry.wasm);
    if (created.ok) return created.value;
    this.#dispatcher.say(0, `cannot start ${id} at boot: ${created.error}`);
    return undefined;
  }

  #bootRequests(process: Process): void {
    const { onExit } = process;
    if (onExit.kind !== 'requests') return;
    for (const message of bootRequests(process, onExit, this.#ids)) {
      void this.#dispatcher.send(process, message);
    }
  }

  /** The kernel and the modules. */
  #natives(): Exclude<Party, Process>[] {
    return [...this.#table.all()].filter((party) => party.kind !== 'process');
  }
}

/** How the reference's process map lists a runtime module. */
function moduleEntry(isPublic: boolean): StoredEntry {
  return { wasmBytesHandle: '', witVersion: 1, onExit: { kind: 'restart' }, public: isPublic };
}
