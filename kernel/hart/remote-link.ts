/** The kernel as a process on a worker hart reaches it: sends and prints in a window, questions by number. */
import { OUR } from '../../wit/address.ts';
import type {
  Address,
  Capability,
  KernelMessage,
  OnExit,
  ProcessId,
  Result,
  SpawnError,
  SpawnOptions,
} from '../../wit/types.ts';
import { keep } from '../held-blob.ts';
import type { KernelLink } from '../host-standard.ts';
import type { Ids } from '../ids.ts';
import { Trap, type MaybePromise } from '../process-host.ts';
import type { TimerWheel } from '../timer-wheel.ts';
import { WINDOW, type FromHart, type LinkCall, type Outbox } from './worker-protocol.ts';

interface PendingCall {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

export class RemoteLink implements KernelLink {
  readonly our: Address;
  readonly timers: TimerWheel;
  readonly #process: number;
  readonly #ids: Ids;
  readonly #outbox: Outbox<FromHart>;
  readonly #calls = new Map<number, PendingCall>();
  #callCount = 0;
  #untaken = 0;
  #room: { promise: Promise<void>; resolve: () => void } | undefined;

  constructor(
    process: number,
    our: Address,
    parts: { readonly timers: TimerWheel; readonly ids: Ids; readonly outbox: Outbox<FromHart> },
  ) {
    this.#process = process;
    this.our = our;
    this.timers = parts.timers;
    this.#ids = parts.ids;
    this.#outbox = parts.outbox;
  }

  newId(): number {
    return this.#ids.id53();
  }

  resolve(target: Address): Address {
    return target.node === OUR ? { node: this.our.node, process: target.process } : target;
  }

  send(message: KernelMessage): MaybePromise<void> {
    keep(message.blob);
    this.#outbox.push({ kind: 'send', process: this.#process, message });
    return this.#window();
  }

  print(verbosity: number, text: string): MaybePromise<void> {
    this.#outbox.push({ kind: 'print', process: this.#process, verbosity, text });
    return this.#window();
  }

  filterOutgoing(capabilities: readonly Capability[]): Promise<readonly Capability[]> {
    return this.#call({ name: 'filterOutgoing', args: [capabilities] });
  }

  saveCapabilities(capabilities: readonly Capability[]): Promise<void> {
    return this.#call({ name: 'saveCapabilities', args: [capabilities] });
  }

  dropCapabilities(capabilities: readonly Capability[]): Promise<void> {
    return this.#call({ name: 'dropCapabilities', args: [capabilities] });
  }

  ourCapabilities(): Promise<readonly Capability[]> {
    return this.#call({ name: 'ourCapabilities', args: [] });
  }

  getState(): Promise<Uint8Array | undefined> {
    return this.#call({ name: 'getState', args: [] });
  }

  setState(bytes: Uint8Array): Promise<void> {
    return this.#call({ name: 'setState', args: [bytes] });
  }

  clearState(): Promise<void> {
    return this.#call({ name: 'clearState', args: [] });
  }

  setOnExit(onExit: OnExit): Promise<void> {
    return this.#call({ name: 'setOnExit', args: [onExit] });
  }

  spawn(options: SpawnOptions, wasm: Uint8Array): Promise<Result<ProcessId, SpawnError>> {
    return this.#call({ name: 'spawn', args: [options, wasm] });
  }

  // --- the kernel's words

  answered(call: number, value: unknown): void {
    this.#calls.get(call)?.resolve(value);
    this.#calls.delete(call);
  }

  refused(call: number, message: string): void {
    this.#calls.get(call)?.reject(new Trap(message));
    this.#calls.delete(call);
  }

  taken(count: number): void {
    this.#untaken -= count;
    if (this.#untaken >= WINDOW) return;
    this.#room?.resolve();
    this.#room = undefined;
  }

  /** Lets the guest go on when it may: a promise while too much of it is on the way. */
  #window(): MaybePromise<void> {
    if (++this.#untaken < WINDOW) return undefined;
    this.#room ??= Promise.withResolvers<void>();
    return this.#room.promise;
  }

  /** The kernel's answer is of the type the same method has there. */
  #call<T>(link: LinkCall): Promise<T> {
    const call = ++this.#callCount;
    this.#outbox.push({ kind: 'call', process: this.#process, call, link });
    return new Promise<T>((resolve, reject) => {
      this.#calls.set(call, { resolve: resolve as (value: unknown) => void, reject });
    });
  }
}
