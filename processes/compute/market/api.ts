/** The HTTP API and its WebSocket (compute-market.md §13), under `/market:compute:sys`. Each group of routes is a file of its own. */
import { folder } from '../../lib/http-folder.ts';
import { HttpServer, reply, strictHeaders } from '../../lib/http-server.ts';
import { authRoutes } from './api-auth.ts';
import { routesElsewhere } from './api-elsewhere.ts';
import { jobRoutes } from './api-jobs.ts';
import { ledgerRoutes } from './api-ledger.ts';
import { liveSocket } from './api-live.ts';
import { moneyRoutes } from './api-money.ts';
import { nodeRoutes } from './api-nodes.ts';
import { registerRoutes } from './api-register.ts';
import { uploadRoutes } from './api-uploads.ts';
import { workerRoutes } from './api-workers.ts';
import { x402Routes } from './api-x402.ts';
import { OPERATOR } from './auth.ts';
import type { Market } from './parts.ts';
import type { MarketState } from './settings.ts';

export type MarketHttp = HttpServer<MarketState>;

export function api(market: () => Market): MarketHttp {
  // Whoever asks is known by a token, which no page of another site has: cookies open nothing here but the one path that gives it.
  const http: MarketHttp = new HttpServer<MarketState>({
    authenticated: false,
    headers: { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' },
  });
  /** For the owner's browser and programs: who is logged in at the node gets a token of an hour. */
  http.post('/operator/token', () => reply.json(market().auth.issue(OPERATOR)), {
    authenticated: true,
  });
  // The page and its files: only for the owner, as a page of any other package.
  http.files(folder('ui', { headers: strictHeaders, authenticated: true }));
  authRoutes(http, market);
  jobRoutes(http, market);
  uploadRoutes(http, market);
  workerRoutes(http, market);
  registerRoutes(http, market);
  x402Routes(http, market);
  routesElsewhere(http, market);
  nodeRoutes(http, market);
  moneyRoutes(http, market);
  ledgerRoutes(http, market);
  liveSocket(http, market);
  return http;
}
