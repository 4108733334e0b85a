/** Which runners work on this machine: all that can are opened, and why others are not is for the operator to read. */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { ISOLATIONS, type Isolation, type JobKind } from '../../../wit/jobs/spec-shape.ts';
import { detectNvidia } from '../detect/nvidia.ts';
import { hostTools, type Tools } from '../detect/tool.ts';
import { BuiltinRunner } from './builtin.ts';
import { type AllowedCommand, commandRunner } from './command/runner.ts';
import { probeGpu } from './container/gpu-probe.ts';
import { type ContainerOptions, containerRunner } from './container/runner.ts';
import type { Runner } from './runner.ts';
import { wasmRunner } from './wasm/runner.ts';
import { webGpuRunner } from './webgpu/runner.ts';

export interface RunnerChoice {
  /** The folder of the extension. */
  readonly home: string;
  /** Repositories of images that jobs may bring; those that the engine holds run in any case. */
  readonly images: readonly string[];
  /** Whether the operator wants commands of the host to be run. */
  readonly commands: boolean;
  /** Those that run where nothing better than a plain child works. */
  readonly allowed?: readonly AllowedCommand[];
  /** By its digest: what is run to see whether containers get a GPU. Without, none does. */
  readonly probeImage?: string | undefined;
  /** Of the container engine, as DOCKER_HOST. */
  readonly host?: string;
  readonly tools?: Tools;
}

export interface ChosenRunners extends AsyncDisposable {
  readonly runners: ReadonlyMap<JobKind, Runner>;
  readonly isolation: readonly Isolation[];
  /** One line for each that does not work here. */
  readonly missing: readonly string[];
}

export async function chooseRunners({
  home,
  images,
  commands,
  allowed = [],
  probeImage,
  host,
  tools = hostTools,
}: RunnerChoice): Promise<ChosenRunners> {
  const wasm = wasmRunner({ harts: availableParallelism() });
  const runners = new Map<JobKind, Runner>([
    ['builtin', new BuiltinRunner()],
    ['wasm', wasm],
  ]);
  const isolation = new Set<Isolation>(['process', 'wasm']);
  const missing: string[] = [];
  try {
    const cache = { file: join(home, 'images.json') };
    const options = {
      ...(host === undefined ? {} : { host }),
      ...{ images: { allow: images }, cache },
    };
    const gpu = await gpuOf(options, probeImage, tools);
    if (typeof gpu === 'string') missing.push(gpu);
    const container = await containerRunner(
      typeof gpu === 'object' ? { ...options, gpu } : options,
    );
    runners.set('container', container);
    isolation.add('container');
    if (container.vmRuntime !== undefined) isolation.add('vm');
  } catch (error) {
    missing.push(`no container jobs: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (commands) {
    const command = await commandRunner({ allow: allowed });
    runners.set('command', command);
    if (command.confinement === 'bubblewrap') isolation.add('namespace');
    else if (allowed.length === 0)
      missing.push('no commands: there is no bubblewrap, and --commands-allow lists none');
    else missing.push('commands run without bubblewrap: only those that are listed');
  }
  const webgpu = await webGpuRunner();
  if (typeof webgpu === 'string') missing.push(`no WebGPU jobs: ${webgpu}`);
  else runners.set('webgpu', webgpu);
  return {
    runners,
    isolation: ISOLATIONS.filter((one) => isolation.has(one)),
    missing,
    [Symbol.asyncDispose]: () => wasm[Symbol.asyncDispose](),
  };
}

/** What of GPUs works in containers here; a text: why nothing does; undefined: there is none to be had. */
async function gpuOf(
  options: Omit<ContainerOptions, 'gpu'>,
  image: string | undefined,
  tools: Tools,
): Promise<ContainerOptions['gpu'] | string> {
  const [gpu] = (await detectNvidia(tools)).gpus;
  if (gpu === undefined)
    return image === undefined ? undefined : 'containers get no GPU: there is none of NVIDIA';
  if (image === undefined)
    return 'containers get no GPU: name an image to try it with, --gpu-probe-image';
  return probeGpu(options, { image, uuid: gpu.mig[0]?.uuid ?? gpu.uuid });
}
