/**
 * `compute.overhead` and `compute.empty`: what a runner costs the program it runs. The floor of a wasm job is the same module on V8 without fuel and
 * with Node's own WASI; that of a container the same program on the host.
 */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { WASI } from 'node:wasi';
import { readExample } from '../../extensions/gpu/examples/example.ts';
import { containerRunner } from '../../extensions/gpu/runners/container/runner.ts';
import { tryRun } from '../../extensions/gpu/runners/testing.ts';
import { wasmRunner } from '../../extensions/gpu/runners/wasm/runner.ts';
import { assemble } from '../../kernel/image/fuel-harness.ts';
import { buildJob } from '../../kit/build/job.ts';
import { closeDockerEngine, findDockerEngine } from '../support/docker.ts';
import { alternate } from './measure.ts';
import { type Bench, count, ratioOf, type Row, type Scale } from './row.ts';

const WASM_RATIO_MAX = 1.3;
const CONTAINER_RATIO_MAX = 1.03;
/** 200 jobs a second. */
const EMPTY_JOB_MS_MAX = 5;
const HARTS = 2;

/** Examples, with arguments that make all but a few milliseconds the program's own. */
const BODIES: Readonly<Record<string, (scale: Scale) => string>> = {
  'monte-carlo': (scale) => `${count(100_000_000, scale, 1_000)}`,
  'train-network': (scale) => `${count(1_500, scale, 2)}`,
};

/** One row a body, in milliseconds of CPU, and the geometric mean of their ratios. */
async function wasmBodies(scale: Scale): Promise<Row[]> {
  const rows: Row[] = [];
  for (const [name, argument] of Object.entries(BODIES))
    rows.push(await wasmBody(name, argument(scale), scale.runs));
  const product = rows.reduce((sofar, row) => sofar * (ratioOf(row) ?? 1), 1);
  return [
    ...rows,
    {
      name: 'compute.overhead.wasm',
      value: product ** (1 / rows.length),
      unit: 'x',
      floor: undefined,
      target: { of: 'value', max: WASM_RATIO_MAX },
      runs: scale.runs,
      note: 'geometric mean of the ratios above',
    },
  ];
}

async function wasmBody(name: string, argument: string, runs: number): Promise<Row> {
  const { inputs, source } = await readExample(name);
  const { module } = await buildJob(source!);
  const folder = await mkdtemp(join(tmpdir(), 'hl-bench-'));
  const runner = wasmRunner({ harts: 1 });
  const args = ['job', argument];
  const spec = { kind: 'wasm', entry: { cmd: args } };
  const ours = async (): Promise<void> => {
    const { end } = await tryRun(runner, { spec, inputs, module });
    if (end.status !== 0) throw new Error(`the job failed: ${end.fault?.message}`);
  };
  for (const part of ['in', 'out']) await mkdir(join(folder, part));
  for (const [path, bytes] of Object.entries(inputs))
    await writeFile(join(folder, 'in', path), bytes);
  const sink = await open(join(folder, 'stdout'), 'w');
  const compiled = await WebAssembly.compile(module as Uint8Array<ArrayBuffer>);
  const direct = (): void => {
    const preopens = { '/job/in': join(folder, 'in'), '/job/out': join(folder, 'out') };
    const wasi = new WASI({ version: 'preview1', args, preopens, stdout: sink.fd });
    wasi.start(new WebAssembly.Instance(compiled, wasi.getImportObject() as WebAssembly.Imports));
  };
  try {
    const measured = await alternate(
      runs,
      () => cpuMs(ours),
      () => cpuMs(direct),
    );
    return {
      name: `compute.overhead.wasm.${name}`,
      ...{ value: measured.ours, unit: 'ms', floor: measured.floor },
      target: undefined,
      runs,
      note: 'CPU time; floor: the same module without fuel, WASI of Node',
    };
  } finally {
    await runner[Symbol.asyncDispose]();
    await sink.close();
    await rm(folder, { recursive: true, force: true });
  }
}

/** CPU time of this process, all threads: what else the machine does is not counted. */
async function cpuMs(act: () => Promise<void> | void): Promise<number> {
  const before = process.cpuUsage();
  await act();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
}

/** Jobs that do nothing, as many at a time as there are harts: the wall time of one. */
async function emptyJobs(scale: Scale): Promise<Row> {
  const module = await assemble('(module (memory (export "memory") 1) (func (export "_start")))');
  const runner = wasmRunner({ harts: HARTS });
  const jobs = count(400, scale, 4);
  const spec = { kind: 'wasm' };
  const batch = async (): Promise<number> => {
    const startedAt = performance.now();
    let left = jobs;
    const lane = async (): Promise<void> => {
      while (left-- > 0) await tryRun(runner, { spec, module });
    };
    await Promise.all(Array.from({ length: HARTS }, lane));
    return (performance.now() - startedAt) / jobs;
  };
  try {
    await batch();
    const values = [];
    for (let run = 0; run < scale.runs; run++) values.push(await batch());
    return {
      name: 'compute.empty',
      value: values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)]!,
      unit: 'ms',
      floor: undefined,
      target: { of: 'value', max: EMPTY_JOB_MS_MAX },
      runs: scale.runs,
      note: `wall time a job, ${HARTS} harts, with the folders of each made and removed`,
    };
  } finally {
    await runner[Symbol.asyncDispose]();
  }
}

/** A shell's loop, which times itself: starting a container is no part of the program. */
async function containerBody(scale: Scale): Promise<readonly Row[]> {
  const engine = await findDockerEngine();
  if (typeof engine === 'string') return [];
  const runner = await containerRunner({
    ...(engine.host === undefined ? {} : { host: engine.host }),
    images: { allow: [engine.repository] },
    freeFloor: 0,
  });
  const loops = count(3_000_000, scale, 1_000);
  const script = `read a b < /proc/uptime; i=0; while [ $i -lt ${loops} ]; do i=$((i+1)); done; read c d < /proc/uptime; echo $a $c`;
  const seconds = (stdout: string): number => {
    const [from, to] = stdout.trim().split(' ').map(Number);
    return to! - from!;
  };
  const inside = async (): Promise<number> => {
    const entry = { cmd: ['sh', '-c', script] };
    const limits = { cpuMilli: 4_000 };
    const { stdout } = await tryRun(runner, {
      spec: { kind: 'container', image: engine.image, entry, limits },
    });
    return seconds(stdout);
  };
  const outside = async (): Promise<number> => {
    const { stdout } = await promisify(execFile)(engine.busybox, ['sh', '-c', script]);
    return seconds(stdout);
  };
  try {
    const { ours, floor } = await alternate(scale.runs, inside, outside);
    return [
      {
        name: 'compute.overhead.container',
        ...{ value: ours, unit: 's', floor },
        target: { of: 'ratio', max: CONTAINER_RATIO_MAX },
        runs: scale.runs,
        note: 'floor: the same busybox on the host',
      },
    ];
  } finally {
    await closeDockerEngine();
  }
}

export const runnerCosts: readonly Bench[] = [
  { name: 'compute.empty', run: async (scale) => [await emptyJobs(scale)] },
  {
    name: 'compute.overhead',
    run: async (scale) => [...(await wasmBodies(scale)), ...(await containerBody(scale))],
  },
];
