/** Every example does what its expected.json says, to the byte; those that need what a machine may lack are skipped with the reason. */
import { existsSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { buildJob } from '../../../kit/build/job.ts';
import { parseJobSpec } from '../../../wit/jobs/spec.ts';
import { hostTools } from '../detect/tool.ts';
import { commandRunner } from '../runners/command/runner.ts';
import { tryRun, type Trial } from '../runners/testing.ts';
import { wasmRunner } from '../runners/wasm/runner.ts';
import { exampleNames, listed, readExample, sha256, type Example } from './example.ts';

const LONG = 120_000;
const wasm = wasmRunner({ harts: 1 });
afterAll(() => wasm[Symbol.asyncDispose]());

const names = await exampleNames();
const examples = await Promise.all(names.map(readExample));

describe.each(examples)('$name', (example) => {
  it('has a spec that is complete and says what its files are', { timeout: LONG }, async () => {
    const parsed = parseJobSpec(JSON.stringify(example.spec));
    expect(parsed).toMatchObject({ ok: true });
    const module = await moduleOf(example);
    expect(example.spec).toMatchObject(listed(example.inputs, module));
  });
});

describe.each(examples.filter(({ source }) => source !== undefined))('$name', (example) => {
  it('gives its result, exactly', { timeout: LONG }, async () => {
    const { spec, inputs } = example;
    const module = await moduleOf(example);
    expectResult(await tryRun(wasm, { spec, inputs, module: module! }), example);
  });
});

it('the network that was trained is the one that runs', () => {
  const weights = examples.find(({ name }) => name === 'train-network')!.expected!.files[
    'weights.f32'
  ];
  expect(sha256(examples.find(({ name }) => name === 'run-network')!.inputs['weights.f32']!)).toBe(
    weights,
  );
});

it('transcode gives its result, exactly', { timeout: LONG }, async (context) => {
  if (!existsSync('/usr/bin/ffmpeg'))
    context.skip('there is no /usr/bin/ffmpeg: apt-get install ffmpeg');
  const runner = await commandRunner({ freeFloor: 0 });
  if (runner.confinement !== 'bubblewrap')
    context.skip('there is no bubblewrap that works: apt-get install bubblewrap');
  const example = await readExample('transcode');
  const { spec, inputs } = example;
  const trial = await tryRun(runner, { spec, inputs });
  expect(trial.stderr).toBe('');
  expect(trial.end.status).toBe(0);
  // Containers differ between versions of ffmpeg; frames do not.
  expect(Object.keys(trial.files).toSorted()).toEqual(['clip.mkv', 'frames.sha256']);
  const frames = trial.files['frames.sha256']!.split('\n').filter((line) => line.startsWith('0,'));
  const hashes = frames.map((line) => line.split(',').at(-1)?.trim());
  expect(sha256(hashes.join('\n'))).toBe(example.expected!.files['frames']);
  expect(frames).toHaveLength(16);
});

it(
  'torch-training learns on a real GPU, and its utilisation is measured',
  { timeout: 400_000 },
  async (context) => {
    const gpus = await hostTools('nvidia-smi', ['--query-gpu=uuid', '--format=csv,noheader']);
    if (gpus.kind !== 'ran' || gpus.code !== 0) return context.skip('there is no NVIDIA GPU');
    const torch = await hostTools('/usr/bin/python3', [
      '-c',
      'import torch; assert torch.cuda.is_available()',
    ]);
    if (torch.kind !== 'ran' || torch.code !== 0)
      context.skip('/usr/bin/python3 has no PyTorch with CUDA');
    const runner = await commandRunner({ freeFloor: 0 });
    const { spec, inputs } = await readExample('torch-training');
    const trial = await tryRun(runner, {
      spec,
      inputs,
      gpus: [gpus.stdout.split('\n')[0]!.trim()],
    });
    expect(trial.stderr).toBe('');
    const result = JSON.parse(trial.files['result.json']!) as {
      learned: boolean;
      utilisation: number;
    };
    expect(result.learned).toBe(true);
    expect(result.utilisation).toBeGreaterThan(0);
    expect(trial.end.usage.gpuMs).toBeGreaterThan(0);
    expect(trial.end.usage.peakVramMiB).toBeGreaterThan(0);
  },
);

const built = new Map<string, Promise<{ readonly module: Uint8Array }>>();
async function moduleOf({ source }: Example): Promise<Uint8Array | undefined> {
  if (source === undefined) return undefined;
  const building = built.get(source) ?? buildJob(source);
  built.set(source, building);
  return (await building).module;
}

function expectResult({ end, stdout, stderr, files }: Trial, { expected }: Example): void {
  expect(stderr).toBe('');
  const hashes = Object.fromEntries(
    Object.entries(files).map(([path, text]) => [path, sha256(Buffer.from(text, 'latin1'))]),
  );
  expect({ status: end.status, stdout, files: hashes }).toEqual(expected);
}
