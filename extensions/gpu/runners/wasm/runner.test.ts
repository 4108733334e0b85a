/** Wasm jobs through the runner: programs in text form and AssemblyScript, on real harts. */
import { componentNew } from '@bytecodealliance/jco-transpile/wasm-tools';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { assemble } from '../../../../kernel/image/fuel-harness.ts';
import { buildComponent } from '../../../../kit/build/component.ts';
import { buildJob } from '../../../../kit/build/job.ts';
import { makeRun, sha256, tryRun, type Trial, type TrialOptions } from '../testing.ts';
import { wasmRunner } from './runner.ts';

const runner = wasmRunner({ harts: 2 });
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hl-wasm-'));
});
afterAll(async () => {
  await runner[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const ECHO = join(import.meta.dirname, '../../../../test/guests/echo.wat');

let programs = 0;
/** Builds an AssemblyScript job whose `main` has this body. */
async function script(body: string): Promise<Uint8Array> {
  const source = join(folder, `job${programs++}.as.ts`);
  await writeFile(
    source,
    `import { args, fail, input, now, output, outputText, print, random } from 'job';\nexport function main(): void {\n${body}\n}\n`,
  );
  return (await buildJob(source)).module;
}

/** A command in text form, with what of preview 1 is named. */
function command(imports: string, body: string, memory = '1'): Promise<Uint8Array> {
  return assemble(`(module ${imports}
    (memory (export "memory") ${memory})
    (data (i32.const 64) "hello\\0a")
    (func (export "_start") ${body}))`);
}
const WRITE = `(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))`;
/** Six bytes on stdout. */
const HELLO = `(i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 6))
  (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))`;

const wasm = (
  module: Uint8Array,
  options: Omit<Partial<TrialOptions>, 'module'> = {},
): Promise<Trial> =>
  tryRun(runner, { ...options, module, spec: { kind: 'wasm', ...options.spec } });

/** The same command as a component, by the adapter that toolchains use. */
async function componentOf(module: Uint8Array): Promise<Uint8Array> {
  const jco = fileURLToPath(import.meta.resolve('@bytecodealliance/jco'));
  const adapter = await readFile(join(jco, '../../lib/wasi_snapshot_preview1.command.wasm'));
  return componentNew(module, [['wasi_snapshot_preview1', adapter]]);
}

const COPY = `
  const bytes = input("deep/er/a.txt");
  output("copy.txt", bytes);
  print(args().join(" ") + " " + bytes.length.toString());`;

describe('a job reads its inputs and writes its outputs', () => {
  const options = {
    spec: { entry: { cmd: ['copy', 'é'] } },
    inputs: { 'deep/er/a.txt': 'some bytes' },
  };
  it('as a core module', async () => {
    const { end, stdout, files, starts } = await wasm(await script(COPY), options);
    expect(end).toMatchObject({ status: 0, exitCode: 0, fault: undefined });
    expect(Buffer.from(stdout, 'latin1').toString()).toBe('copy é 10\n');
    expect(files).toEqual({ 'copy.txt': 'some bytes' });
    expect(starts).toBe(1);
    expect(end.usage.peakMemMiB).toBeGreaterThan(0);
  });
  it('as a component with wasi:cli/run', async () => {
    const { end, stdout, stderr, files } = await wasm(
      await componentOf(await script(COPY)),
      options,
    );
    expect(stderr).toBe('');
    expect(end).toMatchObject({ status: 0, exitCode: 0, fault: undefined });
    expect(Buffer.from(stdout, 'latin1').toString()).toBe('copy é 10\n');
    expect(files).toEqual({ 'copy.txt': 'some bytes' });
  });
});

it('a job has an output folder from when it writes there, and a program that is held needs no file', async () => {
  // Programs that no other test has had run.
  const [writes, prints] = [
    await script(`${COPY} print("a file");`),
    await script('print("no file");'),
  ];
  const inputs = { 'deep/er/a.txt': 'some bytes' };
  for (const [name, module] of Object.entries({ writes, prints })) {
    const known = { sha256: sha256(module), size: module.length };
    for (const held of [false, true]) {
      expect(runner.has!(known)).toBe(held);
      expect(runner.has!({ ...known, size: 1 })).toBe(false);
      const own = join(folder, `${name} ${held}`);
      const { run } = await makeRun(own, { spec: { kind: 'wasm' }, inputs, module });
      await rm(run.outputs, { recursive: true });
      if (held) await rm(run.module!);
      await runner.prepare(run);
      const end = await runner.run(run);
      expect(end).toMatchObject({ status: 0, leftNothing: name === 'prints' });
      const left = await readdir(own);
      expect(left.includes('out')).toBe(name === 'writes');
      if (name === 'writes') expect(await readdir(run.outputs)).toEqual(['copy.txt']);
    }
  }
});

it('CM22 the exit code is what counts, whatever the program printed', async () => {
  const { end, stdout, stderr } = await wasm(await script('print("success"); fail("no");'));
  expect(stdout).toBe('success\n');
  expect(stderr).toBe('no\n');
  expect(end).toMatchObject({ status: 1, exitCode: 1, fault: { code: 'EXIT_NONZERO' } });
});

it('a trap is named, with the functions it went through', async () => {
  const { end } = await wasm(await command('', 'unreachable'));
  expect(end).toMatchObject({ status: 1, exitCode: -6, fault: { code: 'EXIT_NONZERO' } });
  expect(end.fault?.message).toMatch(/trapped: .*unreachable/);
});

describe('CM11 a job that does not end', () => {
  it('is killed at its timeout, and the next one runs', async () => {
    const loop = await command('', '(loop $l (br $l))');
    const ends = await Promise.all([
      wasm(loop, { timeoutS: 0.2 }),
      wasm(loop, { timeoutS: 0.2 }),
      wasm(await command(WRITE, HELLO)),
    ]);
    expect(ends[0].end).toMatchObject({ status: 2, exitCode: -9, fault: { code: 'TIMEOUT' } });
    expect(ends[1].end.fault?.code).toBe('TIMEOUT');
    expect(ends[2].stdout).toBe('hello\n');
  });
  it('is killed when it is cancelled, at once', async () => {
    const cancel = new AbortController();
    const { end } = await wasm(await command('', '(loop $l (br $l))'), {
      signal: cancel.signal,
      onStart: () => setTimeout(() => cancel.abort(), 50),
    });
    expect(end).toMatchObject({ status: 5, fault: { code: 'CANCELLED' } });
  });
  it('ends at its fuel, at the same place each time', async () => {
    const spec = { entry: { args: { fuel: 5_000_000 } } };
    const loop = await command('', '(loop $l (br $l))');
    const { end } = await wasm(loop, { spec });
    expect(end).toMatchObject({ status: 2, fault: { code: 'TIMEOUT' } });
    expect(end.fault?.message).toContain('its 5000000 units of fuel');
    expect((await wasm(await command(WRITE, HELLO), { spec })).stdout).toBe('hello\n');
  });
});

it('CM10 there is no network: sockets of preview 1 are refused, those of 0.2 by every guest’s host', async () => {
  const { end, files } = await wasm(
    await command(
      `${WRITE}(import "wasi_snapshot_preview1" "sock_accept" (func $accept (param i32 i32 i32) (result i32)))
       (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))`,
      '(call $exit (call $accept (i32.const 3) (i32.const 0) (i32.const 0)))',
    ),
  );
  // ENOTSUP
  expect(end.exitCode).toBe(58);
  expect(files).toEqual({});
  const spec = {
    kind: 'wasm',
    module: { sha256: '0'.repeat(64), size: 1 },
    network: { mode: 'allow' },
  };
  const refused = await tryRun(runner, { spec }).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(Error);
});

describe('limits', () => {
  it('memory beyond memMiB is refused to the program, and running out of it is OOM', async () => {
    const { end } = await wasm(
      await script(`
        const kept: Uint8Array[] = [];
        for (let i = 0; i < 1000; i++) kept.push(new Uint8Array(1 << 20));
        print(kept.length.toString());`),
      { spec: { limits: { memMiB: 64 } } },
    );
    expect(end).toMatchObject({ status: 3, fault: { code: 'OOM' } });
    expect(end.usage.peakMemMiB).toBeGreaterThan(32);
    expect(end.usage.peakMemMiB).toBeLessThanOrEqual(64);
  });
  it('memory over 512 MiB, the most of a process, is a job’s if its spec says so', async () => {
    const grow = '(if (i32.eq (memory.grow (i32.const 9000)) (i32.const -1)) (then unreachable))';
    const limits = { memMiB: 1024 };
    expect((await wasm(await command('', grow), { spec: { limits } })).end.status).toBe(0);
    expect(
      (await wasm(await command('', grow), { spec: { limits: { memMiB: 512 } } })).end.fault,
    ).toMatchObject({ code: 'OOM' });
  });
  it('outputs over outMiB end the job', async () => {
    const { end, files } = await wasm(
      await script(
        'for (let i = 0; i < 100; i++) output("f" + i.toString(), new Uint8Array(100000));',
      ),
      { spec: { limits: { outMiB: 1 } } },
    );
    expect(end).toMatchObject({ status: 4, fault: { code: 'OUTPUT_LIMIT' } });
    expect(Object.values(files).reduce((sum, text) => sum + text.length, 0)).toBeLessThanOrEqual(
      1 << 20,
    );
  });
  it('outputs are counted in files too', async () => {
    const { end, files } = await wasm(
      await script('for (let i = 0; i < 100; i++) output("f" + i.toString(), new Uint8Array(0));'),
      { spec: { outputs: { maxFiles: 10 } } },
    );
    expect(end).toMatchObject({ status: 4, fault: { code: 'OUTPUT_LIMIT' } });
    expect(Object.keys(files)).toHaveLength(10);
  });
  it('a flood of log waits for its reader, and a kill ends it while it waits', async () => {
    const cancel = new AbortController();
    let taken = 0;
    const { end } = await wasm(
      await script(
        'for (let i = 0; i < 10000000; i++) print("a line of text that is not very long");',
      ),
      {
        signal: cancel.signal,
        onLog: async (_stream, text) => {
          taken += text.length;
          if (cancel.signal.aborted) return;
          setTimeout(() => cancel.abort(), 100);
          await new Promise((resolve) => cancel.signal.addEventListener('abort', resolve));
        },
      },
    );
    expect(end.fault?.code).toBe('CANCELLED');
    expect(taken).toBeLessThan(1 << 20);
  });
});

describe('what is no program is refused before it starts', () => {
  it.each([
    ['no wasm at all', () => Promise.resolve(Buffer.from('#!/bin/sh\nexit 0\n')), /magic number/],
    ['another host', () => command('(import "env" "system" (func))', ''), /imports "env system"/],
    [
      'a function of another type',
      () => command('(import "wasi_snapshot_preview1" "proc_exit" (func (param i64)))', ''),
      /another type/,
    ],
    ['no _start', () => assemble('(module (memory (export "memory") 1))'), /_start/],
    ['shared memory', () => command('', '', '1 2 shared'), /shared memory/],
    ['memory64', () => command('', '', 'i64 1'), /memory64/],
    ['more memory at once than it may have', () => command('', '', '2000'), /starts with 125 MiB/],
    ['a process', () => buildComponent(ECHO), /no process of a node/],
  ])('%s', async (_, make, message) => {
    const module = await make();
    await expect(wasm(module, { spec: { limits: { memMiB: 64 } } })).rejects.toMatchObject({
      name: 'RunFault',
      code: 'IMAGE_INVALID',
      message: expect.stringMatching(message),
    });
  });
});

it('F45 every run sees the same clock, chance and folders; another seed another chance', async () => {
  const module = await script(`
    print(now().toString() + " " + now().toString() + " " + now().toString());
    const bytes = random(40);
    let text = "";
    for (let i = 0; i < bytes.length; i++) text += bytes[i].toString(16).padStart(2, "0");
    print(text);`);
  const seeded = (seed: string): Promise<Trial> =>
    wasm(module, { spec: { verify: { mode: 'exact', seed } } });
  const [one, again, other] = [await seeded('12345'), await seeded('12345'), await seeded('6')];
  const [clock, random] = one.stdout.split('\n');
  expect(clock).toBe('0 1 2');
  expect(again.stdout).toBe(one.stdout);
  expect(other.stdout).not.toBe(one.stdout);
  // Block n is SHA-256 of the tag, the seed and n, each with a zero behind it or eight bytes long.
  const block = (n: number): string =>
    sha256(['hn-wasm-random/v1', '12345', '\0'.repeat(7) + String.fromCharCode(n)].join('\0'));
  expect(random).toBe((block(0) + block(1)).slice(0, 80));
});

it('F45 a hart that was killed is replaced, and jobs that wait get the new one', async () => {
  await using one = wasmRunner({ harts: 1 });
  const loop = await command('', '(loop $l (br $l))');
  const hello = await command(WRITE, HELLO);
  const [first, ...rest] = await Promise.all([
    tryRun(one, { spec: { kind: 'wasm' }, module: loop, timeoutS: 0.1 }),
    ...Array.from({ length: 5 }, () => tryRun(one, { spec: { kind: 'wasm' }, module: hello })),
  ]);
  expect(first.end.fault?.code).toBe('TIMEOUT');
  expect(rest.map(({ stdout }) => stdout)).toEqual(Array.from({ length: 5 }, () => 'hello\n'));
});

it('F45 no instance is used twice: what one job leaves in its memory the next does not find', async () => {
  await using one = wasmRunner({ harts: 1 });
  const counts = await assemble(`(module
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1) (global $runs (mut i32) (i32.const 0))
    (func (export "_start")
      (global.set $runs (i32.add (global.get $runs) (i32.const 1)))
      (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))
      (call $exit (i32.add (global.get $runs) (i32.load (i32.const 0))))))`);
  for (let run = 0; run < 3; run++) {
    const { end } = await tryRun(one, { spec: { kind: 'wasm' }, module: counts });
    expect(end.exitCode).toBe(2);
  }
});
