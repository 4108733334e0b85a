/** Child of spawn.ts: `node spawn-main.ts <native|ts> <live> <samples>`; prints `SpawnTimes`. */
import { echoGuest, guest } from './guests.ts';
import { bareSpawn } from './floor-instance.ts';
import { Population } from './population.ts';

export interface SpawnTimes {
  /** Milliseconds each. */
  readonly ours: readonly number[];
  readonly floor: readonly number[];
}

const WARM_UP = 20;

const [kind, live, samples] = process.argv.slice(2);
const component = await (kind === 'ts' ? guest('echo.ts') : echoGuest());
await using population = await Population.of(component);
await population.growTo(Number(live));
const floorOnce = await bareSpawn();
for (let warm = 0; warm < WARM_UP; warm++) {
  await population.spawnAndKill();
  floorOnce();
}
const times = { ours: [] as number[], floor: [] as number[] };
for (let sample = 0; sample < Number(samples); sample++) {
  times.ours.push(await population.spawnAndKill());
  times.floor.push(floorOnce());
}
process.stdout.write(JSON.stringify(times satisfies SpawnTimes));
// Ending thousands of guests in order is not what is measured.
process.exit(0);
