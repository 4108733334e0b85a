/** The arithmetic of descriptors (runtime-modules.md §12). Pure. */
import type { ProcessId } from '../../wit/types.ts';

/** Descriptors the node itself needs beside its modules. */
const RESERVED = 30;
/** A soft limit of open files at or below this leaves nothing to divide; a node should refuse to run. */
export const ULIMIT_MIN = 40;

/** What is there to divide; 0 or less when the machine allows too little. */
export function dynamicBudget(ulimit: number, percent: number): number {
  if (ulimit <= ULIMIT_MIN) return 0;
  return Math.floor((ulimit * percent) / 100) - RESERVED;
}

/** Half in equal parts, half by hits. */
export function divide(
  budget: number,
  hits: ReadonlyMap<ProcessId, number>,
): ReadonlyMap<ProcessId, number> {
  const total = [...hits.values()].reduce((sum, each) => sum + each, 0);
  const half = budget / 2;
  const equal = half / Math.max(1, hits.size);
  const perHit = half / Math.max(1, total);
  return new Map([...hits].map(([id, own]) => [id, Math.floor(equal + perHit * own)]));
}
