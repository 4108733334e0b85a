/**
 * The same promise over real sockets (findings F28): ten nodes of this machine, half of them over WebSocket, ask each other for minutes, with
 * blobs of up to a MiB, while one after another is ended in the middle of it and comes back. Every request ends once, by its deadline and a second, and memory
 * does not grow. `node --expose-gc test/soak/net-sockets.ts [minutes] [seed] [nodes]`; ends with 1 when something is broken.
 */
import { systemClock } from '../../kernel/clock.ts';
import { seededRandom } from '../../runtime-modules/net/memory.ts';
import { NetNode } from '../../runtime-modules/net/testing/nodes.ts';
import { settle } from '../bench/child.ts';
import { RequestLedger } from '../support/request-ledger.ts';

const MINUTES = 5;
const NODES = 10;
const ASKS_PER_S = 60;
const BLOB_BYTES_MAX = 1_048_576;
const KILL_EVERY_S = 3;
/** In every second, of one that is down. */
const BACK_CHANCE = 0.4;
const WARM_S = 60;
const LOOK_EVERY_S = 30;
const GROWTH_MIB_MAX = 16;

interface Place {
  readonly name: string;
  readonly kind: 'tcp' | 'ws';
  /** That it listens on, each time. */
  port: number | undefined;
  /** Undefined while it is down. */
  node: NetNode | undefined;
}

const [minutes = MINUTES, seed = 1, count = NODES] = process.argv.slice(2).map(Number);
const random = seededRandom(seed);
const ledger = new RequestLedger(systemClock);
const places: Place[] = [];

async function start(place: Place): Promise<void> {
  const { name, kind, port } = place;
  const node = await NetNode.start({
    name,
    listen: [kind],
    ...(port === undefined ? {} : { port }),
  });
  place.port = node.update.ports.get(kind);
  await ledger.join(node);
  for (const { node: other } of places) {
    other?.meet(node);
    if (other !== undefined) node.meet(other);
  }
  place.node = node;
}

/** In the middle of whatever it does. */
async function kill(place: Place): Promise<void> {
  const { node } = place;
  if (node === undefined) return;
  place.node = undefined;
  ledger.forget(node);
  await node[Symbol.asyncDispose]();
}

function any(): Place {
  return places[Math.floor(random() * places.length)]!;
}

function askOne(): void {
  const [from, to] = [any(), any()];
  const bytes = random() < 0.2 ? Math.floor(random() * BLOB_BYTES_MAX) : 40;
  if (from !== to && from.node !== undefined) ledger.ask(from.node, to.name, bytes);
}

async function memoryMib(): Promise<number> {
  await settle();
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / 2 ** 20;
}

async function main(): Promise<number> {
  for (let index = 0; index < count; index++) {
    const kind = index % 2 === 0 ? 'tcp' : 'ws';
    places.push({ name: `n${index}.os`, kind, port: undefined, node: undefined });
    await start(places[index]!);
  }
  let warmMib: number | undefined;
  let kills = 0;
  for (let second = 1; second <= minutes * 60; second++) {
    for (let each = 0; each < ASKS_PER_S; each++) {
      askOne();
      if (each === ASKS_PER_S / 2 && second % KILL_EVERY_S === 0) {
        kills++;
        await kill(any());
      }
      await new Promise((resolve) => setTimeout(resolve, 1_000 / ASKS_PER_S));
    }
    for (const place of places)
      if (place.node === undefined && random() < BACK_CHANCE) await start(place);
    const faults = ledger.broken();
    if (second % LOOK_EVERY_S === 0 || faults.length > 0) {
      const mib = await memoryMib();
      if (second >= WARM_S) warmMib ??= mib;
      const { answered, failed } = ledger;
      process.stdout.write(
        `${second} s: ${answered} answered, ${failed} failed, ${kills} kills; ${mib.toFixed(1)} MiB\n`,
      );
      if (mib > (warmMib ?? mib) + GROWTH_MIB_MAX) faults.push('memory grows');
    }
    if (faults.length === 0) continue;
    process.stdout.write(`seed ${seed} is broken:\n${[...new Set(faults)].join('\n')}\n`);
    return 1;
  }
  for (const place of places) await kill(place);
  process.stdout.write('nothing broken\n');
  return 0;
}

process.exitCode = await main();
