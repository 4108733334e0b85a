import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { wantedJob } from './spec.ts';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kit-spec-'));
  await writeFile(join(folder, 'run.py'), 'print\n');
  await writeFile(join(folder, 'job.wasm'), 'a module');
});
afterAll(() => rm(folder, { recursive: true, force: true }));
const at = (name: string): string => join(folder, name);

test('a function, its files and limits, from flags', async () => {
  const flags = {
    fn: 'sha256',
    args: '{"a":1}',
    timeout: '30',
    gpu: '1',
    vram: '8192',
    verify: 'none',
  };
  const { spec, files } = await wantedJob(flags, [at('run.py')], []);
  expect(spec).toMatchObject({
    kind: 'builtin',
    entry: { fn: 'sha256', args: { a: 1 } },
    inputs: [{ path: 'run.py', size: 6, sha256: sha256('print\n') }],
    limits: { timeoutS: 30, memMiB: 1_024 },
    require: { gpu: { count: 1, minVramMiB: 8_192 } },
    verify: { mode: 'none' },
  });
  expect(files.map(({ from }) => from)).toEqual([at('run.py')]);
});

test('how many nodes run it is a flag as well, and says nothing of how results are compared', async () => {
  const verifyOf = async (flags: Parameters<typeof wantedJob>[0]): Promise<unknown> =>
    (await wantedJob({ fn: 'echo', ...flags }, [], [])).spec.verify;
  expect(await verifyOf({ replicas: '3' })).toEqual({ mode: 'exact', replicas: 3 });
  expect(await verifyOf({ replicas: '3', verify: 'image' })).toEqual({
    mode: 'image',
    replicas: 3,
  });
  await expect(verifyOf({ replicas: '8' })).rejects.toThrow(/verify\.replicas/);
});

test('a component with its arguments, and a container with its command', async () => {
  const wasm = await wantedJob({ wasm: at('job.wasm') }, [], ['-v', 'in/run.py']);
  expect(wasm.spec).toMatchObject({
    kind: 'wasm',
    module: { sha256: sha256('a module'), size: 8 },
    entry: { cmd: ['job.wasm', '-v', 'in/run.py'] },
  });
  expect(wasm.files).toHaveLength(1);
  const image = `example.org/run@sha256:${'ab'.repeat(32)}`;
  const container = await wantedJob({ image, memory: '512' }, [], ['python', '/job/in/run.py']);
  expect(container.spec).toMatchObject({
    kind: 'container',
    image,
    entry: { cmd: ['python', '/job/in/run.py'] },
    limits: { memMiB: 512 },
  });
});

test('a spec file names files beside it, which are hashed here', async () => {
  const spec = {
    v: 1,
    type: 'custom',
    kind: 'wasm',
    module: { from: 'job.wasm' },
    entry: {},
    inputs: [{ path: 'in/main.py', from: 'run.py' }],
  };
  await writeFile(at('spec.json'), JSON.stringify(spec));
  const made = await wantedJob({ priority: 'low' }, [at('spec.json')], []);
  expect(made.spec).toMatchObject({
    module: { size: 8 },
    inputs: [{ path: 'in/main.py', sha256: sha256('print\n') }],
    priority: 'low',
  });
  expect(made.files.map(({ from }) => from).toSorted()).toEqual([at('job.wasm'), at('run.py')]);
});

test.each<readonly [Parameters<typeof wantedJob>, RegExp]>([
  [[{}, [], []], /what is to be run/],
  [[{ fn: 'a', wasm: 'b' }, [], []], /one of --fn, --wasm and --image/],
  [[{ fn: 'echo', args: '[1]' }, [], []], /--args is a JSON object/],
  [[{ fn: 'echo', args: '{"a":0.5}' }, [], []], /--args is a JSON object: /],
  [[{ fn: 'echo', timeout: 'soon' }, [], []], /--timeout is a whole number/],
  [[{ fn: 'echo' }, [], ['x']], /takes --args/],
  [[{ fn: 'echo' }, ['/nowhere/at/all'], []], /cannot be read/],
  [[{ image: 'debian:latest' }, [], []], /IMAGE_NOT_PINNED/],
  [[{ fn: 'echo', type: 'inference', timeout: '301' }, [], []], /LIMIT_OUT_OF_RANGE/],
])('CM1 %j is refused before anything is sent', async (given, why) => {
  await expect(wantedJob(...given)).rejects.toThrow(why);
});
