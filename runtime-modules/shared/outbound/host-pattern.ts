/**
 * Which hosts are meant: `api.example.com`, `api.example.com:8443`, `*.example.org`, `10.0.0.0/8`, `[::1]:8545`. Used for what the
 * operator allows and for what a capability limits its holder to. Pure.
 */
import { domainToASCII } from 'node:url';
import type { Result } from '../../../wit/types.ts';
import { isInRange, parseIp, parseIpRange, type IpAddress, type IpRange } from './ip-address.ts';

export interface HostPattern {
  /** What it was written as. */
  readonly text: string;
  /** Undefined: every port. */
  readonly port: number | undefined;
  readonly host:
    | { readonly kind: 'range'; readonly range: IpRange }
    /** Lower case, ASCII, without trailing dot. */
    | { readonly kind: 'name'; readonly name: string }
    /** Every name that ends so, at least one label longer; starts with a dot. */
    | { readonly kind: 'suffix'; readonly suffix: string };
}

/** Who is to be reached: a host as `URL` writes it, brackets removed, and a port. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** Where a URL of http, https, ws or wss leads; its host is lower case, ASCII, without brackets and without a trailing dot. */
export function hostPortOf(url: URL): HostPort {
  const secure = url.protocol === 'https:' || url.protocol === 'wss:';
  const port = url.port === '' ? (secure ? 443 : 80) : Number(url.port);
  return { host: plainHost(url.hostname), port };
}

/** An error says what is wrong with the text. */
export function parseHostPattern(text: string): Result<HostPattern, string> {
  const wrong = (why: string): Result<never, string> => ({
    ok: false,
    error: `${JSON.stringify(text)} is no host: ${why}`,
  });
  const whole = parseIpRange(text);
  if (whole !== undefined) {
    return { ok: true, value: { text, port: undefined, host: { kind: 'range', range: whole } } };
  }
  const match = /^(?<host>\[[^\]]*\]|[^:/[\]]*)(?::(?<port>\d{1,5}))?$/.exec(text);
  const host = match?.groups?.['host'] ?? '';
  if (match === null || host === '') {
    return wrong(
      'write a name, *.name, an address, an address/bits, and :port if only that is meant',
    );
  }
  const port = match.groups?.['port'] === undefined ? undefined : Number(match.groups['port']);
  if (port !== undefined && (port < 1 || port > 65_535)) return wrong('ports are 1 to 65535');
  const range = parseIpRange(plainHost(host));
  if (range !== undefined)
    return { ok: true, value: { text, port, host: { kind: 'range', range } } };
  const isSuffix = host.startsWith('*.');
  const name = plainHost(domainToASCII(isSuffix ? host.slice(2) : host));
  if (!/^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/.test(name))
    return wrong('it has characters no host name has');
  return {
    ok: true,
    value: {
      text,
      port,
      host: isSuffix ? { kind: 'suffix', suffix: `.${name}` } : { kind: 'name', name },
    },
  };
}

/** Whether the pattern means this host by the name it was asked for. A range means literal addresses only. */
export function meansHost(pattern: HostPattern, { host, port }: HostPort): boolean {
  if (pattern.port !== undefined && pattern.port !== port) return false;
  switch (pattern.host.kind) {
    case 'name':
      return host === pattern.host.name;
    case 'suffix':
      return host.endsWith(pattern.host.suffix) && parseIp(host) === undefined;
    case 'range': {
      const address = parseIp(host);
      return address !== undefined && isInRange(address, pattern.host.range);
    }
  }
}

/** Whether the pattern means this address, whatever name led to it. */
export function meansAddress(pattern: HostPattern, address: IpAddress, port: number): boolean {
  if (pattern.port !== undefined && pattern.port !== port) return false;
  return pattern.host.kind === 'range' && isInRange(address, pattern.host.range);
}

function plainHost(host: string): string {
  const bare = host.startsWith('[') ? host.slice(1, -1) : host;
  return bare.toLowerCase().replace(/\.$/, '');
}
