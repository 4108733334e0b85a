/** What this machine is and what runs on it: `DeviceInfo` (compute-market.md §4.1, §11). Detection never fails; what is wrong is a warning. */
import { createHash } from 'node:crypto';
import { readFile, statfs } from 'node:fs/promises';
import { availableParallelism, cpus, totalmem, tmpdir } from 'node:os';
import { canonicalJson, type DocumentValue } from '../../../wit/canonical-json.ts';
import type { DeviceInfo, GpuDevice } from '../../../wit/jobs/device.ts';
import type { Isolation } from '../../../wit/jobs/spec.ts';
import { hostArch } from '../runners/ending.ts';
import type { Runner } from '../runners/runner.ts';
import { detectNvidia } from './nvidia.ts';
import { detectAmd, detectApple, detectIntel } from './other-vendors.ts';
import { hostTools, type Found, type Tools } from './tool.ts';

const MIB = 1024 * 1024;

export interface DetectOptions {
  /** Those that work here; each says of itself what `runners` gets. */
  readonly runners?: readonly Pick<Runner, 'kind' | 'describe'>[];
  readonly isolation?: readonly Isolation[];
  readonly backends?: DeviceInfo['backends'];
  /** Where jobs' files are: whose disk is asked. Default: the folder for temporary files. */
  readonly home?: string;
  readonly tools?: Tools;
  /** UUIDs of GPUs that jobs of ours use, as often as they do: their memory is nobody else's. */
  readonly leased?: () => readonly string[];
}

/** Of the memory of a GPU: with less that is free, programs of others have it, and it gets no new jobs. */
const FREE_SHARE_MIN = 0.05;

export async function detectDevice(options: DetectOptions = {}): Promise<DeviceInfo> {
  const {
    runners = [],
    isolation = [],
    backends = [],
    home = tmpdir(),
    tools = hostTools,
    leased = () => [],
  } = options;
  const found = await Promise.all(
    [detectNvidia, detectAmd, detectApple, detectIntel].map((detect) => survived(detect, tools)),
  );
  const ours = new Set(leased());
  const all = found.flatMap((one) => one.gpus).map((gpu, index) => ({ ...gpu, index }));
  const full = all.filter((gpu) => gpu.slots !== 0 && isFull(gpu) && !ours.has(gpu.uuid));
  const gpus = all.map((gpu) => (full.includes(gpu) ? { ...gpu, slots: 0 } : gpu));
  const host = await hostInfo(home);
  return {
    v: 1,
    host,
    gpus,
    runners: Object.fromEntries(
      runners.map((runner) => [runner.kind, (runner.describe() ?? true) as DocumentValue]),
    ),
    isolation,
    backends,
    detectedAt: Date.now(),
    fingerprint: fingerprint(host, gpus),
    warnings: [
      ...found.flatMap((one) => one.warnings),
      ...full.map(({ name }) => `other programs have the memory of ${name}: no new jobs meanwhile`),
    ],
  };
}

function isFull({ memMiB, memFreeMiB }: GpuDevice): boolean {
  return memFreeMiB !== undefined && Number(memFreeMiB) < FREE_SHARE_MIN * Number(memMiB);
}

/** A tool whose output is beyond us is one that is not there. */
async function survived(
  detect: (tools: Tools) => Promise<Found<GpuDevice>>,
  tools: Tools,
): Promise<Found<GpuDevice>> {
  try {
    return await detect(tools);
  } catch (error) {
    return { gpus: [], warnings: [`${detect.name} failed: ${String(error)}`] };
  }
}

async function hostInfo(home: string): Promise<DeviceInfo['host']> {
  const processors = cpus();
  const disk = await statfs(home).catch(() => undefined);
  return {
    os: process.platform,
    arch: hostArch(),
    cpuModel: processors[0]?.model.trim() ?? 'unknown',
    cpuCores: await physicalCores(processors.length),
    cpuThreads: availableParallelism(),
    memMiB: Math.floor(totalmem() / MIB),
    diskFreeMiB: disk === undefined ? 0 : Math.floor((disk.bavail * disk.bsize) / MIB),
  };
}

/** SHA-256 over what does not change while the machine is the same: the same on two nodes is one machine sold twice. */
export function fingerprint(
  { arch, cpuModel }: Pick<DeviceInfo['host'], 'arch' | 'cpuModel'>,
  gpus: readonly Pick<GpuDevice, 'uuid' | 'name' | 'memMiB'>[],
): string {
  const sorted = gpus
    .map(({ uuid, name, memMiB }) => ({ uuid, name, memMiB: Number(memMiB) }))
    .toSorted((one, other) => (one.uuid < other.uuid ? -1 : 1));
  return createHash('sha256')
    .update(canonicalJson({ arch, cpuModel, gpus: sorted }))
    .digest('hex');
}

/** Cores that are no second thread of another, as Linux tells; elsewhere all. */
async function physicalCores(threads: number): Promise<number> {
  try {
    const ids = new Set<string>();
    for (let cpu = 0; cpu < threads; cpu += 1) {
      const topology = `/sys/devices/system/cpu/cpu${cpu}/topology`;
      const [core, socket] = await Promise.all(
        ['core_id', 'physical_package_id'].map((name) => readFile(`${topology}/${name}`, 'utf8')),
      );
      ids.add(`${socket?.trim()}.${core?.trim()}`);
    }
    return ids.size;
  } catch {
    return threads;
  }
}
