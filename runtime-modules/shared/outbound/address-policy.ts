/**
 * Which addresses modules connect to on behalf of guests: the public internet, and what the operator allows (runtime-modules.md §7.1,
 * docs/http-client.md). Asked about the very addresses that are dialled, so that no name, redirect or change of DNS leads around it.
 */
import type { Result } from '../../../wit/types.ts';
import {
  meansAddress,
  meansHost,
  parseHostPattern,
  type HostPattern,
  type HostPort,
} from './host-pattern.ts';
import { isPublicIp, parseIp, sameIp } from './ip-address.ts';

export interface AddressPolicyNeeds {
  /** The addresses of this machine; connecting to them goes around its firewall. */
  readonly ownAddresses: () => readonly string[];
}

/** What the operator writes after `--http-client-allow`; the first that cannot be read refuses all. */
export function parseAllowed(texts: readonly string[]): Result<readonly HostPattern[], string> {
  const patterns: HostPattern[] = [];
  for (const text of texts) {
    const parsed = parseHostPattern(text);
    if (!parsed.ok) return parsed;
    patterns.push(parsed.value);
  }
  return { ok: true, value: patterns };
}

export class AddressPolicy {
  readonly #allowed: readonly HostPattern[];
  readonly #needs: AddressPolicyNeeds;

  constructor(allowed: readonly HostPattern[], needs: AddressPolicyNeeds) {
    this.#allowed = allowed;
    this.#needs = needs;
  }

  /** Of the addresses that a host has, those that may be connected to, in order. */
  permitted(target: HostPort, addresses: readonly string[]): readonly string[] {
    if (this.#allowed.some((pattern) => meansHost(pattern, target))) return addresses;
    let own: readonly string[] | undefined;
    return addresses.filter((text) => {
      const address = parseIp(text);
      if (address === undefined) return false;
      if (this.#allowed.some((pattern) => meansAddress(pattern, address, target.port))) return true;
      if (!isPublicIp(address)) return false;
      own ??= this.#needs.ownAddresses();
      return !own.some((mine) => {
        const parsed = parseIp(mine);
        return parsed !== undefined && sameIp(parsed, address);
      });
    });
  }

  /** Why nothing was permitted, for whoever asked and for the operator. Does not name the addresses: a guest is not to map networks. */
  refusal({ host, port }: HostPort): string {
    const named = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
    return (
      `${named} is at a loopback, private or reserved address or on this machine, which processes may not reach; ` +
      `the operator can allow it: --http-client-allow ${named}`
    );
  }
}
