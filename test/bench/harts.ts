/** `kernel.harts`: two CPU-bound processes on two worker harts take hardly longer than one. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { WorkerHartPool } from '../../kernel/hart/hart-pool.ts';
import { testNode } from '../support/node.ts';
import { countBody, guest } from './guests.ts';
import { alternate, timed, type Pair } from './measure.ts';
import { count, type Bench } from './row.ts';

const RATIO_MAX = 1.25;
/** About half a second. */
const ROUNDS = 200_000_000;
const WAIT_S = 600;

export const harts: readonly Bench[] = [
  {
    name: 'kernel.harts',
    async run(scale) {
      const rounds = count(ROUNDS, scale);
      await using node = await testNode({
        harts: (report) => new WorkerHartPool({ workers: 2, bundled: () => false, report }),
      });
      const burn = await guest('burn.wat');
      // The emptiest hart takes the next process: one each.
      await node.start('left:bench:sys', burn);
      await node.start('right:bench:sys', burn);
      const ask = (name: string): Promise<unknown> =>
        node.ask(`${name}:bench:sys`, countBody(rounds), { seconds: WAIT_S });
      const { ours, floor } = await alternate(
        scale.runs,
        () => timed(() => Promise.all([ask('left'), ask('right')])),
        () => timed(() => ask('left')),
      );
      const machine = await plainThreads(scale.runs, rounds);
      return [
        {
          name: 'kernel.harts',
          value: ours,
          unit: 'ms',
          floor,
          target: { of: 'ratio', max: RATIO_MAX },
          runs: scale.runs,
          note: 'two at the same time, on a hart each; floor: one alone',
        },
        {
          name: 'kernel.harts.machine',
          value: machine.ours,
          unit: 'ms',
          floor: machine.floor,
          target: undefined,
          runs: scale.runs,
          note: 'the same with two plain threads and no node: what this machine has to give now',
        },
      ];
    },
  },
];

/** A loop of about the guest's length, without anything of ours around it. */
const PLAIN = `
  const { parentPort } = require('node:worker_threads');
  const burn = (rounds) => {
    let x = 0x1234567;
    for (; rounds > 0; rounds--) { x ^= x << 13; x ^= x >>> 17; x ^= x << 5; }
    return x;
  };
  parentPort.on('message', (rounds) => parentPort.postMessage(burn(rounds)));
`;

async function plainThreads(runs: number, rounds: number): Promise<Pair> {
  const threads = [new Worker(PLAIN, { eval: true }), new Worker(PLAIN, { eval: true })] as const;
  const burn = (thread: Worker): Promise<unknown> => {
    const done = once(thread, 'message');
    thread.postMessage(rounds);
    return done;
  };
  try {
    return await alternate(
      runs,
      () => timed(() => Promise.all(threads.map(burn))),
      () => timed(() => burn(threads[0])),
    );
  } finally {
    await Promise.all(threads.map((thread) => thread.terminate()));
  }
}
