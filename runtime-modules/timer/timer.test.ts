import * as fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Bench, TestClock, TestPort, type Reply } from '../shared/testing.ts';
import { RUNG } from '../../wit/timer-api.ts';
import { DELAY_MS_MAX, timer, type TimerWork } from './index.ts';

let clock: TestClock;
let port: TestPort;
let bench: Bench<TimerWork>;
beforeEach(() => {
  clock = new TestClock();
  port = new TestPort('timer');
  bench = new Bench(timer({ perProcessMax: 3, max: 5 })({ clock, port }), port);
});
afterEach(() => bench.module[Symbol.asyncDispose]());

function set(
  ms: number | string,
  from = 'p:k:q',
  metadata?: string,
): { replies: Reply[]; done: Promise<void> } {
  const replies: Reply[] = [];
  const asked = {
    from,
    body: `{"SetTimer":${ms}}`,
    expectsResponse: false,
    ...(metadata && { metadata }),
  };
  const done = (async () => {
    const reply = await bench.ask(asked);
    if (reply !== undefined) replies.push(reply);
  })();
  return { replies, done };
}

test('M109 an empty response after the delay, also when none was expected, no metadata, no blob', async () => {
  const { replies } = set(200, 'p:k:q', 'x');
  await clock.advance(198);
  expect(replies).toEqual([]);
  await clock.advance(1);
  expect(replies).toEqual([
    { to: { node: 'alice.os', process: 'p:k:q' }, body: '', blob: undefined, metadata: undefined },
  ]);
});

test('a timer is rung by the process that set it, by its metadata, once', async () => {
  const mine = set(60_000, 'p:k:q', 'one');
  const other = set(60_000, 'p:k:q', 'two');
  const theirs = set(60_000, 'x:k:q', 'one');
  await clock.advance(0);
  const ring = (from: string, label: string): Promise<unknown> =>
    bench.ask({ from, body: JSON.stringify({ Ring: label }), expectsResponse: true });
  expect(await ring('p:k:q', 'one')).toBeUndefined();
  await mine.done;
  expect(mine.replies.map(({ body }) => body)).toEqual([JSON.parse(RUNG)]);
  expect([other.replies, theirs.replies]).toEqual([[], []]);
  // What is over, or never was, is not rung.
  await ring('p:k:q', 'one');
  await ring('p:k:q', 'three');
  await clock.advance(60_000);
  expect(mine.replies).toHaveLength(1);
  expect(other.replies.map(({ body }) => body)).toEqual(['']);
  expect(theirs.replies.map(({ body }) => body)).toEqual(['']);
});

test('M110 a delay of 0 is answered at once', async () => {
  const { replies, done } = set(0);
  await done;
  expect(replies).toHaveLength(1);
  expect(clock.pending).toBe(0);
});

test('M111 a delay of n ms fires at least 1 ms before n, for every n', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 100_000 }), async (ms) => {
      const { replies } = set(ms);
      await clock.advance(ms - 1);
      expect(replies).toHaveLength(1);
    }),
    { numRuns: 200 },
  );
});

test('M112 timers of one process wait side by side and equal delays both return', async () => {
  const long = set(500);
  const first = set(100);
  const second = set(100);
  await clock.advance(100);
  expect([long, first, second].map(({ replies }) => replies.length)).toEqual([0, 1, 1]);
});

test('M113 the module is public', () => {
  expect(bench.module.public).toBe(true);
});

test('M114 Debug prints one line per timer at level 0 and is not answered', async () => {
  set(50);
  set(20);
  await clock.advance(0);
  expect(await bench.ask({ from: 'p:k:q', body: '"Debug"' })).toBeUndefined();
  expect(port.prints.filter(({ verbosity }) => verbosity === 0).map(({ text }) => text)).toEqual([
    'timer service active timers (2):',
    'in 19ms',
    'in 49ms',
  ]);
});

test('M115 a malformed body is printed at level 1 and not answered', async () => {
  for (const body of [
    '{',
    '{"SetTimer":-1}',
    '{"SetTimer":1.0}',
    '"SetTimer"',
    '[]',
    'x'.repeat(5000),
  ])
    expect(await bench.ask({ from: 'p:k:q', body })).toBeUndefined();
  expect(port.prints.map(({ verbosity }) => verbosity)).toEqual([1, 1, 1, 1, 1, 1]);
});

test('M6 a request from another node is ignored without a print', async () => {
  expect(await bench.ask({ from: 'bob.os@p:k:q', body: '{"SetTimer":0}' })).toBeUndefined();
  expect(port.prints).toEqual([]);
});

test('M116 delays above 2^31 ms do not fire early, and 2^64-1 is clamped', async () => {
  const month = set(2 ** 31 + 5);
  const forever = set('18446744073709551615');
  await clock.advance(2 ** 31 + 3);
  expect(month.replies).toHaveLength(0);
  await clock.advance(1);
  expect(month.replies).toHaveLength(1);
  expect(forever.replies).toHaveLength(0);
  expect(Number.isSafeInteger(DELAY_MS_MAX)).toBe(true);
});

test('M117 killing the requester ends its timers quietly', async () => {
  const { replies, done } = set(100);
  await clock.advance(1);
  bench.abort();
  await done;
  expect([replies.length, clock.pending]).toEqual([0, 0]);
});

test('M117 closing the module ends what is pending', async () => {
  const { replies, done } = set(100);
  await clock.advance(1);
  await bench.module[Symbol.asyncDispose]();
  await done;
  expect([replies.length, clock.pending]).toEqual([0, 0]);
});

test('M112 a process over its quota is refused with a print, others are served, and room comes back', async () => {
  const mine = [set(10), set(10), set(10), set(10)];
  const theirs = set(10, 'other:k:q');
  await clock.advance(0);
  expect(port.prints.filter(({ verbosity }) => verbosity === 0).map(({ text }) => text)).toEqual([
    'timer: refused one for p:k:q: 3 of this process are pending',
  ]);
  await clock.advance(10);
  expect(mine.map(({ replies }) => replies.length)).toEqual([1, 1, 1, 0]);
  expect(theirs.replies).toHaveLength(1);
  const again = set(1);
  await again.done;
  expect(again.replies).toHaveLength(1);
});

test('M112 the quota of all processes together', async () => {
  for (const process of ['a:k:q', 'b:k:q', 'c:k:q', 'd:k:q', 'e:k:q']) set(10, process);
  const sixth = set(10, 'f:k:q');
  await sixth.done;
  expect(sixth.replies).toEqual([]);
  expect(port.prints.at(-1)?.text).toBe('timer: refused one for f:k:q: 5 are pending');
});

test('M117 thousands of timers of one process end together, without a warning of the host', async () => {
  bench = new Bench(timer({ perProcessMax: 5000 })({ clock, port }), port);
  const warnings: string[] = [];
  const onWarning = (warning: Error): void => void warnings.push(warning.name);
  process.on('warning', onWarning);
  const all = Array.from({ length: 3000 }, () => set(60_000));
  await clock.advance(10);
  expect(clock.pending).toBe(3000);
  bench.abort();
  await Promise.all(all.map(({ done }) => done));
  await new Promise(setImmediate);
  process.off('warning', onWarning);
  expect([clock.pending, warnings]).toEqual([0, []]);
});
