/**
 * The commands of `kernel:distro:sys` (kernel.md §4): decoded, then committed in one synchronous step, then written to disk, then
 * answered. Only a full match of the id is the kernel (H1): routing compares whole addresses.
 */
import { formatAddress, isSafeProcessId, KERNEL } from '../wit/address.ts';
import {
  decodeKernelCommand,
  encodeKernelResponse,
  type InitializeProcess,
  type KernelCommand,
  type KernelDebug,
  type KernelResponse,
} from '../wit/kernel-api.ts';
import { plainResponse } from '../wit/message.ts';
import type { KernelMessage, ProcessId } from '../wit/types.ts';
import type { CapabilityStore } from './capability-store.ts';
import type { Dispatcher } from './dispatch.ts';
import type { Journal } from './journal.ts';
import type { Lifecycle, RestartRefusal } from './lifecycle.ts';
import { PRINT_LOG_ANSWER_LINES_MAX } from './limits.ts';
import type { PrintLog } from './print-log.ts';
import { messagingCapability, type Party, type ProcessTable } from './process-table.ts';
import { describeProcess, describeUsage, type OutsideUse } from './snapshot.ts';

export interface KernelProcessParts {
  readonly table: ProcessTable;
  readonly capabilities: CapabilityStore;
  readonly journal: Journal;
  readonly dispatcher: Dispatcher;
  readonly lifecycle: Lifecycle;
  readonly nowMs: () => number;
  /** What a process has waiting at modules, and what its package keeps. */
  readonly storageOf: (party: Party) => OutsideUse;
  /** What was printed lately. */
  readonly log: PrintLog;
  /** Called for the Shutdown command. */
  readonly onShutdown: () => void;
}

const NO_REVOKE = 'no-revoke';

const RESTART_REFUSALS: Record<RestartRefusal, (id: ProcessId) => string> = {
  unknown: (id) => `there is no process ${id}`,
  'no-component': (id) =>
    `the component of ${id} could not be loaded when it was started; install its package again`,
  'too-many': (id) =>
    `${id} was ended, and there is no room to start it now; it is tried again by itself`,
};

export class KernelProcess {
  readonly #parts: KernelProcessParts;

  constructor(parts: KernelProcessParts) {
    this.#parts = parts;
  }

  /** Takes one message addressed to the kernel by somebody on this node who may. */
  handle(source: Party, message: KernelMessage): void {
    if (message.message.kind !== 'request') return;
    const command = decodeKernelCommand(message.message.request.body);
    if (!command.ok) {
      this.#say(
        0,
        `the kernel got a malformed command from ${formatAddress(message.source)}: ${command.error}`,
      );
      return;
    }
    const response = this.#execute(command.value, source, message);
    const written = this.#parts.journal.commit();
    if (written === undefined) {
      if (response !== undefined) this.#answer(message, response);
      return;
    }
    written.then(
      () => {
        if (response !== undefined) this.#answer(message, response);
      },
      // Not acknowledged, because a crash now would undo it.
      (error: unknown) =>
        this.#say(0, `${command.value.kind} is not on disk, and is not answered: ${String(error)}`),
    );
  }

  #execute(
    command: KernelCommand,
    source: Party,
    message: KernelMessage,
  ): KernelResponse | undefined {
    const { table, capabilities, lifecycle } = this.#parts;
    switch (command.kind) {
      case 'Booted':
        // Boot starts the processes itself; nobody else has a reason to say so (H14).
        this.#say(0, `ignored Booted from ${formatAddress(message.source)}`);
        return undefined;
      case 'InitializeProcess':
        return this.#initialize(command, source, message);
      case 'GrantCapabilities': {
        const holder = table.get(command.target);
        if (holder !== undefined && capabilities.add(holder, command.capabilities) > 0) {
          this.#say(
            0,
            `did not grant all capabilities to ${holder.id}: too many, or params too long`,
          );
        }
        return undefined;
      }
      case 'DropCapabilities': {
        const holder = table.get(command.target);
        if (holder !== undefined) capabilities.drop(holder, command.capabilities);
        return undefined;
      }
      case 'SetOnExit': {
        const process = table.process(command.target);
        if (process !== undefined) lifecycle.setOnExit(process, command.onExit);
        return undefined;
      }
      case 'RunProcess':
        return {
          kind: lifecycle.run(command.id) === undefined ? 'StartedProcess' : 'RunProcessError',
        };
      case 'KillProcess':
        return this.#kill(command.id, message);
      case 'RestartProcess':
        return this.#restart(command.id);
      case 'Shutdown':
        this.#parts.onShutdown();
        return undefined;
      case 'Debug':
        return this.#debug(command.debug);
    }
  }

  #initialize(command: InitializeProcess, source: Party, message: KernelMessage): KernelResponse {
    const { table, capabilities, lifecycle } = this.#parts;
    const { id, blob } = { id: command.id, blob: message.blob };
    if (blob === undefined || !isSafeProcessId(id) || id === KERNEL) {
      return { kind: 'InitializeProcessError' };
    }
    const kept = command.initialCapabilities.filter((capability) => {
      if (source.kind === 'kernel' || capabilities.has(source, capability)) return true;
      const what = `${formatAddress(capability.issuer)} ${capability.params}`;
      this.#say(0, `${source.id} does not hold what it wanted ${id} to start with: ${what}`);
      return false;
    });
    const initialized = lifecycle.initialize({ ...command, capabilities: kept }, blob.bytes);
    // Also when it exists already: the reference grants before it looks (kernel.md §4.3).
    capabilities.add(source, [messagingCapability(table.addressOf(id))]);
    return { kind: initialized.ok ? 'InitializedProcess' : 'InitializeProcessError' };
  }

  #kill(id: ProcessId, message: KernelMessage): KernelResponse | undefined {
    if (message.message.kind !== 'request') return undefined;
    const { expectsResponse, metadata } = message.message.request;
    if (!this.#parts.lifecycle.kill(id, { revoke: metadata !== NO_REVOKE })) {
      this.#say(2, `cannot kill ${id}: there is no such process`);
      return undefined;
    }
    if (expectsResponse === undefined) {
      this.#say(2, `killed ${id}`);
      return undefined;
    }
    this.#say(0, `killed ${id}`);
    return { kind: 'KilledProcess', id };
  }

  #restart(id: ProcessId): KernelResponse {
    const refusal = this.#parts.lifecycle.restart(id);
    if (refusal !== undefined)
      return { kind: 'RestartProcessError', reason: RESTART_REFUSALS[refusal](id) };
    this.#say(0, `restarted ${id}`);
    return { kind: 'RestartedProcess', id };
  }

  #debug(debug: KernelDebug): KernelResponse {
    const { table, capabilities, nowMs, storageOf, log } = this.#parts;
    switch (debug.kind) {
      case 'ProcessMap': {
        const parties = [...table.all()].filter((party) => party.exists);
        return {
          kind: 'ProcessMap',
          processes: new Map(parties.map((party) => [party.id, describeProcess(party)])),
        };
      }
      case 'Usage': {
        const usage = new Map(
          [...table.all()].map((party) => [
            party.id,
            describeUsage(party, nowMs(), storageOf(party)),
          ]),
        );
        return { kind: 'Usage', processes: usage };
      }
      case 'Process': {
        const party = table.get(debug.id);
        return {
          kind: 'Process',
          process: party?.exists === true ? describeProcess(party) : undefined,
        };
      }
      case 'Logs': {
        const limit = Math.min(debug.limit, PRINT_LOG_ANSWER_LINES_MAX);
        return { kind: 'Logs', ...log.read(debug.after, limit) };
      }
      case 'HasCap': {
        const holder = table.get(debug.on);
        return {
          kind: 'HasCap',
          has: holder === undefined ? undefined : capabilities.has(holder, debug.capability),
        };
      }
    }
  }

  /** To rsvp, else to the source, whether or not a response was expected (kernel.md §4). */
  #answer(request: KernelMessage, response: KernelResponse): void {
    const { kernel } = this.#parts.table;
    void this.#parts.dispatcher.send(kernel, {
      id: request.id,
      source: kernel.address,
      target: this.#parts.dispatcher.resolve(request.rsvp ?? request.source),
      rsvp: undefined,
      message: {
        kind: 'response',
        response: plainResponse(encodeKernelResponse(response)),
        context: undefined,
      },
      blob: undefined,
    });
  }

  #say(verbosity: number, text: string): void {
    this.#parts.dispatcher.say(verbosity, text);
  }
}
