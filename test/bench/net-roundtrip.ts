/**
 * `net.roundtrip.*`: 64 bytes between native guests of two nodes and back, beside the same through less, both ends on one processor: what a
 * message costs. `net.roundtrip.apart.*`: each on its own, where what one does after sending costs nothing, and whoever sleeps has to be woken.
 */
import { alternate, median, percentile, timed } from './measure.ts';
import { Far, SMALL } from './net-ends.ts';
import { FloorClient } from './net-floor.ts';
import { Libp2p } from './net-libp2p.ts';
import { NativeNear } from './net-native.ts';
import { place, processors } from './place.ts';
import { count, type Row, type Scale } from './row.ts';

const RATIO_MAX = { tcp: 3.5, noise: 1.6, libp2p: 0.7 } as const;
const FLOORS = {
  tcp: 'plain TCP echo',
  noise: 'bare Noise loop',
  libp2p: 'js-libp2p, Noise and yamux, one persistent stream',
} as const;

interface Floor {
  readonly name: keyof typeof FLOORS;
  /** The processes of either end. */
  readonly near: number;
  readonly far: number;
  /** How long each of so many trips took, in ms. */
  each(trips: number): Promise<readonly number[]>;
}

export async function roundtrip(scale: Scale): Promise<readonly Row[]> {
  const trips = count(5_000, scale, 10);
  using far = await Far.start('native', 'bob.os');
  await using near = await NativeNear.start(far.port);
  using tcp = await Plain.start('tcp');
  using noise = await Plain.start('noise');
  using libp2p = await Libp2p.start(scale);
  const other: Floor[] = [];
  if (libp2p !== undefined)
    other.push({
      name: 'libp2p',
      near: libp2p.nearPid,
      far: libp2p.farPid,
      each: (times) => libp2p.take('trips', times),
    });
  const all = processors();
  const rows: Row[] = [];
  for (const apart of all.length > 1 ? [false, true] : [false]) {
    for (const floor of [tcp, noise, ...other]) {
      const ends = [
        [process.pid, floor.near],
        [far.pid, floor.far],
      ] as const;
      const placed = ends.every((pids, end) => place(pids, [all[apart ? end : 0] ?? 0]));
      const made = await beside(scale, floor, () => near.each(trips), trips);
      // Where it cannot be said which it was, it is said once.
      const where = placed
        ? apart
          ? 'on two processors'
          : 'on one processor'
        : 'placed by the host';
      if (placed || !apart) rows.push(rowOf(made, floor.name, apart, where));
      for (const pids of ends) place(pids, all);
    }
  }
  return rows;
}

type Taken = Pick<Row, 'value' | 'floor' | 'p50' | 'p99' | 'runs'> & { readonly floorP99: number };

async function beside(
  scale: Scale,
  floor: Floor,
  ours: () => Promise<readonly number[]>,
  trips: number,
): Promise<Taken> {
  const all = { ours: [] as number[], floor: [] as number[] };
  // Of each run the median: a trip that waited for other processes of the machine says nothing about either.
  const half = async (to: number[], took: Promise<readonly number[]>): Promise<number> => {
    const us = (await took).map((ms) => ms * 1000);
    to.push(...us);
    return median(us);
  };
  const pair = await alternate(
    scale.runs,
    () => half(all.ours, ours()),
    () => half(all.floor, floor.each(trips)),
  );
  return {
    value: pair.ours,
    floor: pair.floor,
    p50: percentile(all.ours, 0.5),
    p99: percentile(all.ours, 0.99),
    floorP99: percentile(all.floor, 0.99),
    runs: scale.runs,
  };
}

function rowOf(
  { floorP99, ...taken }: Taken,
  name: keyof typeof FLOORS,
  apart: boolean,
  where: string,
): Row {
  return {
    ...taken,
    name: `net.roundtrip.${apart ? 'apart.' : ''}${name}`,
    unit: 'us',
    target: { of: 'ratio', max: RATIO_MAX[name] },
    note: `64 B, ${where}; floor: ${FLOORS[name]}, p99 ${floorP99.toFixed(0)}`,
  };
}

/** A floor of `net-floor.ts` whose near end is this process. */
class Plain implements Floor, Disposable {
  readonly name: 'tcp' | 'noise';
  readonly near = process.pid;
  readonly #server: Far;
  readonly #client: FloorClient;

  private constructor(name: 'tcp' | 'noise', server: Far, client: FloorClient) {
    this.name = name;
    this.#server = server;
    this.#client = client;
  }

  static async start(name: 'tcp' | 'noise'): Promise<Plain> {
    const server = await Far.start(name);
    return new Plain(name, server, await FloorClient.open(name, server.port));
  }

  get far(): number {
    return this.#server.pid;
  }

  async each(trips: number): Promise<readonly number[]> {
    const took: number[] = [];
    for (let index = 0; index < trips; index++)
      took.push(await timed(() => this.#client.roundTrip(SMALL)));
    return took;
  }

  [Symbol.dispose](): void {
    this.#client[Symbol.dispose]();
    this.#server[Symbol.dispose]();
  }
}
