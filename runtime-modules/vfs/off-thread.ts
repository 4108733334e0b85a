/** The kernel's side of `file-worker.ts`: started with the first job, replaced if it dies. */
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { IoFailure, ioFailure, notUtf8 } from '../shared/io-error.ts';
import type { Cancel, Job, JobResult } from './file-worker.ts';

/** The bytes are no log of a job; the message says where they stop to be one. */
export class NoLog extends Error {
  override readonly name = 'NoLog';
}

type Settle = PromiseWithResolvers<Uint8Array>;

export class OffThread {
  #worker: Worker | undefined;
  #count = 0;
  readonly #jobs = new Map<number, Settle>();

  /** The job's bytes. Settles only when the descriptor is no longer used, also when aborted. */
  async run(
    kind: Job['kind'],
    descriptor: number,
    start: bigint,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    signal.throwIfAborted();
    this.#count += 1;
    const job: Job = { id: this.#count, kind, descriptor, start };
    const settle: Settle = Promise.withResolvers();
    this.#jobs.set(job.id, settle);
    const worker = (this.#worker ??= this.#start());
    const onAbort = (): void => worker.postMessage({ cancel: job.id } satisfies Cancel);
    signal.addEventListener('abort', onAbort, { once: true });
    // The thread keeps the node alive only while it has work.
    worker.ref();
    worker.postMessage(job);
    try {
      return await settle.promise;
    } finally {
      signal.removeEventListener('abort', onAbort);
      if (this.#jobs.size === 0) worker.unref();
    }
  }

  async close(): Promise<void> {
    await this.#worker?.terminate();
  }

  #start(): Worker {
    const url = new URL(`./file-worker${extname(import.meta.filename)}`, import.meta.url);
    const worker = new Worker(url, { name: 'vfs' });
    worker.on('message', (result: JobResult) => this.#settle(result));
    // A worker that fails ends; its jobs fail as reads do, and the next job starts another.
    worker.on('error', () => undefined);
    worker.on('exit', () => {
      if (this.#worker === worker) this.#worker = undefined;
      for (const { reject } of this.#jobs.values()) reject(ioFailure('EIO'));
      this.#jobs.clear();
    });
    return worker;
  }

  #settle(result: JobResult): void {
    const settle = this.#jobs.get(result.id);
    this.#jobs.delete(result.id);
    switch (result.kind) {
      case 'done':
        return settle?.resolve(result.bytes);
      case 'not-utf8':
        return settle?.reject(notUtf8());
      case 'no-log':
        return settle?.reject(new NoLog(result.reason));
      case 'cancelled':
        return settle?.reject(new DOMException('cancelled', 'AbortError'));
      case 'failed':
        return settle?.reject(failureOf(result.code));
      default:
        result satisfies never;
    }
  }
}

function failureOf(code: string): IoFailure {
  return ioFailure(code);
}
