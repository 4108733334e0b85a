/** `kernel.density.*`: what live processes weigh. */
import { inChild } from './child.ts';
import type { Density } from './density-main.ts';
import { count, type Bench, type Row } from './row.ts';

const NATIVE_LIVE = 10_000;
const NATIVE_MIB_MAX = 1_024;
const TS_LIVE = 200;
const TS_MB_MAX = 1.5;
const MIB_BYTES = 1_048_576;
const MB_BYTES = 1_000_000;

export const densities: readonly Bench[] = [
  {
    name: 'kernel.density.native',
    async run(scale) {
      const wanted = count(NATIVE_LIVE, scale, 10);
      const found = await inChild<Density>('density-main.ts', ['native', wanted]);
      checkAnswers(found, wanted);
      const rows: Row[] = [
        {
          name: 'kernel.density.native',
          value: found.rssBytes / MIB_BYTES,
          unit: 'MiB',
          floor: (found.floorBytes * wanted) / MIB_BYTES,
          target: { of: 'value', max: NATIVE_MIB_MAX },
          runs: 1,
          note: `RSS of ${wanted} over a node without any, each answering; floor: as many bare instances; heap ${(found.heapBytes / MIB_BYTES).toFixed(0)} MiB; started in ${(found.startedInMs / 1_000).toFixed(1)} s`,
        },
        {
          name: 'kernel.density.gc-pause',
          value: found.gcPauseMaxMs,
          unit: 'ms',
          floor: undefined,
          target: undefined,
          runs: 1,
          note: 'the longest while starting and answering',
        },
      ];
      return rows;
    },
  },
  {
    name: 'kernel.density.ts',
    async run(scale) {
      const wanted = count(TS_LIVE, scale, 10);
      const found = await inChild<Density>('density-main.ts', ['ts', wanted]);
      checkAnswers(found, wanted);
      return [
        {
          name: 'kernel.density.ts',
          value: found.rssBytes / wanted / MB_BYTES,
          unit: 'MB',
          floor: found.floorBytes / MB_BYTES,
          target: { of: 'value', max: TS_MB_MAX },
          runs: 1,
          note: `RSS of one of ${wanted}; floor: a bare native instance`,
        },
      ];
    },
  },
];

function checkAnswers(found: Density, wanted: number): void {
  if (found.live !== wanted || found.answers !== wanted)
    throw new Error(`${found.live} of ${wanted} processes were live and ${found.answers} answered`);
}
