/** Which runners work on this machine: all that can are opened, and why others are not is for the operator to read. */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { ISOLATIONS, type Isolation, type JobKind } from '../../../wit/jobs/spec-shape.ts';
import { BuiltinRunner } from './builtin.ts';
import { commandRunner } from './command/runner.ts';
import { containerRunner } from './container/runner.ts';
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
    const container = await containerRunner({ images: { allow: images }, cache });
    runners.set('container', container);
    isolation.add('container');
    if (container.vmRuntime !== undefined) isolation.add('vm');
  } catch (error) {
    missing.push(`no container jobs: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (commands) {
    const command = await commandRunner();
    runners.set('command', command);
    if (command.confinement === 'bubblewrap') isolation.add('namespace');
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
