/** Providers, figures and prices over HTTP. */
import { reply, wholeNumber } from '../../lib/http-server.ts';
import { t } from '../../lib/index.ts';
import { isFullName } from '../../../contracts/hypermap.ts';
import { ISOLATIONS } from '../../../wit/jobs/spec-shape.ts';
import { MIN_PRICE } from '../../../wit/jobs/limits.ts';
import { marketSettings } from '../shared/market-contract.ts';
import type { MarketHttp } from './api.ts';
import { ApiError, guarded, guardedForExecutors } from './http-guard.ts';
import { type Market, networkStats } from './parts.ts';
import {
  CPU_RATE,
  DEFAULT_RATES,
  demandBps,
  gpuRate,
  PRIORITY_BPS,
  TOKEN_PRICE_IN,
  TOKEN_PRICE_OUT,
  tokenCost,
} from './pricing.ts';
import { useBps } from './matching.ts';
import type { KnownProvider, Providers } from './providers.ts';
import { nodeView } from './view.ts';

const filters = t.record({
  class: t.option(t.text),
  minVram: t.option(wholeNumber),
  model: t.option(t.text),
  isolation: t.option(t.text),
  maxPrice: t.option(wholeNumber),
});
const pricingQuery = t.record({
  class: t.option(t.text),
  tokensIn: t.option(wholeNumber),
  tokensOut: t.option(wholeNumber),
});
type Filters = t.Decoded<typeof filters>;

function viewOf(providers: Providers, provider: KnownProvider): Readonly<Record<string, unknown>> {
  const sharedWith = providers.sharedWith(provider.node);
  return nodeView(provider, { free: providers.freeOf(provider), sharedWith });
}

export function nodeRoutes(http: MarketHttp, market: () => Market): void {
  http.get(
    '/api/nodes',
    guarded(market, 'public', ({ request, market: { providers } }) => {
      const wanted = request.query.as(filters);
      const nodes = providers.all().filter((provider) => isWanted(provider, wanted));
      return reply.json({ nodes: nodes.map((one) => viewOf(providers, one)) });
    }),
  );
  const node = guarded(market, 'public', ({ request, market: { providers } }) => {
    const { nodeId = '' } = request.params as Readonly<Record<string, string>>;
    const found = providers.byId(nodeId) ?? providers.get(nodeId);
    if (found === undefined) {
      throw new ApiError(404, 'NOT_FOUND', `no node ${nodeId.slice(0, 80)} is known here`);
    }
    return reply.json(viewOf(providers, found));
  });
  http.get('/api/nodes/:nodeId', (request) => node(request));
  http.get('/api/facilitator/node/:nodeId', (request) => node(request));
  http.post(
    '/api/nodes/heartbeat',
    guardedForExecutors(market, ({ market: { providers }, nodeId }) => {
      const found = providers.byId(nodeId);
      if (found !== undefined) {
        providers.seen(found.node);
        void providers.ask(found.node);
      }
      return reply.json({ ok: true, drain: false });
    }),
  );
  http.post(
    '/api/nodes',
    guarded(market, 'operator', async ({ request, market: { nodes, providers } }) => {
      const { node: name } = request.json(t.record({ node: t.text }));
      if (!isFullName(name)) throw new ApiError(400, 'BAD_REQUEST', `${name} is no name of a node`);
      await nodes.add(name);
      const added = providers.add(name, 'operator');
      await providers.ask(name);
      return reply.json(added === undefined ? {} : viewOf(providers, added), {
        status: 201,
      });
    }),
  );
  http.delete(
    '/api/nodes/:nodeId',
    guarded(market, 'operator', async ({ request, market: { nodes, providers, jobs } }) => {
      const { nodeId } = request.params;
      const found = providers.byId(nodeId) ?? providers.get(nodeId);
      if (found === undefined) throw new ApiError(404, 'NOT_FOUND', 'it is not known here');
      if (jobs.activeOn(found.node).size > 0) {
        throw new ApiError(409, 'CONFLICT', `${found.node} has jobs of this market`);
      }
      await nodes.remove(found.node);
      providers.remove(found.node);
      return reply.empty();
    }),
  );
  http.get(
    '/api/settings',
    guarded(market, 'operator', ({ market: { process, settlement } }) =>
      reply.json({
        node: process.our.node,
        free: process.state.free.kind,
        chain: settlement.settings?.chainId ?? null,
      }),
    ),
  );
  http.put(
    '/api/settings',
    guarded(market, 'operator', ({ request, market: { process } }) => {
      const { free } = request.json(marketSettings);
      process.state = { ...process.state, free };
      return reply.json({ free: free.kind });
    }),
  );
  http.get(
    '/api/stats/network',
    guarded(market, 'public', (asked) => reply.json(networkStats(asked.market))),
  );
  http.get(
    '/api/stats/nodes',
    guarded(market, 'public', ({ market: { providers } }) => {
      const all = providers.all();
      const sum = (of: (one: KnownProvider) => number): number =>
        all.reduce((total, one) => total + of(one), 0);
      return reply.json({
        nodes: all.length,
        online: all.filter(({ state }) => state?.paired === true).length,
        slots: sum(({ state }) => state?.slots ?? 0),
        free: sum((one) => providers.freeOf(one)),
        gpus: sum(({ state }) => state?.device?.gpus.length ?? 0),
      });
    }),
  );
  http.get(
    '/api/stats/jobs',
    guarded(market, 'public', async ({ market: { store, jobs } }) => {
      const counts = await store.counts();
      const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
      return reply.json({ total, queued: jobs.queue.size, states: Object.fromEntries(counts) });
    }),
  );
  http.get(
    '/api/pricing',
    guarded(market, 'public', ({ request, market: { providers } }) => {
      const { class: only, tokensIn, tokensOut } = request.query.as(pricingQuery);
      const candidates = providers.candidates(() => 0n);
      const classes = [...new Set([...DEFAULT_RATES.keys(), 'cpu'])].filter(
        (name) => only === undefined || name === only,
      );
      return reply.json({
        unit: 'millionths of HYPER',
        perHour: Object.fromEntries(
          classes.map((name) => {
            const use = useBps(candidates, name);
            const rate = name === 'cpu' ? CPU_RATE : gpuRate({ class: name, memMiB: 0 });
            return [
              name,
              { rate: String(rate), useBps: Number(use), demandBps: Number(demandBps(use)) },
            ];
          }),
        ),
        priorityBps: Object.fromEntries(
          Object.entries(PRIORITY_BPS).map(([name, bps]) => [name, Number(bps)]),
        ),
        minPrice: Object.fromEntries(
          Object.entries(MIN_PRICE).map(([type, price]) => [type, String(price)]),
        ),
        per1000Tokens: { in: String(TOKEN_PRICE_IN), out: String(TOKEN_PRICE_OUT) },
        ...(tokensIn === undefined && tokensOut === undefined
          ? {}
          : {
              tokens: String(tokenCost({ in: BigInt(tokensIn ?? 0), out: BigInt(tokensOut ?? 0) })),
            }),
      });
    }),
  );
}

function isWanted({ state }: KnownProvider, wanted: Filters): boolean {
  const gpus = state?.device?.gpus ?? [];
  if (wanted.class !== undefined && !gpus.some((gpu) => gpu.class === wanted.class)) return false;
  if (wanted.minVram !== undefined && !gpus.some((gpu) => Number(gpu.memMiB) >= wanted.minVram!))
    return false;
  if (wanted.model !== undefined) {
    const models = state?.device?.backends.flatMap((backend) => backend.models) ?? [];
    if (!models.includes(wanted.model)) return false;
  }
  if (wanted.isolation !== undefined) {
    const order: readonly string[] = ISOLATIONS;
    const least = order.indexOf(wanted.isolation);
    if (!(state?.device?.isolation ?? []).some((name) => order.indexOf(name) >= least))
      return false;
  }
  if (wanted.maxPrice !== undefined) {
    const own = new Map(state?.prices.map(({ class: name, price }) => [name, price]) ?? []);
    const rates = gpus.map((gpu) => gpuRate({ class: gpu.class, memMiB: Number(gpu.memMiB) }, own));
    const cheapest = rates.reduce(
      (least, rate) => (rate < least ? rate : least),
      own.get('cpu') ?? CPU_RATE,
    );
    if (cheapest > BigInt(wanted.maxPrice)) return false;
  }
  return true;
}
