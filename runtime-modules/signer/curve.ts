/** The node's side of `curve-worker.ts`: started with the first job, replaced if it dies. */
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { ioFailure } from '../shared/io-error.ts';
import type { CurveJob, CurveReply, CurveRequest, CurveResults } from './curve-worker.ts';

type Settle = PromiseWithResolvers<unknown>;

export class Curve {
  #worker: Worker | undefined;
  #count = 0;
  #closed = false;
  readonly #jobs = new Map<number, Settle>();

  /** A secret in the job is overwritten here too, at once. @throws IoFailure when the thread fails or is closed */
  async run<K extends CurveJob['kind']>(
    job: Extract<CurveJob, { kind: K }>,
  ): Promise<CurveResults[K]> {
    if (this.#closed) throw ioFailure('EIO');
    const id = ++this.#count;
    const settle: Settle = Promise.withResolvers();
    this.#jobs.set(id, settle);
    const worker = (this.#worker ??= this.#start());
    // The thread keeps the node alive only while it has work.
    worker.ref();
    worker.postMessage({ id, job } satisfies CurveRequest);
    if ('secret' in job) job.secret.fill(0);
    try {
      // Proof of the type: the worker answers a job with the result of its kind.
      return (await settle.promise) as CurveResults[K];
    } finally {
      if (this.#jobs.size === 0) this.#worker?.unref();
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#worker?.terminate();
  }

  #start(): Worker {
    const url = new URL(`./curve-worker${extname(import.meta.filename)}`, import.meta.url);
    const worker = new Worker(url, { name: 'signer' });
    worker.on('message', (reply: CurveReply) => {
      const settle = this.#jobs.get(reply.id);
      this.#jobs.delete(reply.id);
      if ('failed' in reply) settle?.reject(ioFailure('EIO'));
      else settle?.resolve(reply.result);
    });
    // A worker that fails ends; its jobs fail, and the next one starts another.
    worker.on('error', () => undefined);
    worker.on('exit', () => {
      if (this.#worker === worker) this.#worker = undefined;
      for (const { reject } of this.#jobs.values()) reject(ioFailure('EIO'));
      this.#jobs.clear();
    });
    return worker;
  }
}
