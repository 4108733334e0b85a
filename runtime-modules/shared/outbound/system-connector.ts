/** The connector of a real node: this machine's addresses, name servers, certificate authorities. One serves all modules. */
import { networkInterfaces } from 'node:os';
import type { Clock } from '../clock.ts';
import { AddressPolicy } from './address-policy.ts';
import { Connector } from './connector.ts';
import type { HostPattern } from './host-pattern.ts';
import { NO_PROXIES, type Proxies } from './proxy.ts';
import { systemResolve } from './resolve.ts';
import { systemTrust } from './trust.ts';

/** How long the list of this machine's addresses is believed, in milliseconds: asking takes a tenth of one. */
const OWN_ADDRESSES_MS = 10_000;

export interface OutboundOptions {
  /** What guests may reach beside the public internet (`parseAllowed`). */
  readonly allowed?: readonly HostPattern[] | undefined;
  /** Default: none. */
  readonly proxies?: Proxies | undefined;
  /** Certificate authorities in PEM, trusted beside the system's. */
  readonly extraCa?: readonly string[] | undefined;
}

export function systemConnector(options: OutboundOptions, clock: Clock): Connector {
  return new Connector({
    policy: new AddressPolicy(options.allowed ?? [], { ownAddresses: ownAddresses(clock) }),
    proxies: options.proxies ?? NO_PROXIES,
    resolve: systemResolve(),
    trust: systemTrust(options.extraCa),
    clock,
  });
}

function ownAddresses(clock: Clock): () => readonly string[] {
  let known: readonly string[] = [];
  let until = Number.NEGATIVE_INFINITY;
  return () => {
    if (clock.nowMs() < until) return known;
    until = clock.nowMs() + OWN_ADDRESSES_MS;
    known = Object.values(networkInterfaces())
      .flatMap((each) => each ?? [])
      .map(({ address }) => address);
    return known;
  };
}
