import { expect, it } from 'vitest';
import type { ToolOutput } from '../detect/tool.ts';
import { followGpus, noGpu } from './gpu-usage.ts';

it('busy time and memory of leased GPUs are summed, and end with the run', async () => {
  const over = new AbortController();
  const asked: string[] = [];
  const used = noGpu();
  await followGpus(['GPU-a', 'MIG-b'], used, over.signal, (name, args) => {
    asked.push(`${name} ${args[0]}`);
    over.abort();
    const stdout = 'NVIDIA H100, 550.54, 100, 1000\nNVIDIA H100, 550.54, [N/A], 24\n';
    return Promise.resolve<ToolOutput>({ kind: 'ran', code: 0, stdout, stderr: '' });
  });
  expect(asked).toEqual(['nvidia-smi --id=GPU-a,MIG-b']);
  expect(used).toMatchObject({
    gpu: 'NVIDIA H100, NVIDIA H100',
    driver: '550.54',
    peakVramMiB: 1024,
  });
});

it('a run without GPUs asks nobody, and a tool that is missing counts nothing', async () => {
  const used = noGpu();
  await followGpus([], used, new AbortController().signal, () =>
    Promise.reject(new Error('asked')),
  );
  const over = new AbortController();
  await followGpus(['GPU-a'], used, over.signal, () => {
    over.abort();
    return Promise.resolve<ToolOutput>({ kind: 'missing' });
  });
  expect(used).toEqual(noGpu());
});
