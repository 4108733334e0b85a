/** `kernel.roundtrip.*` and `kernel.blob.1MiB`: a request and its response between two processes, access checked. */
import { testNode } from '../support/node.ts';
import { enginePair } from './engine-pair.ts';
import { floorPair } from './floor-jspi.ts';
import { countBody, echoGuest, guest } from './guests.ts';
import { alternate, timed } from './measure.ts';
import { count, type Bench, type Scale } from './row.ts';

const NATIVE_RATIO_MAX = 3;
const TS_US_MAX = 60;
const BLOB_RATIO_MAX = 3;
const BLOB_BYTES = 1_048_576;
/** Two copies out of a guest's memory, two into one. */
const BLOB_COPIES = 4;
/** A request must not time out while the machine is busy elsewhere. */
const WAIT_S = 600;

interface Sides {
  readonly echo: readonly [id: string, component: Promise<Uint8Array>];
  readonly requester: Promise<Uint8Array>;
}

export const roundtrips: readonly Bench[] = [
  {
    name: 'kernel.roundtrip.native',
    async run(scale) {
      const trips = count(100_000, scale);
      const sides = {
        echo: ['echo:bench:sys', echoGuest()],
        requester: guest('requester.wat'),
      } as const;
      const { ours, floor } = await besideJspi(scale, sides, trips);
      const engine = await engineAlone(scale, trips);
      return [
        {
          name: 'kernel.roundtrip.native',
          value: ours,
          unit: 'us',
          floor,
          target: { of: 'ratio', max: NATIVE_RATIO_MAX },
          runs: scale.runs,
          note: 'floor: two WAT guests through JSPI, no kernel',
        },
        {
          name: 'kernel.roundtrip.native.engine',
          value: engine.ours,
          unit: 'us',
          floor: engine.floor,
          target: undefined,
          runs: scale.runs,
          note: 'of that, without the kernel: suspending, lifting and lowering the messages',
        },
      ];
    },
  },
  {
    name: 'kernel.roundtrip.ts',
    async run(scale) {
      const trips = count(5_000, scale);
      const sides = {
        echo: ['echo-ts:bench:sys', guest('echo.ts')],
        requester: guest('requester.ts'),
      } as const;
      const { ours, floor } = await besideJspi(scale, sides, trips);
      return [
        {
          name: 'kernel.roundtrip.ts',
          value: ours,
          unit: 'us',
          floor,
          target: { of: 'value', max: TS_US_MAX },
          runs: scale.runs,
          note: 'QuickJS on both sides; floor: two WAT guests through JSPI, no kernel',
        },
      ];
    },
  },
  {
    name: 'kernel.blob.1MiB',
    async run(scale) {
      const trips = count(500, scale);
      await using node = await testNode();
      await node.start('echo-blob:bench:sys', await guest('echo-blob.wat'));
      await node.start('requester:bench:sys', await guest('requester-blob.wat'));
      const from = new Uint8Array(new WebAssembly.Memory({ initial: 16 }).buffer);
      const to = new Uint8Array(new WebAssembly.Memory({ initial: 16 }).buffer);
      from.fill(1, 0, BLOB_BYTES);
      const { ours, floor } = await alternate(
        scale.runs,
        async () => perTrip(await timed(() => ask(node, trips)), trips),
        async () =>
          perTrip(
            await timed(() => {
              for (let copy = 0; copy < trips * BLOB_COPIES; copy++) to.set(from);
            }),
            trips,
          ),
      );
      return [
        {
          name: 'kernel.blob.1MiB',
          value: ours,
          unit: 'us',
          floor,
          target: { of: 'ratio', max: BLOB_RATIO_MAX },
          runs: scale.runs,
          note: 'floor: four copies of 1 MiB between two memories',
        },
      ];
    },
  },
];

/** Microseconds of a round trip. */
async function besideJspi(
  scale: Scale,
  sides: Sides,
  trips: number,
): Promise<{ ours: number; floor: number }> {
  await using node = await testNode();
  await node.start(sides.echo[0], await sides.echo[1]);
  await node.start('requester:bench:sys', await sides.requester);
  const pair = await floorPair();
  // The floor is fast: as many trips as take a while for it.
  const floorTrips = count(100_000, scale);
  return await alternate(
    scale.runs,
    async () => perTrip(await timed(() => ask(node, trips)), trips),
    async () => perTrip(await timed(() => pair.exchange(floorTrips)), floorTrips),
  );
}

async function engineAlone(scale: Scale, trips: number): Promise<{ ours: number; floor: number }> {
  using alone = await enginePair();
  const pair = await floorPair();
  return await alternate(
    scale.runs,
    async () => perTrip(await timed(() => alone.exchange(trips)), trips),
    async () => perTrip(await timed(() => pair.exchange(trips)), trips),
  );
}

async function ask(node: Awaited<ReturnType<typeof testNode>>, trips: number): Promise<void> {
  await node.ask('requester:bench:sys', countBody(trips), { seconds: WAIT_S });
}

function perTrip(ms: number, trips: number): number {
  return (ms * 1_000) / trips;
}
