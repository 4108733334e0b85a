/** What a run makes of the GPUs that were leased to it, as their driver says every two seconds (compute-market.md §9.2). */
import { hostTools, type Tools } from '../detect/tool.ts';

const LOOK_MS = 2_000;

export interface GpuUsed {
  /** Time that a GPU was busy, all leased ones together. */
  gpuMs: number;
  peakVramMiB: number;
  /** Names and driver, for `Runtime`; empty until they are known, and without a GPU. */
  gpu: string;
  driver: string;
}

export const noGpu = (): GpuUsed => ({ gpuMs: 0, peakVramMiB: 0, gpu: '', driver: '' });

/** Follows the GPUs until `signal` aborts. Never rejects; where the tool is missing nothing is counted. */
export async function followGpus(
  uuids: readonly string[],
  used: GpuUsed,
  signal: AbortSignal,
  tools: Tools = hostTools,
): Promise<void> {
  if (uuids.length === 0) return;
  const question = [
    '--query-gpu=name,driver_version,utilization.gpu,memory.used',
    '--format=csv,noheader,nounits',
  ];
  let before = performance.now();
  while (!signal.aborted) {
    const answer = await tools('nvidia-smi', [`--id=${uuids.join()}`, ...question]);
    const now = performance.now();
    if (answer.kind === 'ran' && answer.code === 0) count(answer.stdout, now - before, used);
    before = now;
    await pause(signal);
  }
}

/** One answer, which stands for the time since the last. */
function count(csv: string, ms: number, used: GpuUsed): void {
  const rows = csv
    .trim()
    .split('\n')
    .map((line) => line.trim().split(', '));
  const number = (text: string | undefined): number =>
    /^\d+$/.test(text ?? '') ? Number(text) : 0;
  used.gpu = rows.map(([name = '']) => name).join(', ');
  used.driver = rows[0]?.[1] ?? '';
  used.gpuMs += rows.reduce((sum, row) => sum + (number(row[2]) * ms) / 100, 0);
  used.peakVramMiB = Math.max(
    used.peakVramMiB,
    rows.reduce((sum, row) => sum + number(row[3]), 0),
  );
}

function pause(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, LOOK_MS);
    signal.addEventListener('abort', done, { once: true });
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
  });
}
