import fc from 'fast-check';
import { expect, test } from 'vitest';
import { TIMEOUT_S_MAX, TIMER_TICK_MS } from './limits.ts';
import { FakeClock } from './testing.ts';
import { TimerWheel, type TimerEntry } from './timer-wheel.ts';

class Probe implements TimerEntry {
  nextDue: TimerEntry | undefined = undefined;
  previousDue: TimerEntry | undefined = undefined;
  readonly #fired: (probe: Probe) => void;
  constructor(fired: (probe: Probe) => void) {
    this.#fired = fired;
  }
  expire(): void {
    this.#fired(this);
  }
}

test('K11 an expiry is never early and at most one tick late', async () => {
  const clock = new FakeClock();
  const wheel = new TimerWheel(clock);
  await clock.advance(3.7);
  let firedAtMs = -1;
  wheel.arm(new Probe(() => (firedAtMs = clock.nowMs())), 5);
  await clock.advance(10_000);
  expect(firedAtMs).toBeGreaterThanOrEqual(5_003.7);
  expect(firedAtMs).toBeLessThanOrEqual(5_003.7 + TIMER_TICK_MS);
});

test('K16 0 seconds expires in the next turn, not in this one', async () => {
  const clock = new FakeClock();
  const wheel = new TimerWheel(clock);
  let fired = false;
  wheel.arm(new Probe(() => (fired = true)), 0);
  expect(fired).toBe(false);
  await clock.advance(0);
  expect(fired).toBe(true);
});

test('K16 what a 0-second expiry arms again does not starve the turn', async () => {
  const clock = new FakeClock();
  const wheel = new TimerWheel(clock);
  let fired = 0;
  const probe: Probe = new Probe(() => {
    if (++fired < 3) wheel.arm(probe, 0);
  });
  wheel.arm(probe, 0);
  await clock.advance(0);
  expect(fired).toBe(3);
});

test('K11 seconds up to the largest u64 are taken; those over 31 years never fire', async () => {
  const clock = new FakeClock();
  const wheel = new TimerWheel(clock);
  let fired = 0;
  wheel.arm(new Probe(() => fired++), 2n ** 64n - 1n);
  wheel.arm(new Probe(() => fired++), TIMEOUT_S_MAX + 1);
  wheel.arm(new Probe(() => fired++), 100_000);
  await clock.advance(100_001_000);
  expect(fired).toBe(1);
});

test('K10 any interleaving of arming, disarming and time fires exactly what is due, in order', async () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('arm' as const), seconds: fc.integer({ min: 1, max: 20 }) }),
    fc.record({ kind: fc.constant('disarm' as const), index: fc.nat(30) }),
    fc.record({ kind: fc.constant('advance' as const), ms: fc.nat(4_000) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const clock = new FakeClock();
      const wheel = new TimerWheel(clock);
      const due = new Map<Probe, number>();
      const all: Probe[] = [];
      for (const each of steps) {
        if (each.kind === 'arm') {
          const probe = new Probe((self) => {
            const atMs = due.get(self) ?? NaN;
            expect(clock.nowMs()).toBeGreaterThanOrEqual(atMs);
            expect(clock.nowMs()).toBeLessThanOrEqual(atMs + TIMER_TICK_MS);
            due.delete(self);
          });
          wheel.arm(probe, each.seconds);
          due.set(probe, clock.nowMs() + each.seconds * 1000);
          all.push(probe);
        } else if (each.kind === 'disarm') {
          const probe = all[each.index];
          if (probe === undefined) continue;
          wheel.disarm(probe);
          due.delete(probe);
        } else {
          await clock.advance(each.ms);
          for (const atMs of due.values())
            expect(atMs + TIMER_TICK_MS).toBeGreaterThan(clock.nowMs());
        }
      }
    }),
    { numRuns: 30 },
  );
});

test('K10 a closed wheel fires nothing', async () => {
  const clock = new FakeClock();
  const wheel = new TimerWheel(clock);
  let fired = false;
  wheel.arm(new Probe(() => (fired = true)), 1);
  wheel.close();
  await clock.advance(5_000);
  expect(fired).toBe(false);
});
