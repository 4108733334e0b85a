/** Inputs over HTTP: in parts of 8 MiB at most, resumable. */
import { reply, wholeNumber } from '../../lib/http-server.ts';
import { t } from '../../lib/index.ts';
import type { MarketHttp } from './api.ts';
import { ApiError, guarded } from './http-guard.ts';
import type { Market } from './parts.ts';

const query = t.record({ offset: t.option(wholeNumber), size: t.option(wholeNumber) });
const HASH = /^[0-9a-f]{64}$/;

export function uploadRoutes(http: MarketHttp, market: () => Market): void {
  http.put(
    '/api/uploads/:sha256',
    guarded(market, 'wallet', async ({ request, principal, market: { uploads } }) => {
      const { offset = 0, size } = request.query.as(query);
      const sha256 = hashOf(request.params.sha256);
      const { bytes, complete } = await uploads.put(principal.owner, sha256, {
        offset,
        bytes: request.bytes(),
        size,
      });
      return reply.json({ bytes, complete }, { status: complete ? 201 : 202 });
    }),
  );
  const stat = guarded(market, 'wallet', async ({ request, principal, market: { uploads } }) => {
    const found = await uploads.stat(principal.owner, hashOf(request.params['sha256'] ?? ''));
    if (found === undefined) throw new ApiError(404, 'NOT_FOUND', 'nothing of it is here');
    const headers = {
      'x-upload-bytes': String(found.bytes),
      'x-upload-complete': String(found.complete),
    };
    return reply.json(found, { headers });
  });
  http.get('/api/uploads/:sha256', stat);
  http.on('HEAD', '/api/uploads/:sha256', stat);
}

function hashOf(text: string): string {
  if (!HASH.test(text))
    throw new ApiError(400, 'BAD_REQUEST', 'a SHA-256 is 64 lower-case hex digits');
  return text;
}
