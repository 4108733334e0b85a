/** Event printing and step-through (kernel.md §8.4): a private channel of the native terminal, reachable by no message. */
import { KERNEL } from '../wit/address.ts';
import type { KernelMessage, NodeId, ProcessId } from '../wit/types.ts';
import { keep } from './held-blob.ts';
import type { PrintSink } from './print.ts';

export class EventDebug {
  readonly #our: NodeId;
  readonly #sink: PrintSink;
  readonly #traced = new Set<ProcessId>();
  #full = false;
  #stepping = false;
  readonly #held: (() => void)[] = [];

  constructor(our: NodeId, sink: PrintSink) {
    this.#our = our;
    this.#sink = sink;
  }

  /** Whether any message has to pass here; off, the message path pays one check. */
  active = false;

  /** Prints every message. */
  setFull(on: boolean): void {
    this.#full = on;
    this.#update();
  }

  /** Prints the messages from and to one process. */
  setProcess(process: ProcessId, on: boolean): void {
    if (on) this.#traced.add(process);
    else this.#traced.delete(process);
    this.#update();
  }

  /** While on, messages wait for `step`; switched off, all that waited go on in order. */
  setStepping(on: boolean): void {
    this.#stepping = on;
    if (!on) for (const release of this.#held.splice(0)) release();
    this.#update();
  }

  /** Lets the oldest waiting message go on; false when none waits. */
  step(): boolean {
    const release = this.#held.shift();
    release?.();
    return release !== undefined;
  }

  /** Messages that wait for a step. */
  get held(): number {
    return this.#held.length;
  }

  /** Prints the message if it is to be seen, and either runs `dispatch` or keeps it for a step. */
  pass(message: KernelMessage, dispatch: () => void): boolean {
    keep(message.blob);
    this.#print(message);
    if (!this.#stepping) return true;
    this.#held.push(dispatch);
    return false;
  }

  #print(message: KernelMessage): void {
    const { source, target } = message;
    if (this.#full) void this.#sink.print({ verbosity: 3, process: KERNEL, event: message });
    for (const { node, process } of [source, target]) {
      if (node !== this.#our || !this.#traced.has(process)) continue;
      void this.#sink.print({ verbosity: 3, process, event: message });
      return;
    }
  }

  #update(): void {
    this.active = this.#full || this.#stepping || this.#traced.size > 0;
  }
}
