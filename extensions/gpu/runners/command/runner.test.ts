/** Command jobs, in bubblewrap (skipped, with the reason, where it does not work) and as plain children. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, type TestContext } from 'vitest';
import type { RunnerOrder } from '../../../../test/support/runner-job.ts';
import { missing } from '../../../../test/support/tools.ts';
import { specOf, tryRun, type Trial, type TrialOptions } from '../testing.ts';
import { carrying } from '../processes.ts';
import { commandRunner, type CommandRunner } from './runner.ts';

const LONG = 60_000;
const isLinux = process.platform === 'linux';
type Sh = (script: string, options?: Partial<TrialOptions>) => Promise<Trial>;

const shell =
  (runner: CommandRunner): Sh =>
  (script, options = {}) =>
    tryRun(runner, {
      open: runner.confinement !== 'bubblewrap',
      ...options,
      spec: { kind: 'command', entry: { cmd: ['/bin/sh', '-c', script] }, ...options.spec },
    });

async function boxed(context: TestContext): Promise<{ runner: CommandRunner; sh: Sh }> {
  const runner = await commandRunner({ freeFloor: 0 });
  if (runner.confinement !== 'bubblewrap')
    missing(context, 'bwrap', 'bubblewrap is not there, or makes no namespaces');
  return { runner, sh: shell(runner) };
}

/** Processes of the runs of a program. */
const running = (pid: number | undefined): ReturnType<typeof carrying> =>
  carrying('HN_RUN').filter(({ value }) => value.startsWith(`${pid}.`));

/** The first of all network services: what a job without network must not reach. */
const server = createServer();
beforeAll(() => once(server.listen(0, '127.0.0.1'), 'listening'));
afterAll(() => server.close());

it(
  'a command reads its inputs, writes its outputs, and says how it ended',
  { timeout: LONG },
  async (context) => {
    const { sh } = await boxed(context);
    const { end, stdout, stderr, files, starts } = await sh(
      'cat /job/in/deep/a.txt; echo problem >&2; pwd; mkdir sub; echo done > sub/b; exit 7',
      { inputs: { 'deep/a.txt': 'input\n' } },
    );
    expect(end).toMatchObject({ status: 1, exitCode: 7, fault: { code: 'EXIT_NONZERO' } });
    expect([stdout, stderr, starts]).toEqual(['input\n/job/out\n', 'problem\n', 1]);
    expect(files).toEqual({ 'sub/b': 'done\n' });
  },
);

it('its environment is made from scratch, and it is nobody', { timeout: LONG }, async (context) => {
  const { sh } = await boxed(context);
  process.env['HL_TEST_SECRET'] = 'secret';
  const { stdout } = await sh(
    'env | cut -d= -f1 | sort | tr "\\n" " "; id -u; grep -E "^(CapEff|NoNewPrivs)" /proc/self/status',
    {
      spec: {
        entry: {
          cmd: [
            '/bin/sh',
            '-c',
            'env | cut -d= -f1 | sort | tr "\\n" " "; id -u; grep -E "^(CapEff|NoNewPrivs)" /proc/self/status',
          ],
          env: { MINE: '1' },
        },
      },
    },
  );
  delete process.env['HL_TEST_SECRET'];
  const [names, ...rest] = stdout.split('\n');
  expect(names).toMatch(
    /^CUDA_VISIBLE_DEVICES HN_ATTEMPT HN_IN HN_OUT HN_RUN HOME JOB_ID LANG MINE PATH PWD (SHLVL )?\d+$/,
  );
  expect(names?.endsWith(' 0')).toBe(false);
  expect(rest).toEqual(['CapEff:\t0000000000000000', 'NoNewPrivs:\t1', '']);
});

describe('threat 1: what a command in bubblewrap looks for', () => {
  it.for([
    ['the host’s files', 'ls /home /root /var /work'],
    ['secrets of /etc', 'cat /etc/shadow /etc/hostname'],
    ['writing to the system', 'echo x > /usr/x'],
    ['writing to the root', 'echo x > /x'],
    ['writing to its inputs', 'echo x > /job/in/a'],
    ['processes of the host', 'test "$(ls /proc | grep -c "^[0-9]")" -gt 10'],
    ['mounting', 'mount -t tmpfs none /tmp'],
    ['the kernel’s settings', 'echo 1 > /proc/sys/kernel/panic'],
    ['disks', 'ls /dev/vda /dev/sda /dev/mem'],
  ])('%s fails', { timeout: LONG }, async ([, attempt], context) => {
    const { sh } = await boxed(context);
    const { end, stdout } = await sh(`if { ${attempt}; } 2>&1; then echo ESCAPED; fi`);
    expect(stdout).not.toContain('ESCAPED');
    expect(end.exitCode).toBe(0);
  });
});

describe('CM10 threat 2: a command has no network', () => {
  const script = (): string => {
    const { port } = server.address() as AddressInfo;
    return `tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d " "
      exec 2>/dev/null; getent hosts example.org && echo RESOLVED
      bash -c 'exec 3<>/dev/tcp/127.0.0.1/${port} && echo REACHED'; echo over`;
  };
  it('which it would reach without a runner', async () => {
    const child = spawn('/bin/sh', ['-c', script()], { stdio: ['ignore', 'pipe', 'ignore'] });
    expect((await child.stdout.toArray()).join('')).toContain('REACHED\nover\n');
  });
  it('in bubblewrap', { timeout: LONG }, async (context) => {
    const { sh } = await boxed(context);
    expect((await sh(script())).stdout).toBe('lo\nover\n');
  });
  it('as a plain child', { timeout: LONG }, async (context) => {
    const runner = await plain(context);
    expect((await shell(runner)(script())).stdout).toBe('lo\nover\n');
  });
  it('and where nothing keeps it from one, it is refused', async () => {
    const runner = await commandRunner({
      confinement: 'none',
      allow: [{ path: '/bin/true', args: /.*/ }],
    });
    const spec = specOf({ kind: 'command', entry: { cmd: ['/bin/true'] } });
    expect(runner.refusal(spec)).toMatchObject({ code: 'policy' });
    const relaxed = await commandRunner({
      confinement: 'none',
      network: true,
      allow: [{ path: '/bin/true', args: /.*/ }],
    });
    expect(relaxed.refusal(spec)).toBeUndefined();
  });
});

/** Any shell script, as a plain child. */
async function plain(context: TestContext): Promise<CommandRunner> {
  if (!isLinux) context.skip('plain children without network are made by Linux');
  const { confinement } = await commandRunner();
  if (confinement === 'none') context.skip('this machine makes no network namespaces');
  return commandRunner({
    confinement: 'no-network',
    freeFloor: 0,
    allow: [{ path: '/bin/sh', args: /-c .*/s }],
  });
}

it('plain children are only those that the operator listed, whole line and all', async () => {
  const runner = await commandRunner({
    confinement: 'no-network',
    allow: [{ path: '/usr/bin/ffmpeg', args: /-i \/job\/in\/[a-z]+ out/ }],
  });
  const refused = (...cmd: string[]): unknown =>
    runner.refusal(specOf({ kind: 'command', entry: { cmd } }));
  expect(refused('/usr/bin/ffmpeg', '-i', '/job/in/a', 'out')).toBeUndefined();
  for (const cmd of [
    ['ffmpeg', '-i', '/job/in/a', 'out'],
    ['/usr/bin/ffmpeg', '-i', '/job/in/a', 'out', '-f', 'x'],
    ['/usr/bin/ffmpeg', '-y', '-i', '/job/in/a', 'out'],
    ['/usr/bin/../bin/ffmpeg', '-i', '/job/in/a', 'out'],
    ['/bin/sh', '-c', 'id'],
  ])
    expect(refused(...cmd)).toMatchObject({ code: 'policy' });
});

describe('threat 3: a command that takes what it can get', () => {
  it('all processes', { timeout: LONG }, async (context) => {
    const { sh } = await boxed(context);
    const spec = { limits: { pids: 40 } };
    const bomb = await sh('b() { b | b & }; b; b; wait', { spec, timeoutS: 20 });
    expect([undefined, 'EXIT_NONZERO', 'PIDS_LIMIT']).toContain(bomb.end.fault?.code);
    const { end, stderr } = await sh(
      'i=0; while [ $i -lt 90 ]; do sleep 30 & i=$((i+1)); done; wait',
      { spec },
    );
    expect(end.fault?.code === 'PIDS_LIMIT' || stderr.includes('Cannot fork')).toBe(true);
    expect(end.status).toBe(1);
  });
  it('all memory', { timeout: LONG }, async (context) => {
    const { sh } = await boxed(context);
    const { end } = await sh('tail /dev/zero', { spec: { limits: { memMiB: 64 } } });
    expect(end).toMatchObject({ status: 3, fault: { code: 'OOM' } });
    expect(end.usage.peakMemMiB).toBeGreaterThan(64);
  });
  it('all disk: one file, many files, and /tmp', { timeout: LONG }, async (context) => {
    const { sh } = await boxed(context);
    const spec = { limits: { outMiB: 2, tmpMiB: 16 } };
    const one = await sh('dd if=/dev/zero of=/job/out/f bs=1M count=64 2>/dev/null', { spec });
    expect(one.end).toMatchObject({ status: 4, fault: { code: 'OUTPUT_LIMIT' } });
    const many = await sh(
      'for i in 1 2 3 4 5; do dd if=/dev/zero of=f$i bs=1M count=1; done 2>/dev/null; sleep 30',
      { spec },
    );
    expect(many.end.fault?.code).toBe('OUTPUT_LIMIT');
    const { stdout } = await sh(
      'for i in 1 2 3; do dd if=/dev/zero of=/tmp/f$i bs=1M count=8 2>&1; done; echo over',
      { spec },
    );
    expect(stdout).toMatch(/No space left on device[\s\S]*over/);
  });
  it('all log: its reader sets the pace', { timeout: LONG }, async (context) => {
    const { sh } = await boxed(context);
    const cancel = new AbortController();
    let taken = 0;
    const { end } = await sh('yes', {
      signal: cancel.signal,
      onLog: async (_stream, text) => {
        taken += text.length;
        if (taken < 1 << 20) return;
        cancel.abort();
        await new Promise((resolve) => setTimeout(resolve, 10));
      },
    });
    expect(end.fault?.code).toBe('CANCELLED');
    expect(taken).toBeLessThan(16 << 20);
  });
});

it(
  'threat 3: what holds more GPU memory than it may is ended, as nvidia-smi tells of its processes',
  { timeout: LONG },
  async (context) => {
    const { sh } = await boxed(context);
    const folder = await mkdtemp(join(tmpdir(), 'hl-smi-'));
    const { PATH } = process.env;
    // Every process that sleeps for 71 s holds 600 MiB; something else holds more.
    const script = `case "$1" in
  --id=GPU-a) echo 'NVIDIA L4, 550.1, 50, 2000';;
  --query-compute*)
    for pid in $(pgrep -f '^sleep 71'); do echo "$pid, 600, GPU-a"; done
    echo '1, 9000, GPU-a';;
esac`;
    try {
      await writeFile(join(folder, 'nvidia-smi'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
      process.env['PATH'] = `${folder}${delimiter}${PATH}`;
      const run = (n: number): Promise<Trial> =>
        sh(`for i in $(seq ${n}); do sleep 71 & p="$p $!"; done; sleep 9; kill $p; exit 0`, {
          gpus: ['GPU-a'],
          spec: { limits: { vramMiB: 1_000 } },
        });
      const two = await run(2);
      expect(two.end).toMatchObject({
        status: 3,
        fault: { code: 'OOM', message: 'it held 1200 MiB of GPU memory, over its 1000' },
        usage: { peakVramMiB: 1_200 },
        runtime: { gpu: 'NVIDIA L4', driver: '550.1' },
      });
      const one = await run(1);
      expect(one.end).toMatchObject({ fault: undefined, usage: { peakVramMiB: 600 } });
    } finally {
      process.env['PATH'] = PATH;
      await rm(folder, { recursive: true });
    }
  },
);

describe('CM11 threat 4: a command that does not end', () => {
  it(
    'is killed 10 s after its timeout if it ignores TERM, with all that it started',
    { timeout: LONG },
    async (context) => {
      const { sh } = await boxed(context);
      const { end, stdout } = await sh(
        'trap "echo ignored" TERM; setsid sleep 300 & while :; do sleep 1; done',
        { timeoutS: 1 },
      );
      expect(end).toMatchObject({ status: 2, exitCode: -9, fault: { code: 'TIMEOUT' } });
      expect(stdout).toContain('ignored\n');
      expect(running(process.pid)).toEqual([]);
    },
  );
  it('may say goodbye, as a plain child too', { timeout: LONG }, async (context) => {
    const script = 'trap "echo bye; exit 3" TERM; echo up; while :; do sleep 0.1; done';
    for (const runner of [await plain(context), (await boxed(context)).runner]) {
      const cancel = new AbortController();
      const { end, stdout } = await shell(runner)(script, {
        signal: cancel.signal,
        onLog: () => cancel.abort(),
      });
      expect(end).toMatchObject({ status: 5, exitCode: 3, fault: { code: 'CANCELLED' } });
      expect(stdout).toBe('up\nbye\n');
    }
  });
  it(
    'a plain child’s own children go with it, whatever session they went to',
    { timeout: LONG },
    async (context) => {
      const runner = await plain(context);
      const { end } = await shell(runner)('setsid sh -c "sleep 300" & sleep 0.3; exit 0');
      expect(end.status).toBe(0);
      expect(running(process.pid)).toEqual([]);
    },
  );
});

it(
  'CM12 nothing is left of a killed extension in bubblewrap once another has reaped',
  { timeout: LONG },
  async (context) => {
    const { runner } = await boxed(context);
    const folder = await mkdtemp(join(tmpdir(), 'hl-killed-'));
    const program = join(import.meta.dirname, '../../../../test/support/runner-job.ts');
    const child = spawn(
      process.execPath,
      [program, JSON.stringify({ folder } satisfies RunnerOrder)],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    await once(child.stdout, 'data');
    while (running(child.pid).length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    child.kill('SIGKILL');
    await once(child, 'exit');
    // Mostly the kernel kills the box with its parent; but the parent may die before the box has asked for that.
    await runner.reap();
    while (running(child.pid).length > 0) await new Promise((resolve) => setTimeout(resolve, 20));
    await rm(folder, { recursive: true });
  },
);

it(
  'CM12 what a killed extension left is found by its mark, and nobody else’s',
  { timeout: LONG },
  async () => {
    if (!isLinux) return;
    const mine = `${process.pid}.0.aa/bb`;
    const lost = spawn('sleep', ['300'], { env: { HN_RUN: '999999999.1.aa/bb' }, stdio: 'ignore' });
    const other = spawn('sleep', ['300'], { env: { HN_RUN_X: mine }, stdio: 'ignore' });
    await Promise.all([once(lost, 'spawn'), once(other, 'spawn')]);
    const runner = await commandRunner({ confinement: 'none' });
    await runner.reap();
    const [, signal] = (await once(lost, 'exit')) as [number | null, string | null];
    expect(signal).toBe('SIGKILL');
    expect(other.exitCode).toBeNull();
    other.kill('SIGKILL');
  },
);

it('a run whose folders its user can’t enter says so', async (context) => {
  if (process.getuid?.() !== 0) context.skip('only root gives runs users of their own');
  const runner = await commandRunner({
    confinement: 'none',
    network: true,
    allow: [{ path: '/bin/true', args: /.*/ }],
  });
  await expect(
    tryRun(runner, { spec: { kind: 'command', entry: { cmd: ['/bin/true'] } } }),
  ).rejects.toMatchObject({ code: 'INTERNAL', message: expect.stringContaining('may not enter') });
});
