/**
 * Sessions that are paid by vouchers (compute-market.md §12.4, findings F42): the client signs ever larger totals, and the provider stops
 * when what it has served and has no signature for grows too large. Amounts in millionths of HYPER.
 */

/** What a provider serves without a signature. */
export const MAX_DEBT = 50_000n;
/** A voucher is asked for when the total has grown by this much, or after this time. */
export const VOUCHER_STEP = 10_000n;
export const VOUCHER_MS = 30_000;

/** One session, as the provider keeps it. */
export interface SessionDebt {
  /** What was served so far. */
  readonly served: bigint;
  readonly tokensIn: bigint;
  readonly tokensOut: bigint;
  /** Of the last voucher that was accepted. */
  readonly signed: bigint;
  /** When one was last asked for or given, in milliseconds. */
  readonly askedAt: number;
}

/** What was served and has no signature; below zero: the client signed ahead. */
export const debtOf = ({ served, signed }: SessionDebt): bigint => served - signed;

/** Whether a request that may cost `most` is served before another voucher comes. `held`: of requests under way. */
export function mayServe(
  session: SessionDebt,
  {
    most,
    held = 0n,
    price,
  }: { readonly most: bigint; readonly held?: bigint; readonly price: bigint },
  maxDebt = MAX_DEBT,
): boolean {
  // Beyond the price no voucher is worth anything.
  return debtOf(session) + held + most <= maxDebt && session.served + held + most <= price;
}

/** Whether it is time to ask for a voucher. */
export function wantsVoucher(session: SessionDebt, nowMs: number): boolean {
  const debt = debtOf(session);
  return debt >= VOUCHER_STEP || (debt > 0n && nowMs - session.askedAt >= VOUCHER_MS);
}

/** Why a voucher is not accepted; undefined if it is. Its signature was looked at before. */
export function voucherRefusal(
  session: Pick<SessionDebt, 'signed'>,
  voucher: { readonly cumulative: bigint },
  price: bigint,
): 'lower' | 'beyond' | undefined {
  if (voucher.cumulative > price) return 'beyond';
  return voucher.cumulative < session.signed ? 'lower' : undefined;
}
