/**
 * How many requests are at servers at once: of a process, of its package, of all. The others wait, and processes take turns, so that one
 * with a long line does not hold up those with short ones.
 */
import { packageOf } from '../../wit/address.ts';
import type { PackageId, ProcessId } from '../../wit/types.ts';

export interface SlotLimits {
  readonly perProcess: number;
  readonly perPackage: number;
  readonly all: number;
}

interface Waiter {
  readonly start: () => void;
}

export class Slots {
  readonly #limits: SlotLimits;
  readonly #processes = new Map<ProcessId, number>();
  readonly #packages = new Map<PackageId, number>();
  /** In the order in which their turn comes; an empty line is taken out. */
  readonly #lines = new Map<ProcessId, Set<Waiter>>();
  #active = 0;

  constructor(limits: SlotLimits) {
    this.#limits = limits;
  }

  get active(): number {
    return this.#active;
  }

  /** False when `signal` aborted before it was this one's turn. A slot that was entered must be left. */
  async enter(process: ProcessId, signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return false;
    if (!this.#lines.has(process) && this.#hasRoom(process)) {
      this.#take(process);
      return true;
    }
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const waiter: Waiter = { start: () => resolve(true) };
    let line = this.#lines.get(process);
    if (line === undefined) this.#lines.set(process, (line = new Set()));
    line.add(waiter);
    const abort = (): void => {
      if (!line.delete(waiter)) return;
      if (line.size === 0 && this.#lines.get(process) === line) this.#lines.delete(process);
      resolve(false);
    };
    signal.addEventListener('abort', abort, { once: true });
    return promise.finally(() => signal.removeEventListener('abort', abort));
  }

  leave(process: ProcessId): void {
    this.#active -= 1;
    lower(this.#processes, process);
    lower(this.#packages, packageOf(process));
    for (const [next, line] of this.#lines) {
      if (!this.#hasRoom(next)) continue;
      const [waiter] = line;
      this.#lines.delete(next);
      if (waiter === undefined) continue;
      line.delete(waiter);
      if (line.size > 0) this.#lines.set(next, line);
      this.#take(next);
      waiter.start();
      return;
    }
  }

  #hasRoom(process: ProcessId): boolean {
    const { perProcess, perPackage, all } = this.#limits;
    return (
      this.#active < all &&
      (this.#processes.get(process) ?? 0) < perProcess &&
      (this.#packages.get(packageOf(process)) ?? 0) < perPackage
    );
  }

  #take(process: ProcessId): void {
    this.#active += 1;
    raise(this.#processes, process);
    raise(this.#packages, packageOf(process));
  }
}

function raise<K>(counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

function lower<K>(counts: Map<K, number>, key: K): void {
  const left = (counts.get(key) ?? 1) - 1;
  if (left > 0) counts.set(key, left);
  else counts.delete(key);
}
