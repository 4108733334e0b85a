/** Child of density.ts: `node --expose-gc density-main.ts <native|ts> <count>`; prints `Density`. */
import { PerformanceObserver } from 'node:perf_hooks';
import { settle } from './child.ts';
import { echoGuest, guest } from './guests.ts';
import { bareSpawn } from './floor-instance.ts';
import { Population } from './population.ts';

export interface Density {
  readonly live: number;
  readonly answers: number;
  /** Over the baseline of a node with no process, in bytes. */
  readonly rssBytes: number;
  readonly heapBytes: number;
  /** Resident bytes of one bare core instance. */
  readonly floorBytes: number;
  readonly gcPauseMaxMs: number;
  readonly startedInMs: number;
}

const [kind, wanted] = process.argv.slice(2);
const native = kind !== 'ts';
const component = await (native ? echoGuest() : guest('echo.ts'));
await using population = await Population.of(component);
await settle();
const before = process.memoryUsage();

let gcPauseMaxMs = 0;
const pauses = new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) gcPauseMaxMs = Math.max(gcPauseMaxMs, duration);
});
pauses.observe({ entryTypes: ['gc'] });
const start = performance.now();
await population.growTo(Number(wanted));
const startedInMs = performance.now() - start;
const answers = await population.askAll();
// Until here: the collections that `settle` forces are no pauses of the node.
await new Promise((resolve) => setImmediate(resolve));
pauses.disconnect();
await settle();
const after = process.memoryUsage();

const spawnBare = await bareSpawn();
const bare = Math.max(10, Math.floor(Number(wanted) / 10));
const bareBefore = process.memoryUsage().rss;
for (let made = 0; made < bare; made++) spawnBare();
const floorBytes = Math.max(0, (process.memoryUsage().rss - bareBefore) / bare);

const density: Density = {
  live: population.live,
  answers,
  rssBytes: after.rss - before.rss,
  heapBytes: after.heapUsed - before.heapUsed,
  floorBytes,
  gcPauseMaxMs,
  startedInMs,
};
process.stdout.write(JSON.stringify(density));
process.exit(0);
