/**
 * Names to addresses. Not with getaddrinfo first: that holds a thread of the pool that file I/O needs, for as long as a guest's own name
 * server likes, and cannot be cancelled. It is asked, one name at a time, only for names that DNS does not know, such as those of a
 * hosts file.
 */
import { lookup, Resolver } from 'node:dns/promises';
import { Semaphore } from '../semaphore.ts';
import { ADDRESSES_MAX, NAME_SERVER_MS_MAX } from './limits.ts';

/** All addresses of a host name, in the order to try them. Rejects with a `code` of node:dns, or when aborted. */
export type Resolve = (host: string, signal: AbortSignal) => Promise<readonly string[]>;

/** Codes that mean that the name servers were asked, or that there are none, but not that they kept us waiting. */
const UNKNOWN_TO_DNS = new Set(['ENOTFOUND', 'ENODATA', 'ECONNREFUSED', 'EREFUSED', 'ENONAME']);

export function systemResolve(): Resolve {
  const oneByOne = new Semaphore(1);
  return async (host, signal) => {
    // RFC 6761: never asked of anybody.
    if (host === 'localhost' || host.endsWith('.localhost')) return ['127.0.0.1', '::1'];
    const asked = await askDns(host, signal);
    if (Array.isArray(asked)) return asked.slice(0, ADDRESSES_MAX);
    signal.throwIfAborted();
    if (!UNKNOWN_TO_DNS.has(asked.code ?? '')) throw asked;
    const found = await oneByOne.run(() => {
      signal.throwIfAborted();
      return lookup(host, { all: true });
    });
    return found.slice(0, ADDRESSES_MAX).map(({ address }) => address);
  };
}

type DnsError = Error & { readonly code?: string };

async function askDns(host: string, signal: AbortSignal): Promise<string[] | DnsError> {
  const resolver = new Resolver({ timeout: NAME_SERVER_MS_MAX, tries: 2 });
  const cancel = (): void => resolver.cancel();
  signal.addEventListener('abort', cancel, { once: true });
  try {
    const [v6, v4] = await Promise.allSettled([resolver.resolve6(host), resolver.resolve4(host)]);
    const found = [v6, v4].flatMap((each) => (each.status === 'fulfilled' ? each.value : []));
    if (found.length > 0) return found;
    // Proof of the type: node:dns rejects with its errors only.
    return (v4.status === 'rejected' ? v4.reason : new Error('no address')) as DnsError;
  } finally {
    signal.removeEventListener('abort', cancel);
  }
}
