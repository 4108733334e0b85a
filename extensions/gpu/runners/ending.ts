/** How runs end, in the words of receipts (compute-market.md §3.8, §6.3). */
import { RECEIPT_STATUS } from '../../../contracts/compute.ts';
import type { FaultCode, Runtime, Usage } from '../../../wit/jobs/result.ts';
import type { GpuUsed } from './gpu-usage.ts';
import type { RunEnd } from './runner.ts';

const STATUS_OF: Partial<Record<FaultCode, number>> = {
  EXIT_NONZERO: RECEIPT_STATUS.exitCode,
  PIDS_LIMIT: RECEIPT_STATUS.exitCode,
  TIMEOUT: RECEIPT_STATUS.timeout,
  OOM: RECEIPT_STATUS.outOfMemory,
  OUTPUT_LIMIT: RECEIPT_STATUS.outputLimit,
  CANCELLED: RECEIPT_STATUS.cancelled,
};

export interface Fault {
  readonly code: FaultCode;
  readonly message: string;
}

/** What `runEnd` is made of beside the exit code and the fault. */
export type Measured = { readonly usage: RunEnd['usage']; readonly runtime: Runtime };

/** A program that ended with `exitCode`, by itself unless `fault` says why it was ended. */
export function runEnd(exitCode: number, fault: Fault | undefined, measured: Measured): RunEnd {
  const why =
    fault ??
    (exitCode === 0
      ? undefined
      : { code: 'EXIT_NONZERO' as const, message: `the program exited with ${exitCode}` });
  const status =
    why === undefined ? RECEIPT_STATUS.ok : (STATUS_OF[why.code] ?? RECEIPT_STATUS.providerError);
  return { status, exitCode, fault: why, ...measured };
}

/** Shells, and the init of a container, say 128 + n for what signal n ended; receipts say -n. */
export function exitCodeOfShell(code: number): number {
  return code > 128 && code <= 128 + 64 ? 128 - code : code;
}

const NO_GPU = { gpuMs: 0, peakVramMiB: 0 };

/** Usage of a runner that measures CPU time and memory. Bytes become MiB, rounded up. */
export function usageOf(
  cpuMs: number,
  peakBytes: number,
  gpu: Pick<GpuUsed, 'gpuMs' | 'peakVramMiB'> = NO_GPU,
): Pick<Usage, 'cpuMs' | 'gpuMs' | 'peakMemMiB' | 'peakVramMiB'> {
  return {
    cpuMs: Math.round(cpuMs),
    gpuMs: Math.round(gpu.gpuMs),
    peakMemMiB: Math.ceil(peakBytes / (1024 * 1024)),
    peakVramMiB: gpu.peakVramMiB,
  };
}

/** `arch` of specs and of `Runtime`. */
export function hostArch(): string {
  return process.arch === 'x64' ? 'x86_64' : process.arch === 'arm64' ? 'aarch64' : process.arch;
}
