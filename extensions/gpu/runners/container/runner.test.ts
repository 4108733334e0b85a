/** Container jobs on a real engine (skipped, with the reason, where there is none). */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, afterEach, describe, expect, it, type TestContext } from 'vitest';
import {
  closeDockerEngine,
  dockerEngine,
  type TestEngine,
} from '../../../../test/support/docker.ts';
import type { RunnerOrder } from '../../../../test/support/runner-job.ts';
import { specOf, tryRun, type Trial, type TrialOptions } from '../testing.ts';
import { hostTools } from '../../detect/tool.ts';
import { LABEL } from './create-options.ts';
import { instanceId } from '../owner.ts';
import { probeGpu } from './gpu-probe.ts';
import { isLost } from './reaper.ts';
import { containerRunner, type ContainerRunner } from './runner.ts';
import { processesOf } from './usage.ts';

const LONG = 90_000;
const folders: string[] = [];
afterAll(closeDockerEngine);
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

interface Ready {
  readonly engine: TestEngine;
  readonly runner: ContainerRunner;
  /** Runs a shell script in a container. */
  readonly sh: (script: string, options?: Partial<TrialOptions>) => Promise<Trial>;
}

async function ready(context: TestContext): Promise<Ready> {
  const engine = await dockerEngine(context);
  const runner = await containerRunner({
    ...(engine.host === undefined ? {} : { host: engine.host }),
    images: { allow: [engine.repository] },
    freeFloor: 0,
  });
  const sh: Ready['sh'] = (script, options = {}) =>
    tryRun(runner, {
      ...options,
      spec: {
        kind: 'container',
        image: engine.image,
        entry: { cmd: ['sh', '-c', script] },
        ...options.spec,
      },
    });
  return { engine, runner, sh };
}

/** Containers of a run, whatever their state. */
async function containersOf({ docker }: TestEngine, lease: string): Promise<string[]> {
  const filters = { label: [`${LABEL.lease}=${lease}`] };
  return (await docker.listContainers({ all: true, filters })).map(({ Id }) => Id);
}

it(
  'a container reads its inputs, writes its outputs, and leaves nothing else',
  { timeout: LONG },
  async (context) => {
    const { engine, sh } = await ready(context);
    const { end, stdout, stderr, files, starts, run } = await sh(
      'cat /job/in/deep/a.txt; echo problem >&2; mkdir sub; echo done > sub/result.txt; exit 7',
      { inputs: { 'deep/a.txt': 'input\n' } },
    );
    expect(end).toMatchObject({ status: 1, exitCode: 7, fault: { code: 'EXIT_NONZERO' } });
    expect([stdout, stderr]).toEqual(['input\n', 'problem\n']);
    expect(files).toEqual({ 'sub/result.txt': 'done\n' });
    expect(starts).toBe(1);
    expect(await containersOf(engine, run.lease)).toEqual([]);
    expect(end.runtime).toMatchObject({ runner: 'container', image: engine.image });
  },
);

it(
  'output of a program that ends at once is complete, and comes as it was written',
  { timeout: LONG },
  async (context) => {
    const { sh } = await ready(context);
    const { stdout } = await sh('seq 1 20000', {});
    expect(stdout).toBe(Array.from({ length: 20_000 }, (_, index) => `${index + 1}\n`).join(''));
  },
);

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
      const folder = await mkdtemp(join(tmpdir(), 'hl-smi-'));
      folders.push(folder);
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
  'CM11 threat 4: a job that ignores TERM is killed 10 s after its timeout, and its container is gone',
  { timeout: LONG },
  async (context) => {
    const { engine, sh } = await ready(context);
    const { end, stdout, run } = await sh('trap "echo ignored" TERM; while :; do sleep 1; done', {
      timeoutS: 1,
    });
    expect(end).toMatchObject({ status: 2, exitCode: -9, fault: { code: 'TIMEOUT' } });
    expect(stdout).toBe('ignored\n');
    expect(await containersOf(engine, run.lease)).toEqual([]);
  },
);

it('a job that is cancelled may say goodbye', { timeout: LONG }, async (context) => {
  const { sh } = await ready(context);
  const cancel = new AbortController();
  const { end, stdout } = await sh(
    'trap "echo bye; exit 3" TERM; echo up; while :; do sleep 0.1; done',
    {
      signal: cancel.signal,
      onLog: () => cancel.abort(),
    },
  );
  expect(end).toMatchObject({ status: 5, exitCode: 3, fault: { code: 'CANCELLED' } });
  expect(stdout).toBe('up\nbye\n');
});

describe('CM12 threat 4: an extension that is killed', () => {
  it(
    'leaves a container that the next one removes; one of a living extension stays',
    { timeout: LONG },
    async (context) => {
      const { engine, runner } = await ready(context);
      const { host, repository, image } = engine;
      const folder = await mkdtemp(join(tmpdir(), 'hl-killed-'));
      folders.push(folder);
      const child = spawn(
        process.execPath,
        [
          join(import.meta.dirname, '../../../../test/support/runner-job.ts'),
          JSON.stringify({ folder, container: { host, repository, image } } satisfies RunnerOrder),
        ],
        { stdio: ['ignore', 'pipe', 'inherit'] },
      );
      const [line] = (await once(child.stdout, 'data')) as [Buffer];
      const lease = line.toString().trim();
      await runner.reap();
      expect(await containersOf(engine, lease)).toHaveLength(1);
      child.kill('SIGKILL');
      await once(child, 'exit');
      expect(await containersOf(engine, lease)).toHaveLength(1);
      await runner.reap();
      expect(await containersOf(engine, lease)).toEqual([]);
    },
  );
  it('is told from a living one by more than its number', () => {
    const owner = instanceId();
    const labels = { [LABEL.owner]: owner, [LABEL.lease]: 'a', [LABEL.killAt]: '100' };
    const leases = new Set(['a']);
    expect(isLost(labels, { owner, leases, nowS: 50 })).toBe(false);
    expect(isLost(labels, { owner, leases: new Set(), nowS: 50 })).toBe(true);
    expect(isLost(labels, { owner: 'other', leases: new Set(), nowS: 50 })).toBe(false);
    expect(isLost(labels, { owner: 'other', leases: new Set(), nowS: 101 })).toBe(true);
    const [pid, start, random] = owner.split('.');
    for (const gone of [
      `${pid}.${Number(start) + 1}.${random}`,
      '',
      'x',
      '0.0.0',
      '-1.0.0',
      '999999999.1.a',
    ])
      expect(isLost({ ...labels, [LABEL.owner]: gone }, { owner: 'other', leases, nowS: 50 })).toBe(
        true,
      );
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

describe('threat 23: images', () => {
  it('an image without a digest is no spec at all', () => {
    expect(() => specOf({ kind: 'container', image: 'busybox:latest' })).toThrow(/digest/);
  });
  it(
    'of a repository that is not allowed is refused, and not pulled',
    { timeout: LONG },
    async (context) => {
      const { engine, runner } = await ready(context);
      const image = `${engine.registry.address}/other/image@sha256:${'a'.repeat(64)}`;
      const spec = { kind: 'container', image };
      expect(runner.refusal(specOf(spec))).toMatchObject({ code: 'policy' });
      await expect(tryRun(runner, { spec })).rejects.toMatchObject({ code: 'REJECTED' });
    },
  );
  it(
    'whose registry serves something else under its digest is refused',
    { timeout: LONG },
    async (context) => {
      const { engine, runner } = await ready(context);
      const good = engine.registry.content.get(engine.image.split('@')[1]!)!;
      const digest = `sha256:${'b'.repeat(64)}`;
      engine.registry.content.set(digest, good);
      const spec = { kind: 'container', image: `${engine.repository}@${digest}` };
      await expect(tryRun(runner, { spec })).rejects.toMatchObject({ code: 'IMAGE_INVALID' });
    },
  );
  it(
    'that there is none of, or of another architecture, is the client’s fault',
    { timeout: LONG },
    async (context) => {
      const { engine, runner, sh } = await ready(context);
      const image = `${engine.repository}@sha256:${'c'.repeat(64)}`;
      await expect(tryRun(runner, { spec: { kind: 'container', image } })).rejects.toMatchObject({
        code: 'IMAGE_INVALID',
      });
      const foreign = await engine.registry.add('hl/busybox', Buffer.alloc(1024), {
        architecture: 's390x',
      });
      await expect(
        tryRun(runner, { spec: { kind: 'container', image: foreign } }),
      ).rejects.toMatchObject({ code: 'IMAGE_INVALID' });
      const { end } = await sh('', { spec: { entry: { cmd: ['no-such-program'] } } });
      expect(end).toMatchObject({ exitCode: 127, fault: { code: 'EXIT_NONZERO' } });
    },
  );
  it(
    'that the operator has loaded runs although its repository is not allowed',
    { timeout: LONG },
    async (context) => {
      const { engine } = await ready(context);
      const strict = await containerRunner(engine.host === undefined ? {} : { host: engine.host });
      const spec = {
        kind: 'container',
        image: engine.image,
        entry: { cmd: ['echo', 'preloaded'] },
      };
      expect(strict.refusal(specOf(spec))).toBeUndefined();
      expect((await tryRun(strict, { spec })).stdout).toBe('preloaded\n');
    },
  );
});

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

it(
  'containers that get no GPU are told so, with what the engine says',
  { timeout: LONG },
  async (context) => {
    const { engine } = await ready(context);
    const listed = await hostTools('nvidia-smi', ['-L']);
    if (listed.kind === 'ran' && listed.code === 0) context.skip('there is a GPU here');
    const options = engine.host === undefined ? {} : { host: engine.host };
    const found = await probeGpu(options, { image: engine.image, uuid: 'GPU-5d5ba0d6' });
    expect(found).toMatch(/^containers get no GPU: .*(device|driver|nvidia)/);
    const filters = { label: [LABEL.job] };
    const left = await engine.docker.listContainers({ all: true, filters });
    const mine = left.filter(({ Labels }) => Labels[LABEL.owner]?.startsWith(`${process.pid}.`));
    expect(mine).toEqual([]);
  },
);

it(
  'images that jobs brought stay within their budget, the least recently used goes first',
  { timeout: LONG },
  async (context) => {
    const { engine } = await ready(context);
    const folder = await mkdtemp(join(tmpdir(), 'hl-images-'));
    folders.push(folder);
    const images = await Promise.all(
      ['a', 'b', 'c'].map((name) =>
        engine.registry.add('hl/cached', engine.layer, { env: [`NAME=${name}`] }),
      ),
    );
    const { Size } = await engine.docker.getImage(engine.image).inspect();
    const open = (): Promise<ContainerRunner> =>
      containerRunner({
        ...(engine.host === undefined ? {} : { host: engine.host }),
        images: { allow: [`${engine.registry.address}/`] },
        // Two of them, and the list outlives the runner.
        cache: { file: join(folder, 'images.json'), bytesMax: Math.floor(Size * 2.5) },
        freeFloor: 0,
      });
    const use = async (image: string): Promise<void> => {
      const entry = { cmd: ['true'] };
      expect(
        (await tryRun(await open(), { spec: { kind: 'container', image, entry } })).end.status,
      ).toBe(0);
    };
    const present = async (): Promise<boolean[]> =>
      Promise.all(
        images.map((image) =>
          engine.docker
            .getImage(image)
            .inspect()
            .then(
              () => true,
              () => false,
            ),
        ),
      );
    const [a, b, c] = images;
    await use(a!);
    await use(b!);
    await use(a!);
    expect(await present()).toEqual([true, true, false]);
    await use(c!);
    expect(await present()).toEqual([true, false, true]);
    // What was there before any job asked for it stays, whatever the budget.
    await use(engine.image);
    await engine.docker.getImage(engine.image).inspect();
    for (const image of [a!, c!]) await engine.docker.getImage(image).remove();
  },
);
