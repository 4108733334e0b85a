import { describe, expect, test } from 'vitest';
import {
  FAILURES_FREE,
  FORGET_S,
  LoginAttempts,
  PEERS_MAX,
  STOCK_MAX,
  WAIT_S_MAX,
} from './login-attempts.ts';

class Watch {
  ms = 5;
  nowMs(): number {
    return this.ms;
  }
  pass(seconds: number): void {
    this.ms += seconds * 1_000;
  }
}

function setUp(): { watch: Watch; attempts: LoginAttempts; fail: (peer: string) => number } {
  const watch = new Watch();
  const attempts = new LoginAttempts(watch);
  /** 0 when the attempt was made, else the seconds to wait. */
  const fail = (peer: string): number => {
    const begun = attempts.begin(peer);
    return begun.ok ? 0 : begun.error;
  };
  return { watch, attempts, fail };
}

const peerNumber = (n: number): string => `10.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}`;

describe('attempts', () => {
  test('H9 some failures are free, then the wait doubles to its limit', () => {
    const { watch, fail } = setUp();
    for (let n = 0; n < FAILURES_FREE; n += 1) expect(fail('10.0.0.1')).toBe(0);
    for (const waitS of [1, 2, 4, 8, 16, 32, WAIT_S_MAX, WAIT_S_MAX]) {
      expect(fail('10.0.0.1')).toBe(waitS);
      watch.pass(waitS - 0.5);
      expect(fail('10.0.0.1')).toBe(1);
      watch.pass(0.5);
      expect(fail('10.0.0.1')).toBe(0);
    }
  });

  test('H9 who keeps asking while refused waits no longer for it', () => {
    const { watch, fail } = setUp();
    for (let n = 0; n < 10_000; n += 1) fail('10.0.0.1');
    watch.pass(1);
    expect(fail('10.0.0.1')).toBe(0);
  });

  test('H9 success clears the failures; time does too', () => {
    const { watch, attempts, fail } = setUp();
    for (let n = 1; n < FAILURES_FREE; n += 1) fail('10.0.0.1');
    const last = attempts.begin('10.0.0.1');
    if (last.ok) last.value.succeeded();
    expect(fail('10.0.0.1')).toBe(0);

    for (let n = 0; n < FAILURES_FREE; n += 1) fail('10.0.0.2');
    watch.pass(FORGET_S);
    for (let n = 0; n < FAILURES_FREE; n += 1) expect(fail('10.0.0.2')).toBe(0);
  });

  test('F33 attempts at once add up before any of them has ended', () => {
    const { attempts } = setUp();
    const begun = Array.from({ length: 100 }, () => attempts.begin('10.0.0.1'));
    expect(begun.filter((attempt) => attempt.ok)).toHaveLength(FAILURES_FREE);
  });

  test('F33 10,000 addresses get through at the pace of the stock, and none is shut out afterwards', () => {
    const { watch, fail } = setUp();
    let made = 0;
    for (let n = 0; n < 10_000; n += 1) if (fail(peerNumber(n)) === 0) made += 1;
    expect(made).toBe(STOCK_MAX);
    watch.pass(1);
    expect(fail('192.168.1.9')).toBe(0);
    expect(fail('192.168.1.10')).toBe(1);
  });

  test('F33 a crowd that keeps guessing does not keep newcomers or the owner out', () => {
    const { watch, attempts, fail } = setUp();
    const owner = attempts.begin('192.168.1.9');
    if (owner.ok) owner.value.succeeded();
    const crowd = Array.from({ length: 60 }, (_, n) => peerNumber(n));
    // Everybody in the crowd fails once; from then on they draw on the other stock.
    for (let s = 0; s < 60; s += 1) {
      for (const peer of crowd) fail(peer);
      watch.pass(1);
    }
    for (const peer of crowd) fail(peer);
    expect(fail(peerNumber(0))).toBeGreaterThan(0);
    expect(fail('192.168.1.9')).toBe(0);
    watch.pass(1);
    expect(fail('192.168.1.10')).toBe(0);
  });

  test('addresses that one visitor has many of count as one', () => {
    const { fail } = setUp();
    const spellings = [
      '2001:db8:1:2::1',
      '2001:db8:1:2:ffff::9',
      '2001:0db8:0001:0002::1%eth0',
      '2001:DB8:1:2:3:4:5:6',
      '2001:db8:1:2::',
    ];
    for (const address of spellings) expect(fail(address)).toBe(0);
    expect(fail('2001:db8:1:2::77')).toBe(1);
    expect(fail('2001:db8:1:3::1')).toBe(0);
    for (let n = 0; n < FAILURES_FREE; n += 1) fail(n % 2 === 0 ? '10.0.0.1' : '::ffff:10.0.0.1');
    expect(fail('10.0.0.1')).toBe(1);
    for (let n = 0; n < FAILURES_FREE; n += 1) fail(`nonsense ${n}`);
    expect(fail('other nonsense')).toBe(1);
  });

  test.each([
    [PEERS_MAX - 1, true],
    [PEERS_MAX, false],
  ])('after %d other addresses one that has logged in is still known: %s', (others, known) => {
    const { watch, attempts, fail } = setUp();
    const owner = attempts.begin('192.168.1.9');
    if (owner.ok) owner.value.succeeded();
    for (let n = 0; n < others; n += 1) {
      if (fail(peerNumber(n)) === 0) continue;
      watch.pass(1);
      expect(fail(peerNumber(n))).toBe(0);
    }
    // The stock is used up, and whoever is known needs none.
    expect(fail('192.168.1.9') === 0).toBe(known);
  });
});
