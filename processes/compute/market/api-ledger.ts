/**
 * What jobs came to, by day: how many there were, what was paid for them, and what of it is this node's (compute-market.md §13, `GET
 * /api/ledger`). The owner sees all jobs of this market, a wallet its own. Amounts are what the chain has settled, in millionths of HYPER.
 */
import { type HttpReply, reply, wholeNumber } from '../../lib/http-server.ts';
import { NoResponse, RemoteError, t } from '../../lib/index.ts';
import type { MarketHttp } from './api.ts';
import { ApiError, type AskedBy, guarded } from './http-guard.ts';
import type { Market } from './parts.ts';

const DAY_MS = 86_400_000;
const DAYS = 30;
export const DAYS_MAX = 90;
const query = t.record({ days: t.option(wholeNumber) });

export function ledgerRoutes(http: MarketHttp, market: () => Market): void {
  http.get('/api/ledger', guarded(market, 'wallet', ledger));
}

async function ledger({ market, principal, request }: AskedBy): Promise<HttpReply> {
  const { days = DAYS } = request.query.as(query);
  if (days < 1 || days > DAYS_MAX) {
    throw new ApiError(400, 'BAD_REQUEST', `days is a number from 1 to ${DAYS_MAX}`);
  }
  const { settlement, store, now, process } = market;
  const { protocolBps = 0, platformBps = 0 } = settlement.settings ?? {};
  const isOperator = principal.kind === 'operator';
  const owner = isOperator ? null : principal.owner;
  const first = Math.floor(now() / DAY_MS) - days + 1;
  // As the escrow shares a payout: fees are rounded down, the provider has the rest.
  const rows = await store.database.all`with paid as (
      select coalesce(closed, created) / ${DAY_MS} as day, state, record ->> '$.node.name' as node,
        case when payment in ('released', 'partially_refunded')
          then cast(coalesce(record ->> '$.payment.payout', '0') as integer) else 0 end as payout
      from jobs where created >= ${first * DAY_MS} and (${owner} is null or owner = ${owner ?? ''}))
    select day, count(*) as jobs, sum(state = 'completed') as completed,
      sum(state in ('failed', 'refunded')) as failed, sum(payout) as paid,
      sum(iif(node = ${process.our.node}, payout - payout * ${protocolBps} / 10000 - payout * ${platformBps} / 10000, 0)) as earned,
      sum(payout * ${platformBps} / 10000) as fees
    from paid group by day order by day`;
  return reply.json({
    days: rows.map(({ day, jobs, completed, failed, paid, earned, fees }) => ({
      day: new Date(Number(day) * DAY_MS).toISOString().slice(0, 10),
      jobs: Number(jobs),
      completed: Number(completed),
      failed: Number(failed),
      paid: String(paid),
      ...(isOperator ? { earned: String(earned), fees: String(fees) } : {}),
    })),
    credits: await credits(market, principal.address),
  });
}

interface Credit {
  /** Of whoever runs jobs, of whoever finds somebody to run them, or of whoever pays and gets something back. */
  readonly role: 'provider' | 'coordinator' | 'client';
  readonly account: string;
  readonly amount: string;
}

/** What a wallet can withdraw, or without one this node's accounts; nothing while the chain is not there. */
async function credits(market: Market, wallet: string | undefined): Promise<readonly Credit[]> {
  const { providers, settlement } = market;
  if (settlement.settings === undefined) return [];
  const payTo = providers.get(providers.local)?.state?.payTo;
  const accounts =
    wallet === undefined
      ? [
          { role: 'coordinator' as const, account: settlement.settings.platform },
          ...(payTo === undefined ? [] : [{ role: 'provider' as const, account: payTo }]),
        ]
      : [{ role: 'client' as const, account: wallet }];
  try {
    return await Promise.all(
      accounts.map(async ({ role, account }) => ({
        role,
        account,
        amount: String(await settlement.facilitator.Credit({ account })),
      })),
    );
  } catch (error) {
    if (error instanceof NoResponse || error instanceof RemoteError) return [];
    throw error;
  }
}
