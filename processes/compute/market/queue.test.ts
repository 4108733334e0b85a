import { expect, it } from 'vitest';
import { compareEntries, effectivePriority, Queue, valueBonus } from './queue.ts';

const MINUTE = 60_000;

function entry(base: number, seq: number, enqueuedAt = 0, notBefore = 0) {
  return { jobId: `job${seq}`, queue: { base, enqueuedAt, notBefore, seq } };
}

it('CM37 larger effective priority first, first come first on ties', () => {
  const queue = new Queue<ReturnType<typeof entry>>();
  for (const one of [entry(30, 1), entry(90, 2), entry(10, 3), entry(30, 4), entry(60, 5)])
    queue.put(one);
  const order = [...queue.ready(0)].map(({ jobId }) => jobId);
  expect(order).toEqual(['job2', 'job5', 'job1', 'job4', 'job3']);
});

it('CM37 low overtakes fresh normal after ten minutes, and never urgent', () => {
  const low = { base: 10, enqueuedAt: 0, notBefore: 0, seq: 1 };
  const fresh = (base: number, at: number) => ({ base, enqueuedAt: at, notBefore: 0, seq: 2 });
  expect(compareEntries(low, fresh(30, 10 * MINUTE - 1), 10 * MINUTE - 1)).toBeGreaterThan(0);
  // Equal from here on, and it came first.
  expect(effectivePriority(10, 0, 10 * MINUTE)).toBe(30);
  expect(compareEntries(low, fresh(30, 10 * MINUTE), 10 * MINUTE)).toBeLessThan(0);
  expect(compareEntries(low, fresh(90, 1e9), 1e9)).toBeGreaterThan(0);
  expect(effectivePriority(10, 0, 1e9)).toBe(50);
});

it('CM37 only paying more than asked helps, up to eight', () => {
  expect(valueBonus(100n, 100n)).toBe(0);
  expect(valueBonus(199n, 100n)).toBe(0);
  expect(valueBonus(200n, 100n)).toBe(1);
  expect(valueBonus(400n, 100n)).toBe(2);
  expect(valueBonus(50n, 100n)).toBe(0);
  expect(valueBonus(10n ** 30n, 1n)).toBe(8);
  expect(valueBonus(0n, 100n)).toBe(0);
});

it('CM37 a job that comes back keeps its place, and waits for its time', () => {
  const queue = new Queue<ReturnType<typeof entry>>();
  queue.put(entry(30, 1));
  queue.put(entry(30, 2));
  queue.put(entry(30, 3));
  queue.remove('job1');
  queue.put(entry(30, 1, 0, 5_000));
  expect([...queue.ready(0)].map(({ jobId }) => jobId)).toEqual(['job2', 'job3']);
  expect([...queue.ready(5_000)].map(({ jobId }) => jobId)).toEqual(['job1', 'job2', 'job3']);
  queue.put(entry(30, 1));
  expect(queue.size).toBe(3);
  for (const jobId of ['job1', 'job2', 'job3']) queue.remove(jobId);
  expect([...queue.ready(0)]).toEqual([]);
  expect(queue.size).toBe(0);
});
