/** Hundreds of kernels and their nets on a bad network, with clocks that disagree, the same every time for a seed: every request ends, once and in time; what was cut heals (findings F28). */
import { expect, test } from 'vitest';
import { seededRandom } from './memory.ts';
import type { NetNode } from './testing/nodes.ts';
import { World } from './testing/world.ts';

const ECHO = 'echo:test:sys';
const ROUTERS = 5;
const DEADLINE_S = 10;
const SECONDS = 40;
const NODES = 300;
/** Days apart, and two seconds an hour: machines whose clocks nobody has set. */
const SKEW = { offsetMs: 3 * 86_400_000, rate: 0.0005 };

interface Ended {
  readonly how: 'response' | 'error';
  readonly afterMs: number;
  times: number;
}

interface Run {
  readonly world: World;
  readonly ended: Map<number, Ended>;
  asked: number;
}

async function start(world: World, nodes: number): Promise<NetNode[]> {
  const routers = Array.from({ length: ROUTERS }, (_, index) => `r${index}.os`);
  const made = await world.acquainted(
    ...routers.map((name) => ({ name, passthroughsMax: 1_000, peersMax: 1_000 })),
    ...Array.from({ length: nodes - ROUTERS }, (_, index) => {
      const few = [routers[index % ROUTERS]!, routers[(index + 1) % ROUTERS]!];
      return index % 2 === 0 ? { name: `n${index}.os` } : { name: `n${index}.os`, routers: few };
    }),
  );
  for (const node of made)
    await node.node.start(
      ECHO,
      async (guest) => {
        for (;;) {
          const { request } = await guest.request();
          await guest.respond(request.body);
        }
      },
      { holds: [node.node.network()] },
    );
  await world.clock.advance(10_000);
  return made;
}

/** One process of `from` asks `to` and notes how that ended. */
async function ask(run: Run, from: NetNode, to: NetNode): Promise<void> {
  const number = run.asked++;
  const startMs = run.world.clock.nowMs();
  await from.node.start(
    `a${number}:test:sys`,
    async (guest) => {
      const answer = await guest.sendAndAwait(`${to.name}@${ECHO}`, {
        body: Buffer.from(`${number}`),
        expectsResponse: DEADLINE_S,
      });
      const before = run.ended.get(number);
      const afterMs = run.world.clock.nowMs() - startMs;
      if (before === undefined)
        run.ended.set(number, { how: answer.ok ? 'response' : 'error', afterMs, times: 1 });
      else before.times++;
    },
    { holds: [from.node.network()] },
  );
}

async function badDay(seed: number, nodes: number, perSecond: number): Promise<Run> {
  const world = new World({ seed, latencyMs: 15, jitterMs: 40, loss: 0.02, skew: SKEW });
  const run: Run = { world, ended: new Map(), asked: 0 };
  const random = seededRandom(seed);
  const made = await start(world, nodes);
  const any = (): NetNode => made[Math.floor(random() * made.length)]!;
  const address = (node: NetNode): string => world.ip(made.indexOf(node) + 1);
  const cut: [string, string][] = [];
  for (let second = 0; second < SECONDS; second++) {
    for (let index = 0; index < perSecond; index++) {
      const [from, to] = [any(), any()];
      if (from !== to) await ask(run, from, to);
    }
    // A quarter of the day everything holds; then islands are cut off, one after another; then all is mended.
    if (second > SECONDS / 4 && second < SECONDS / 2) {
      const island = address(any());
      for (const other of made) {
        if (address(other) === island) continue;
        world.network.partition(island, address(other));
        cut.push([island, address(other)]);
      }
    }
    if (second === Math.floor(SECONDS / 2)) for (const pair of cut) world.network.heal(...pair);
    await world.clock.advance(1_000);
  }
  await world.clock.advance((DEADLINE_S + 5) * 1_000);
  return run;
}

const SIMULATION_MS_MAX = 180_000;

test(
  'F28 on a day of loss and partitions every request ends once, by its deadline and a second; afterwards all arrive',
  async () => {
    const seed = Number(process.env['NET_SEED'] ?? 20_260_101);
    const run = await badDay(seed, NODES, 16);
    await using world = run.world;
    const ended = [...run.ended.values()];
    const problem = `NET_SEED=${seed}`;
    expect(ended.length, problem).toBe(run.asked);
    expect(
      ended.filter(({ times }) => times !== 1),
      problem,
    ).toEqual([]);
    const latest = Math.max(...ended.map(({ afterMs }) => afterMs));
    expect(latest, problem).toBeLessThanOrEqual((DEADLINE_S + 1) * 1_000);
    const answered = ended.filter(({ how }) => how === 'response').length;
    // Neither did nothing happen, nor everything fail.
    expect(answered, problem).toBeLessThan(ended.length);
    expect(answered / ended.length, problem).toBeGreaterThan(0.6);
    // Healed: whoever asks is answered.
    const late: Run = { world, ended: new Map(), asked: 1_000_000 };
    const { nodes } = world;
    for (let index = 0; index < 50; index++)
      await ask(late, nodes[index]!, nodes[index + NODES / 2]!);
    await world.clock.advance((DEADLINE_S + 1) * 1_000);
    const healed = [...late.ended.values()].filter(({ how }) => how === 'response');
    expect(healed.length, problem).toBe(50);
  },
  SIMULATION_MS_MAX,
);

test(
  'the same seed is the same day',
  async () => {
    const days = [];
    for (let day = 0; day < 2; day++) {
      const run = await badDay(7, 20, 2);
      await using world = run.world;
      days.push({
        frames: world.network.frames,
        ended: [...run.ended].toSorted(([a], [b]) => a - b),
      });
    }
    expect(days[0]!.ended.length).toBeGreaterThan(50);
    expect(days[1]).toEqual(days[0]);
  },
  SIMULATION_MS_MAX,
);
