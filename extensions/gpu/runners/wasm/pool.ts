/**
 * Harts for wasm jobs (findings.md F45). A thread takes 50 ms to start and a job on one that stands ready a few, so harts are kept between
 * jobs, each of which gets instances of its own. A hart is replaced when its job trapped, was killed or held much memory: what V8 keeps of
 * such a job is then nobody's.
 */
import { Hart } from './hart.ts';

/** Linear memory of a job, in bytes, after which its hart is replaced: V8 frees it when it likes. */
const KEPT_BYTES_MAX = 256 * 1024 * 1024;

export class HartPool implements AsyncDisposable {
  readonly #size: number;
  readonly #idle: Hart[] = [];
  readonly #all = new Set<Hart>();
  readonly #waiting: ((hart: Hart) => void)[] = [];
  #closed = false;

  /** `size`: harts at a time, so jobs at a time. */
  constructor(size: number) {
    this.#size = size;
  }

  /** A hart of its own for whoever asks, until `give`. Waits for one if all are busy. @throws the signal's reason */
  async take(signal?: AbortSignal): Promise<Hart> {
    signal?.throwIfAborted();
    if (this.#closed) throw new Error('the pool of harts is closed');
    for (let hart = this.#idle.pop(); hart !== undefined; hart = this.#idle.pop()) {
      if (!hart.dead) return hart;
      this.#all.delete(hart);
    }
    if (this.#all.size < this.#size) return this.#start();
    return new Promise((resolve, reject) => {
      const waiting = (hart: Hart): void => {
        signal?.removeEventListener('abort', aborted);
        resolve(hart);
      };
      const aborted = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        reject(signal!.reason as Error);
      };
      signal?.addEventListener('abort', aborted, { once: true });
      this.#waiting.push(waiting);
    });
  }

  /** Back after its job. `reusable`: the job ended by itself. */
  give(hart: Hart, reusable: boolean, peakBytes: number): void {
    const keep = reusable && !hart.dead && peakBytes <= KEPT_BYTES_MAX && !this.#closed;
    if (!keep) {
      this.#all.delete(hart);
      void hart.close();
      if (this.#closed) return;
    }
    const next = this.#waiting.shift();
    if (next !== undefined) next(keep ? hart : this.#start());
    else if (keep) this.#idle.push(hart);
    // The next job must not wait for a thread to start.
    else this.#idle.push(this.#start());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#all].map((hart) => hart.close()));
    this.#all.clear();
    this.#idle.length = 0;
  }

  #start(): Hart {
    const hart = new Hart();
    this.#all.add(hart);
    return hart;
  }
}
