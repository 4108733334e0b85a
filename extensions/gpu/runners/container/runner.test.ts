/** Container jobs on a real engine (skipped, with the reason, where there is none): what they leave, how they end, and their images. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { RunnerOrder } from '../../../../test/support/runner-job.ts';
import { specOf, tryRun } from '../testing.ts';
import { hostTools } from '../../detect/tool.ts';
import { LABEL } from './create-options.ts';
import { instanceId } from '../owner.ts';
import { probeGpu } from './gpu-probe.ts';
import { isLost } from './reaper.ts';
import { containerRunner, type ContainerRunner } from './runner.ts';
import { containersOf, containerTests, LONG, ready } from './testing.ts';

const { makeFolder } = containerTests();

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
      const folder = await makeFolder('hl-killed-');
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
    const folder = await makeFolder('hl-images-');
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
