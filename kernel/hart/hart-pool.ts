/**
 * Which process runs on which hart. Bundled packages stay on hart 0; installed ones are spread over the worker harts, the emptiest
 * first; a process of hart 0 that uses over HOG_SHARE of a core for HOG_S moves at its next start (architecture.md §2). A worker hart
 * that died is replaced when it is next needed.
 */
import type { Guest } from '../engine.ts';
import type { HartPool, RemoteProcess, RemoteStart } from '../harts.ts';
import type { ProcessId } from '../../wit/types.ts';
import { WorkerHart } from './worker-hart.ts';

export interface HartPoolOptions {
  /** Worker harts besides hart 0. */
  readonly workers: number;
  /** Whether a process belongs to a bundled package. */
  readonly bundled: (id: ProcessId) => boolean;
  readonly report: (text: string) => void;
  readonly freezable?: boolean;
}

/** A CPU hog: this share of a core ... */
const HOG_SHARE = 0.5;
/** ... for this long, in seconds (findings.md section 5). */
export const HOG_S = 30;
const SAMPLE_MS = 5_000;

interface Watched {
  readonly guest: Guest;
  cpuMs: number;
  atMs: number;
  hotS: number;
}

export class WorkerHartPool implements HartPool {
  readonly #options: HartPoolOptions;
  readonly #harts: (WorkerHart | undefined)[];
  readonly #watched = new Map<ProcessId, Watched>();
  readonly #hogs = new Set<ProcessId>();
  readonly #sampler: NodeJS.Timeout;

  constructor(options: HartPoolOptions) {
    this.#options = options;
    this.#harts = Array.from({ length: options.workers });
    this.#sampler = setInterval(() => this.sample(performance.now()), SAMPLE_MS);
    this.#sampler.unref();
  }

  start(start: RemoteStart): RemoteProcess | undefined {
    if (this.#harts.length === 0) return undefined;
    if (this.#options.bundled(start.id) && !this.#hogs.has(start.id)) return undefined;
    this.#watched.delete(start.id);
    return this.#emptiest().start(start);
  }

  watch(id: ProcessId, guest: Guest): void {
    const watched: Watched = { guest, cpuMs: 0, atMs: performance.now(), hotS: 0 };
    this.#watched.set(id, watched);
    void guest.ended.then(() => {
      if (this.#watched.get(id) === watched) this.#watched.delete(id);
    });
  }

  /** Looks at what hart 0's processes have used since the last time. `nowMs` is monotonic. */
  sample(nowMs: number): void {
    for (const [id, watched] of this.#watched) {
      const { cpuMs } = watched.guest.usage();
      const seconds = (nowMs - watched.atMs) / 1000;
      const share = (cpuMs - watched.cpuMs) / 1000 / seconds;
      watched.hotS = share > HOG_SHARE ? watched.hotS + seconds : 0;
      watched.cpuMs = cpuMs;
      watched.atMs = nowMs;
      if (watched.hotS < HOG_S || this.#hogs.has(id) || this.#harts.length === 0) continue;
      this.#hogs.add(id);
      this.#options.report(
        `${id} has used over half a core for ${HOG_S} s; it moves to a worker hart at its next start`,
      );
    }
  }

  /** The harts that exist, by number; hart 0 is not among them. */
  harts(): readonly WorkerHart[] {
    return this.#harts.filter((hart) => hart !== undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#sampler);
    await Promise.all(this.harts().map((hart) => hart[Symbol.asyncDispose]()));
  }

  #emptiest(): WorkerHart {
    let best = 0;
    for (let i = 0; i < this.#harts.length; i++) {
      const hart = this.#harts[i];
      if (hart === undefined || hart.dead) {
        best = i;
        break;
      }
      if (hart.size < this.#harts[best]!.size) best = i;
    }
    const found = this.#harts[best];
    if (found !== undefined && !found.dead) return found;
    const { report, freezable = false } = this.#options;
    return (this.#harts[best] = new WorkerHart({ number: best + 1, report, freezable }));
  }
}
