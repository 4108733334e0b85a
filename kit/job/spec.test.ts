import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
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

test('a folder is a job: its inputs are below in/, and its module is built of its source', async () => {
  const job = at('job');
  await mkdir(join(job, 'in/deep'), { recursive: true });
  await writeFile(join(job, 'in/deep/b.txt'), 'b');
  await writeFile(join(job, 'in/a.txt'), 'a');
  await writeFile(join(job, 'job.as.ts'), 'export function main(): void {}\n');
  const spec = { v: 1, type: 'custom', kind: 'wasm', entry: { cmd: ['job'] } };
  const write = (more: object): Promise<void> =>
    writeFile(join(job, 'spec.json'), JSON.stringify({ ...spec, ...more }));
  await write({});
  const made = await wantedJob({}, [job], []);
  expect(made.spec.inputs).toEqual([
    { path: 'a.txt', size: 1, sha256: sha256('a') },
    { path: 'deep/b.txt', size: 1, sha256: sha256('b') },
  ]);
  const module = made.files.find(({ from }) => from.endsWith('job.as.ts'));
  expect(module?.made?.subarray(0, 4)).toEqual(new Uint8Array([0, 0x61, 0x73, 0x6d]));
  expect(made.spec.module).toEqual({ size: module?.size, sha256: module?.sha256 });
  // Its file says the same, and what it says of files that are elsewhere stays.
  const elsewhere = { path: 'c.txt', size: 1, sha256: sha256('c') };
  await write({ inputs: [{ path: 'a.txt' }, elsewhere], module: made.spec.module });
  const listed = await wantedJob({}, [join(job, 'spec.json')], []);
  expect(listed.spec.inputs[1]).toEqual(elsewhere);
  expect(listed.files.map(({ from }) => from)).toEqual([join(job, 'in/a.txt'), module?.from]);
  await write({ inputs: [{ path: 'a.txt', sha256: sha256('other') }] });
  await expect(wantedJob({}, [job], [])).rejects.toThrow(
    /in\/a\.txt is 1 bytes .* not what the spec/,
  );
  await write({ module: { sha256: sha256('other') } });
  await expect(wantedJob({}, [job], [])).rejects.toThrow(/job\.as\.ts is built to \d+ bytes/);
  await writeFile(join(job, 'job.as.ts'), 'export function main(): void { nowhere(); }\n');
  await expect(wantedJob({}, [job], [])).rejects.toThrow(/nowhere/);
}, 120_000);

test('a source can be named in place of a module; a folder without one says what it lacks', async () => {
  await writeFile(at('other.as.ts'), 'export function main(): void {}\n');
  const { spec, files } = await wantedJob({ wasm: at('other.as.ts') }, [], ['-v']);
  expect(spec.entry).toMatchObject({ cmd: ['other.as.ts', '-v'] });
  expect(files[0]?.made).toHaveLength(spec.module?.size ?? 0);
  await mkdir(at('empty'));
  await writeFile(at('empty/spec.json'), '{"v":1,"type":"custom","kind":"wasm","entry":{}}');
  await expect(wantedJob({}, [at('empty')], [])).rejects.toThrow(/job\.wasm, job\.as\.ts, job\.c/);
}, 120_000);

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
