/** What the market keeps as its state: the operator's choices, and the secret of its tokens. */
import { t } from '../../lib/index.ts';
import { toHex } from '../../../contracts/hex.ts';
import { marketSettings } from '../shared/market-contract.ts';

export const marketState = t.record({
  /** 32 bytes as hex: who knows it is whoever it likes to be. */
  secret: t.text,
  free: t.union({ Owner: t.unit, Nodes: t.unit, Everybody: t.unit }),
});
export type MarketState = t.Decoded<typeof marketState>;

export type MarketSettings = t.Decoded<typeof marketSettings>;

export function firstState(): MarketState {
  return {
    secret: toHex(crypto.getRandomValues(new Uint8Array(32))).slice(2),
    free: { kind: 'Owner' },
  };
}
