/** Logging in with a wallet. */
import { reply } from '../../lib/http-server.ts';
import { t } from '../../lib/index.ts';
import { addressText } from '../../../contracts/compute-json.ts';
import type { MarketHttp } from './api.ts';
import { ApiError, guarded } from './http-guard.ts';
import type { Market } from './parts.ts';

const asked = t.record({
  address: t.option(addressText),
  message: t.option(t.text),
  signature: t.option(t.text),
});

export function authRoutes(http: MarketHttp, market: () => Market): void {
  http.post(
    '/api/auth/login',
    guarded(market, 'public', async ({ request, market: { auth, settlement } }) => {
      const { address, message, signature } = request.json(asked);
      if (message !== undefined && signature !== undefined) {
        return reply.json(auth.issue(await auth.signedIn(message, signature)));
      }
      if (address === undefined) {
        throw new ApiError(400, 'BAD_REQUEST', 'first {"address"}, then {"message","signature"}');
      }
      const site = request.headers.get('host') ?? 'localhost';
      return reply.json(auth.login(address, site, settlement.settings?.chainId ?? 1));
    }),
  );
  http.post(
    '/api/auth/verify',
    guarded(market, 'wallet', ({ request, principal, market: { auth } }) => {
      const token = request.headers.get('authorization')?.slice('Bearer '.length) ?? '';
      const expiresAt = auth.principalOf(token)?.until ?? 0;
      return reply.json({
        valid: true,
        address: principal.address ?? null,
        role: principal.kind,
        expiresAt,
      });
    }),
  );
}
