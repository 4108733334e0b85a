/** `kernel.spawn.*`: from the command to the first answer of a process whose image is cached, beside few and many others. */
import { inChild } from './child.ts';
import { median, percentile } from './measure.ts';
import { count, type Bench, type Scale } from './row.ts';
import type { SpawnTimes } from './spawn-main.ts';

const NATIVE_MS_MAX = 1;
const TS_MS_MAX = 4;
const LIVE = [100, 5_000] as const;
const SAMPLES = 200;

export const spawns: readonly Bench[] = LIVE.flatMap((live) => [
  bench('native', live, NATIVE_MS_MAX),
  bench('ts', live, TS_MS_MAX),
]);

function bench(kind: 'native' | 'ts', live: number, max: number): Bench {
  const name = `kernel.spawn.${kind}.${live}`;
  return {
    name,
    async run(scale: Scale) {
      const samples = count(SAMPLES, scale, 3);
      const { ours, floor } = await inChild<SpawnTimes>('spawn-main.ts', [
        kind,
        count(live, scale, 3),
        samples,
      ]);
      return [
        {
          name,
          value: median(ours),
          unit: 'ms',
          floor: median(floor),
          target: { of: 'value', max },
          p50: median(ours),
          p99: percentile(ours, 0.99),
          runs: samples,
          note: `${live} others live; floor: a bare core instance up to its first receive`,
        },
      ];
    },
  };
}
