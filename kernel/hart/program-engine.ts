/** The engine of one hart for programs (image/program.ts): fresh instances each time, one run queue, limits of their own. */
import type { GuestEnd } from '../engine.ts';
import { RunningGuest, type GuestLimits } from './guest.ts';
import { Linker, type HostInterfaces, type Linkable } from './link.ts';
import { RunQueue } from './run-queue.ts';

/** How a program ended. `returned`: with what `run` returned; a core module's `_start` returns nothing. */
export type ProgramEnd =
  | { readonly kind: 'returned'; readonly value: unknown }
  | Exclude<GuestEnd, { kind: 'returned' }>;

export interface RunningProgram {
  readonly guest: RunningGuest;
  /** Settles once, never rejects. After it no host function is called again. */
  readonly ended: Promise<ProgramEnd>;
}

export class ProgramEngine {
  readonly #queue = new RunQueue();

  /**
   * Starts it. What it may call is what `interfaces` finds: WASI functions by import name, those of preview 1 with the program's memory
   * before their arguments. Nothing of the program runs before the current turn ends.
   */
  start(program: Linkable, interfaces: HostInterfaces, limits: GuestLimits): RunningProgram {
    let value: unknown;
    const guest = new RunningGuest(
      this.#queue,
      (running) =>
        new Linker(program, running, undefined, interfaces)
          .run()
          .then((returned) => (value = returned)),
      // Its outputs are its runner's.
      { stderr: () => '', output: () => '' },
      limits,
    );
    const ended = guest.ended.then((end): ProgramEnd =>
      end.kind === 'returned' ? { kind: 'returned', value } : end,
    );
    return { guest, ended };
  }
}
