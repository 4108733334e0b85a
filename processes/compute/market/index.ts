/**
 * `market:compute:sys`: takes jobs, finds providers for them, and sees to it that each ends: done, failed, cancelled or refunded
 * (compute-market.md §2, §3). Its HTTP API is in `api.ts`, what processes ask of it in `handlers.ts`.
 */
import { defineProcess, stateOf } from '../../lib/index.ts';
import { showOnHomepage, svgIcon } from '../../lib/homepage.ts';
import { marketContract } from '../shared/market-contract.ts';
import { api } from './api.ts';
import { ICON } from './icon.ts';
import { handlers } from './handlers.ts';
import { resetLimits } from './http-guard.ts';
import { type Market, openMarket } from './parts.ts';
import { firstState, marketState } from './settings.ts';

/** Set by `setup`, before anything that arrives is handled. */
let market: Market;

export default defineProcess({
  contract: marketContract,
  on: handlers(() => market),
  state: stateOf(marketState, firstState),
  setup: async (process) => {
    resetLimits(Date.now);
    market = await openMarket(process);
    showOnHomepage(process, {
      label: 'Compute',
      path: '/',
      icon: svgIcon(ICON),
      widget: '/widget.html',
    });
  },
  http: api(() => market),
});
