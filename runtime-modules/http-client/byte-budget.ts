/** Bytes held for processes: so many for one, so many for all. */
import type { ProcessId } from '../../wit/types.ts';

export class ByteBudget {
  readonly #perProcessMax: number;
  readonly #max: number;
  readonly #held = new Map<ProcessId, number>();
  #total = 0;

  constructor(max: { readonly perProcess: number; readonly all: number }) {
    this.#perProcessMax = max.perProcess;
    this.#max = max.all;
  }

  get total(): number {
    return this.#total;
  }

  /** False: there is no room, and nothing was taken. */
  take(process: ProcessId, bytes: number): boolean {
    const held = (this.#held.get(process) ?? 0) + bytes;
    if (held > this.#perProcessMax || this.#total + bytes > this.#max) return false;
    this.#held.set(process, held);
    this.#total += bytes;
    return true;
  }

  /** Gives back what was taken. */
  give(process: ProcessId, bytes: number): void {
    const left = (this.#held.get(process) ?? 0) - bytes;
    if (left > 0) this.#held.set(process, left);
    else this.#held.delete(process);
    this.#total -= bytes;
  }
}
