/**
 * Proxies as the environment names them: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY, in either case, the lower one first (as curl and
 * most clients read them). The values come in as arguments; only main.ts reads the environment.
 */
import type { Result } from '../../../wit/types.ts';
import {
  hostPortOf,
  meansHost,
  parseHostPattern,
  type HostPattern,
  type HostPort,
} from './host-pattern.ts';
import { isInRange, parseIp, parseIpRange } from './ip-address.ts';

export interface Proxy {
  readonly target: HostPort;
  /** The proxy itself speaks TLS. */
  readonly secure: boolean;
  /** Value of Proxy-Authorization. A secret. */
  readonly authorization: string | undefined;
}

export type ProxyEnvironment = Readonly<Record<string, string | undefined>>;

export interface Proxies {
  /** Undefined: connect directly. */
  for(target: HostPort, secure: boolean): Proxy | undefined;
}

export const NO_PROXIES: Proxies = { for: () => undefined };

const LOOPBACK = [parseIpRange('127.0.0.0/8'), parseIpRange('::1')];

/** An error names the variable, never its value: that may hold a password. */
export function readProxies(environment: ProxyEnvironment): Result<Proxies, string> {
  const read = (name: string): string | undefined => {
    const value = environment[name.toLowerCase()] ?? environment[name];
    return value === undefined || value.trim() === '' ? undefined : value.trim();
  };
  const byName = new Map<string, Proxy>();
  for (const name of ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY']) {
    const value = read(name);
    if (value === undefined) continue;
    const proxy = parseProxy(value);
    if (proxy === undefined) {
      return {
        ok: false,
        error: `${name} is no proxy that can be used: it must be http://host:port or https://host:port`,
      };
    }
    byName.set(name, proxy);
  }
  const exceptions = exceptionsOf(read('NO_PROXY') ?? '');
  const plain = byName.get('HTTP_PROXY') ?? byName.get('ALL_PROXY');
  const secured = byName.get('HTTPS_PROXY') ?? byName.get('ALL_PROXY');
  return {
    ok: true,
    value: {
      for: (target, secure) =>
        isLoopback(target) || exceptions(target) ? undefined : secure ? secured : plain,
    },
  };
}

function parseProxy(text: string): Proxy | undefined {
  const url = URL.parse(text.includes('://') ? text : `http://${text}`);
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) return undefined;
  return {
    target: hostPortOf(url),
    secure: url.protocol === 'https:',
    authorization: basicAuthorization(url),
  };
}

/** `Basic ...` for the user and password in a URL. */
export function basicAuthorization({ username, password }: URL): string | undefined {
  if (username === '' && password === '') return undefined;
  const credentials = `${decoded(username)}:${decoded(password)}`;
  return `Basic ${Buffer.from(credentials, 'utf8').toString('base64')}`;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** A name there means its subdomains too; what cannot be read is skipped, as everywhere. */
function exceptionsOf(list: string): (target: HostPort) => boolean {
  const entries = list.split(/[\s,]+/).filter((entry) => entry !== '');
  if (entries.includes('*')) return () => true;
  const patterns: HostPattern[] = [];
  for (const entry of entries) {
    const name = entry.replace(/^\*?\./, '');
    for (const text of [name, `*.${name}`]) {
      const parsed = parseHostPattern(text);
      if (parsed.ok) patterns.push(parsed.value);
    }
  }
  return (target) => patterns.some((pattern) => meansHost(pattern, target));
}

function isLoopback({ host }: HostPort): boolean {
  if (host === 'localhost' || host.endsWith('.localhost')) return true;
  const address = parseIp(host);
  return (
    address !== undefined &&
    LOOPBACK.some((range) => range !== undefined && isInRange(address, range))
  );
}
