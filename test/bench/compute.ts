/**
 * `compute.artifacts`: an output that an extension has, to the node and from there to a client, each a process of its own; beside a bare
 * WebSocket hop of as many bytes and a bare download.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { get } from 'node:http';
import { fileURLToPath } from 'node:url';
import { median } from './measure.ts';
import { type Bench, count } from './row.ts';

/** Pixels of a side at full scale: 256 MiB. */
const SIDE = 16_384;
const MIB_BYTES = 1_048_576;
/** 256 MiB at 120 MB/s. */
const MS_MAX = (256 * MIB_BYTES) / 120_000;
const RATIO_MAX = 2;
/** What the node may grow by while it passes. */
const GROWTH_MIB_MAX = 64;

export const computes: readonly Bench[] = [
  {
    name: 'compute.artifacts',
    async run(scale) {
      const side = count(SIDE, { ...scale, work: Math.sqrt(scale.work) }, 64);
      const runs = Math.min(3, scale.runs);
      const ours: number[] = [];
      const floors: number[] = [];
      const growths: number[] = [];
      let bytes = 0;
      {
        await using node = await Child.start('compute-main.ts', [side]);
        const { url, cookie } = node.hello as { url: string; cookie: string };
        for (let run = 0; run < runs; run += 1) {
          const before = (await node.ask('memory')) as { rss: number };
          const { lease, sha256, size } = (await node.ask('job')) as {
            lease: string;
            sha256: string;
            size: number;
          };
          bytes = size;
          node.tell('watch');
          const start = performance.now();
          const got = await download(`${url}/gpu:compute:sys/artifacts/${lease}/${sha256}`, {
            cookie,
          });
          ours.push(performance.now() - start);
          if (got !== size) throw new Error(`${got} of ${size} bytes came`);
          const { most } = (await node.ask('watched')) as { most: number };
          growths.push((most - before.rss) / MIB_BYTES);
        }
        node.tell('end');
        await node.exited;
      }
      {
        await using server = await Child.start('compute-floor.ts', ['server']);
        const { port } = server.hello as { port: number };
        await using sender = await Child.start('compute-floor.ts', [
          'sender',
          `ws://127.0.0.1:${port}`,
        ]);
        for (let run = 0; run < runs; run += 1) {
          const start = performance.now();
          const received = server.next();
          sender.tell(bytes);
          await received;
          await download(`http://127.0.0.1:${port}/`, { 'x-bytes': String(bytes) });
          floors.push(performance.now() - start);
        }
      }
      const value = median(ours);
      const floor = median(floors);
      const rate = Math.round(bytes / value / 1000);
      const note = `${Math.round(bytes / MIB_BYTES)} MiB from the extension to vfs and on to a client, ${rate} MB/s`;
      const row = { value, unit: 'ms', runs } as const;
      return [
        {
          ...row,
          name: 'compute.artifacts',
          floor: undefined,
          target: { of: 'value', max: MS_MAX },
          note,
        },
        {
          ...row,
          name: 'compute.artifacts.ratio',
          floor,
          target: { of: 'ratio', max: RATIO_MAX },
          note: 'floor: a bare ws hop, then a bare node:http download',
        },
        {
          name: 'compute.artifacts.memory',
          value: Math.max(0, median(growths)),
          unit: 'MiB',
          floor: undefined,
          target: { of: 'value', max: GROWTH_MIB_MAX },
          runs,
          note: 'growth of the node’s RSS meanwhile',
        },
      ];
    },
  },
];

/** Bytes of the body. */
async function download(url: string, headers: Record<string, string>): Promise<number> {
  const request = get(url, { headers });
  const [response] = (await once(request, 'response')) as [import('node:http').IncomingMessage];
  if (response.statusCode !== 200) throw new Error(`status ${response.statusCode}`);
  let bytes = 0;
  for await (const chunk of response) bytes += (chunk as Buffer).length;
  return bytes;
}

class Child implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly hello: unknown;
  readonly exited: Promise<unknown>;

  private constructor(child: ChildProcess, hello: unknown) {
    this.#child = child;
    this.hello = hello;
    this.exited = once(child, 'exit');
  }

  static async start(file: string, args: readonly (string | number)[]): Promise<Child> {
    const path = fileURLToPath(new URL(file, import.meta.url));
    const child = fork(path, args.map(String), { execArgv: ['--expose-gc'] });
    const [hello] = (await once(child, 'message')) as [unknown];
    return new Child(child, hello);
  }

  tell(message: string | number): void {
    this.#child.send(message);
  }

  async next(): Promise<unknown> {
    const [message] = (await once(this.#child, 'message')) as [unknown];
    return message;
  }

  ask(message: string): Promise<unknown> {
    const answer = this.next();
    this.tell(message);
    return answer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null) this.#child.kill('SIGKILL');
    await this.exited;
  }
}
