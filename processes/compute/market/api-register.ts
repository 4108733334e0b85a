/**
 * `POST /api/facilitator/register-node`: the transactions that put this node into the registry, and its stake (compute-market.md §4.3, §13). Its
 * operator's wallet sends them: the node has no key of it. Asked again when they are on the chain, there is nothing to send.
 */
import { type HttpReply, reply } from '../../lib/http-server.ts';
import { t } from '../../lib/index.ts';
import { encodeApprove, encodeNodeRecord, encodeStake } from '../../../contracts/compute-calls.ts';
import { registryDomain, typedDataOf } from '../../../contracts/compute.ts';
import {
  addressText,
  hashText,
  signatureText,
  wideNumber,
} from '../../../contracts/compute-json.ts';
import type { MoneySettings, Provider } from '../shared/facilitator-contract.ts';
import type { MarketHttp } from './api.ts';
import { ApiError, type AskedBy, guarded } from './http-guard.ts';
import type { Market } from './parts.ts';

/** The owner's token (`POST /operator/token`), beside the wallet's: who registers has both. */
export const OPERATOR_HEADER = 'x-hn-operator';

const wish = t.record({
  /** Of the extension that is paired, if missing. */
  executor: t.option(addressText),
  /** The wallet, if missing. */
  payTo: t.option(addressText),
  metaHash: t.option(hashText),
  /** By the executor, over the `sign` of the answer to who has none. */
  executorSignature: t.option(signatureText),
  /** What the stake is to be at least, in millionths of HYPER. */
  stake: t.option(wideNumber),
});
type Wish = t.Decoded<typeof wish>;

interface Call {
  readonly to: string;
  readonly data: string;
  readonly from: string;
}

export function registerRoutes(http: MarketHttp, market: () => Market): void {
  http.post('/api/facilitator/register-node', guarded(market, 'wallet', register));
}

async function register({ market, request, principal }: AskedBy): Promise<HttpReply> {
  const { auth, providers, settlement } = market;
  const owner = auth.principalOf(request.headers.get(OPERATOR_HEADER) ?? '');
  const from = principal.address;
  if (owner?.principal.kind !== 'operator' || from === undefined) {
    throw new ApiError(
      403,
      'FORBIDDEN',
      `log in with the wallet that is to be the operator, and give the token of POST /operator/token as ${OPERATOR_HEADER}`,
    );
  }
  const wanted = request.json(wish);
  const { settings } = settlement;
  if (settings === undefined) {
    throw new ApiError(503, 'UNAVAILABLE', 'this node has no chain now, so no registry');
  }
  const { nodeId, node, state } = providers.get(providers.local)!;
  const executor = wanted.executor ?? state?.executor;
  if (executor === undefined) {
    throw new ApiError(409, 'NO_EXECUTOR', 'pair an extension first, or say who the executor is');
  }
  const known = await settlement.facilitator.Provider({ nodeId });
  if (known !== undefined && !same(known.operator, from)) {
    throw new ApiError(409, 'CONFLICT', `${node} is registered by ${known.operator}`);
  }
  const fingerprint = state?.device?.fingerprint ?? '0'.repeat(64);
  const record = {
    nodeId,
    executor,
    payTo: wanted.payTo ?? known?.payTo ?? from,
    metaHash: wanted.metaHash ?? `0x${fingerprint}`,
  };
  const stands =
    known !== undefined && same(known.executor, executor) && same(known.payTo, record.payTo);
  const { executorSignature } = wanted;
  const unsigned = !stands && executorSignature === undefined;
  const calls = unsigned
    ? []
    : [
        ...(stands || executorSignature === undefined
          ? []
          : [recordCall(settings, known, from, { ...record, executorSignature })]),
        ...stakeCalls(settings, { nodeId, from, missing: missingStake(wanted, known) }),
      ];
  const agreed = { nodeId, operator: from, executor };
  const domain = registryDomain(settings.chainId, settings.registry);
  return reply.json({
    nodeId,
    name: node,
    chainId: settings.chainId,
    record,
    sign: unsigned ? typedDataOf(domain, 'Registration', agreed) : null,
    /** In this order. */
    calls,
    // They are the operator's to send.
    txHash: null,
  });
}

function recordCall(
  { registry }: MoneySettings,
  known: Provider | undefined,
  from: string,
  record: Parameters<typeof encodeNodeRecord>[1],
): Call {
  const data = encodeNodeRecord(known === undefined ? 'register' : 'update', record);
  return { to: registry, data, from };
}

function missingStake({ stake = 0n }: Wish, known: Provider | undefined): bigint {
  return stake - (known?.stake ?? 0n);
}

function stakeCalls(
  { registry, token }: MoneySettings,
  { nodeId, from, missing }: { nodeId: string; from: string; missing: bigint },
): readonly Call[] {
  if (missing <= 0n) return [];
  return [
    { to: token, data: encodeApprove(registry, missing), from },
    { to: registry, data: encodeStake(nodeId, missing), from },
  ];
}

function same(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}
