import { describe, expect, it } from 'vitest';
import { MAX_DEBT, mayServe, voucherRefusal, wantsVoucher, type SessionDebt } from './debt.ts';
import { meter, type Evidence } from './metering.ts';

const evidence: Evidence = {
  usage: undefined,
  recount: undefined,
  guess: { input: 5, output: 7 },
  maxTokens: undefined,
  cut: false,
};

describe('CM41 what is billed', () => {
  it('CM41 the backend counts, else a tokenizer, else the pieces, and that is said', () => {
    expect(meter(evidence)).toEqual({ input: 5, output: 7, estimated: true, corrected: false });
    const recount = { input: 4, output: 9 };
    expect(meter({ ...evidence, recount })).toMatchObject({
      input: 4,
      output: 9,
      estimated: false,
    });
    const usage = { input: 12, output: 87 };
    expect(meter({ ...evidence, usage })).toMatchObject({
      input: 12,
      output: 87,
      estimated: false,
    });
  });

  it('CM41 a backend that claims ten times as much is billed by the recount', () => {
    const recount = { input: 100, output: 100 };
    const lied = meter({ ...evidence, usage: { input: 100, output: 1_000 }, recount });
    expect(lied).toEqual({ input: 100, output: 100, estimated: false, corrected: true });
    // Two parts in a hundred and eight tokens are no lie; the smaller of two counts is billed.
    expect(meter({ ...evidence, usage: { input: 108, output: 100 }, recount }).input).toBe(108);
    expect(meter({ ...evidence, usage: { input: 109, output: 100 }, recount }).input).toBe(100);
    expect(meter({ ...evidence, usage: { input: 10, output: 100 }, recount }).input).toBe(10);
  });

  it('CM40 CM41 never more than the client allowed, nor than it got', () => {
    const usage = { input: 1, output: 90 };
    expect(meter({ ...evidence, usage, maxTokens: 50 }).output).toBe(50);
    expect(meter({ ...evidence, usage, cut: true }).output).toBe(7);
  });
});

describe('CM43 debt of voucher sessions', () => {
  const session: SessionDebt = { served: 0n, tokensIn: 0n, tokensOut: 0n, signed: 0n, askedAt: 0 };
  it('CM43 serving stops above what may be owed', () => {
    const price = 1_000_000n;
    const served = { ...session, served: 40_000n };
    expect(mayServe(served, { most: 10_000n, price })).toBe(true);
    expect(mayServe(served, { most: 10_001n, price })).toBe(false);
    expect(mayServe(served, { most: 5_001n, held: 5_000n, price })).toBe(false);
    const signed = { ...session, served: 90_000n, signed: 90_000n };
    expect(mayServe(signed, { most: MAX_DEBT, price })).toBe(true);
    // Signed ahead: as much more. Beyond the price nothing.
    expect(mayServe({ ...signed, signed: 190_000n }, { most: 150_000n, price })).toBe(true);
    expect(mayServe(signed, { most: 11n, price: 90_010n })).toBe(false);
  });

  it('CM43 a voucher is asked for by amount or by time, and none is accepted that goes back or beyond the price', () => {
    expect(wantsVoucher({ ...session, served: 10_000n }, 0)).toBe(true);
    expect(wantsVoucher({ ...session, served: 9_999n }, 29_999)).toBe(false);
    expect(wantsVoucher({ ...session, served: 1n }, 30_000)).toBe(true);
    expect(wantsVoucher(session, 1e9)).toBe(false);
    const voucher = { cumulative: 100n };
    expect(voucherRefusal({ ...session, signed: 100n }, voucher, 100n)).toBeUndefined();
    expect(voucherRefusal({ ...session, signed: 101n }, voucher, 200n)).toBe('lower');
    expect(voucherRefusal(session, voucher, 99n)).toBe('beyond');
  });
});
