/**
 * `timer:distro:sys` (runtime-modules.md §5): one empty response after a delay, whether or not one was expected. Public: any local
 * process may ask. It stays silent on remote requests and on bodies it cannot read. Ours: a timer can be rung before its time, by who set it.
 */
import type { Answer, KernelPort, ModuleRequest, RuntimeModule } from '../../kernel/module.ts';
import { RUNG, timerRequest } from '../../wit/timer-api.ts';
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
/** A body has one number, or a label. */
const BODY_BYTES_MAX = 4096;
/** Metadata of a timer up to this length is a label that it can be rung by. */
const LABEL_CHARS_MAX = 64;

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

export type TimerWork =
  | { readonly kind: 'debug' }
  | { readonly kind: 'ring'; readonly process: ProcessId; readonly label: string }
  | {
      readonly kind: 'set';
      readonly process: ProcessId;
      readonly delayMs: number;
      /** What it can be rung by. */
      readonly label: string | undefined;
    };

export const timer =
  (options: TimerOptions = {}) =>
  (needs: TimerNeeds): RuntimeModule<TimerWork> =>
    new Timer(needs, options);

/** How a wait ends: its time has come, it was rung, or nobody is to hear of it. */
type End = 'due' | 'rung' | 'aborted';

interface Pending {
  readonly dueMs: number;
  readonly end: (how: End) => void;
}

class Timer implements RuntimeModule<TimerWork> {
  readonly name = 'timer';
  readonly public = true;
  readonly #needs: TimerNeeds;
  readonly #perProcessMax: number;
  readonly #max: number;
  readonly #pending = new Set<Pending>();
  readonly #counts = new Map<ProcessId, number>();
  /** By process and label: of several the last. */
  readonly #labelled = new Map<string, Pending>();
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
    if (body.value.kind === 'Debug') return { ok: true, value: { kind: 'debug' } };
    if (body.value.kind === 'Ring')
      return { ok: true, value: { kind: 'ring', process, label: body.value.value } };
    const delay = body.value.value;
    const delayMs = delay > DELAY_MS_MAX ? DELAY_MS_MAX : Number(delay);
    const { metadata } = request;
    const label =
      metadata === undefined || metadata.length > LABEL_CHARS_MAX ? undefined : metadata;
    return { ok: true, value: { kind: 'set', process, delayMs, label } };
  }

  /** Timers wait side by side, also those of one process. */
  orderKey(): undefined {
    return undefined;
  }

  async handle(work: TimerWork, signal: AbortSignal): Promise<Answer | undefined> {
    if (work.kind === 'debug') return this.#debug();
    if (work.kind === 'ring') {
      this.#labelled.get(keyOf(work.process, work.label))?.end('rung');
      return undefined;
    }
    const mine = this.#counts.get(work.process) ?? 0;
    if (mine >= this.#perProcessMax || this.#pending.size >= this.#max) {
      const which =
        mine >= this.#perProcessMax ? `${mine} of this process` : `${this.#pending.size}`;
      this.#needs.port.print(0, `timer: refused one for ${work.process}: ${which} are pending`);
      return undefined;
    }
    this.#needs.port.print(3, `set timer to pop in ${work.delayMs}ms`);
    this.#counts.set(work.process, mine + 1);
    const how = await this.#wait(work, signal);
    const left = (this.#counts.get(work.process) ?? 1) - 1;
    if (left > 0) this.#counts.set(work.process, left);
    else this.#counts.delete(work.process);
    if (how === 'aborted') return undefined;
    return { body: how === 'rung' ? RUNG_BODY : NO_BODY, send: 'always' };
  }

  [Symbol.asyncDispose](): Promise<void> {
    for (const pending of this.#pending) pending.end('aborted');
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
   * Resolves when it is over. One millisecond early on purpose: guests give the kernel a timeout of whole seconds
   * that may be only 1 ms above the delay (M111), and the host's timers may be a fraction early or late.
   */
  #wait(
    { process, delayMs, label }: Extract<TimerWork, { readonly kind: 'set' }>,
    signal: AbortSignal,
  ): Promise<End> {
    const { clock } = this.#needs;
    if (signal.aborted) return Promise.resolve('aborted');
    const key = label === undefined ? undefined : keyOf(process, label);
    return new Promise((resolve) => {
      let handle: object | undefined;
      const group = this.#groupOf(signal);
      const pending: Pending = {
        dueMs: clock.nowMs() + Math.max(0, delayMs - 1),
        end: (how) => {
          if (!this.#pending.delete(pending)) return;
          group.delete(pending);
          if (key !== undefined && this.#labelled.get(key) === pending) this.#labelled.delete(key);
          if (handle !== undefined) clock.cancel(handle);
          resolve(how);
        },
      };
      const arm = (): void => {
        const leftMs = pending.dueMs - clock.nowMs();
        if (leftMs <= 0) return pending.end('due');
        handle = clock.schedule(arm, Math.min(Math.ceil(leftMs), SCHEDULE_MS_MAX));
      };
      this.#pending.add(pending);
      group.add(pending);
      if (key !== undefined) this.#labelled.set(key, pending);
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
      for (const pending of group) pending.end('aborted');
    };
    signal.addEventListener('abort', onAbort, { once: true });
    return group;
  }
}

const NO_BODY = new Uint8Array();
const RUNG_BODY = new TextEncoder().encode(RUNG);

/** Process ids have no spaces. */
function keyOf(process: ProcessId, label: string): string {
  return `${process} ${label}`;
}
