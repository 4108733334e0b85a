/** Routes of compute-market.md §13 that another process of this package answers, or nobody yet; for the owner, as there. */
import { reply } from '../../lib/http-server.ts';
import type { MarketHttp } from './api.ts';
import { ApiError, guarded } from './http-guard.ts';
import type { Market } from './parts.ts';

const KEYS = '/llm:compute:sys/api/keys';
const MODELS = '/llm:compute:sys/v1/models';

export function routesElsewhere(http: MarketHttp, market: () => Market): void {
  const keys = guarded(market, 'operator', ({ request }) => {
    const { id } = request.params as Readonly<Record<string, string | undefined>>;
    const path = id === undefined ? KEYS : `${KEYS}/${encodeURIComponent(id)}`;
    return reply.redirect(path, { status: 308 });
  });
  http.get('/api/keys', keys);
  http.post('/api/keys', keys);
  http.delete('/api/keys/:id', keys);
  // Of language models (§12.5), not of jobs: what runs for long as a job is a session.
  const deployments = guarded(market, 'operator', () => {
    throw new ApiError(
      501,
      'NOT_IMPLEMENTED',
      `models are not placed on nodes from here: each node says with --backend which model servers it has. What is served here: GET ${MODELS}; which nodes serve a model: GET /market:compute:sys/api/nodes?model=NAME`,
      { instead: [MODELS, '/market:compute:sys/api/nodes'] },
    );
  });
  http.get('/api/deployments', deployments);
  http.post('/api/deployments', deployments);
  http.get('/api/deployments/:id', deployments);
  http.delete('/api/deployments/:id', deployments);
}
