/**
 * Wasm jobs: a WASI command, component or core module, run by our own engine with fuel and memory limits (compute-market.md §9.3,
 * findings.md F45). It works everywhere, reaches nothing but its files and its log, and does the same on every machine: no threads, no
 * sockets, a clock and a chance of its own (determinism.ts). Bits of NaNs are the processor's: jobs compared exactly must not write them.
 */
import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { ImageError } from '../../../../kernel/engine.ts';
import { INSTRUMENTATION_VERSION } from '../../../../kernel/image/fuel.ts';
import type { JobSpec } from '../../../../wit/jobs/spec.ts';
import { hostArch, runEnd, usageOf, type Fault } from '../ending.ts';
import { RunFault, type Run, type RunEnd, type Runner } from '../runner.ts';
import { HartDied, type Hart, type Program } from './hart.ts';
import { HartPool } from './pool.ts';
import type { JobEnd } from './protocol.ts';

/** Memory that 32-bit addresses reach. */
export const WASM_MEMORY_MIB_MAX = 4_096;
const PAGES_PER_MIB = 16;
/** Prepared programs kept; a job of a known one starts at once. */
const PROGRAMS_MAX = 32;
/** Where a spec says nothing: files and folders of its outputs. */
const OUTPUT_ENTRIES_MAX = 10_000;
const EXIT_KILLED = -9;

export interface WasmOptions {
  /** Jobs at a time. Default: one for each core. */
  readonly harts?: number;
}

export interface WasmRunner extends Runner, AsyncDisposable {}

export function wasmRunner(options: WasmOptions = {}): WasmRunner {
  return new Wasm(new HartPool(options.harts ?? availableParallelism()));
}

class Wasm implements WasmRunner {
  readonly kind = 'wasm';
  readonly ownFolders = true;
  readonly #pool: HartPool;
  readonly #programs = new Map<string, Program>();
  /** What `prepare` got for a run: others may push it out of those kept meanwhile. */
  readonly #prepared = new WeakMap<Run, Program>();

  constructor(pool: HartPool) {
    this.#pool = pool;
  }

  describe(): unknown {
    return { memMaxMiB: WASM_MEMORY_MIB_MAX };
  }

  refusal(spec: JobSpec): ReturnType<Runner['refusal']> {
    if (spec.kind !== 'wasm') return { code: 'unsupported', message: 'this is no wasm job' };
    if (spec.network?.mode === 'allow')
      return { code: 'unsupported', message: 'a wasm job has no network' };
    if ((spec.require?.gpu?.count ?? 0) > 0)
      return { code: 'unsupported', message: 'a wasm job has no GPU' };
    if (typeof fuelOf(spec) === 'string')
      return { code: 'unsupported', message: 'entry.args.fuel is no positive integer' };
    return undefined;
  }

  has({ sha256, size }: { readonly sha256: string; readonly size: number }): boolean {
    return this.#programs.get(sha256)?.bytes.length === size;
  }

  async prepare(run: Run): Promise<void> {
    const program = await this.#program(run);
    this.#prepared.set(run, program);
    const { prepared } = program;
    const { memMiB } = run.spec.limits;
    if (prepared.memoryPages <= pagesOf(run.spec)) return;
    throw new RunFault(
      'IMAGE_INVALID',
      `the module starts with ${prepared.memoryPages / PAGES_PER_MIB} MiB of memory, its job has ${memMiB}`,
    );
  }

  async run(run: Run): Promise<RunEnd> {
    const program = this.#prepared.get(run) ?? (await this.#program(run));
    const hart = await this.#pool.take(run.signal);
    const killed: { fault?: Fault } = {};
    const stop = (fault: Fault): void => {
      killed.fault ??= fault;
      hart.kill();
    };
    const aborted = (): void => stop({ code: 'CANCELLED', message: 'the job was cancelled' });
    let end: JobEnd | undefined;
    let timer: NodeJS.Timeout | undefined;
    try {
      run.signal.addEventListener('abort', aborted, { once: true });
      if (run.signal.aborted) aborted();
      timer = setTimeout(
        () => stop({ code: 'TIMEOUT', message: `it ran for ${run.timeoutS} s` }),
        run.timeoutS * 1000,
      );
      run.started();
      end = await hart.run(program, jobOf(run, program.hash), (stream, bytes) =>
        run.log(stream, bytes),
      );
    } catch (error) {
      // A thread that a kill ended has nothing more to say; any other end of it is ours.
      if (!(error instanceof HartDied)) throw error;
      if (killed.fault === undefined) throw new RunFault('INTERNAL', error.message);
    } finally {
      clearTimeout(timer);
      run.signal.removeEventListener('abort', aborted);
      this.#pool.give(hart, end?.clean === true && killed.fault === undefined, end?.peakBytes ?? 0);
    }
    return ending(run, end, killed.fault);
  }

  async reap(): Promise<void> {
    // Harts are threads of this program: none outlives it.
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool[Symbol.asyncDispose]();
  }

  async #program({ spec, module, signal }: Run): Promise<Program> {
    const hash = spec.module!.sha256;
    const known = this.#programs.get(hash);
    if (known !== undefined) {
      this.#programs.delete(hash);
      this.#programs.set(hash, known);
      return known;
    }
    const bytes = new Uint8Array(await readFile(module!));
    const hart = await this.#pool.take(signal);
    let prepared = false;
    try {
      const program = { hash, bytes, prepared: await hart.prepare(bytes) };
      prepared = true;
      this.#programs.set(hash, program);
      if (this.#programs.size > PROGRAMS_MAX)
        this.#programs.delete(this.#programs.keys().next().value!);
      return program;
    } catch (error) {
      throw prepareFault(error);
    } finally {
      this.#pool.give(hart, prepared, 0);
    }
  }
}

function prepareFault(error: unknown): unknown {
  // Whatever takes too long or too much to be prepared is the program's own doing.
  if (error instanceof ImageError || error instanceof HartDied)
    return new RunFault('IMAGE_INVALID', error.message);
  return error;
}

function pagesOf({ limits }: JobSpec): number {
  return Math.min(limits.memMiB, WASM_MEMORY_MIB_MAX) * PAGES_PER_MIB;
}

/** Units of fuel that the spec allows: what makes a long run end at the same place everywhere. A text if it is no number. */
function fuelOf({ entry }: JobSpec): number | 'invalid' {
  const fuel = entry.args?.['fuel'];
  if (fuel === undefined) return Number.POSITIVE_INFINITY;
  return typeof fuel === 'number' && Number.isSafeInteger(fuel) && fuel > 0 ? fuel : 'invalid';
}

/** What differs between attempts, replicas and auditors, an id say, is not told. */
function jobOf({ spec, inputs, outputs }: Run, program: string): Parameters<Hart['run']>[1] {
  const fuel = fuelOf(spec);
  return {
    program,
    args: spec.entry.cmd ?? ['job'],
    env: [...Object.entries(spec.entry.env ?? {}), ['HN_IN', '/job/in'], ['HN_OUT', '/job/out']],
    seed: spec.verify?.seed ?? '',
    inputs,
    outputs,
    files: spec.inputs.map(({ path, size }) => ({ path, size })),
    outputBytesMax: spec.limits.outMiB * 1024 * 1024,
    outputEntriesMax: spec.outputs?.maxFiles ?? OUTPUT_ENTRIES_MAX,
    memoryPagesMax: pagesOf(spec),
    fuelMax: fuel === 'invalid' ? 0 : fuel,
  };
}

function ending({ spec }: Run, end: JobEnd | undefined, killed: Fault | undefined): RunEnd {
  const measured = {
    usage: usageOf(end?.cpuMs ?? 0, end?.peakBytes ?? 0),
    runtime: {
      arch: hostArch(),
      driver: '',
      gpu: '',
      image: '',
      module: spec.module!.sha256,
      runner: 'wasm',
      runnerVersion: `1 ${INSTRUMENTATION_VERSION}`,
    },
  };
  // Of a thread that was ended under its program it is not known.
  const leftNothing = end?.wrote === false;
  if (killed !== undefined) return { ...runEnd(EXIT_KILLED, killed, measured), leftNothing };
  return { ...runEnd(end!.exitCode, end!.fault, measured), leftNothing };
}
