/** Where streams come from: URLs of the chain in order, then nodes that may carry them (eth.md §4, §7). */
import { ethAction } from '../../wit/eth-api.ts';
import { formatJson } from '../../wit/json.ts';
import type { U64 } from '../../wit/types.ts';
import type { ProviderList } from './provider-list.ts';
import type { CallOutcome } from './rpc-socket.ts';
import { faultOf } from './rpc-error.ts';
import type { Filter, Opened, StreamSource } from './streams.ts';
import type { UpstreamSink } from './url-provider.ts';

/** One call on behalf of a stream, in milliseconds. */
const CALL_MS = 10_000;

/** @param messageId a fresh id for a message to a node */
export function upstreamSource(providers: ProviderList, messageId: () => U64): StreamSource {
  return {
    open: (filter, sink, without) => open({ providers, messageId, filter, sink, without }),
    call: (chainId, method, params) => call(providers, chainId, method, params),
  };
}

interface Opening {
  readonly providers: ProviderList;
  readonly messageId: () => U64;
  readonly filter: Filter;
  readonly sink: UpstreamSink;
  readonly without: object | undefined;
}

async function open({ providers, messageId, filter, sink, without }: Opening): Promise<Opened> {
  let last: CallOutcome | undefined;
  for (const provider of providers.of(filter.chainId)) {
    if (provider === without) continue;
    if (provider.kind === 'url') {
      const params = formatJson([filter.kind, filter.params]);
      const { outcome, upstream } = await provider.subscribe(params, sink);
      if (upstream !== undefined) return { ok: true, upstream, provider, relay: undefined };
      last = outcome;
      // A filter that one provider cannot read, none can.
      if (outcome.kind === 'error' && faultOf('eth_subscribe', outcome.error) === 'request') break;
      continue;
    }
    if (!provider.usable) continue;
    const { outcome, upstream } = await provider.subscribe(
      messageId(),
      (relayId) => subscribeBody(filter, relayId),
      sink,
    );
    if (upstream !== undefined) return { ok: true, upstream, provider, relay: provider.name };
    if (outcome.kind !== 'ok' && outcome.kind !== 'refused') last = outcome;
  }
  return { ok: false, outcome: last };
}

function subscribeBody({ chainId, kind, params }: Filter, relayId: U64): Uint8Array {
  const value = { sub_id: relayId, chain_id: chainId, kind: { kind }, params };
  return ethAction.encode({ kind: 'SubscribeLogs', value });
}

async function call(
  providers: ProviderList,
  chainId: U64,
  method: string,
  params: string,
): Promise<CallOutcome> {
  let last: CallOutcome = { kind: 'lost', reason: 'no provider' };
  for (const provider of providers.of(chainId)) {
    if (provider.kind !== 'url') continue;
    last = await provider.call(method, params, CALL_MS);
    if (last.kind === 'result') return last;
  }
  return last;
}
