/**
 * On which processors a bench's processes run. Two processes that talk to each other are put on one or on two by whatever the scheduler sees
 * fit, and a processor that slept takes longer to wake than all of the work of a small message: figures of two runs that were placed
 * differently cannot be compared.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** Processors that this process may use; none where the host does not say. */
export function processors(): readonly number[] {
  let status: string;
  try {
    status = readFileSync('/proc/self/status', 'utf8');
  } catch {
    return [];
  }
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(status)?.[1] ?? '';
  return list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}

/** Puts the main threads of processes on these processors. False where the host has no `taskset`: they stay where they are. */
export function place(pids: readonly number[], on: readonly number[]): boolean {
  try {
    for (const pid of pids) execFileSync('taskset', ['-cp', on.join(','), String(pid)]);
    return true;
  } catch {
    return false;
  }
}
