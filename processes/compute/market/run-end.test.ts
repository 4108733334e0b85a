import { expect, test } from 'vitest';
import { RECEIPT_STATUS } from '../../../contracts/compute.ts';
import { TYPE_LIMITS } from '../../../wit/jobs/limits.ts';
import { codeOfStatus, reasonOf, STATUS_MAX } from './run-end.ts';

const limits = TYPE_LIMITS.custom;

test('every status of receipts has a code, and none but success has none', () => {
  for (const status of Object.values(RECEIPT_STATUS)) {
    expect(status).toBeLessThanOrEqual(STATUS_MAX);
    expect(codeOfStatus(status) === undefined).toBe(status === RECEIPT_STATUS.ok);
  }
});

test('a run that met a limit says which one, one that ended by itself says how', () => {
  const reason = (status: number, exitCode = 0, of = limits): string =>
    reasonOf({ status, exitCode }, of);
  expect(reason(RECEIPT_STATUS.timeout, -15)).toContain('60 s (limits.timeoutS)');
  expect(reason(RECEIPT_STATUS.outOfMemory)).toMatch(/1024 MiB of memory \(limits\.memMiB\)$/);
  expect(reason(RECEIPT_STATUS.outOfMemory, 0, TYPE_LIMITS.training)).toContain('24576 MiB of GPU');
  expect(reason(RECEIPT_STATUS.outputLimit)).toContain('64 MiB (limits.outMiB)');
  expect(reason(RECEIPT_STATUS.exitCode, 3)).toBe('the program exited with 3');
  expect(reason(RECEIPT_STATUS.exitCode, -9)).toBe('the program was ended by signal 9');
});
