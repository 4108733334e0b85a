/** `kernel.fuel`: five CPU-bound core modules with fuel counted, beside the same modules as they are (findings F14). */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { assemble, callExport, Metered, plain } from '../../kernel/image/fuel-harness.ts';
import { alternate, timed } from './measure.ts';
import { type Bench, count, FULL, ratioOf, type Row, type Scale } from './row.ts';

const GEOMETRIC_MEAN_MAX = 1.3;
const KERNEL_RATIO_MAX = 2.2;
/** Fuel between two yields here: a yield is a call of JavaScript that refills, too rare to be measured. */
const QUANTUM = 50_000_000;
/** Runs before the first measured one, so that V8's optimising compiler is done. */
const WARM_UP_RUNS = 4;

/** By kernel, the argument of `run` at full scale; each takes 10 to 60 ms then. */
const KERNELS: Readonly<Record<string, (scale: Scale) => number>> = {
  // Time doubles with every 1.44 steps.
  fib: (scale) => Math.max(5, Math.round(33 + Math.log(scale.work) / Math.log(1.618))),
  copy: (scale) => count(60_000_000, scale, 131_072),
  sum: (scale) => count(100_000_000, scale, 65_536),
  hash: (scale) => count(40_000_000, scale),
  interpreter: (scale) => count(1_200_000, scale),
};

async function measure(kernel: string, argument: number, runs: number): Promise<Row> {
  const file = join(import.meta.dirname, 'fuel-kernels', `${kernel}.wat`);
  const module = await assemble(readFileSync(file, 'utf8'));
  const metered = new Metered(module, { quantum: QUANTUM });
  const original = plain(module);
  for (let warmUp = 0; warmUp < WARM_UP_RUNS; warmUp++) {
    const expected = callExport(original, 'run', argument);
    if (metered.call('run', argument) !== expected)
      throw new Error(`${kernel}: fuel changed a result`);
  }
  const { ours, floor } = await alternate(
    runs,
    () => timed(() => metered.call('run', argument)),
    () => timed(() => callExport(original, 'run', argument)),
  );
  return {
    name: `kernel.fuel.${kernel}`,
    value: ours,
    unit: 'ms',
    floor,
    target: { of: 'ratio', max: KERNEL_RATIO_MAX },
    runs,
    note: 'floor: the same module without fuel',
  };
}

/** One row a kernel, in milliseconds beside the uninstrumented module, and the geometric mean of their ratios. */
export async function run(scale: Scale = FULL): Promise<Row[]> {
  const rows: Row[] = [];
  for (const [kernel, argument] of Object.entries(KERNELS)) {
    rows.push(await measure(kernel, argument(scale), scale.runs));
  }
  const product = rows.reduce((sofar, row) => sofar * (ratioOf(row) ?? 1), 1);
  return [
    ...rows,
    {
      name: 'kernel.fuel.mean',
      value: product ** (1 / rows.length),
      unit: 'x',
      floor: undefined,
      target: { of: 'value', max: GEOMETRIC_MEAN_MAX },
      runs: scale.runs,
      note: 'geometric mean of the five ratios',
    },
  ];
}

export const fuels: readonly Bench[] = [{ name: 'kernel.fuel', run }];
