/** `kernel.preempt`: how long a round trip takes beside guests that do all they can to keep the hart, and how fast these are killed. */
import type { Engine } from '../../kernel/engine.ts';
import type { ProcessId } from '../../wit/types.ts';
import { testNode, type TestNode } from '../support/node.ts';
import { countBody, echoGuest, guest, guestWith } from './guests.ts';
import { percentile } from './measure.ts';
import { count, type Bench, type Row } from './row.ts';

const P99_MS_MAX = 25;
const KILL_MS_MAX = 100;
const EACH = 2;
const ROUND_TRIPS = 400;
/** Between starting the hogs and measuring: V8 has compiled them by then. */
const WARM_UP_TRIPS = 40;
/** A hog that ran less did not hog; those that only message get little beside those that compute. */
const RAN_MS_MIN = 0.1;
const BODY_INSTRUCTIONS = 20_000;
const WAIT_S = 60;

export const preempts: readonly Bench[] = [
  {
    name: 'kernel.preempt',
    async run(scale): Promise<Row[]> {
      const ends = new Set<Promise<unknown>>();
      await using node = await testNode({ wrap: (engine) => watched(engine, ends) });
      await node.start('echo:bench:sys', await echoGuest());
      await node.start('requester:bench:sys', await guest('requester.wat'));
      const trips = count(ROUND_TRIPS, scale, 5);
      const alone = await roundTrips(node, trips);
      ends.clear();
      const hogs = await startHogs(node);
      await roundTrips(node, count(WARM_UP_TRIPS, scale, 2));
      const beside = await roundTrips(node, trips);
      checkTheyRan(node, hogs);
      const killMs = await killAll(node, hogs, ends);
      return [
        {
          name: 'kernel.preempt',
          value: percentile(beside, 0.99),
          unit: 'ms',
          floor: percentile(alone, 0.99),
          target: { of: 'value', max: P99_MS_MAX },
          p50: percentile(beside, 0.5),
          p99: percentile(beside, 0.99),
          runs: trips,
          note: `p99 beside ${hogs.length} hogs, from a module through two processes and back; floor: the same without hogs`,
        },
        {
          name: 'kernel.preempt.kill',
          value: killMs,
          unit: 'ms',
          floor: undefined,
          target: { of: 'value', max: KILL_MS_MAX },
          runs: 1,
          note: `until all ${hogs.length} are gone`,
        },
      ];
    },
  },
];

/** Milliseconds each. One round trip between two processes, asked for from outside: three waits for a turn instead of two. */
async function roundTrips(node: TestNode, trips: number): Promise<number[]> {
  const taken: number[] = [];
  for (let trip = 0; trip < trips; trip++) {
    const start = performance.now();
    await node.ask('requester:bench:sys', countBody(1), { seconds: WAIT_S });
    taken.push(performance.now() - start);
  }
  return taken;
}

async function startHogs(node: TestNode): Promise<ProcessId[]> {
  const body = '(local.set $x (f64.add (f64.mul (local.get $x) (f64.const 0.9)) (f64.const 0.1)))';
  /** Instructions of `body`. */
  const bodyLength = 6;
  const longBody = body.repeat(Math.ceil(BODY_INSTRUCTIONS / bodyLength));
  const kinds: [name: string, component: Uint8Array][] = [
    ['loop', await guest('hog-loop.wat')],
    ['fill', await guest('hog-fill.wat')],
    ['body', await guestWith('hog-body.wat', '(;BODY;)', longBody)],
    ['print', await guest('hog-print.wat')],
  ];
  const hogs: ProcessId[] = [];
  for (let one = 0; one < EACH; one++) {
    for (const [name, component] of kinds)
      hogs.push(await node.start(`${name}${one}:bench:sys`, component));
    for (const [self, peer] of [
      [`pair${one}a`, `pair${one}b`],
      [`pair${one}b`, `pair${one}a`],
    ] as const) {
      const component = await guestWith('hog-pair.wat', '(;PEER;)', peer);
      hogs.push(await node.start(`${self}:bench:sys`, component));
    }
  }
  return hogs;
}

/** A hog that trapped or waits would make the figure a lie. */
function checkTheyRan(node: TestNode, hogs: readonly ProcessId[]): void {
  const usage = node.kernel.usage();
  for (const hog of hogs) {
    const used = usage.get(hog);
    if (used?.state !== 'running' || used.cpuMs < RAN_MS_MIN)
      throw new Error(`${hog} is ${used?.state} and ran for ${used?.cpuMs} ms: no hog`);
  }
}

async function killAll(
  node: TestNode,
  hogs: readonly ProcessId[],
  ends: ReadonlySet<Promise<unknown>>,
): Promise<number> {
  const start = performance.now();
  for (const hog of hogs) void node.kernel.kill(hog);
  await Promise.all(ends);
  return performance.now() - start;
}

function watched(engine: Engine, ends: Set<Promise<unknown>>): Engine {
  return {
    load: (component) => engine.load(component),
    startRefusal: () => engine.startRefusal?.(),
    start(image, our, host) {
      const started = engine.start(image, our, host);
      ends.add(started.ended);
      return started;
    },
  };
}
