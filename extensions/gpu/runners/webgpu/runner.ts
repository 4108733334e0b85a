/**
 * WebGPU jobs: a compute shader in WGSL over buffers from inputs to outputs (compute-market.md §9.5). Only where the operator has installed the npm
 * package `webgpu` (132 MB: it is no dependency) and it finds an adapter; elsewhere the kind is not offered.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { JobSpec } from '../../../../wit/jobs/spec.ts';
import { carrying, signal } from '../processes.ts';
import { instanceId, isLive } from '../owner.ts';
import { hostArch, runEnd, type Fault } from '../ending.ts';
import { RunFault, type Run, type RunEnd, type Runner } from '../runner.ts';
import { orderOf, type ChildAnswer, type ChildOrder } from './order.ts';

/** How long an adapter may take to be found. */
const PROBE_MS = 20_000;
const CHILD = fileURLToPath(new URL(`./child${extname(import.meta.filename)}`, import.meta.url));
const EXIT_KILLED = -9;
/** In the environment of every child: whose it is. */
const MARK = 'HN_WEBGPU';
const OWNER = instanceId();

export interface WebGpuOptions {
  /** What is imported. Default: `webgpu`. */
  readonly library?: string;
}

/** The runner, or why there is none. */
export async function webGpuRunner(options: WebGpuOptions = {}): Promise<Runner | string> {
  const library = options.library ?? 'webgpu';
  const { answer, child } = ask({ ask: 'adapter', library });
  const timer = setTimeout(() => child.kill('SIGKILL'), PROBE_MS);
  const said = await answer;
  clearTimeout(timer);
  if (said?.kind === 'adapter') return new WebGpu(library, said);
  const why = said?.kind === 'failed' ? said.message : 'it crashed, or took too long';
  return /ERR_MODULE_NOT_FOUND|Cannot find package/.test(why)
    ? `the package ${library} is not installed: npm install webgpu`
    : `WebGPU does not work here: ${why}`;
}

class WebGpu implements Runner {
  readonly kind = 'webgpu';
  readonly #library: string;
  readonly #adapter: Extract<ChildAnswer, { kind: 'adapter' }>;

  constructor(library: string, adapter: Extract<ChildAnswer, { kind: 'adapter' }>) {
    this.#library = library;
    this.#adapter = adapter;
  }

  describe(): unknown {
    return { adapter: this.#adapter.name, limits: this.#adapter.limits };
  }

  refusal(spec: JobSpec): ReturnType<Runner['refusal']> {
    if (spec.kind !== 'webgpu') return { code: 'unsupported', message: 'this is no WebGPU job' };
    if (spec.network?.mode === 'allow')
      return { code: 'unsupported', message: 'a WebGPU job has no network' };
    const order = orderOf(spec);
    return typeof order === 'string'
      ? { code: 'unsupported', message: `entry.args: ${order}` }
      : undefined;
  }

  async prepare({ spec }: Run): Promise<void> {
    const refusal = this.refusal(spec);
    if (refusal !== undefined) throw new RunFault('REJECTED', refusal.message);
    await Promise.resolve();
  }

  async run(run: Run): Promise<RunEnd> {
    const order = orderOf(run.spec);
    if (typeof order === 'string') throw new RunFault('REJECTED', order);
    const outputBytes = order.buffers.reduce(
      (sum, { output, size }) => sum + (output === undefined ? 0 : size),
      0,
    );
    if (outputBytes > run.spec.limits.outMiB * 1024 * 1024)
      return this.#end(
        run,
        { code: 'OUTPUT_LIMIT', message: `outputs of ${outputBytes} bytes` },
        undefined,
      );
    const { child, answer } = ask({
      ...{ ask: 'run', library: this.#library, order },
      ...{ module: run.module!, inputs: run.inputs, outputs: run.outputs },
    });
    let killed: Fault | undefined;
    // A shader has nothing to say goodbye with.
    const stop = (fault: Fault): void => {
      killed ??= fault;
      child.kill('SIGKILL');
    };
    const aborted = (): void => stop({ code: 'CANCELLED', message: 'the job was cancelled' });
    const timer = setTimeout(
      () => stop({ code: 'TIMEOUT', message: `it ran for ${run.timeoutS} s` }),
      run.timeoutS * 1000,
    );
    run.signal.addEventListener('abort', aborted, { once: true });
    if (run.signal.aborted) aborted();
    run.started();
    const said = await answer;
    clearTimeout(timer);
    run.signal.removeEventListener('abort', aborted);
    if (killed !== undefined) return this.#end(run, killed, undefined);
    if (said === undefined)
      return this.#end(
        run,
        { code: 'GPU_LOST', message: 'the process with the GPU ended' },
        undefined,
      );
    if (said.kind === 'failed') return this.#end(run, said, undefined);
    return this.#end(run, undefined, said);
  }

  async reap(): Promise<void> {
    // A child ends with the channel to it, unless its driver holds it up.
    for (const { pid, value } of carrying(MARK)) if (!isLive(value)) signal(pid, 'SIGKILL');
    await Promise.resolve();
  }

  #end({ spec }: Run, fault: Fault | undefined, done: ChildAnswer | undefined): RunEnd {
    const gpuMs = done?.kind === 'done' ? Math.round(done.gpuMs) : 0;
    return runEnd(fault === undefined ? 0 : EXIT_KILLED, fault, {
      usage: { cpuMs: 0, gpuMs, peakMemMiB: 0, peakVramMiB: 0 },
      runtime: {
        ...{ arch: hostArch(), driver: '', gpu: this.#adapter.name, image: '' },
        ...{ module: spec.module!.sha256, runner: 'webgpu', runnerVersion: '1' },
      },
    });
  }
}

/** One question to a child of its own; undefined if it ended without an answer. */
function ask(order: ChildOrder): {
  readonly child: ChildProcess;
  readonly answer: Promise<ChildAnswer | undefined>;
} {
  const { PATH, HOME, VK_ICD_FILENAMES, LD_LIBRARY_PATH } = process.env;
  const child = fork(CHILD, [], {
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    env: { PATH, HOME, VK_ICD_FILENAMES, LD_LIBRARY_PATH, [MARK]: OWNER },
  });
  const answer = new Promise<ChildAnswer | undefined>((resolve) => {
    child.once('message', (said: ChildAnswer) => resolve(said));
    child.once('exit', () => resolve(undefined));
    child.once('error', () => resolve(undefined));
  });
  child.send(order, () => {});
  return { child, answer };
}
