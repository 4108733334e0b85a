/** What a run makes of its GPUs, by what `nvidia-smi` says: recorded answers, also of a program of that name. */
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { hostTools, type ToolOutput } from '../detect/tool.ts';
import type { Fault } from './ending.ts';
import { followGpus, type GpuWatch, noGpu } from './gpu-usage.ts';

const DEVICES = 'NVIDIA H100, 550.54, 100, 1000\nNVIDIA H100, 550.54, [N/A], 24\n';

interface Watched {
  readonly used: ReturnType<typeof noGpu>;
  readonly faults: Fault[];
  /** Questions about processes. */
  readonly looks: number;
}

const ran = (stdout: string): ToolOutput => ({ kind: 'ran', code: 0, stdout, stderr: '' });
const failed: ToolOutput = { kind: 'ran', code: 6, stdout: '', stderr: '' };

describe('followed', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  /** Until there is no more to be said of processes. */
  async function watched(
    apps: readonly (string | ToolOutput)[],
    part: Partial<GpuWatch> = {},
  ): Promise<Watched> {
    const over = new AbortController();
    const faults: Fault[] = [];
    const used = noGpu();
    let looks = 0;
    const followed = followGpus(
      {
        ...{ uuids: ['GPU-a', 'MIG-b'], vramMiB: 1_000, signal: over.signal },
        pids: () => Promise.resolve(new Set([10, 11])),
        exceeded: (fault) => faults.push(fault),
        ...part,
      },
      used,
      (name, args) => {
        expect(name).toBe('nvidia-smi');
        if (args[0] === '--id=GPU-a,MIG-b') return Promise.resolve(ran(DEVICES));
        expect(args[0]).toBe('--query-compute-apps=pid,used_memory,gpu_uuid');
        const said = apps[looks] ?? '';
        looks += 1;
        if (looks >= apps.length) over.abort();
        return Promise.resolve(typeof said === 'string' ? ran(said) : said);
      },
    );
    await vi.advanceTimersByTimeAsync(2_000 * apps.length);
    await followed;
    return { used, faults, looks };
  }

  it('busy time, names and driver of leased GPUs; memory of the devices where no process of the run is told', async () => {
    const { used, faults } = await watched(['99, 5000, GPU-a\n']);
    expect(used).toMatchObject({ gpu: 'NVIDIA H100, NVIDIA H100', driver: '550.54' });
    expect([used.peakVramMiB, faults]).toEqual([1024, []]);
  });

  it('memory of the run is that of its processes, on all GPUs together; others do not count', async () => {
    const { used } = await watched([
      '',
      '10, 300, GPU-a\n11, 400, GPU-c\n99, 5000, GPU-a\n',
      '10, 5, GPU-a\n',
    ]);
    expect(used.peakVramMiB).toBe(700);
  });

  it('where its processes cannot be known, what computes on its GPUs is the run', async () => {
    const { used } = await watched(['77, 300, GPU-a\n78, 900, GPU-other\n'], {
      pids: () => Promise.resolve(undefined),
    });
    expect(used.peakVramMiB).toBe(300);
    const { used: none } = await watched(['77, 300, GPU-a\n'], {
      pids: () => Promise.reject(new Error('the engine is gone')),
    });
    expect(none.peakVramMiB).toBe(300);
  });

  it('threat 3: above its limit at three looks in a row it is ended, once', async () => {
    const over = '10, 600, GPU-a\n11, 451, GPU-a\n';
    expect((await watched([over, over])).faults).toEqual([]);
    const { faults, used } = await watched([over, over, over, over, over]);
    expect(faults).toEqual([
      { code: 'OOM', message: 'it held 1051 MiB of GPU memory, over its 1000' },
    ]);
    expect(used.peakVramMiB).toBe(1_051);
    expect((await watched([over, over, '10, 5, GPU-a\n', over, over])).faults).toEqual([]);
  });

  it('at a twentieth above its limit it is not ended, nor without a limit, nor by what is not known', async () => {
    const at = '10, 1050, GPU-a\n';
    expect((await watched([at, at, at, at])).faults).toEqual([]);
    const over = '10, 1051, GPU-a\n';
    expect((await watched([over, over, over], { vramMiB: 0 })).faults).toEqual([]);
    const hidden = '10, [N/A], GPU-a\n11, 9000, GPU-a\n';
    const { faults, used } = await watched([hidden, hidden, hidden]);
    expect([faults, used.peakVramMiB]).toEqual([[], 1024]);
    expect((await watched([over, over, failed, over, over])).faults).toEqual([]);
  });
});

it('a run without GPUs asks nobody, and a tool that is missing counts nothing', async () => {
  const used = noGpu();
  const over = new AbortController();
  const watch = {
    ...{ uuids: [], vramMiB: 1, signal: over.signal },
    pids: () => Promise.resolve(new Set<number>()),
    exceeded: (fault: Fault) => expect(fault).toBeUndefined(),
  };
  await followGpus(watch, used, () => Promise.reject(new Error('asked')));
  await followGpus({ ...watch, uuids: ['GPU-a'] }, used, () => {
    over.abort();
    return Promise.resolve<ToolOutput>({ kind: 'missing' });
  });
  expect(used).toEqual(noGpu());
});

it('it is the program nvidia-smi on the PATH that is asked', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'hl-smi-'));
  const { PATH } = process.env;
  try {
    const tool = join(folder, 'nvidia-smi');
    const script = `case "$1" in --id=GPU-a) echo 'NVIDIA L4, 550.1, 3, 20';; --query-compute*) echo "$PPID, 640, GPU-a";; esac`;
    await writeFile(tool, `#!/bin/sh\n${script}\n`);
    await chmod(tool, 0o755);
    process.env['PATH'] = `${folder}${delimiter}${PATH}`;
    const over = new AbortController();
    const used = noGpu();
    await followGpus(
      {
        ...{ uuids: ['GPU-a'], vramMiB: 1_000, signal: over.signal },
        pids: () => Promise.resolve(new Set([process.pid])),
        exceeded: (fault) => expect(fault).toBeUndefined(),
      },
      used,
      async (name, args) => {
        const said = await hostTools(name, args);
        if (args[0]?.startsWith('--query-compute') === true) setImmediate(() => over.abort());
        return said;
      },
    );
    expect(used).toMatchObject({ gpu: 'NVIDIA L4', driver: '550.1', peakVramMiB: 640 });
  } finally {
    process.env['PATH'] = PATH;
    await rm(folder, { recursive: true });
  }
});
