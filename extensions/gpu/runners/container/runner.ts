/**
 * Container jobs, by a Docker engine (compute-market.md §9.2): no network, a read-only root, no capabilities, limits on everything, images by
 * digest. States of a run: created -> started -> exited or killed -> removed, whatever happens; what a kill of the extension leaves is
 * found by its labels (reaper.ts).
 */
import type { Readable } from 'node:stream';
import type Docker from 'dockerode';
import type { JobSpec } from '../../../../wit/jobs/spec.ts';
import { exitCodeOfShell, runEnd, usageOf, type Fault } from '../ending.ts';
import { followGpus, noGpu, type GpuUsed } from '../gpu-usage.ts';
import { RunFault, type Run, type RunEnd, type Runner } from '../runner.ts';
import { shareFolders } from '../share-folders.ts';
import { FREE_BYTES_FLOOR, overgrown, watchOutputs, type OutputLimits } from '../watchdog.ts';
import { createOptions, STOP_S, UNPRIVILEGED_ID, type ContainerSetting } from './create-options.ts';
import { askEngine, connect, statusOf, within, type EngineInfo } from './engine.ts';
import { ImageCache, type ImageCacheOptions } from './image-cache.ts';
import { bringImage, isAllowed, parseImage, type ImagePolicy } from './image.ts';
import { readOutput } from './output.ts';
import { instanceId } from '../owner.ts';
import { reapContainers, remove } from './reaper.ts';
import { followUsage, processesOf, type Sampled } from './usage.ts';

/** Runtimes that are a machine of their own, best first. */
const VM_RUNTIMES = ['runsc', 'kata', 'kata-runtime'];
const OUTPUT_ENTRIES_MAX = 10_000;
/** How long the rest of the output may take once the program has ended, where nobody holds it up. */
const DRAIN_MS = 15_000;

export interface ContainerOptions {
  /** As DOCKER_HOST. */
  readonly host?: string;
  readonly images?: ImagePolicy;
  readonly cache?: ImageCacheOptions;
  readonly nodeId?: string;
  /** What of GPUs works in containers here; none, if left out. */
  readonly gpu?: { readonly readonlyRoot: boolean };
  readonly freeFloor?: number;
  /** Default: this program's (../owner.ts). */
  readonly owner?: string;
}

export interface ContainerRunner extends Runner {
  readonly engine: EngineInfo;
  /** A runtime that is a virtual machine, where the engine has one. */
  readonly vmRuntime: string | undefined;
}

/** The runner, if an engine answers. @throws when there is none, with words for the operator */
export async function containerRunner(options: ContainerOptions = {}): Promise<ContainerRunner> {
  const docker = connect(options.host);
  const runner = new Container(docker, await askEngine(docker), options);
  await runner.refresh();
  return runner;
}

/** `uid:gid` in the container, and who that is to the folders of the run. */
interface JobUser {
  readonly inside: string;
  readonly writer: Parameters<typeof shareFolders>[1];
}

class Container implements ContainerRunner {
  readonly kind = 'container';
  readonly engine: EngineInfo;
  readonly #docker: Docker;
  readonly #options: ContainerOptions;
  readonly #policy: ImagePolicy;
  readonly #owner: string;
  readonly #cache: ImageCache;
  readonly #leases = new Set<string>();
  /** What must stay, by the leases of those who want it. */
  readonly #images = new Map<string, string>();
  /** Digests of the images that the engine holds. */
  #present: ReadonlySet<string> = new Set();

  constructor(docker: Docker, engine: EngineInfo, options: ContainerOptions) {
    this.#docker = docker;
    this.engine = engine;
    this.#options = options;
    this.#policy = options.images ?? { allow: [] };
    this.#owner = options.owner ?? instanceId();
    this.#cache = new ImageCache(docker, options.cache);
  }

  describe(): unknown {
    const { engine, version, api, rootless, cgroup, runtimes } = this.engine;
    const { gpu } = this.#options;
    return {
      ...{ engine, version, api, rootless, cgroup, runtimes, gpu: gpu !== undefined },
      ...(gpu === undefined ? {} : { gpuReadonlyRoot: gpu.readonlyRoot }),
    };
  }

  /** Looks which images there are: what an operator has loaded by hand may run. */
  async refresh(): Promise<void> {
    const images = await within('listing images', () => this.#docker.listImages({ digests: true }));
    this.#present = new Set(
      images.flatMap(({ RepoDigests }) =>
        (RepoDigests ?? []).map((one) => one.split('@')[1] ?? ''),
      ),
    );
  }

  refusal(spec: JobSpec): ReturnType<Runner['refusal']> {
    if (spec.kind !== 'container')
      return { code: 'unsupported', message: 'this is no container job' };
    if (spec.network?.mode === 'allow')
      return { code: 'policy', message: 'jobs have no network here' };
    if ((spec.require?.gpu?.count ?? 0) > 0 && this.#options.gpu === undefined)
      return { code: 'unsupported', message: 'containers have no GPU here' };
    if (spec.require?.minIsolation === 'vm' && this.vmRuntime === undefined)
      return {
        code: 'unsupported',
        message: 'the container engine has no runtime that is a virtual machine',
      };
    const name = parseImage(spec.image ?? '');
    if (isAllowed(name, this.#policy) || this.#present.has(name.digest)) return undefined;
    return { code: 'policy', message: `images of ${name.repository} are not allowed here` };
  }

  async prepare(run: Run): Promise<void> {
    const { lease, signal } = run;
    const image = run.spec.image!;
    const over = (): void => void this.#images.delete(lease);
    // From here on it is not to be removed, until the run is over or is not to be.
    this.#images.set(lease, image);
    signal.addEventListener('abort', over, { once: true });
    try {
      const brought = await bringImage(this.#docker, this.engine, this.#policy, {
        ...{ image, signal },
        onProgress: (ppm) => run.progress(ppm, 'pulling the image'),
      });
      if (!brought) return await this.#cache.used(image);
      await this.#cache.brought(image);
      return await this.#cache.trim(new Set(this.#images.values()));
    } catch (error) {
      over();
      throw error;
    }
  }

  async run(run: Run): Promise<RunEnd> {
    this.#leases.add(run.lease);
    try {
      const user = this.#user();
      await shareFolders(run, user.writer);
      const container = await this.#create(run, user);
      try {
        return await this.#watch(run, container);
      } finally {
        await this.#removed(container.id);
      }
    } finally {
      this.#leases.delete(run.lease);
      this.#images.delete(run.lease);
    }
  }

  async reap(): Promise<void> {
    await reapContainers(this.#docker, {
      owner: this.#owner,
      leases: this.#leases,
      nowS: Math.floor(Date.now() / 1000),
    });
    await this.refresh();
  }

  get vmRuntime(): string | undefined {
    return VM_RUNTIMES.find((name) => this.engine.runtimes.includes(name));
  }

  /** Outputs must be ours to read and delete, and the program nobody's. */
  #user(): JobUser {
    const { rootless, userns } = this.engine;
    // Root inside is we ourselves outside, or some number that nobody has.
    if (rootless) return { inside: '0:0', writer: undefined };
    if (userns) return { inside: '0:0', writer: 'anybody' };
    const uid = process.getuid?.() ?? UNPRIVILEGED_ID;
    if (uid !== 0) return { inside: `${uid}:${process.getgid?.() ?? uid}`, writer: undefined };
    return { inside: `${UNPRIVILEGED_ID}:${UNPRIVILEGED_ID}`, writer: UNPRIVILEGED_ID };
  }

  async #create(run: Run, user: JobUser): Promise<Docker.Container> {
    const setting: ContainerSetting = {
      user: user.inside,
      owner: this.#owner,
      nodeId: this.#options.nodeId ?? '',
      cpus: this.engine.cpus,
      runtime: run.spec.require?.minIsolation === 'vm' ? this.vmRuntime : undefined,
      gpuReadonlyRoot: this.#options.gpu?.readonlyRoot ?? true,
      nowS: Math.floor(Date.now() / 1000),
    };
    const options = createOptions(run, setting);
    try {
      return await within('creating the container', () => this.#docker.createContainer(options));
    } catch (error) {
      throw engineFault(error);
    }
  }

  async #watch(run: Run, container: Docker.Container): Promise<RunEnd> {
    const sampled = { cpuMs: 0, peakBytes: 0, ...noGpu() };
    const over = new AbortController();
    const killed: { fault?: Fault } = {};
    const stop = (fault: Fault): void => {
      if (killed.fault !== undefined) return;
      killed.fault = fault;
      // At its limits a program gets no time to say goodbye.
      const gently = fault.code === 'TIMEOUT' || fault.code === 'CANCELLED';
      void this.#stop(container, gently);
    };
    const aborted = (): void => stop({ code: 'CANCELLED', message: 'the job was cancelled' });
    const limits = this.#outputLimits(run);
    let unwatch = (): void => {};
    let timer: NodeJS.Timeout | undefined;
    try {
      // Before the start, or a program that is quick is missed.
      const output = (await within('attaching to the container', () =>
        container.attach({ stream: true, stdout: true, stderr: true }),
      )) as unknown as Readable;
      const read = readOutput(output, (stream, bytes) => run.log(stream, bytes));
      // Whoever awaits it below gets the error.
      read.catch(() => {});
      const ended = container.wait({ condition: 'next-exit' });
      ended.catch(() => {});
      await within('starting the container', () => container.start()).catch((error: unknown) => {
        throw engineFault(error);
      });
      run.started();
      void followUsage(
        container,
        { pids: run.spec.limits.pids, signal: over.signal, exceeded: stop },
        sampled,
      );
      const { vramMiB } = run.spec.limits;
      void followGpus(
        {
          ...{ uuids: run.gpus, vramMiB, exceeded: stop, signal: over.signal },
          pids: () => processesOf(container),
        },
        sampled,
      );
      unwatch = watchOutputs(run.outputs, limits, stop);
      timer = setTimeout(
        () => stop({ code: 'TIMEOUT', message: `it ran for ${run.timeoutS} s` }),
        run.timeoutS * 1000,
      );
      run.signal.addEventListener('abort', aborted, { once: true });
      if (run.signal.aborted) aborted();
      await this.#exit(container, ended, run.timeoutS);
      clearTimeout(timer);
      unwatch();
      const hurried = killed.fault !== undefined || run.signal.aborted;
      await drained(read, output, hurried);
    } finally {
      clearTimeout(timer);
      unwatch();
      over.abort();
      run.signal.removeEventListener('abort', aborted);
    }
    return this.#end(run, container, {
      fault: killed.fault ?? (await overgrown(run.outputs, limits)),
      sampled,
    });
  }

  /** Waits for the end, which the engine may fail to tell. */
  async #exit(
    container: Docker.Container,
    ended: Promise<unknown>,
    timeoutS: number,
  ): Promise<void> {
    const most = timeoutS * 1000 + STOP_S * 1000 + 2 * DRAIN_MS;
    try {
      await within('the end of the container', () => ended, most);
    } catch {
      const state = await within('looking at the container', () => container.inspect()).catch(
        () => undefined,
      );
      if (state === undefined || state.State.Running)
        throw new RunFault('INTERNAL', 'the container engine lost the container');
    }
  }

  async #end(
    { spec }: Run,
    container: Docker.Container,
    {
      fault,
      sampled,
    }: {
      readonly fault: Fault | undefined;
      readonly sampled: Sampled & GpuUsed;
    },
  ): Promise<RunEnd> {
    const { State, Image } = await within('looking at the container', () => container.inspect());
    const measured = {
      usage: usageOf(sampled.cpuMs, sampled.peakBytes, sampled),
      runtime: {
        arch: this.engine.arch === 'amd64' ? 'x86_64' : 'aarch64',
        driver: sampled.driver,
        gpu: sampled.gpu,
        image: spec.image ?? Image,
        module: '',
        runner: 'container',
        runnerVersion: `docker ${this.engine.version}`,
      },
    };
    const exitCode = exitCodeOfShell(State.ExitCode);
    if (fault === undefined && State.OOMKilled)
      return runEnd(
        exitCode,
        { code: 'OOM', message: `over ${spec.limits.memMiB} MiB of memory` },
        measured,
      );
    return runEnd(exitCode, fault, measured);
  }

  #outputLimits({ spec }: Run): OutputLimits {
    return {
      bytesMax: spec.limits.outMiB * 1024 * 1024,
      entriesMax: spec.outputs?.maxFiles ?? OUTPUT_ENTRIES_MAX,
      freeFloor: this.#options.freeFloor ?? FREE_BYTES_FLOOR,
    };
  }

  /** TERM and 10 s, then KILL; each step has its own end. What is left then is the remover's. */
  async #stop(container: Docker.Container, gently: boolean): Promise<void> {
    if (gently) {
      const stopped = await within(
        'stopping the container',
        () => container.stop({ t: STOP_S }),
        STOP_S * 1000 + DRAIN_MS,
      ).then(
        () => true,
        (error: unknown) => statusOf(error) === 304,
      );
      if (stopped) return;
    }
    await within('killing the container', () => container.kill({ signal: 'SIGKILL' })).catch(
      () => {},
    );
  }

  /** The reaper tries again what does not work now. */
  async #removed(id: string): Promise<void> {
    await remove(this.#docker, id).catch(() => {});
  }
}

/** Reads what is left of the output, as long as its reader takes it; of a program that was killed, not for long. */
async function drained(read: Promise<void>, output: Readable, hurried: boolean): Promise<void> {
  try {
    if (!hurried) await read;
    else await within('reading the rest of the output', () => read, DRAIN_MS).catch(() => {});
  } finally {
    output.destroy();
  }
}

function engineFault(error: unknown): RunFault {
  const text = error instanceof Error ? error.message : String(error);
  // A program that is not in its image is the client's.
  if (
    /executable file not found|no such file or directory|permission denied|is a directory/i.test(
      text,
    )
  )
    return new RunFault('IMAGE_INVALID', `the container does not start: ${text}`);
  return new RunFault('INTERNAL', `the container does not start: ${text}`);
}
