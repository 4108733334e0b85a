/**
 * Limits by cgroups: with a `systemd-run` that notes what it is told, beside a folder in which the kernel has counted what a test says; and for
 * real where this machine makes scopes (skipped elsewhere, with the reason).
 */
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, type TestContext } from 'vitest';
import { missing } from '../../../../test/support/tools.ts';
import { type Trial, tryRun, type TrialOptions } from '../testing.ts';
import { carrying } from '../processes.ts';
import { commandRunner, type CommandOptions, type CommandRunner } from './runner.ts';
import { parseReport, probeScope, type ScopeMaker } from './scope.ts';

const LONG = 60_000;
const MIB = 1024 * 1024;
const isLinux = process.platform === 'linux';
const SYSTEMD_RUN = `#!/bin/sh
echo "$@" >> "\${0%/*}/said"
while [ "$1" != -- ]; do shift; done
shift
exec "$@"
`;

let folder: string;
let maker: ScopeMaker;
/** The cgroup that all of this is in. */
let counted: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hl-scope-'));
  // Users of runs go through it.
  await chmod(folder, 0o755);
  const file = join(folder, 'systemd-run');
  await writeFile(file, SYSTEMD_RUN);
  await chmod(file, 0o755);
  const own = await readFile('/proc/self/cgroup', 'utf8').catch(() => '');
  counted = join(folder, /^0::(.*)$/m.exec(own)?.[1] ?? '');
  await mkdir(counted, { recursive: true });
  maker = { file, ofUser: false, root: folder };
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const write = async (files: Readonly<Record<string, string>>): Promise<void> => {
  for (const [name, text] of Object.entries(files)) await writeFile(join(counted, name), text);
};
const said = (): Promise<string> => readFile(join(folder, 'said'), 'utf8').catch(() => '');

/** Confined as here, in a scope; ended where nothing confines. */
async function scoped(context: TestContext, options: CommandOptions = {}): Promise<CommandRunner> {
  if (!isLinux) context.skip('scopes are made by Linux');
  const runner = await commandRunner({ freeFloor: 0, scope: maker, ...options });
  if (runner.confinement === 'none') context.skip('nothing confines commands here');
  return runner;
}

function sh(
  runner: CommandRunner,
  script: string,
  options: Partial<TrialOptions> = {},
): Promise<Trial> {
  return tryRun(runner, {
    open: runner.confinement !== 'bubblewrap',
    ...options,
    spec: { kind: 'command', entry: { cmd: ['/bin/sh', '-c', script] }, ...options.spec },
  });
}

describe('scopes are found', () => {
  it('where the limits of one are in effect, of version 2', async () => {
    if (!isLinux) return;
    await write({ 'memory.max': `${64 * MIB}\n`, 'pids.max': '64\n' });
    expect(await probeScope(maker)).toBe(maker);
    const line = await said();
    expect(line).toMatch(/^--scope --quiet --collect --unit=hn-run-[0-9a-f]{16} /);
    for (const one of [`MemoryMax=${64 * MIB}`, 'MemorySwapMax=0', 'CPUQuota=100%', 'TasksMax=64'])
      expect(line).toContain(` -p ${one} `);
    expect(await probeScope({ ...maker, ofUser: true })).toMatchObject({ ofUser: true });
    expect((await said()).trim().split('\n')[1]).toMatch(/^--user --scope /);
  });
  it('and nowhere else', async () => {
    expect(await probeScope(maker)).toBeUndefined();
    await write({ 'memory.max': 'max\n', 'pids.max': '64\n' });
    expect(await probeScope(maker)).toBeUndefined();
    await write({ 'memory.max': `${64 * MIB}\n`, 'pids.max': 'max\n' });
    expect(await probeScope(maker)).toBeUndefined();
    expect(await probeScope({ ...maker, file: join(folder, 'none') })).toBeUndefined();
  });
});

describe('a command in a scope', () => {
  it('has its limits there, and says so of itself', { timeout: LONG }, async (context) => {
    const runner = await scoped(context);
    expect(runner.describe()).toMatchObject({ limits: 'cgroup' });
    const limits = { memMiB: 100, cpuMilli: 1_550, pids: 20 };
    const { end, stdout } = await sh(runner, 'echo in; exit 3', { spec: { limits } });
    expect([end.exitCode, end.fault?.code, stdout]).toEqual([3, 'EXIT_NONZERO', 'in\n']);
    const line = await said();
    for (const one of [`MemoryMax=${100 * MIB}`, 'CPUQuota=155%', 'TasksMax=24'])
      expect(line).toContain(` -p ${one} `);
    const without = await commandRunner({ scope: 'none' });
    expect(without.describe()).toMatchObject({ limits: 'rlimit' });
  });

  it('gets nothing that is not its own', { timeout: LONG }, async (context) => {
    process.env['XDG_RUNTIME_DIR'] = folder;
    try {
      const runner = await scoped(context, { scope: { ...maker, ofUser: true } });
      const { stdout } = await sh(
        runner,
        'echo "<$XDG_RUNTIME_DIR>"; (echo forged >&3) 2>/dev/null || echo closed',
      );
      expect(stdout).toBe('<>\nclosed\n');
    } finally {
      delete process.env['XDG_RUNTIME_DIR'];
    }
  });

  it('is measured by what the kernel counted', { timeout: LONG }, async (context) => {
    await write({
      'memory.events': 'low 0\nhigh 0\nmax 7\noom 0\noom_kill 0\noom_group_kill 0\n',
      'memory.peak': `${300 * MIB - 5}\n`,
      'cpu.stat': 'usage_usec 1234567\nuser_usec 1000000\nsystem_usec 234567\n',
      'pids.events': 'max 0\n',
    });
    const { end } = await sh(await scoped(context), 'exit 0');
    expect(end.fault).toBeUndefined();
    expect(end.usage).toMatchObject({ cpuMs: 1_235, peakMemMiB: 300 });
  });

  it(
    'threat 3: whose memory or processes the kernel refused is told so',
    { timeout: LONG },
    async (context) => {
      const runner = await scoped(context);
      await write({ 'memory.events': 'max 90\noom 1\noom_kill 1\n' });
      const killed = await sh(runner, 'kill -9 $$');
      expect(killed.end).toMatchObject({ status: 3, exitCode: -9, fault: { code: 'OOM' } });
      await write({ 'memory.events': 'oom_kill 0\n', 'pids.events': 'max 12\n' });
      const bomb = await sh(runner, 'exit 2');
      expect(bomb.end).toMatchObject({ status: 1, exitCode: 2, fault: { code: 'PIDS_LIMIT' } });
      // It has coped with that.
      expect((await sh(runner, 'exit 0')).end.fault).toBeUndefined();
    },
  );

  it('CM11 may say goodbye, and leaves nothing', { timeout: LONG }, async (context) => {
    const script = 'trap "echo bye; exit 3" TERM; echo up; while :; do sleep 0.1; done';
    const allow = [{ path: '/bin/sh', args: /-c .*/s }];
    const boxed = await scoped(context);
    for (const runner of [boxed, await scoped(context, { confinement: 'no-network', allow })]) {
      const cancel = new AbortController();
      const { end, stdout } = await sh(runner, script, {
        signal: cancel.signal,
        onLog: () => cancel.abort(),
      });
      expect(end).toMatchObject({ status: 5, exitCode: 3, fault: { code: 'CANCELLED' } });
      expect(stdout).toBe('up\nbye\n');
      const { end: quick } = await sh(runner, 'setsid sleep 300 & sleep 0.2; exit 0');
      expect(quick.status).toBe(0);
    }
    const left = carrying('HN_RUN').filter(({ value }) => value.startsWith(`${process.pid}.`));
    expect(left).toEqual([]);
  });
});

it('what a scope reports is numbers, or nothing', () => {
  expect(parseReport('oom_kill 2\nusage_usec 1500\npids_max 1\npeak 4096\n')).toEqual({
    oomKills: 2,
    forksRefused: 1,
    peakBytes: 4096,
    cpuMs: 1.5,
  });
  expect(parseReport('peak \noom_kill x\nusage_usec 9999999999999999999\n')).toEqual({
    oomKills: 0,
    forksRefused: 0,
    peakBytes: undefined,
    cpuMs: undefined,
  });
});

it('threat 3: a real scope holds memory and processes', { timeout: LONG }, async (context) => {
  const real = await probeScope();
  if (real === undefined) missing(context, 'cgroup', 'systemd makes no scopes of cgroup 2 here');
  const runner = await scoped(context, { scope: real });
  const memory = await sh(runner, 'tail /dev/zero', { spec: { limits: { memMiB: 64 } } });
  expect(memory.end).toMatchObject({ status: 3, fault: { code: 'OOM' } });
  expect(memory.end.usage.peakMemMiB).toBeLessThanOrEqual(64);
  const script = 'i=0; while [ $i -lt 90 ]; do sleep 30 & i=$((i+1)); done; wait';
  const processes = await sh(runner, script, { spec: { limits: { pids: 40 } } });
  expect(processes.end.status).toBe(1);
});
