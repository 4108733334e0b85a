/** What tokens cost (compute-market.md §5.3). Amounts in millionths of HYPER. */

/** Of a thousand tokens. */
export interface TokenPrice {
  readonly in: bigint;
  readonly out: bigint;
}

/** 0.001 HYPER for a thousand tokens that go in, 0.003 for those that come out. */
export const TOKEN_PRICE: TokenPrice = { in: 1_000n, out: 3_000n };

/** What a request to a model costs; rounded up, once. */
export function tokenCost(
  tokens: { readonly input: number; readonly output: number },
  price: TokenPrice = TOKEN_PRICE,
): bigint {
  return (BigInt(tokens.input) * price.in + BigInt(tokens.output) * price.out + 999n) / 1_000n;
}
