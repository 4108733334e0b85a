/** Chat over a network in memory whose nodes are killed and cut off, the same every time for a seed: nothing shown as delivered is lost or doubled. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { seededRandom } from '../../runtime-modules/net/memory.ts';
import { ChatNetwork } from '../support/chat-network.ts';

const SEED = Number(process.env['NET_SEED'] ?? 20_260_102);
const STORM = { kills: 0.15, cuts: 0.2, posts: 2, asks: 4 };
const CALM = { kills: 0, cuts: 0, posts: 0 };
const STORM_S = 120;
/** The longest wait between two attempts, and the attempts. */
const CALM_S = 420;
const TEST_MS_MAX = 120_000;

beforeEach(() => {
  vi.spyOn(Math, 'random').mockImplementation(seededRandom(SEED));
});
afterEach(() => {
  vi.restoreAllMocks();
});

test(
  'F28 while nodes are killed and cut off, what is shown as delivered is in the other store, once; afterwards everything is',
  async () => {
    const problem = `NET_SEED=${SEED}`;
    await using network = await ChatNetwork.start(SEED, 5);
    let waited = 0;
    await network.pass(STORM_S, STORM, () => {
      expect(network.broken(), problem).toEqual([]);
      waited = Math.max(waited, network.undelivered().length);
    });
    // It was a storm: nodes fell, links were cut, messages had to wait.
    expect(network.kills, problem).toBeGreaterThan(5);
    expect(network.cuts, problem).toBeGreaterThan(5);
    expect(waited, problem).toBeGreaterThan(5);
    // Others asked each other meanwhile, with and without success; each request ended once, or `broken` would have said so.
    expect(network.requests.answered, problem).toBeGreaterThan(100);
    expect(network.requests.failed, problem).toBeGreaterThan(5);
    await network.mend();
    await network.pass(CALM_S, CALM);
    expect(network.undelivered(), problem).toEqual([]);
    expect(network.broken(), problem).toEqual([]);
    // What is shown after a restart is what is stored.
    await network.restartAll();
    let shown = 0;
    for (const [from, to] of network.pairs()) {
      const theirs = (await network.shown(to, from)).filter(
        ({ delivery }) => delivery === 'Received',
      );
      const ours = (await network.shown(from, to)).filter(
        ({ delivery }) => delivery === 'Delivered',
      );
      expect(theirs.map(({ content }) => content)).toEqual(ours.map(({ content }) => content));
      shown += ours.length;
    }
    expect(shown, problem).toBeGreaterThan(100);
  },
  TEST_MS_MAX,
);
