/** How a run ended, by the receipt of who ran it (compute-market.md §3.8, §7.1). Pure. */
import type { JobLimits } from '../../../wit/jobs/limits.ts';
import type { FaultCode } from '../../../wit/jobs/result.ts';

/** By the receipt's status; 0 is none. */
const CODE_OF_STATUS: readonly (FaultCode | undefined)[] = [
  undefined,
  'EXIT_NONZERO',
  'TIMEOUT',
  'OOM',
  'OUTPUT_LIMIT',
  'CANCELLED',
  'INTERNAL',
];
export const STATUS_MAX = CODE_OF_STATUS.length - 1;

/** What a run that ended so is called; undefined: it succeeded. */
export function codeOfStatus(status: number): FaultCode | undefined {
  return CODE_OF_STATUS[status];
}

/** Why it failed, for its client: which limit it met, or how its program ended. */
export function reasonOf(
  { status, exitCode }: { readonly status: number; readonly exitCode: number },
  limits: JobLimits,
): string {
  switch (codeOfStatus(status)) {
    case 'TIMEOUT':
      return `it did not end within its ${limits.timeoutS} s (limits.timeoutS)`;
    case 'OOM': {
      const gpu = limits.vramMiB > 0 ? `, or ${limits.vramMiB} MiB of GPU memory` : '';
      return `it needed more than its ${limits.memMiB} MiB of memory (limits.memMiB)${gpu}`;
    }
    case 'OUTPUT_LIMIT':
      return `its outputs are more than ${limits.outMiB} MiB (limits.outMiB), or no files that can be taken`;
    case 'CANCELLED':
      return 'its node was told to end it';
    case 'INTERNAL':
      return 'its node could not run it';
    default:
      return exitCode < 0
        ? `the program was ended by signal ${-exitCode}`
        : `the program exited with ${exitCode}`;
  }
}
