import { describe, expect, it } from 'vitest';
import { Balancer } from './balancer.ts';

/** Draws in turn. */
const drawing = (...draws: readonly number[]): (() => number) => {
  let at = 0;
  return () => draws[at++ % draws.length]!;
};

const fail = (balancer: Balancer, times: number, nowMs: number): void => {
  for (let n = 0; n < times; n += 1) balancer.pick(nowMs, undefined)!.done('failed', nowMs);
};

describe('CM44 backends', () => {
  it('CM44 three failures in a row close a backend; one request finds out whether it is back', () => {
    const balancer = new Balancer(drawing(0));
    balancer.set([{ id: 'a', weight: 1 }]);
    fail(balancer, 2, 0);
    balancer.pick(0, undefined)!.done('ok', 0);
    fail(balancer, 3, 0);
    expect(balancer.pick(14_999, undefined)).toBeUndefined();
    expect(balancer.nextTryMs(14_999)).toBe(15_000);
    const trial = balancer.pick(15_000, undefined)!;
    expect(balancer.pick(15_000, undefined)).toBeUndefined();
    trial.done('failed', 15_000);
    // Twice as long now.
    expect(balancer.pick(44_999, undefined)).toBeUndefined();
    balancer.pick(45_000, undefined)!.done('ok', 45_000);
    expect(balancer.pick(45_000, undefined)).toBeDefined();
    fail(balancer, 3, 50_000);
    expect(balancer.nextTryMs(50_000)).toBe(65_000);
  });

  it('CM44 the time doubles up to five minutes', () => {
    const balancer = new Balancer(drawing(0));
    balancer.set([{ id: 'a', weight: 1 }]);
    fail(balancer, 3, 0);
    let now = 0;
    const waits: number[] = [];
    for (let n = 0; n < 7; n += 1) {
      const next = balancer.nextTryMs(now)!;
      waits.push((next - now) / 1_000);
      now = next;
      balancer.pick(now, undefined)!.done('failed', now);
    }
    expect(waits).toEqual([15, 30, 60, 120, 240, 300, 300]);
  });

  it('CM44 an answer that takes half a minute to begin is a failure, a client that leaves is none', () => {
    const balancer = new Balancer(drawing(0));
    balancer.set([{ id: 'a', weight: 1 }]);
    for (let n = 0; n < 5; n += 1) balancer.pick(0, undefined)!.done('left', 0);
    for (let n = 0; n < 3; n += 1) {
      const ticket = balancer.pick(0, undefined)!;
      ticket.begun(30_001);
      ticket.done('ok', 30_002);
    }
    expect(balancer.pick(30_002, undefined)).toBeUndefined();
  });

  it('of two drawn the lesser loaded is taken, by weight; of equals the quicker', () => {
    const balancer = new Balancer(drawing(0, 0.99));
    balancer.set([
      { id: 'a', weight: 1 },
      { id: 'b', weight: 2 },
    ]);
    expect(balancer.pick(0, undefined)!.backend.id).toBe('b');
    // One each: 2/1 against 2/2.
    expect(balancer.pick(0, undefined)!.backend.id).toBe('a');
    const even = new Balancer(drawing(0, 0.99));
    even.set([
      { id: 'a', weight: 1 },
      { id: 'b', weight: 1 },
    ]);
    const slow = even.pick(0, undefined)!;
    slow.begun(5_000);
    slow.done('ok', 5_000);
    expect(even.pick(5_000, undefined)!.backend.id).toBe('b');
  });

  it('the same beginning goes to the same backend, until that is much busier than the others', () => {
    const balancer = new Balancer(drawing(0));
    balancer.set(['a', 'b', 'c', 'd'].map((id) => ({ id, weight: 1 })));
    const first = balancer.pick(0, 12_345)!;
    first.done('ok', 0);
    expect(balancer.pick(0, 12_345)!.backend).toBe(first.backend);
    const others = Array.from({ length: 8 }, () => balancer.pick(0, 12_345)!.backend.id);
    expect(new Set(others).size).toBeGreaterThan(1);
  });

  it('CM44 what is under way when the list changes still counts, and ends', () => {
    const balancer = new Balancer(drawing(0));
    balancer.set([{ id: 'a', weight: 1 }]);
    const tickets = [0, 1, 2].map(() => balancer.pick(0, undefined)!);
    balancer.set([{ id: 'a', weight: 2 }]);
    for (const ticket of tickets) ticket.done('failed', 0);
    expect(balancer.pick(0, undefined)).toBeUndefined();
  });

  it('what a request was tried on is not tried again; what leaves the list is gone', () => {
    const balancer = new Balancer(drawing(0));
    balancer.set([{ id: 'a', weight: 1 }]);
    expect(balancer.pick(0, undefined, new Set(['b']))).toBeUndefined();
    expect(balancer.nextTryMs(0, new Set(['b']))).toBeUndefined();
    balancer.set([]);
    expect(balancer.pick(0, undefined)).toBeUndefined();
    expect(balancer.nextTryMs(0)).toBeUndefined();
  });
});
