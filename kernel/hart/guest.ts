/**
 * One running guest: its fuel, its suspensions, its end (architecture.md §2). States:
 *
 *   queued -> running <-> suspended (waits for resume, or preempted) -> ended
 *
 * `kill` raises the dead flag from any state; the guest then unwinds through the trampolines (findings.md F2, F3): it is always
 * resumed, never abandoned, because a stack that is dropped is never freed.
 */
import type { Guest, GuestEnd, GuestUsage } from '../engine.ts';
import { MEMORY_PAGES_MAX, TABLE_ENTRIES_MAX } from '../image/limits.ts';
import { Trap } from '../process-host.ts';
import type { RunQueue, Runnable } from './run-queue.ts';
import type { GuestCalls } from './standard/bindings.ts';
import type { NoSuspend } from './standard/guest-memory.ts';
import { GO_ON, WAIT } from './trampoline.ts';
import { trapReport } from './trap-report.ts';

/** Fuel between two yields: about 0.2 ms of optimised code, 2 ms of V8's baseline code. */
export const QUANTUM_FUEL = 200_000;
/** What code that cannot suspend (realloc, post-return, start) may burn before it traps (findings.md F7). */
export const CLOSED_FUEL_MAX = 10_000_000;
/** Charges of host calls are gathered and taken off the counter in steps, which costs 29 ns each. */
const DEBT_FUEL_MAX = 20_000;
const PAGE_BYTES = 65_536;

const i32Global = (value: number): WebAssembly.Global<'i32'> =>
  new WebAssembly.Global({ value: 'i32', mutable: true }, value);

/** What a guest wrote, kept by its WASI. */
export interface GuestOutput {
  stderr(): string;
  output(): string;
}

/** What one guest may use. */
export interface GuestLimits {
  /** Pages of all its memories together. */
  readonly memoryPagesMax: number;
  /** Units of fuel until it traps; a process has no such end. */
  readonly fuelMax: number;
}

const PROCESS_LIMITS: GuestLimits = { memoryPagesMax: MEMORY_PAGES_MAX, fuelMax: Infinity };

const nextMicrotask = Promise.resolve();

/** What a host function returns when its guest is to wait. */
export const SUSPENDED = Symbol('suspended');

export class RunningGuest implements Guest, GuestCalls, NoSuspend, Runnable {
  readonly ended: Promise<GuestEnd>;
  readonly fuel = i32Global(QUANTUM_FUEL);
  readonly dead = i32Global(0);
  /** Raised for a host function with a result that must wait; its trampoline then calls `waiting`. */
  readonly wait = i32Global(0);
  readonly aborted = new AbortController();
  readonly #queue: RunQueue;
  readonly #written: GuestOutput;
  readonly #limits: GuestLimits;
  #settle!: (end: GuestEnd) => void;
  #state: 'queued' | 'running' | 'suspended' | 'ended' = 'queued';
  #start: (() => Promise<unknown>) | undefined;
  #resolve: ((value: unknown) => void) | undefined;
  #finish: (() => unknown) | undefined;
  #callee: Promise<unknown> | undefined;
  #fault: unknown;
  #killed = false;
  /** What `dead` holds: asking a global costs 20 ns. */
  #dead = false;
  /** Its core modules are being instantiated, under a JavaScript frame. */
  #starting = true;
  #closedDepth = 0;
  #closedFuel = 0;
  #usedFuel = 0;
  #debt = 0;
  #cpuMs = 0;
  #memoryPages = 0;
  #peakPages = 0;
  #refusedMemory = false;
  #tableEntries = 0;

  /** `start` instantiates the guest and calls init; it runs in the guest's first slice. */
  constructor(
    queue: RunQueue,
    start: (guest: RunningGuest) => Promise<unknown>,
    written: GuestOutput,
    limits: GuestLimits = PROCESS_LIMITS,
  ) {
    this.#queue = queue;
    this.#written = written;
    this.#limits = limits;
    this.#start = () => start(this);
    this.ended = new Promise((resolve) => (this.#settle = resolve));
    queue.ready(this);
  }

  kill(): void {
    if (this.#state === 'ended') return;
    this.#killed = true;
    this.#die();
    // A suspended stack must unwind; one in the queue gets there anyway.
    if (this.#state === 'suspended') this.#wake();
  }

  usage(): GuestUsage {
    return {
      fuel: this.#usedFuel + this.#debt + Math.max(0, QUANTUM_FUEL - this.fuel.value),
      cpuMs: this.#cpuMs,
      memoryBytes: this.#memoryPages * PAGE_BYTES,
    };
  }

  output(): string {
    return this.#written.output();
  }

  /** The most linear memory it has held, in bytes, and whether it was ever refused more. */
  memory(): { readonly peakBytes: number; readonly refused: boolean } {
    return { peakBytes: this.#peakPages * PAGE_BYTES, refused: this.#refusedMemory };
  }

  // --- what bindings need

  charge(units: number): void {
    this.#debt += units;
    if (this.#debt < DEBT_FUEL_MAX) return;
    this.fuel.value -= Math.floor(this.#debt);
    this.#debt = 0;
  }

  suspend(): typeof SUSPENDED {
    this.#mayWait();
    this.#state = 'suspended';
    return SUSPENDED;
  }

  /** Makes the calling stack wait for a call into another component of the process, which suspends by itself. */
  suspendUntil(callee: Promise<unknown>): typeof SUSPENDED {
    this.#mayWait();
    this.#callee = callee;
    return SUSPENDED;
  }

  resume(finish: () => unknown): void {
    if (this.#state !== 'suspended' || this.#killed) return;
    this.#finish = finish;
    this.#wake();
  }

  fail(fault: unknown): void {
    // A killed guest unwinds through traps of its own, in realloc for example; they say nothing.
    if (this.#killed) return;
    this.#fault ??= fault;
    this.#die();
  }

  // --- guest code under a JavaScript frame

  enter(): void {
    if (this.#closedDepth++ === 0) this.#closedFuel = 0;
  }

  leave(): void {
    if (--this.#closedDepth > 0) return;
    // What ran closed may have outstayed the slice: the next check is to yield.
    if (this.#closedFuel > 0) this.#spendRest();
  }

  /** Called first by every host function. @throws Trap under realloc or post-return, which may call none */
  mayLeave(): void {
    if (this.#closedDepth > 0) throw new Trap('realloc or post-return called a host function');
  }

  /** The guest is instantiated: from here on it may suspend. */
  started(): void {
    this.#starting = false;
    this.#closedFuel = 0;
  }

  // --- what trampolines import

  /** What a suspended stack waits for: whatever `finish` returns, of a type the bindings know. */
  readonly waiting = (): Promise<unknown> => {
    const callee = this.#callee;
    if (callee !== undefined) {
      this.#callee = undefined;
      return callee;
    }
    const woken = new Promise(this.#keepResolve);
    this.#queue.left(this);
    return woken;
  };

  readonly #keepResolve = (resolve: (value: unknown) => void): void => {
    this.#resolve = resolve;
  };

  /** Out of fuel; returns whether the stack is to wait. */
  readonly yield = (): number => {
    const used = this.#refill();
    if (this.#closedDepth > 0 || this.#starting) {
      // Under a JavaScript frame the stack cannot suspend.
      this.#closedFuel += used;
      if (this.#closedFuel > CLOSED_FUEL_MAX)
        this.fail(new Trap('realloc, post-return or a start function ran for too long'));
      return GO_ON;
    }
    if (this.#usedFuel > this.#limits.fuelMax)
      this.fail(new Trap(`the program has used its ${this.#limits.fuelMax} units of fuel`));
    if (this.#dead || !this.#queue.sliceIsOver) return GO_ON;
    this.#state = 'queued';
    this.#queue.preempt(this);
    return WAIT;
  };

  /** 1 if the process may have `delta` pages more, else 0. */
  readonly growMemory = (delta: number): number => {
    const pages = this.#memoryPages + (delta >>> 0);
    if (pages > this.#limits.memoryPagesMax) {
      this.#refusedMemory = true;
      return 0;
    }
    this.#memoryPages = pages;
    if (pages > this.#peakPages) this.#peakPages = pages;
    return 1;
  };

  readonly growTable = (delta: number): number => {
    const entries = this.#tableEntries + (delta >>> 0);
    if (entries > TABLE_ENTRIES_MAX) return 0;
    this.#tableEntries = entries;
    return 1;
  };

  // --- the run queue's side

  run(): void {
    const start = this.#start;
    if (start !== undefined) {
      this.#start = undefined;
      this.#state = 'running';
      void nextMicrotask.then(() => this.#begin(start));
      return;
    }
    let value: unknown;
    const finish = this.#finish;
    this.#finish = undefined;
    if (finish !== undefined && !this.#dead) {
      try {
        value = finish();
      } catch (fault) {
        this.fail(fault);
      }
    }
    const resolve = this.#resolve!;
    this.#resolve = undefined;
    this.#state = 'running';
    resolve(value);
  }

  ranFor(ms: number): void {
    this.#cpuMs += ms;
  }

  #begin(start: () => Promise<unknown>): void {
    if (this.#killed) {
      this.#end({ kind: 'killed' });
      return;
    }
    let done: Promise<unknown>;
    try {
      done = start();
    } catch (fault) {
      this.#end(
        this.#killed
          ? { kind: 'killed' }
          : { kind: 'not-started', reason: trapReport(this.#fault ?? fault) },
      );
      return;
    }
    done.then(
      () => this.#end({ kind: 'returned' }),
      (fault: unknown) =>
        this.#end(
          this.#killed && this.#fault === undefined
            ? { kind: 'killed' }
            : {
                kind: 'trapped',
                report: trapReport(this.#fault, fault),
                stderr: this.#written.stderr(),
              },
        ),
    );
  }

  #end(end: GuestEnd): void {
    this.#state = 'ended';
    this.#memoryPages = 0;
    this.aborted.abort();
    this.#settle(end);
    this.#queue.left(this);
  }

  #wake(): void {
    this.#state = 'queued';
    this.#queue.ready(this);
  }

  /** @throws Trap while the stack has a JavaScript frame in it, which cannot suspend */
  #mayWait(): void {
    if (this.#starting) throw new Trap('a start function called a host function that had to wait');
  }

  #die(): void {
    this.dead.value = 1;
    this.#dead = true;
    // So that running code gets to a trampoline at its next check.
    this.#spendRest();
  }

  /** Makes the next check fail without charging for it. */
  #spendRest(): void {
    this.#refill();
    this.#usedFuel -= QUANTUM_FUEL + 1;
    this.fuel.value = -1;
  }

  /** Books what was used; returns it. */
  #refill(): number {
    const used = QUANTUM_FUEL - this.fuel.value;
    this.#usedFuel += used;
    this.fuel.value = QUANTUM_FUEL;
    return used;
  }
}
