/** `vfs.write.1MiB`, `vfs.read.1MiB`: files of 1 MiB through the kernel and the vfs, beside fs/promises on the same disk. */
import { mkdir, mkdtemp, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { vfs } from '../../runtime-modules/vfs/index.ts';
import { testNode, type TestNode } from '../support/node.ts';
import { alternate, percentile, timed } from './measure.ts';
import { count, type Bench, type Row, type Scale } from './row.ts';

/** At least 0.7 of the floor's throughput with 64 requests under way. */
const RATIO_MAX = 1 / 0.7;
const BYTES = 1_048_576;
const OUTSTANDING = [1, 64] as const;
const DRIVE = '/distro:sys/bench';

type Work = (index: number) => Promise<unknown>;

export const vfsFiles: readonly Bench[] = [
  {
    name: 'vfs.write.1MiB',
    run: (scale) =>
      rows(scale, 'vfs.write.1MiB', 'floor: writeFile of a new file', (place) => ({
        ours: (index) => place.ask(`w${index}`, 'Write', place.bytes),
        floor: (index) => writeFile(join(place.plain, `w${index}`), place.bytes),
        between: () => place.empty(),
      })),
  },
  {
    name: 'vfs.write.replace.1MiB',
    run: (scale) =>
      rows(
        scale,
        'vfs.write.replace.1MiB',
        'floor: write, datasync, rename over the old one',
        (place) => ({
          ours: (index) => place.ask(`r${index}`, 'Write', place.bytes),
          floor: (index) => replace(join(place.plain, `r${index}`), place.bytes),
          between: () => Promise.resolve(),
        }),
      ),
  },
  {
    name: 'vfs.read.1MiB',
    run: (scale) =>
      rows(scale, 'vfs.read.1MiB', 'floor: readFile', async (place) => {
        for (let index = 0; index < FILES; index += 1) {
          await place.ask(`r${index}`, 'Write', place.bytes);
          await writeFile(join(place.plain, `r${index}`), place.bytes);
        }
        return {
          ours: (index) => place.ask(`r${index % FILES}`, 'Read'),
          floor: (index) => readFile(join(place.plain, `r${index % FILES}`)),
          between: () => Promise.resolve(),
        };
      }),
  },
];

/** Different files that reads go around in. */
const FILES = 64;

interface Sides {
  readonly ours: Work;
  readonly floor: Work;
  /** Before each run, not measured. */
  readonly between: () => Promise<void>;
}

async function rows(
  scale: Scale,
  name: string,
  note: string,
  sides: (place: Place) => Sides | Promise<Sides>,
): Promise<readonly Row[]> {
  await using place = await Place.make();
  const { ours, floor, between } = await sides(place);
  const found: Row[] = [];
  for (const outstanding of OUTSTANDING) {
    const requests = count(outstanding === 1 ? 100 : 256, scale, 2);
    const latencies: number[] = [];
    const side = (work: Work, taken?: number[]) => async (): Promise<number> => {
      await between();
      const ms = await timed(() => spread(requests, outstanding, work, taken));
      return (ms * 1_000) / requests;
    };
    const measured = await alternate(scale.runs, side(ours, latencies), side(floor));
    found.push({
      name: `${name}.${outstanding}`,
      value: measured.ours,
      unit: 'us',
      floor: measured.floor,
      target: outstanding === 64 ? { of: 'ratio', max: RATIO_MAX } : undefined,
      p50: percentile(latencies, 0.5),
      p99: percentile(latencies, 0.99),
      runs: scale.runs,
      note: `${outstanding} under way; ${note}`,
    });
  }
  return found;
}

/** Keeps `outstanding` of them under way. `taken`: microseconds of each. */
async function spread(
  requests: number,
  outstanding: number,
  work: Work,
  taken?: number[],
): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < requests) {
      const index = next++;
      const start = performance.now();
      await work(index);
      taken?.push((performance.now() - start) * 1_000);
    }
  };
  await Promise.all(Array.from({ length: Math.min(outstanding, requests) }, worker));
}

class Place implements AsyncDisposable {
  readonly bytes = new Uint8Array(BYTES).fill(7);
  readonly plain: string;
  readonly #home: string;
  readonly #node: TestNode;

  private constructor(home: string, node: TestNode) {
    this.#home = home;
    this.plain = join(home, 'plain');
    this.#node = node;
  }

  static async make(): Promise<Place> {
    const home = await mkdtemp(join(tmpdir(), 'bench-'));
    const node = await testNode();
    const port = node.kernel.port('vfs');
    node.kernel.registerModule(vfs({ root: join(home, 'vfs') })({ port }));
    const place = new Place(home, node);
    await mkdir(place.plain);
    await place.ask('', 'CreateDrive');
    return place;
  }

  async ask(name: string, action: string, bytes?: Uint8Array): Promise<void> {
    const body = JSON.stringify({ path: `${DRIVE}/${name}`, action });
    const options = bytes === undefined ? {} : { blob: { mime: undefined, bytes } };
    const reply = await this.#node.ask('vfs:distro:sys', body, { ...options, seconds: 600 });
    if (reply.text.includes('Err')) throw new Error(`${body}: ${reply.text}`);
  }

  async empty(): Promise<void> {
    await this.ask('', 'RemoveDirAll');
    await this.ask('', 'CreateDrive');
    await rm(this.plain, { recursive: true });
    await mkdir(this.plain);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#node[Symbol.asyncDispose]();
    await rm(this.#home, { recursive: true });
  }
}

async function replace(path: string, bytes: Uint8Array): Promise<void> {
  const fresh = `${path}.new`;
  {
    await using handle = await open(fresh, 'w');
    await handle.writeFile(bytes);
    await handle.datasync();
  }
  await rename(fresh, path);
}
