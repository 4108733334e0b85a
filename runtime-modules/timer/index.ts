/**
 * `timer:distro:sys` (runtime-modules.md §5): one empty response after a delay, whether or not one was expected. Public: any local
 * process may ask. It stays silent on remote requests and on bodies it cannot read.
 */
import type { Answer, KernelPort, ModuleRequest, RuntimeModule } from '../../kernel/module.ts';
import { timerRequest } from '../../wit/timer-api.ts';
import type { ProcessId, Result } from '../../wit/types.ts';
import { SCHEDULE_MS_MAX, type Clock } from '../shared/clock.ts';
import { decodeBody } from '../shared/refuse.ts';

/**
 * Timers one process may have pending; a further one is printed and not answered. Below the unfinished work that the kernel lets one
 * process have at a module, so that the process is told and not suspended.
 */
export const TIMERS_PER_PROCESS_MAX = 960;
/** Timers of all processes together. */
export const TIMERS_MAX = 65_536;
/** Longest delay, about 285 years: a number that arithmetic in milliseconds can carry. Longer ones are cut to it. */
export const DELAY_MS_MAX = 2 ** 53 - 1;
/** A body has one number. */
const BODY_BYTES_MAX = 4096;

export interface TimerNeeds {
  readonly clock: Clock;
  readonly port: Pick<KernelPort, 'print'>;
}

export interface TimerOptions {
  /** Default `TIMERS_PER_PROCESS_MAX`. */
  readonly perProcessMax?: number;
  /** Default `TIMERS_MAX`. */
  readonly max?: number;
}

export interface TimerWork {
  readonly kind: 'set' | 'debug';
  readonly process: ProcessId;
  readonly delayMs: number;
}

export const timer =
  (options: TimerOptions = {}) =>
  (needs: TimerNeeds): RuntimeModule<TimerWork> =>
    new Timer(needs, options);

interface Pending {
  readonly dueMs: number;
  readonly end: (fired: boolean) => void;
}

class Timer implements RuntimeModule<TimerWork> {
  readonly name = 'timer';
  readonly public = true;
  readonly #needs: TimerNeeds;
  readonly #perProcessMax: number;
  readonly #max: number;
  readonly #pending = new Set<Pending>();
  readonly #counts = new Map<ProcessId, number>();
  readonly #groups = new WeakMap<AbortSignal, Set<Pending>>();

  constructor(needs: TimerNeeds, options: TimerOptions) {
    this.#needs = needs;
    this.#perProcessMax = options.perProcessMax ?? TIMERS_PER_PROCESS_MAX;
    this.#max = options.max ?? TIMERS_MAX;
  }

  decode(request: ModuleRequest): Result<TimerWork, undefined> {
    if (!request.local) return { ok: false, error: undefined };
    const body = decodeBody(timerRequest, request.body, BODY_BYTES_MAX);
    const { process } = request.source;
    if (!body.ok) {
      this.#needs.port.print(1, `timer: malformed request from ${process}: ${body.error}`);
      return { ok: false, error: undefined };
    }
    if (body.value.kind === 'Debug')
      return { ok: true, value: { kind: 'debug', process, delayMs: 0 } };
    const delay = body.value.value;
    const delayMs = delay > DELAY_MS_MAX ? DELAY_MS_MAX : Number(delay);
    return { ok: true, value: { kind: 'set', process, delayMs } };
  }

  /** Timers wait side by side, also those of one process. */
  orderKey(): undefined {
    return undefined;
  }

  async handle(work: TimerWork, signal: AbortSignal): Promise<Answer | undefined> {
    if (work.kind === 'debug') return this.#debug();
    const mine = this.#counts.get(work.process) ?? 0;
    if (mine >= this.#perProcessMax || this.#pending.size >= this.#max) {
      const which =
        mine >= this.#perProcessMax ? `${mine} of this process` : `${this.#pending.size}`;
      this.#needs.port.print(0, `timer: refused one for ${work.process}: ${which} are pending`);
      return undefined;
    }
    this.#needs.port.print(3, `set timer to pop in ${work.delayMs}ms`);
    this.#counts.set(work.process, mine + 1);
    const fired = await this.#wait(work.delayMs, signal);
    const left = (this.#counts.get(work.process) ?? 1) - 1;
    if (left > 0) this.#counts.set(work.process, left);
    else this.#counts.delete(work.process);
    return fired ? { body: new Uint8Array(), send: 'always' } : undefined;
  }

  [Symbol.asyncDispose](): Promise<void> {
    for (const pending of this.#pending) pending.end(false);
    return Promise.resolve();
  }

  #debug(): undefined {
    const { clock, port } = this.#needs;
    port.print(0, `timer service active timers (${this.#pending.size}):`);
    const now = clock.nowMs();
    for (const { dueMs } of [...this.#pending].toSorted((a, b) => a.dueMs - b.dueMs))
      port.print(0, `in ${Math.max(0, Math.ceil(dueMs - now))}ms`);
  }

  /**
   * True when it is time, false when aborted. One millisecond early on purpose: guests give the kernel a timeout of whole seconds
   * that may be only 1 ms above the delay (M111), and the host's timers may be a fraction early or late.
   */
  #wait(delayMs: number, signal: AbortSignal): Promise<boolean> {
    const { clock } = this.#needs;
    if (signal.aborted) return Promise.resolve(false);
    return new Promise((resolve) => {
      let handle: object | undefined;
      const group = this.#groupOf(signal);
      const pending: Pending = {
        dueMs: clock.nowMs() + Math.max(0, delayMs - 1),
        end: (fired) => {
          if (!this.#pending.delete(pending)) return;
          group.delete(pending);
          if (handle !== undefined) clock.cancel(handle);
          resolve(fired);
        },
      };
      const arm = (): void => {
        const leftMs = pending.dueMs - clock.nowMs();
        if (leftMs <= 0) return pending.end(true);
        handle = clock.schedule(arm, Math.min(Math.ceil(leftMs), SCHEDULE_MS_MAX));
      };
      this.#pending.add(pending);
      group.add(pending);
      arm();
    });
  }

  /** What ends with a signal. One listener for all of it: thousands on one signal are slow to remove, and the host warns. */
  #groupOf(signal: AbortSignal): Set<Pending> {
    const known = this.#groups.get(signal);
    if (known !== undefined) return known;
    const group = new Set<Pending>();
    this.#groups.set(signal, group);
    const onAbort = (): void => {
      for (const pending of group) pending.end(false);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    return group;
  }
}
