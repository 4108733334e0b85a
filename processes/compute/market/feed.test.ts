/** What a socket that does not keep up gets (compute-market.md §13). */
import { expect, it } from 'vitest';
import { Feed, KEPT_MAX, QUEUE_MAX, type FeedSocket } from './feed.ts';

interface Told {
  readonly event: string;
  readonly seq?: number;
  readonly from?: number;
  readonly to?: number;
}

/** A socket that takes what comes only while it is open. */
class SlowSocket implements FeedSocket {
  readonly told: Told[] = [];
  #gate = Promise.withResolvers<void>();

  async push(text: string): Promise<boolean> {
    this.told.push(JSON.parse(text) as Told);
    await this.#gate.promise;
    return true;
  }

  /** It takes all from now on. */
  async open(): Promise<void> {
    this.#gate.resolve();
    // Each event takes some turns of its own.
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const NOW = 1_000;
const FIRST = NOW * 1_000 + 1;

function followed(): { readonly feed: Feed; readonly socket: SlowSocket } {
  const feed = new Feed(() => NOW);
  const socket = new SlowSocket();
  feed.subscribe(socket, { topics: ['network'], owner: '', since: undefined });
  return { feed, socket };
}

it('CM18 CM47 a socket that takes nothing has a thousand events waiting, is told of the gap, and gets the latest', async () => {
  const { feed, socket } = followed();
  const count = QUEUE_MAX + 500;
  for (let at = 0; at < count; at += 1) feed.publish('network_stats_update', ['network'], { at });
  // Only one is on its way.
  expect(socket.told).toHaveLength(1);
  await socket.open();
  const [first, gap, ...rest] = socket.told;
  expect(first).toMatchObject({ seq: FIRST });
  expect(gap).toEqual({ event: 'gap', from: FIRST + 1, to: FIRST + count - QUEUE_MAX - 1 });
  expect(rest.map(({ seq }) => seq)).toEqual(
    Array.from({ length: QUEUE_MAX }, (_, at) => gap!.to! + 1 + at),
  );
});

it('CM47 a socket that keeps its thousand misses nothing', async () => {
  const { feed, socket } = followed();
  for (let at = 0; at <= QUEUE_MAX; at += 1) feed.publish('network_stats_update', ['network'], {});
  await socket.open();
  expect(socket.told.map(({ event }) => event)).not.toContain('gap');
  expect(socket.told).toHaveLength(QUEUE_MAX + 1);
});

it('CM47 who comes back for more than is kept is told what is gone, and gets the rest that a socket may have', async () => {
  const feed = new Feed(() => NOW);
  const count = 2 * KEPT_MAX;
  for (let at = 0; at < count; at += 1) feed.publish('network_stats_update', ['network'], { at });
  const socket = new SlowSocket();
  void socket.open();
  feed.subscribe(socket, { topics: ['network'], owner: '', since: FIRST });
  await socket.open();
  expect(socket.told.find(({ event }) => event === 'gap')).toMatchObject({ from: FIRST + 1 });
  const seqs = socket.told.flatMap(({ seq }) => (seq === undefined ? [] : [seq]));
  expect(seqs.at(-1)).toBe(FIRST + count - 1);
  // Nothing is left out that no gap tells of.
  let next = FIRST + 1;
  for (const { event, seq, from, to } of socket.told) {
    expect(event === 'gap' ? from : seq).toBe(next);
    next = (event === 'gap' ? to! : seq!) + 1;
  }
  expect(next).toBe(FIRST + count);
});
