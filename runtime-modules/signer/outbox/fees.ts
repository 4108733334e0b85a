/** What a transaction offers for its gas (EIP-1559), in wei. */

export interface Fees {
  readonly maxFeePerGas: bigint;
  readonly maxPriorityFeePerGas: bigint;
}

/** What gas costs now: the block's own share and what its maker wants on top. */
export interface GasPrice {
  readonly base: bigint;
  readonly tip: bigint;
}

/** How often what is needed now an asker who named no limit may pay. */
const LIMIT_TIMES = 4n;

/** Enough for the next blocks: the base fee at most doubles in six. */
export function neededFee({ base, tip }: GasPrice): bigint {
  return 2n * base + tip;
}

/** The most that is ever offered, where the asker named no limit. */
export function defaultLimit(price: GasPrice): bigint {
  return LIMIT_TIMES * neededFee(price);
}

/** The first offer; undefined: the limit does not pay for the next block. */
export function firstFees(price: GasPrice, limit: bigint): Fees | undefined {
  if (limit < price.base + price.tip) return undefined;
  const needed = neededFee(price);
  return { maxFeePerGas: needed < limit ? needed : limit, maxPriorityFeePerGas: price.tip };
}

/** An offer that replaces another: an eighth more of both, as nodes ask a tenth. Undefined: the limit has no room for it. */
export function higherFees(before: Fees, price: GasPrice, limit: bigint): Fees | undefined {
  const tip = highest(raised(before.maxPriorityFeePerGas), price.tip);
  const most = highest(raised(before.maxFeePerGas), 2n * price.base + tip);
  if (most <= limit) return { maxFeePerGas: most, maxPriorityFeePerGas: tip };
  if (limit < raised(before.maxFeePerGas) || tip > limit) return undefined;
  return { maxFeePerGas: limit, maxPriorityFeePerGas: tip };
}

function raised(fee: bigint): bigint {
  return fee + fee / 8n + 1n;
}

function highest(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
