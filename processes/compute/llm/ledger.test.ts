import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DEPOSITS, Ledger, type Entry } from './ledger.ts';

const sumOf = (entries: readonly Entry[]): bigint =>
  entries.reduce((sum, { credit, debit }) => sum + credit - debit, 0n);

describe('CM42 the prepaid ledger', () => {
  it('CM42 of 100 requests at once on a balance for ten, ten pass', () => {
    const ledger = new Ledger();
    ledger.topUp('alice', 1_000n, 'tx');
    const passed = Array.from({ length: 100 }, (_, n) => ledger.reserve('alice', 100n, `r${n}`));
    expect(passed.filter((entries) => entries !== undefined)).toHaveLength(10);
    expect(ledger.available('alice')).toBe(0n);
    expect(sumOf(ledger.capture('r0', 30n))).toBe(0n);
    expect([ledger.available('alice'), ledger.earned]).toEqual([70n, 30n]);
    // Ended is ended, and nothing costs more than was kept for it.
    expect(ledger.capture('r0', 30n)).toEqual([]);
    ledger.capture('r1', 1_000n);
    expect(ledger.earned).toBe(130n);
  });

  it('CM42 debits equal credits at all times, no balance is below zero', () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant('top-up' as const), amount: fc.bigInt(0n, 500n) }),
      fc.record({ do: fc.constant('reserve' as const), amount: fc.bigInt(0n, 300n) }),
      fc.record({ do: fc.constant('capture' as const), amount: fc.bigInt(0n, 400n) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const ledger = new Ledger();
        const written: Entry[] = [];
        for (const [at, { do: kind, amount }] of steps.entries()) {
          const owner = at % 3 === 0 ? 'alice' : 'bob';
          const entries =
            kind === 'top-up'
              ? ledger.topUp(owner, amount, `t${at}`)
              : kind === 'reserve'
                ? ledger.reserve(owner, amount, `r${at}`)
                : ledger.capture(ledger.open[0]?.ref ?? 'none', amount);
          written.push(...(entries ?? []));
          expect(sumOf(entries ?? [])).toBe(0n);
          for (const who of ['alice', 'bob']) expect(ledger.available(who) >= 0n).toBe(true);
        }
        expect(sumOf(written)).toBe(0n);
      }),
    );
  });

  it('a record that does not add up is refused', () => {
    expect(() => Ledger.restore([[DEPOSITS, -5n]], [])).toThrow('out of balance by -5');
  });
});
