/**
 * Processes come and go: initialize, run, end, restart, kill (kernel.md §5). The tables change synchronously; what must outlive a
 * crash is noted in the journal, which the caller commits before it answers.
 */
import { isSafeProcessId, KERNEL } from '../wit/address.ts';
import type { Capability, OnExit, ProcessId, Result } from '../wit/types.ts';
import { BACKOFF_S_MAX, FRESH_BACKOFF, nextBackoff, type Backoff } from './backoff.ts';
import type { CapabilityStore } from './capability-store.ts';
import type { Clock } from './clock.ts';
import type { Dispatcher } from './dispatch.ts';
import type { Engine, Guest, GuestEnd, Image } from './engine.ts';
import { StandardHost, type KernelLink } from './host-standard.ts';
import type { HartPool } from './harts.ts';
import type { Ids } from './ids.ts';
import type { Journal } from './journal.ts';
import { exitRequests } from './on-exit.ts';
import {
  Process,
  messagingCapability,
  type Party,
  type ProcessSettings,
  type ProcessTable,
} from './process-table.ts';

export interface LifecycleParts {
  readonly table: ProcessTable;
  readonly capabilities: CapabilityStore;
  readonly journal: Journal;
  readonly dispatcher: Dispatcher;
  readonly engine: Engine;
  /** Other harts; without them everything runs on this thread. */
  readonly harts: HartPool | undefined;
  readonly clock: Clock;
  readonly ids: Ids;
  /** The kernel's side of a process's host. */
  readonly link: (process: Process) => KernelLink;
}

export interface NewProcess extends ProcessSettings {
  readonly id: ProcessId;
  readonly capabilities: readonly Capability[];
}

export type InitializeRefusal = 'unsafe-id' | 'is-kernel' | 'exists';
export type RunRefusal = 'unknown' | 'zombie' | 'too-many';
export type RestartRefusal = 'unknown' | 'no-component' | 'too-many';

/** Of the reason that Usage shows; the whole of it was printed. */
const LAST_END_CHARS_MAX = 200;

export class Lifecycle {
  readonly #parts: LifecycleParts;
  readonly #backoffs = new Map<ProcessId, Backoff>();

  constructor(parts: LifecycleParts) {
    this.#parts = parts;
  }

  /** Whether a process of that id could be created now. A pending restart does not stand in the way. */
  canInitialize(id: ProcessId): InitializeRefusal | undefined {
    if (id === KERNEL) return 'is-kernel';
    if (!isSafeProcessId(id)) return 'unsafe-id';
    const present = this.#parts.table.get(id);
    return present === undefined || !present.exists ? undefined : 'exists';
  }

  /** Creates a process that waits for `run`. `wasm` is not looked at before that (K100, K102). */
  initialize(settings: NewProcess, wasm: Uint8Array | Image): Result<Process, InitializeRefusal> {
    const { table, capabilities, journal } = this.#parts;
    const refusal = this.canInitialize(settings.id);
    if (refusal !== undefined) return { ok: false, error: refusal };
    const replaced = table.process(settings.id);
    if (replaced !== undefined) this.#remove(replaced);
    const bytes = wasm instanceof Uint8Array ? wasm : undefined;
    const process = new Process(table.addressOf(settings.id), settings, bytes);
    if (!(wasm instanceof Uint8Array)) process.image = wasm;
    process.host = new StandardHost(this.#parts.link(process), settings.onExit);
    table.add(process);
    if (process.persistent)
      journal.add({ kind: 'put-process', id: process.id, entry: entryOf(process) });
    capabilities.add(process, settings.capabilities);
    capabilities.add(process, [messagingCapability(process.address)]);
    return { ok: true, value: process };
  }

  /** Starts an initialized process; one that runs already is left alone (H4). */
  run(id: ProcessId): RunRefusal | undefined {
    const process = this.#parts.table.process(id);
    if (process === undefined || !process.exists) return 'unknown';
    if (process.state === 'zombie') return 'zombie';
    if (process.state !== 'initialized') return undefined;
    const refusal = this.#parts.engine.startRefusal?.();
    if (refusal !== undefined) {
      this.#parts.dispatcher.say(0, `cannot start ${id}: ${refusal}`);
      return 'too-many';
    }
    process.state = 'starting';
    process.startedAtMs = this.#parts.clock.nowMs();
    if (process.image !== undefined) this.#start(process, process.image);
    else void this.#load(process);
    return undefined;
  }

  /** Ends a process without its on-exit (kernel.md §4.7); false when there is none. Also ends a wait for a restart (H6). */
  kill(id: ProcessId, options: { readonly revoke: boolean }): boolean {
    const process = this.#parts.table.process(id);
    if (process === undefined) return false;
    this.#remove(process);
    if (process.persistent) this.#parts.journal.add({ kind: 'delete-process', id });
    if (options.revoke) this.#parts.capabilities.revokeAll(id);
    return true;
  }

  /**
   * Ends the present instance and starts a fresh one at once, whatever its on-exit says; entry and capabilities stay. One that
   * waits for its restart starts now. Our extension.
   */
  restart(id: ProcessId): RestartRefusal | undefined {
    const process = this.#parts.table.process(id);
    if (process === undefined) return 'unknown';
    if (process.state === 'initialized' || process.state === 'starting') return undefined;
    if (process.image === undefined && process.bytes === undefined) return 'no-component';
    const { guest } = process;
    if (guest !== undefined) {
      this.#account(process, guest);
      process.lastEnd = 'restarted by command';
    }
    if (process.pendingRestart !== undefined) this.#parts.clock.cancel(process.pendingRestart);
    this.#backoffs.delete(id);
    this.#retire(process);
    guest?.kill();
    this.#again(process);
    return process.exists ? undefined : 'too-many';
  }

  /** Changes the on-exit of the process map and with it whether the process is on disk. */
  setOnExit(process: Process, onExit: OnExit): void {
    const { journal } = this.#parts;
    const was = process.persistent;
    process.onExit = onExit;
    if (!process.persistent) {
      if (was) journal.add({ kind: 'delete-process', id: process.id });
      return;
    }
    journal.add({ kind: 'put-process', id: process.id, entry: entryOf(process) });
    if (was) return;
    for (const [key, capability] of process.held) {
      journal.add({ kind: 'put-capability', holder: process.id, key, capability });
    }
    this.#parts.capabilities.keepIssuedBy(process.id);
  }

  /** Ends every process, without on-exit and without touching the process map. Resolves when all guests have unwound. */
  async close(): Promise<void> {
    const ends: Promise<unknown>[] = [];
    for (const party of this.#parts.table.all()) {
      if (party.kind !== 'process') continue;
      this.#stop(party);
      if (party.guest !== undefined) ends.push(party.guest.ended);
    }
    await Promise.all(ends);
  }

  async #load(process: Process): Promise<void> {
    const { engine } = this.#parts;
    try {
      const image = await engine.load(process.bytes ?? new Uint8Array());
      if (process.state !== 'starting') return;
      process.image = image;
      process.bytes = undefined;
      this.#start(process, image);
    } catch (cause) {
      this.#notStarted(process, cause instanceof Error ? cause.message : String(cause));
    }
  }

  #start(process: Process, image: Image): void {
    let guest: Guest;
    try {
      guest = this.#startGuest(process, image);
    } catch (cause) {
      this.#notStarted(process, cause instanceof Error ? cause.message : String(cause));
      return;
    }
    process.guest = guest;
    process.state = 'running';
    process.startedAtMs = this.#parts.clock.nowMs();
    void guest.ended.then((end) => this.#ended(process, guest, end));
  }

  #startGuest(process: Process, image: Image): Guest {
    const { engine, harts, link } = this.#parts;
    const local = process.host;
    if (!(local instanceof StandardHost)) throw new Error(`${process.id} was started twice`);
    const remote = harts?.start({
      id: process.id,
      image,
      link: link(process),
      onExit: local.onExit,
      handOver: () => local.handOver(),
    });
    if (remote !== undefined) {
      process.host = remote;
      return remote;
    }
    const guest = engine.start(image, process.address, local);
    harts?.watch(process.id, guest);
    return guest;
  }

  /** A zombie keeps its id and its place in the map, and is tried again at the next boot (kernel.md §5.6). */
  #notStarted(process: Process, reason: string): void {
    if (process.state === 'removed') return;
    process.state = 'zombie';
    process.lastEnd = `could not start: ${firstLine(reason)}`;
    process.guest = undefined;
    process.bytes = undefined;
    process.host.close();
    this.#parts.dispatcher.say(0, `could not start ${process.id}: ${reason}`);
  }

  #ended(process: Process, guest: Guest, end: GuestEnd): void {
    if (process.guest !== guest || process.state !== 'running') return;
    const { dispatcher, journal } = this.#parts;
    if (end.kind === 'not-started') return this.#notStarted(process, end.reason);
    if (end.kind === 'trapped') {
      const stderr = end.stderr === '' ? '' : `\n${end.stderr}`;
      dispatcher.say(0, `${process.id} ended with an error:\n${end.report}${stderr}`);
    } else {
      dispatcher.say(1, `${process.id} ${end.kind}`);
    }
    process.lastEnd = end.kind === 'trapped' ? firstLine(end.report) : end.kind;
    this.#account(process, guest);
    this.#exit(process);
    // Nobody waits for it: the next command's batch comes after it anyway.
    journal.commit()?.catch((error: unknown) => this.#unwritten(process.id, error));
  }

  /** Adds what an instance used to what its process used. */
  #account(process: Process, guest: Guest): void {
    const usage = guest.usage();
    process.pastFuel += usage.fuel;
    process.pastCpuMs += usage.cpuMs;
  }

  #exit(process: Process): void {
    const { dispatcher, capabilities } = this.#parts;
    const { onExit } = process.host;
    dispatcher.say(1, `${process.id} had on-exit ${onExit.kind}`);
    if (onExit.kind === 'restart') return this.#restart(process);
    if (onExit.kind === 'requests') {
      for (const message of exitRequests(process, onExit, this.#parts.ids)) {
        const resolved = { ...message, target: dispatcher.resolve(message.target) };
        void dispatcher.send(process, allowed(resolved, process, capabilities));
      }
    }
    this.kill(process.id, { revoke: true });
  }

  #restart(process: Process): void {
    const { clock } = this.#parts;
    const uptimeS = (clock.nowMs() - process.startedAtMs) / 1000;
    const { state, waitS } = nextBackoff(this.#backoffs.get(process.id) ?? FRESH_BACKOFF, uptimeS);
    this.#backoffs.set(process.id, state);
    this.#retire(process);
    if (waitS === 0) return this.#again(process);
    process.pendingRestart = clock.schedule(() => this.#again(process), waitS * 1000);
  }

  /** The instance is over and another one will follow. */
  #retire(process: Process): void {
    const { onExit } = process.host;
    process.host.close();
    process.guest = undefined;
    process.exists = false;
    process.state = 'backoff';
    for (const module of this.#parts.table.modules) {
      module.queue.processGone(process.id, 'restarting');
    }
    if (process.onExit !== onExit) this.setOnExit(process, onExit);
  }

  #again(process: Process): void {
    process.pendingRestart = undefined;
    process.restarts++;
    process.exists = true;
    process.state = 'initialized';
    process.host = new StandardHost(this.#parts.link(process), process.onExit);
    const refusal = this.run(process.id);
    if (refusal === undefined) return;
    // No room for another process now (F6): it tries again after the longest wait.
    process.exists = false;
    process.state = 'backoff';
    const { clock } = this.#parts;
    process.pendingRestart = clock.schedule(() => this.#again(process), BACKOFF_S_MAX * 1000);
  }

  #remove(process: Process): void {
    const { table, capabilities, clock } = this.#parts;
    if (process.pendingRestart !== undefined) clock.cancel(process.pendingRestart);
    process.pendingRestart = undefined;
    table.remove(process);
    capabilities.forget(process);
    this.#stop(process);
    for (const module of table.modules) {
      module.queue.cancel(process.address, 'its requester was killed');
      module.queue.processGone(process.id, 'ended');
    }
  }

  /** Unwinds the guest; its end changes nothing any more. */
  #stop(process: Process): void {
    const { guest } = process;
    if (process.pendingRestart !== undefined) this.#parts.clock.cancel(process.pendingRestart);
    process.state = 'removed';
    process.host.close();
    guest?.kill();
  }

  #unwritten(id: ProcessId, error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    this.#parts.dispatcher.say(
      0,
      `could not write the process map after the end of ${id}: ${reason}`,
    );
  }
}

function firstLine(text: string): string {
  const line = text.trimStart().split('\n', 1)[0] ?? '';
  return line.length > LAST_END_CHARS_MAX ? `${line.slice(0, LAST_END_CHARS_MAX)}…` : line;
}

/** What of a process is kept on disk besides its capabilities. */
export function entryOf(process: Process): ProcessSettings {
  const { wasmBytesHandle, witVersion, onExit, public: isPublic } = process;
  return { wasmBytesHandle, witVersion, onExit, public: isPublic };
}

/** The message with only the capabilities its sender may attach (H18). */
function allowed(
  message: ReturnType<typeof exitRequests>[number],
  sender: Party,
  capabilities: CapabilityStore,
): ReturnType<typeof exitRequests>[number] {
  const { request } = message.message;
  const filtered = capabilities.filterOutgoing(sender, request.capabilities);
  return {
    ...message,
    message: { kind: 'request', request: { ...request, capabilities: filtered } },
  };
}
