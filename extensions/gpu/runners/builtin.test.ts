/** The functions that come with the extension and their published vectors (compute-market.md §9.4), on the runner's own threads. */
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';
import { completeSpec } from '../../../wit/jobs/spec.ts';
import { BuiltinRunner } from './builtin.ts';
import { BUILTINS } from './builtins/all.ts';
import type { Run, RunEnd } from './runner.ts';

const runner = new BuiltinRunner();
afterAll(() => runner.close());
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'builtin-'));
  for (const name of ['in', 'out']) await mkdir(join(folder, name));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

interface Ran {
  readonly end: RunEnd;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(
  fn: string,
  args: object,
  {
    inputs = [],
    timeoutS = 60,
    signal = new AbortController().signal,
  }: { inputs?: readonly string[]; timeoutS?: number; signal?: AbortSignal } = {},
): Promise<Ran> {
  const files = inputs.map((content, at) => ({
    path: `${at}`,
    size: Buffer.byteLength(content),
    sha256: createHash('sha256').update(content).digest('hex'),
  }));
  for (const [at, content] of inputs.entries())
    await writeFile(join(folder, 'in', `${at}`), content);
  const spec = completeSpec({
    v: 1,
    type: 'custom',
    kind: 'builtin',
    entry: { fn, args },
    inputs: files,
  } as never);
  if (!spec.ok) throw new Error(spec.error.message);
  expect(runner.refusal(spec.value)).toBeUndefined();
  const said = { 1: '', 2: '', 3: '' };
  const started: string[] = [];
  const one: Run = {
    jobId: `0x${'00'.repeat(32)}`,
    attempt: 0,
    lease: '',
    spec: spec.value,
    inputs: join(folder, 'in'),
    outputs: join(folder, 'out'),
    module: undefined,
    timeoutS,
    gpus: [],
    log: async (stream, bytes) => void (said[stream] += Buffer.from(bytes).toString()),
    progress: () => undefined,
    started: () => void started.push('started'),
    signal,
  };
  await runner.prepare();
  const end = await runner.run(one);
  expect(started).toEqual(['started']);
  return { end, stdout: said[1], stderr: said[2] };
}

const output = (name: string): Promise<Buffer> => readFile(join(folder, 'out', name));
const hashOf = async (name: string): Promise<string> =>
  createHash('sha256')
    .update(await output(name))
    .digest('hex');

test('CM8 echo and sha256', async () => {
  const { end, stdout } = await run('echo', { text: 'hello' });
  expect([end.status, end.exitCode, end.fault, stdout]).toEqual([0, 0, undefined, 'hello\n']);
  expect((await output('echo.txt')).toString()).toBe('hello\n');
  const hashed = await run('sha256', {}, { inputs: ['print', '\n'] });
  expect(hashed.stdout).toBe('495838ce053aa61ab3c39fa37937e9090d49a2caf4bf59ee360ff415ec60b984\n');
  expect(end.runtime).toEqual({
    arch: end.runtime.arch,
    driver: '',
    gpu: '',
    image: '',
    module: '',
    runner: 'builtin',
    runnerVersion: '1',
  });
});

test('CM8 matmul-i8 has the roots of pulse.md §17, classes 0 and 1', async () => {
  const keyA = '5da242adbba577c131d71ebffe5d6e639ee53125b83b37321c2b20924567223e';
  const keyB = 'cbd73f0225e5065ce66121abe5ff348c41a9f5026b166cd0c401aa5b8b85dd00';
  const { stdout } = await run('matmul-i8', { keyA, keyB, n: 256, matrix: true });
  expect(stdout).toBe('9ce016b521ba9506ba6238992e19e9cc9cf1a2d201c2a5829313f73e40ade2e1\n');
  const product = await output('c.i32');
  expect([0, 1, 2, 3].map((at) => product.readInt32LE(4 * at))).toEqual([
    237_983, 56_163, 47_418, 73_609,
  ]);
  expect(product.readInt32LE(product.length - 4)).toBe(42_228);
  expect(await hashOf('c.i32')).toBe(
    '96816bd94a716333d45141154c7610a4a4a1d887e3615d89d6a72c7b5f1a83da',
  );
});

test('CM8 primes, mandelbrot and embed-hash-384 give what they always gave', async () => {
  expect((await run('primes', { below: 3_000_000 })).stdout).toBe('216816\n');
  const primes = (await output('primes.txt')).toString().split('\n');
  expect([primes.slice(0, 6), primes.at(-2)]).toEqual([
    ['2', '3', '5', '7', '11', '13'],
    '2999999',
  ]);
  await run('mandelbrot', { width: 64, height: 48, iterations: 100 });
  expect((await output('mandelbrot.pgm')).subarray(0, 13).toString()).toBe('P5\n64 48\n255\n');
  expect(await hashOf('mandelbrot.pgm')).toBe(
    '7b2d290f18939d370fa1a1b97236628d4b8c79507dc8f49a82db7ca76cce8595',
  );
  const { stdout } = await run(
    'embed-hash-384',
    {},
    { inputs: ['the quick brown fox\nTHE quick, brown fox!\nsomething else\n'] },
  );
  expect(stdout).toBe('3\n');
  const rows = await output('embeddings.i16');
  expect(rows.length).toBe(3 * 768);
  const row = (at: number): number[] =>
    Array.from({ length: 384 }, (_, index) => rows.readInt16LE(at * 768 + 2 * index));
  // The same words are the same place; four different words of one occurrence each are four halves.
  expect(row(0)).toEqual(row(1));
  expect(
    row(0)
      .filter((value) => value !== 0)
      .map(Math.abs),
  ).toEqual([16_384, 16_384, 16_384, 16_384]);
  expect(row(2)).not.toEqual(row(0));
  expect(await hashOf('embeddings.i16')).toBe(
    'ad4f5e8b4207e440fee227fdb29039e59bdccf57d23d5d758fa3c87ed9d2fa61',
  );
});

test('CM22 fail prints what it is told and ends with the code, whatever the text says', async () => {
  const { end, stderr } = await run('fail', { code: 7, message: 'success ✅' });
  expect(stderr).toBe('success ✅\n');
  expect(end).toMatchObject({ status: 1, exitCode: 7, fault: { code: 'EXIT_NONZERO' } });
});

test('CM11 a function that takes too long is ended with its thread, and one that is cancelled too', async () => {
  const { end } = await run('sleep', { ms: 60_000 }, { timeoutS: 0.05 });
  expect(end).toMatchObject({ status: 2, exitCode: -9, fault: { code: 'TIMEOUT' } });
  const cancel = new AbortController();
  const running = run('sleep', { ms: 60_000 }, { signal: cancel.signal });
  setTimeout(() => cancel.abort('the client'), 50);
  expect((await running).end).toMatchObject({
    status: 5,
    fault: { code: 'CANCELLED', message: 'the client' },
  });
  // The next one has a thread.
  expect((await run('sleep', { ms: 250, everyMs: 100 })).stdout).toBe('tick 1\ntick 2\n');
});

test('CM1 arguments that are none of a function are refused before anything runs', () => {
  const refused: readonly (readonly [string, object])[] = [
    ['nothing', {}],
    ['echo', { text: 5 }],
    ['sleep', {}],
    ['sleep', { ms: -1 }],
    ['fail', { code: 0 }],
    ['primes', { below: 10 ** 9 }],
    ['mandelbrot', { width: 100_000 }],
    ['matmul-i8', { n: 256 }],
    ['matmul-i8', { keyA: '00'.repeat(32), keyB: '00'.repeat(32), n: 100 }],
    ['matmul-i8', { keyA: '00'.repeat(32), keyB: '00'.repeat(32), n: 8192 }],
  ];
  for (const [fn, args] of refused) {
    const spec = completeSpec({
      v: 1,
      type: 'custom',
      kind: 'builtin',
      entry: { fn, args },
      inputs: [],
    } as never);
    if (!spec.ok) throw new Error(spec.error.message);
    expect([fn, args, runner.refusal(spec.value)?.code]).toEqual([fn, args, 'unsupported']);
  }
  expect(BUILTINS.size).toBe(8);
});
