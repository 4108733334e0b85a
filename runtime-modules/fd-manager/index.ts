/**
 * `fd-manager:distro:sys` (runtime-modules.md §12, kernel.md §10): divides the node's file descriptors among the modules that ask. Only
 * runtime modules of this node may register or report; others may ask and tune as their messaging capability allows.
 */
import type { Answer, KernelPort, ModuleRequest, RuntimeModule } from '../../kernel/module.ts';
import { packageOf, processId } from '../../wit/address.ts';
import {
  fdManagerRequest,
  fdManagerResponse,
  type FdManagerRequest,
  type FdManagerResponse,
} from '../../wit/fd-manager-api.ts';
import { plainRequest } from '../../wit/message.ts';
import type { ProcessId, Result } from '../../wit/types.ts';
import type { Clock } from '../shared/clock.ts';
import { decodeBody } from '../shared/refuse.ts';
import { divide, dynamicBudget } from './budget.ts';

/** A body holds a number or a process id. */
const BODY_BYTES_MAX = 64 * 1024;
/** Descriptors to divide before the limit of this machine was read. */
const BUDGET_DEFAULT = 180;
/** Share of the machine's limit that is divided, in percent. */
const PERCENT_DEFAULT = 90;
/** Seconds between two readings of the machine's limit. */
const REFRESH_S_DEFAULT = 3600;
/** Below this, in seconds, an operator's interval is not taken: reading starts a program on some systems. */
const REFRESH_S_MIN = 10;
const REFRESH_S_MAX = 2_000_000;

export interface FdManagerNeeds {
  readonly port: KernelPort;
  readonly clock: Clock;
  /** The soft limit of open files of this node; undefined when the host does not say. */
  readonly readUlimit: () => Promise<number | undefined>;
}

export interface FdManagerOptions {
  /** `--soft-ulimit`: the number to divide, instead of what the machine says. */
  readonly softUlimit?: number | undefined;
}

export interface FdManagerWork {
  readonly source: ProcessId;
  readonly request: FdManagerRequest;
}

export const fdManager =
  (options: FdManagerOptions = {}) =>
  (needs: FdManagerNeeds): RuntimeModule<FdManagerWork> =>
    new FdManager(needs, options);

class FdManager implements RuntimeModule<FdManagerWork> {
  readonly name = 'fd-manager';
  readonly public = false;
  readonly #needs: FdManagerNeeds;
  readonly #isStatic: boolean;
  /** Hits by registrant; registering counts as the first. */
  readonly #hits = new Map<ProcessId, number>();
  #limits: ReadonlyMap<ProcessId, number> = new Map();
  #budget: number;
  #percent = PERCENT_DEFAULT;
  #refreshS = REFRESH_S_DEFAULT;
  #timer: object | undefined;
  #closed = false;

  constructor(needs: FdManagerNeeds, options: FdManagerOptions) {
    this.#needs = needs;
    this.#isStatic = options.softUlimit !== undefined;
    this.#budget = options.softUlimit ?? BUDGET_DEFAULT;
    if (!this.#isStatic) void this.#refresh();
  }

  decode(request: ModuleRequest): Result<FdManagerWork, undefined> {
    const { node, process } = request.source;
    const ignore = (why: string): Result<never, undefined> => {
      this.#needs.port.print(1, `fd-manager: ignored a request of ${node}@${process}: ${why}`);
      return { ok: false, error: undefined };
    };
    if (!request.local) return ignore('another node');
    const body = decodeBody(fdManagerRequest, request.body, BODY_BYTES_MAX);
    if (!body.ok) return ignore(body.error);
    const { kind } = body.value;
    const registers = kind === 'RequestFdsLimit' || kind === 'FdsLimitHit';
    if (registers && packageOf(process) !== 'distro:sys') return ignore('no runtime module');
    if (kind === 'FdsLimit') return ignore('only fd-manager sends limits');
    return { ok: true, value: { source: process, request: body.value } };
  }

  /** All requests in one line: they share one table. */
  orderKey(): string {
    return '';
  }

  handle({ source, request }: FdManagerWork): Promise<Answer | undefined> {
    return Promise.resolve(this.#apply(source, request));
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    if (this.#timer !== undefined) this.#needs.clock.cancel(this.#timer);
    return Promise.resolve();
  }

  #apply(source: ProcessId, request: FdManagerRequest): Answer | undefined {
    switch (request.kind) {
      case 'RequestFdsLimit':
        this.#hits.set(source, 1);
        return this.#share();
      case 'FdsLimitHit': {
        const hits = this.#hits.get(source);
        if (hits === undefined) return undefined;
        this.#hits.set(source, hits + 1);
        return this.#share();
      }
      case 'UpdateMaxFdsAsFractionOfUlimitPercentage':
        if (this.#refuseStatic(request.kind)) return undefined;
        this.#percent = Math.min(100, Number(request.value));
        return undefined;
      case 'UpdateUpdateUlimitSecs':
        if (this.#refuseStatic(request.kind)) return undefined;
        this.#refreshS = Math.min(REFRESH_S_MAX, Math.max(REFRESH_S_MIN, Number(request.value)));
        return undefined;
      case 'GetState':
        return answer({ kind: 'GetState', value: this.#state() });
      case 'GetProcessFdLimit':
        return answer({ kind: 'GetProcessFdLimit', value: this.#limits.get(request.value) ?? 0 });
      case 'UpdateCullFractionDenominator':
      case 'FdsLimit':
        return undefined;
      default:
        return request satisfies never;
    }
  }

  #state(): Map<string, { limit: number; hit_count: number }> {
    const entries = [...this.#hits].map(
      ([id, hits]) => [id, { limit: this.#limits.get(id) ?? 0, hit_count: hits }] as const,
    );
    return new Map(entries);
  }

  #refuseStatic(what: string): boolean {
    if (this.#isStatic)
      this.#needs.port.print(0, `fd-manager: ${what} has no meaning with --soft-ulimit`);
    return this.#isStatic;
  }

  /** Computes everybody's share and tells them. */
  #share(): undefined {
    this.#limits = divide(this.#budget, this.#hits);
    for (const [id, limit] of this.#limits) this.#tell(id, limit);
  }

  #tell(process: ProcessId, limit: number): void {
    const { port } = this.#needs;
    port.send({
      target: { node: port.our.node, process: processId(process) },
      rsvp: undefined,
      message: {
        kind: 'request',
        request: plainRequest(fdManagerRequest.encode({ kind: 'FdsLimit', value: limit })),
      },
      blob: undefined,
    });
  }

  async #refresh(): Promise<void> {
    const { clock, port, readUlimit } = this.#needs;
    const ulimit = await readUlimit().catch(() => undefined);
    if (this.#closed) return;
    if (ulimit !== undefined) {
      const budget = dynamicBudget(ulimit, this.#percent);
      if (budget > 0) this.#budget = budget;
      else
        port.print(
          0,
          `fd-manager: a limit of ${ulimit} open files is too low; raise it with ulimit -n`,
        );
      if (this.#hits.size > 0) this.#share();
    }
    this.#timer = clock.schedule(() => void this.#refresh(), this.#refreshS * 1000);
  }
}

function answer(response: FdManagerResponse): Answer {
  return { body: fdManagerResponse.encode(response), send: 'if-expected' };
}
