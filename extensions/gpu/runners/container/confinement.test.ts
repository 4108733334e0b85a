/** What a container job cannot reach or take, on a real engine (skipped, with the reason, where there is none). */
import { readFile, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { TestEngine } from '../../../../test/support/docker.ts';
import { tryRun } from '../testing.ts';
import { LABEL } from './create-options.ts';
import { containerRunner } from './runner.ts';
import { processesOf } from './usage.ts';
import { containersOf, containerTests, LONG, ready } from './testing.ts';

const { makeFolder } = containerTests();

it(
  'CM9 what the engine says of a running job is every option, with the limits of its spec',
  { timeout: LONG },
  async (context) => {
    const { engine, sh } = await ready(context);
    const seen =
      Promise.withResolvers<
        Awaited<ReturnType<ReturnType<TestEngine['docker']['getContainer']>['inspect']>>
      >();
    const { run } = await sh('sleep 1', {
      spec: { limits: { cpuMilli: 500, memMiB: 128, pids: 32, tmpMiB: 16 } },
      onStart: ({ lease }) => {
        void containersOf(engine, lease)
          .then(([id]) => engine.docker.getContainer(id!).inspect())
          .then(seen.resolve, seen.reject);
      },
    });
    const { Name, Config, HostConfig } = await seen.promise;
    expect(Name).toBe(`/hn-${run.jobId.slice(2, 14)}-0`);
    expect(Config).toMatchObject({
      Image: engine.image,
      User:
        process.getuid?.() === 0 ? '65532:65532' : `${process.getuid?.()}:${process.getgid?.()}`,
      WorkingDir: '/job/out',
      Hostname: 'job',
      Tty: false,
      OpenStdin: false,
      NetworkDisabled: true,
      StopSignal: 'SIGTERM',
      Labels: { [LABEL.job]: run.jobId, [LABEL.attempt]: '0', [LABEL.lease]: run.lease },
    });
    expect(Config.Env).toEqual(
      expect.arrayContaining([
        `JOB_ID=${run.jobId}`,
        'HN_ATTEMPT=0',
        'NVIDIA_VISIBLE_DEVICES=void',
      ]),
    );
    const memory = 128 * 1024 * 1024;
    expect(HostConfig).toMatchObject({
      NetworkMode: 'none',
      ReadonlyRootfs: true,
      Privileged: false,
      Init: true,
      AutoRemove: false,
      ...{
        Memory: memory,
        MemorySwap: memory,
        MemoryReservation: (memory * 3) / 4,
        ShmSize: memory / 4,
      },
      ...{ NanoCpus: 500_000_000, PidsLimit: 32, CapDrop: ['ALL'] },
      ...{
        SecurityOpt: ['no-new-privileges:true'],
        IpcMode: 'private',
        PidMode: '',
        UTSMode: '',
        UsernsMode: '',
      },
      Tmpfs: { '/tmp': 'rw,noexec,nosuid,nodev,size=16m,mode=1777' },
      LogConfig: { Type: 'local', Config: { 'max-size': '10m', 'max-file': '2' } },
      RestartPolicy: { Name: 'no' },
    });
    expect(HostConfig.Mounts?.map(({ Target, ReadOnly }) => [Target, ReadOnly ?? false])).toEqual([
      ['/job/in', true],
      ['/job/out', false],
    ]);
    expect(HostConfig.DeviceRequests ?? []).toEqual([]);
  },
);

describe('threat 1: a job that looks for a way out', () => {
  it(
    'finds no socket of the engine, no capability, no privilege, and a seccomp filter',
    { timeout: LONG },
    async (context) => {
      const { sh } = await ready(context);
      const { stdout } = await sh(
        'ls /var/run/docker.sock /run/docker.sock 2>&1; grep -E "^(CapEff|CapBnd|NoNewPrivs|Seccomp):" /proc/self/status; id -u',
      );
      expect(stdout).toMatch(/docker\.sock: No such file[\s\S]*docker\.sock: No such file/);
      expect(stdout).toMatch(/CapEff:\t0{16}\nCapBnd:\t0{16}\nNoNewPrivs:\t1\nSeccomp:\t2\n/);
      expect(stdout).not.toMatch(/^0$/m);
    },
  );
  it.for([
    ['writing to the root', 'echo x > /x'],
    ['writing to its inputs', 'echo x > /job/in/a'],
    ['the root of process 1 of the host', 'ls /proc/1/root/home/ /proc/1/root/var/lib'],
    ['mounting', 'mount -t tmpfs none /tmp'],
    ['a device', 'mknod /tmp/sda b 8 0'],
    ['another root', 'chroot /tmp /bin/true'],
    ['a namespace', 'unshare -m true'],
    ['the kernel’s settings', 'echo 1 > /proc/sys/kernel/panic'],
    ['a raw socket', 'ping -c 1 127.0.0.1'],
    ['another’s memory', 'dd if=/dev/mem of=/dev/null bs=1 count=1'],
    ['the clock', '! date -s 2001-01-01 2>&1 | grep -q "not permitted"'],
    ['running what it wrote to /tmp', 'cp /bin/busybox /tmp/b && /tmp/b true'],
  ])('%s fails', { timeout: LONG }, async ([, attempt], context) => {
    const { sh } = await ready(context);
    const { end, stdout } = await sh(`if ${attempt} 2>&1; then echo ESCAPED; fi`);
    expect(stdout).not.toContain('ESCAPED');
    expect(end.exitCode).toBe(0);
  });
});

it(
  'CM10 threat 2: no name resolves and nothing can be reached',
  { timeout: LONG },
  async (context) => {
    const { sh } = await ready(context);
    const { stdout } = await sh(`
    tail -n +3 /proc/net/dev | cut -d: -f1
    nslookup example.org >/dev/null 2>&1 && echo RESOLVED
    for host in 169.254.169.254 172.17.0.1 10.0.0.1 1.1.1.1; do
      wget -T 2 -q -O /dev/null http://$host/ 2>/dev/null && echo REACHED
    done
    echo over`);
    expect(stdout.split('\n').map((line) => line.trim())).toEqual(['lo', 'over', '']);
  },
);

describe('threat 3: a job that takes what it can get', () => {
  it(
    'all processes: forks fail, and holding them all ends it',
    { timeout: LONG },
    async (context) => {
      const { sh } = await ready(context);
      const bomb = await sh('b() { b | b & }; b; b; b; wait', {
        spec: { limits: { pids: 32 } },
        timeoutS: 20,
      });
      expect(['EXIT_NONZERO', 'PIDS_LIMIT', undefined]).toContain(bomb.end.fault?.code);
      // Init, the shell and 30 more.
      const full = await sh('i=0; while [ $i -lt 30 ]; do sleep 60 & i=$((i+1)); done; wait', {
        spec: { limits: { pids: 32 } },
      });
      expect(full.end).toMatchObject({ status: 1, exitCode: -9, fault: { code: 'PIDS_LIMIT' } });
    },
  );
  it('all memory', { timeout: LONG }, async (context) => {
    const { sh } = await ready(context);
    const { end } = await sh('tail /dev/zero', { spec: { limits: { memMiB: 64 } } });
    expect(end).toMatchObject({ status: 3, exitCode: -9, fault: { code: 'OOM' } });
  });
  it(
    'all GPU memory: processes of the container are told apart, and what holds too much is ended',
    { timeout: LONG },
    async (context) => {
      const { engine } = await ready(context);
      const folder = await makeFolder('hl-smi-');
      // Every process that sleeps for 73 s holds 900 MiB; something else holds more.
      const script = `case "$1" in
  --id=GPU-a) echo 'NVIDIA L4, 550.1, 50, 2000';;
  --query-compute*)
    for pid in $(pgrep -f '^sleep 73'); do echo "$pid, 900, GPU-a"; done
    echo '1, 9000, GPU-a';;
esac`;
      await writeFile(join(folder, 'nvidia-smi'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
      const { PATH } = process.env;
      process.env['PATH'] = `${folder}${delimiter}${PATH}`;
      try {
        const runner = await containerRunner({
          ...(engine.host === undefined ? {} : { host: engine.host }),
          ...{ images: { allow: [engine.repository] }, freeFloor: 0, gpu: { readonlyRoot: true } },
        });
        const trial = await tryRun(runner, {
          gpus: ['GPU-a'],
          spec: {
            ...{ kind: 'container', image: engine.image, entry: { cmd: ['sleep', '73'] } },
            limits: { vramMiB: 800, timeoutS: 80 },
          },
        }).catch((error: unknown) => String(error));
        if (typeof trial === 'string' && /could not select device driver/.test(trial))
          context.skip('the engine has no driver for GPUs');
        expect(trial).toMatchObject({
          end: {
            ...{ status: 3, exitCode: -9 },
            fault: { code: 'OOM', message: 'it held 900 MiB of GPU memory, over its 800' },
            usage: { peakVramMiB: 900 },
            runtime: { gpu: 'NVIDIA L4', driver: '550.1' },
          },
        });
      } finally {
        process.env['PATH'] = PATH;
      }
    },
  );
  it(
    'processes are those of the host, for what is asked of the host',
    { timeout: LONG },
    async (context) => {
      const { engine, sh } = await ready(context);
      const found: string[] = [];
      await sh('sleep 74', {
        timeoutS: 3,
        onStart: (run) => {
          void (async () => {
            const [id = ''] = await containersOf(engine, run.lease);
            for (const pid of (await processesOf(engine.docker.getContainer(id))) ?? [])
              found.push(await readFile(`/proc/${pid}/cmdline`, 'utf8'));
          })();
        },
      });
      if (found.length === 0) context.skip('the engine is on another machine');
      expect(found).toContainEqual(expect.stringMatching(/sleep.74/));
    },
  );
  it(
    'all disk: outputs are watched, /tmp is as large as it is',
    { timeout: LONG },
    async (context) => {
      const { sh } = await ready(context);
      const { end } = await sh('dd if=/dev/zero of=/job/out/f bs=1M count=4; sleep 60', {
        spec: { limits: { outMiB: 2 } },
      });
      expect(end).toMatchObject({ status: 4, fault: { code: 'OUTPUT_LIMIT' } });
      const quick = await sh('dd if=/dev/zero of=/job/out/f bs=1M count=4', {
        spec: { limits: { outMiB: 2 } },
      });
      expect(quick.end.fault?.code).toBe('OUTPUT_LIMIT');
      const { stdout } = await sh('dd if=/dev/zero of=/tmp/f bs=1M count=64 2>&1; echo over', {
        spec: { limits: { tmpMiB: 16 } },
      });
      expect(stdout).toMatch(/No space left on device[\s\S]*over/);
    },
  );
  it('all log: its reader sets the pace', { timeout: LONG }, async (context) => {
    const { sh } = await ready(context);
    let taken = 0;
    const cancel = new AbortController();
    const { end } = await sh('yes', {
      signal: cancel.signal,
      onLog: async (_stream, text) => {
        taken += text.length;
        if (taken < 1 << 20) return;
        if (!cancel.signal.aborted) cancel.abort();
        await new Promise((resolve) => setTimeout(resolve, 10));
      },
    });
    expect(end.fault?.code).toBe('CANCELLED');
    // What the pipe, the socket and the engine hold between them, not what `yes` writes in that time.
    expect(taken).toBeLessThan(64 << 20);
  });
});

it(
  'threat 5: the size of outputs is that of what is there, not of what a link leads to',
  { timeout: LONG },
  async (context) => {
    const { sh } = await ready(context);
    const { end, files } = await sh(
      'ln -s / all; ln -s /etc/shadow secret; echo ok > real; sleep 1.5',
      {
        spec: { limits: { outMiB: 1 } },
      },
    );
    expect(end.status).toBe(0);
    expect(files).toEqual({ real: 'ok\n' });
  },
);

it(
  'threat 24: a job without a GPU sees none, whatever its image asks for',
  { timeout: LONG },
  async (context) => {
    const { engine, runner } = await ready(context);
    const image = await engine.registry.add('hl/busybox', engine.layer, {
      env: ['NVIDIA_VISIBLE_DEVICES=all'],
    });
    const { stdout } = await tryRun(runner, {
      spec: {
        kind: 'container',
        image,
        entry: { cmd: ['sh', '-c', 'echo $NVIDIA_VISIBLE_DEVICES; ls /dev | grep -c nvidia'] },
      },
    });
    expect(stdout).toBe('void\n0\n');
  },
);
