import { expect, test } from 'vitest';
import { Live, type LiveEvents, type MarketEvent, RETRY_MS_MIN } from './live.ts';

interface Ends {
  readonly opened: () => void;
  readonly received: (data: unknown) => void;
  readonly closed: () => void;
}

/** A page before a market that the test plays. */
class Bench {
  readonly sent: Record<string, unknown>[] = [];
  readonly heard: MarketEvent[] = [];
  readonly waits: { readonly ms: number; readonly work: () => void }[] = [];
  missed = 0;
  connected = false;
  ends!: Ends;
  sockets = 0;
  readonly live = new Live({
    connect: (ends) => {
      this.ends = ends;
      this.sockets += 1;
      return {
        send: (text) => void this.sent.push(JSON.parse(text) as Record<string, unknown>),
        close: () => ends.closed(),
      };
    },
    token: () => Promise.resolve('a token'),
    after: (ms, work) => {
      this.waits.push({ ms, work });
      return () => undefined;
    },
  });

  constructor() {
    const events: LiveEvents = {
      heard: (event) => void this.heard.push(event),
      missed: () => (this.missed += 1),
      connected: (yes) => (this.connected = yes),
    };
    this.live.start(events);
  }

  async open(): Promise<void> {
    this.ends.opened();
    await Promise.resolve();
    await Promise.resolve();
  }

  say(event: object): void {
    this.ends.received(JSON.stringify(event));
  }
}

test('CM47 it subscribes with a token, and after a break asks for what it missed', async () => {
  const bench = new Bench();
  await bench.open();
  expect(bench.sent).toEqual([{ op: 'subscribe', topics: ['jobs', 'network'], token: 'a token' }]);
  bench.say({ event: 'subscribed', seq: 5, data: {} });
  expect(bench.connected).toBe(true);
  bench.say({ event: 'job_progress', seq: 7, data: { jobId: '0x1', ppm: 1 } });
  bench.live.follow('job:0x1');
  await Promise.resolve();
  await Promise.resolve();
  bench.ends.closed();
  expect(bench.connected).toBe(false);
  expect(bench.waits.map(({ ms }) => ms)).toEqual([RETRY_MS_MIN]);
  bench.waits[0]?.work();
  await bench.open();
  expect(bench.sent.at(-1)).toEqual({
    op: 'subscribe',
    topics: ['jobs', 'network', 'job:0x1'],
    token: 'a token',
    since: 7,
  });
  bench.say({ event: 'gap', from: 8, to: 9 });
  expect([bench.missed, bench.heard.length]).toEqual([1, 1]);
});

test('what is no event of a market is not believed, and a refused subscription is tried again later', async () => {
  const bench = new Bench();
  await bench.open();
  for (const bad of [undefined, 7, 'no JSON', 'null', '{"event":1}', '[]'])
    bench.ends.received(bad);
  expect(bench.heard).toEqual([]);
  bench.say({ event: 'error', data: { code: 'UNAUTHORIZED' } });
  expect(bench.waits).toHaveLength(1);
  bench.live.hurry();
  expect(bench.sockets).toBe(2);
});
