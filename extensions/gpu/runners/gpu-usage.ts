/**
 * What a run makes of the GPUs that were leased to it, as their driver says every two seconds (compute-market.md §9.2), and the end of one that
 * takes more of their memory than it may: no container and no namespace limits that.
 */
import { hostTools, type Tools } from '../detect/tool.ts';
import type { Fault } from './ending.ts';

const LOOK_MS = 2_000;
/** Looks in a row at which a run holds too much until it is ended, and what counts as too much, in hundredths of its limit (§9.2). */
const OVER_LOOKS_MAX = 3;
const OVER_PERCENT = 105;

export interface GpuUsed {
  /** Time that a GPU was busy, all leased ones together. */
  gpuMs: number;
  peakVramMiB: number;
  /** Names and driver, for `Runtime`; empty until they are known, and without a GPU. */
  gpu: string;
  driver: string;
}

export const noGpu = (): GpuUsed => ({ gpuMs: 0, peakVramMiB: 0, gpu: '', driver: '' });

export interface GpuWatch {
  /** Of what was leased. */
  readonly uuids: readonly string[];
  /** The most that the run may hold of their memory, in MiB; 0: all that there is. */
  readonly vramMiB: number;
  /** Processes of the run; undefined where they are not to be known: whatever computes on its GPUs is the run's then, for nobody else has them. */
  readonly pids: () => Promise<ReadonlySet<number> | undefined>;
  /** Told once, when it holds too much. */
  readonly exceeded: (fault: Fault) => void;
  readonly signal: AbortSignal;
}

/** Follows the GPUs until the signal aborts. Never rejects; where the tool is missing nothing is counted. */
export async function followGpus(
  watch: GpuWatch,
  used: GpuUsed,
  tools: Tools = hostTools,
): Promise<void> {
  const { uuids, vramMiB, exceeded, signal } = watch;
  if (uuids.length === 0) return;
  const question = [
    '--query-gpu=name,driver_version,utilization.gpu,memory.used',
    '--format=csv,noheader,nounits',
  ];
  let before = performance.now();
  let overLooks = 0;
  const peak = { ofDevices: 0, ofRun: 0 };
  while (!signal.aborted) {
    const [answer, held] = await Promise.all([
      tools('nvidia-smi', [`--id=${uuids.join()}`, ...question]),
      heldBy(watch, tools),
    ]);
    const now = performance.now();
    if (answer.kind === 'ran' && answer.code === 0)
      peak.ofDevices = Math.max(peak.ofDevices, count(answer.stdout, now - before, used));
    before = now;
    peak.ofRun = Math.max(peak.ofRun, held ?? 0);
    // Where processes are not told apart, what the devices hold is the best that is known; of a screen's share nobody is accused.
    used.peakVramMiB = peak.ofRun > 0 ? peak.ofRun : peak.ofDevices;
    const isOver = vramMiB > 0 && (held ?? 0) * 100 > vramMiB * OVER_PERCENT;
    overLooks = isOver ? overLooks + 1 : 0;
    if (overLooks === OVER_LOOKS_MAX && !signal.aborted)
      exceeded({ code: 'OOM', message: `it held ${held} MiB of GPU memory, over its ${vramMiB}` });
    await pause(signal);
  }
}

/** Figures of one answer, which stands for the time since the last. @returns MiB that the devices hold */
function count(csv: string, ms: number, used: GpuUsed): number {
  const rows = rowsOf(csv);
  used.gpu = rows.map(([name = '']) => name).join(', ');
  used.driver = rows[0]?.[1] ?? '';
  used.gpuMs += rows.reduce((sum, row) => sum + ((numberOf(row[2]) ?? 0) * ms) / 100, 0);
  return rows.reduce((sum, row) => sum + (numberOf(row[3]) ?? 0), 0);
}

/** MiB of GPU memory that the run's processes hold; undefined where that is not told. */
async function heldBy({ uuids, pids }: GpuWatch, tools: Tools): Promise<number | undefined> {
  const answer = await tools('nvidia-smi', [
    '--query-compute-apps=pid,used_memory,gpu_uuid',
    '--format=csv,noheader,nounits',
  ]);
  if (answer.kind !== 'ran' || answer.code !== 0) return undefined;
  const mine = await pids().catch(() => undefined);
  let sum = 0;
  for (const [pid = '', memory, uuid = ''] of rowsOf(answer.stdout)) {
    if (mine === undefined ? !uuids.includes(uuid) : !mine.has(Number(pid))) continue;
    const mib = numberOf(memory);
    // `[N/A]`: the driver does not say, so nothing is known of the whole.
    if (mib === undefined) return undefined;
    sum += mib;
  }
  return sum;
}

function rowsOf(csv: string): string[][] {
  return csv
    .trim()
    .split('\n')
    .map((line) => line.trim().split(', '));
}

function numberOf(text: string | undefined): number | undefined {
  return /^\d+$/.test(text ?? '') ? Number(text) : undefined;
}

async function pause(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return undefined;
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
