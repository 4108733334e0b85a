/**
 * Prepares components off the kernel's thread, within limits on time and memory (findings.md F10). One worker: a component takes
 * 10 to 400 ms once in its life, and a hostile one must not take more than one core.
 */
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { ImageError } from '../engine.ts';
import type { PrepareReply } from './prepare-worker.ts';

/** Longest time one component may take, in milliseconds. */
export const PREPARE_MS_MAX = 20_000;
/** V8 heap of the worker, in MiB; typed arrays are outside of it and bounded by prepare.ts. */
const HEAP_MIB_MAX = 512;

interface Job {
  readonly component: Uint8Array;
  readonly resolve: (modules: readonly Uint8Array[]) => void;
  readonly reject: (error: Error) => void;
}

export class Preparer implements Disposable {
  readonly #timeMs: number;
  readonly #jobs: Job[] = [];
  #worker: Worker | undefined;
  #current: Job | undefined;
  #timer: NodeJS.Timeout | undefined;
  #count = 0;

  constructor(options: { readonly timeMs?: number } = {}) {
    this.#timeMs = options.timeMs ?? PREPARE_MS_MAX;
  }

  /** @throws ImageError when the component is refused, takes too long or too much memory. */
  readonly prepare = (component: Uint8Array): Promise<readonly Uint8Array[]> =>
    new Promise((resolve, reject) => {
      this.#jobs.push({ component, resolve, reject });
      this.#next();
    });

  [Symbol.dispose](): void {
    this.#stop();
    const error = new ImageError('limit', 'the node is shutting down');
    for (const job of this.#jobs.splice(0)) job.reject(error);
    this.#finish()?.reject(error);
  }

  #next(): void {
    if (this.#current !== undefined) return;
    this.#current = this.#jobs.shift();
    if (this.#current === undefined) {
      // Idle, it must not keep the node from ending.
      this.#worker?.unref();
      return;
    }
    this.#worker ??= this.#start();
    this.#worker.ref();
    this.#timer = setTimeout(() => {
      this.#stop();
      this.#finish()?.reject(
        new ImageError('limit', `preparing the component took over ${this.#timeMs} ms`),
      );
      this.#next();
    }, this.#timeMs);
    this.#worker.postMessage({ id: ++this.#count, component: this.#current.component });
  }

  #start(): Worker {
    const worker = new Worker(
      new URL(`./prepare-worker${extname(import.meta.filename)}`, import.meta.url),
      {
        resourceLimits: { maxOldGenerationSizeMb: HEAP_MIB_MAX },
      },
    );
    worker.on('message', (reply: PrepareReply) => {
      if (reply.id !== this.#count) return;
      const job = this.#finish();
      if ('modules' in reply) job?.resolve(reply.modules);
      else if (reply.code === undefined) job?.reject(new Error(reply.message));
      else job?.reject(new ImageError(reply.code, reply.message));
      this.#next();
    });
    worker.on('error', (cause) => {
      if (this.#worker === worker) this.#worker = undefined;
      this.#finish()?.reject(
        new ImageError(
          'limit',
          `preparing the component failed: ${cause instanceof Error ? cause.message : String(cause)}`,
          { cause },
        ),
      );
      this.#next();
    });
    return worker;
  }

  #stop(): void {
    void this.#worker?.terminate();
    this.#worker = undefined;
  }

  #finish(): Job | undefined {
    clearTimeout(this.#timer);
    const job = this.#current;
    this.#current = undefined;
    return job;
  }
}
