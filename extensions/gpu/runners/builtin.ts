/** The runner of `builtin` jobs (compute-market.md §9.4): functions of our own on threads of a pool, with the memory that the job may use. */
import { arch } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { RECEIPT_STATUS } from '../../../contracts/compute.ts';
import type { BuiltinJob, BuiltinNews } from './builtin-worker.ts';
import { BUILTINS } from './builtins/all.ts';
import { type Run, type RunEnd, RunFault, type Runner } from './runner.ts';

/** Threads that wait for the next job. */
const IDLE_MAX = 2;
/** Text of a function that has not been taken: beyond it the thread ends, as it cannot be held back while it computes. */
const UNTAKEN_BYTES_MAX = 8 * 1024 * 1024;
const VERSION = '1';

export class BuiltinRunner implements Runner {
  readonly kind = 'builtin' as const;
  readonly #idle: { readonly worker: Worker; readonly memMiB: number }[] = [];

  describe(): unknown {
    return { functions: [...BUILTINS.keys()] };
  }

  refusal({ entry, require }: Run['spec']): ReturnType<Runner['refusal']> {
    const builtin = BUILTINS.get(entry.fn ?? '');
    if (builtin === undefined)
      return { code: 'unsupported', message: `there is no function ${JSON.stringify(entry.fn)}` };
    const { minIsolation = 'process' } = require ?? {};
    if (minIsolation === 'container' || minIsolation === 'vm')
      return { code: 'unsupported', message: `functions do not run in a ${minIsolation}` };
    const problem = builtin.check(entry.args ?? {});
    return problem === undefined ? undefined : { code: 'unsupported', message: problem };
  }

  async prepare(): Promise<void> {}

  async run(run: Run): Promise<RunEnd> {
    run.signal.throwIfAborted();
    const { memMiB } = run.spec.limits;
    const worker = this.#worker(memMiB);
    const job: BuiltinJob = {
      fn: run.spec.entry.fn ?? '',
      args: run.spec.entry.args ?? {},
      inputs: run.spec.inputs.map(({ path }) => join(run.inputs, path)),
      outputs: run.outputs,
    };
    let end: RunEnd;
    let whole = false;
    try {
      const done = await this.#watch(worker, job, run);
      whole = done.whole;
      end = done.end;
    } finally {
      if (whole && this.#idle.length < IDLE_MAX) this.#idle.push({ worker, memMiB });
      else await worker.terminate();
    }
    return end;
  }

  /** Threads end with their program: nothing is left by an earlier one. */
  async reap(): Promise<void> {}

  async close(): Promise<void> {
    await Promise.all(this.#idle.splice(0).map(({ worker }) => worker.terminate()));
  }

  #worker(memMiB: number): Worker {
    const known = this.#idle.findIndex((idle) => idle.memMiB === memMiB);
    if (known >= 0) return this.#idle.splice(known, 1)[0]!.worker;
    const worker = new Worker(new URL('./builtin-worker.ts', import.meta.url), {
      resourceLimits: { maxOldGenerationSizeMb: Math.min(memMiB, 4_096) },
      stdout: true,
      stderr: true,
      env: {},
    });
    worker.unref();
    // One that waits may end too; whoever takes it next hears of it.
    worker.on('error', () => undefined);
    return worker;
  }

  /** `whole`: the thread may take another job. */
  #watch(
    worker: Worker,
    job: BuiltinJob,
    run: Run,
  ): Promise<{ readonly end: RunEnd; readonly whole: boolean }> {
    const { promise, resolve, reject } = Promise.withResolvers<{ end: RunEnd; whole: boolean }>();
    let taking: Promise<void> = Promise.resolve();
    let untaken = 0;
    const finish = (end: RunEnd, whole: boolean): void =>
      void taking.then(() => resolve({ end, whole }), reject);
    const ended = (
      status: number,
      exitCode: number,
      fault: RunEnd['fault'],
      cpuMs = 0,
    ): RunEnd => ({
      status,
      exitCode,
      fault,
      usage: { cpuMs, gpuMs: 0, peakMemMiB: 0, peakVramMiB: 0 },
      runtime: RUNTIME,
    });
    const cancelled = (): void =>
      finish(
        ended(RECEIPT_STATUS.cancelled, -9, {
          code: 'CANCELLED',
          message: String(run.signal.reason),
        }),
        false,
      );
    const late = setTimeout(
      () =>
        finish(
          ended(RECEIPT_STATUS.timeout, -9, {
            code: 'TIMEOUT',
            message: `it ran for more than ${run.timeoutS} s`,
          }),
          false,
        ),
      run.timeoutS * 1000,
    );
    const heard = (news: BuiltinNews): void => {
      if (news.kind === 'progress') return run.progress(news.ppm);
      if (news.kind === 'text') {
        untaken += news.bytes.length;
        if (untaken > UNTAKEN_BYTES_MAX)
          return reject(new RunFault('INTERNAL', 'nobody takes what the function says'));
        taking = taking.then(async () => {
          await run.log(news.stream, news.bytes);
          untaken -= news.bytes.length;
        });
        // Whoever waits for the end hears of it.
        taking.catch(() => undefined);
        return undefined;
      }
      if (news.kind === 'failed') return reject(new RunFault('INTERNAL', news.message));
      const { code, cpuMs } = news;
      const fault =
        code === 0
          ? undefined
          : ({ code: 'EXIT_NONZERO', message: `it ended with ${code}` } as const);
      return finish(
        ended(code === 0 ? RECEIPT_STATUS.ok : RECEIPT_STATUS.exitCode, code, fault, cpuMs),
        true,
      );
    };
    const died = (error: Error & { code?: string }): void => {
      if (error.code === 'ERR_WORKER_OUT_OF_MEMORY')
        finish(
          ended(RECEIPT_STATUS.outOfMemory, -9, { code: 'OOM', message: error.message }),
          false,
        );
      else reject(new RunFault('INTERNAL', error.message));
    };
    worker.on('message', heard);
    worker.once('error', died);
    run.signal.addEventListener('abort', cancelled, { once: true });
    run.started();
    worker.postMessage(job);
    return promise.finally(() => {
      clearTimeout(late);
      worker.off('message', heard);
      worker.off('error', died);
      run.signal.removeEventListener('abort', cancelled);
    });
  }
}

const RUNTIME: RunEnd['runtime'] = {
  arch: arch() === 'arm64' ? 'aarch64' : 'x86_64',
  driver: '',
  gpu: '',
  image: '',
  module: '',
  runner: 'builtin',
  runnerVersion: VERSION,
};
