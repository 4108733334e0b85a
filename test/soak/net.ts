/**
 * A long soak of the network (issue of networking, "Done means"): ten nodes that chat and ask each other in memory while they are killed and cut off, ten minutes of
 * this machine's time by default, one storm of simulated minutes after another, each with a seed of its own. Holds F28 throughout, and a heap
 * that does not grow. `node --expose-gc test/soak/net.ts [minutes] [first seed] [nodes]`; ends with 1 and the seed when something is broken.
 */
import { seededRandom } from '../../runtime-modules/net/memory.ts';
import { settle } from '../bench/child.ts';
import { ChatNetwork } from '../support/chat-network.ts';

const MINUTES = 10;
const NODES = 10;
const STORM_S = 300;
/** Longer than the longest wait between two attempts. */
const CALM_S = 420;
const STORM = { kills: 0.2, cuts: 0.3, posts: 5, asks: 20 };
const CALM = { kills: 0, cuts: 0, posts: 0, asks: 1 };
/** More memory than after the first storms is a leak, in MiB. */
const GROWTH_MIB_MAX = 10;
const WARM_STORMS = 3;

interface Storm {
  readonly line: string;
  readonly wrong: readonly string[];
}

async function storm(seed: number, nodes: number): Promise<Storm> {
  Math.random = seededRandom(seed);
  await using network = await ChatNetwork.start(seed, nodes);
  const wrong: string[] = [];
  await network.pass(STORM_S, STORM, () => void wrong.push(...network.broken()));
  const waiting = network.undelivered().length;
  await network.mend();
  await network.pass(CALM_S, CALM);
  await network.restartAll();
  wrong.push(...network.broken(), ...network.undelivered());
  const { posted, kills, cuts, requests } = network;
  const asked = `${requests.answered} requests answered, ${requests.failed} failed`;
  const line = `${posted} posted, ${asked}, ${kills} kills, ${cuts} cuts, ${waiting} waited at the end`;
  return { line, wrong };
}

async function heapMib(): Promise<number> {
  await settle();
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / 2 ** 20;
}

async function main(): Promise<number> {
  const [minutes = MINUTES, firstSeed = 1, nodes = NODES] = process.argv.slice(2).map(Number);
  const endMs = Date.now() + minutes * 60_000;
  let baseMib: number | undefined;
  for (let seed = firstSeed; Date.now() < endMs; seed++) {
    const { line, wrong } = await storm(seed, nodes);
    const mib = await heapMib();
    process.stdout.write(`seed ${seed}: ${line}; heap ${mib.toFixed(1)} MiB\n`);
    if (seed === firstSeed + WARM_STORMS) baseMib = mib;
    const grown = baseMib !== undefined && mib > baseMib + GROWTH_MIB_MAX;
    // Without `--expose-gc` what is garbage is not known.
    const faults = grown && globalThis.gc !== undefined ? [...wrong, 'the heap grows'] : wrong;
    if (faults.length > 0) {
      process.stdout.write(`seed ${seed} is broken:\n${[...new Set(faults)].join('\n')}\n`);
      return 1;
    }
  }
  const grownMib = (await heapMib()) - (baseMib ?? 0);
  if (baseMib !== undefined)
    process.stdout.write(`nothing broken; grown by ${grownMib.toFixed(1)} MiB\n`);
  return 0;
}

process.exitCode = await main();
