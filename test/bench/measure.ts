/** Medians of alternating runs: what disturbs the machine for a while disturbs ours and the floor alike. */

export interface Pair {
  readonly ours: number;
  readonly floor: number;
}

/** Runs each once unmeasured, then ours, floor, ours, floor, …; medians of what they return. */
export async function alternate(
  runs: number,
  ours: () => Promise<number> | number,
  floor: () => Promise<number> | number,
): Promise<Pair> {
  await ours();
  await floor();
  const taken: Pair[] = [];
  for (let run = 0; run < runs; run++) taken.push({ ours: await ours(), floor: await floor() });
  return {
    ours: median(taken.map((one) => one.ours)),
    floor: median(taken.map((one) => one.floor)),
  };
}

/** Milliseconds `work` took. */
export async function timed(work: () => unknown): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

/** @throws RangeError for no values */
export function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}

/** The smallest value that at least `part` (0 to 1) of them do not exceed. @throws RangeError for no values */
export function percentile(values: readonly number[], part: number): number {
  if (values.length === 0) throw new RangeError('no values to take a percentile of');
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)]!;
}
