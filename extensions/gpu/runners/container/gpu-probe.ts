/**
 * Whether containers get a GPU here (compute-market.md §9.2, §11): by running one with the very options of a job. That the engine lists a runtime
 * of a vendor proves nothing, and machines without one may work (CDI).
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { completeSpec } from '../../../../wit/jobs/spec.ts';
import { STREAM } from '../../../../wit/jobs/log-records.ts';
import type { Run } from '../runner.ts';
import { containerRunner, type ContainerOptions } from './runner.ts';

const TIMEOUT_S = 30;

export interface GpuProbe {
  /** An image that the engine holds, with `nvidia-smi` in it or from the runtime. */
  readonly image: string;
  readonly uuid: string;
}

/** What `ContainerOptions.gpu` is to be; a text if containers see no GPU. */
export async function probeGpu(
  options: Omit<ContainerOptions, 'gpu'>,
  probe: GpuProbe,
): Promise<NonNullable<ContainerOptions['gpu']> | string> {
  let why = '';
  for (const readonlyRoot of [true, false]) {
    const runner = await containerRunner({ ...options, gpu: { readonlyRoot } });
    const folder = await mkdtemp(join(tmpdir(), 'hn-probe-'));
    try {
      for (const part of ['in', 'out']) await mkdir(join(folder, part));
      const said: string[] = [];
      const run = runOf(folder, probe, (text) => said.push(text));
      await runner.prepare(run);
      const { fault } = await runner.run(run);
      if (said.join('').includes(probe.uuid)) return { readonlyRoot };
      why = fault?.message ?? 'the container does not list it';
    } catch (error) {
      why = error instanceof Error ? error.message : String(error);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }
  return `containers get no GPU: ${why}`;
}

function runOf(folder: string, { image, uuid }: GpuProbe, say: (text: string) => void): Run {
  const spec = completeSpec({
    ...{ v: 1, type: 'custom', kind: 'container', image, inputs: [] },
    entry: { cmd: ['nvidia-smi', '-L'] },
  });
  if (!spec.ok) throw new Error(`the image of the probe: ${spec.error.message}`);
  return {
    jobId: `0x${randomBytes(32).toString('hex')}`,
    attempt: 0,
    lease: randomBytes(16).toString('hex'),
    spec: spec.value,
    inputs: join(folder, 'in'),
    outputs: join(folder, 'out'),
    module: undefined,
    timeoutS: TIMEOUT_S,
    gpus: [uuid],
    log: (stream, bytes) => {
      if (stream === STREAM.stdout) say(Buffer.from(bytes).toString());
      return Promise.resolve();
    },
    progress: () => {},
    started: () => {},
    signal: new AbortController().signal,
  };
}
