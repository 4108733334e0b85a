/** What of a DeviceInfo any machine has (compute-market.md §4.1): its processor, memory and disk, and what runs on it. */
import { createHash } from 'node:crypto';
import { statfs } from 'node:fs/promises';
import { arch, availableParallelism, cpus, platform, totalmem } from 'node:os';
import { canonicalJson } from '../../wit/canonical-json.ts';
import type { DeviceInfo } from '../../wit/jobs/device.ts';
import { ISOLATIONS, type JobKind } from '../../wit/jobs/spec-shape.ts';
import type { Runner } from './runners/runner.ts';

const MIB = 1024 * 1024;

/** @param folder on the disk that jobs use */
export async function hostDevice(
  folder: string,
  runners: ReadonlyMap<JobKind, Runner>,
  wallMs: number,
): Promise<DeviceInfo> {
  const { bavail, bsize } = await statfs(folder);
  const cpuModel = cpus()[0]?.model.trim() ?? '';
  const machine = arch() === 'arm64' ? 'aarch64' : 'x86_64';
  return {
    v: 1,
    host: {
      os: platform(),
      arch: machine,
      cpuModel,
      cpuCores: cpus().length,
      cpuThreads: availableParallelism(),
      memMiB: Math.floor(totalmem() / MIB),
      diskFreeMiB: Math.floor((bavail * bsize) / MIB),
    },
    gpus: [],
    // Through text: what runners say of themselves is shown, and nothing else.
    runners: JSON.parse(
      JSON.stringify(Object.fromEntries([...runners].map(([kind, one]) => [kind, one.describe()]))),
    ),
    isolation: ISOLATIONS.filter((one) => one === 'process'),
    backends: [],
    detectedAt: wallMs,
    fingerprint: createHash('sha256')
      .update(canonicalJson({ arch: machine, cpuModel, gpus: [] }))
      .digest('hex'),
    warnings: [],
  };
}
