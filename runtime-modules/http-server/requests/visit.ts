/**
 * A request as the rest of the module sees it, checked once: where it comes from, the host it names, its path and query
 * (runtime-modules.md §6.1, §6.3; findings F21, F22).
 */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { withoutTrailingSlash } from '../bindings/bindings.ts';
import { HOSTS_KEPT_MAX } from '../limits.ts';
import { isLoopbackHost } from '../bindings/host-label.ts';
import type { Peer } from './peer.ts';
import { isCrossOrigin } from '../login/site.ts';

/** A parsed Host header. */
export interface Host {
  /** In lower case, port included; empty without a Host. */
  readonly authority: string;
  /** Without port; `localhost` without a Host. */
  readonly name: string;
  /** Exactly `localhost`, `127.0.0.1` or `[::1]`. */
  readonly loopback: boolean;
  /** Those, and names below `localhost`. */
  readonly development: boolean;
}

export interface Visit {
  readonly peer: Peer;
  readonly host: Host;
  readonly method: string;
  /** Without query and without one trailing slash; percent-encoding as it came (M127). */
  readonly path: string;
  /** It ended in a slash, which matching does not look at. */
  readonly slash: boolean;
  /** Raw, without the question mark. */
  readonly query: string;
  readonly headers: IncomingHttpHeaders;
}

const NO_HOST: Host = { authority: '', name: 'localhost', loopback: false, development: false };
const AUTHORITY = /^([a-z0-9._~-]+|\[[0-9a-f:.]+\])(?::(\d{0,5}))?$/;
const hosts = new Map<string, Host | undefined>();

/** The host of a Host header, or undefined when it is malformed (M146). */
export function parseHost(header: string): Host | undefined {
  const known = hosts.get(header);
  if (known !== undefined || hosts.has(header)) return known;
  const authority = header.toLowerCase();
  const match = AUTHORITY.exec(authority);
  const port = Number(match?.[2] ?? '');
  const name = match?.[1];
  const host =
    name === undefined || port > 65_535
      ? undefined
      : { authority, name, loopback: isLoopback(name), development: isLoopbackHost(name) };
  if (hosts.size >= HOSTS_KEPT_MAX) hosts.clear();
  hosts.set(header, host);
  return host;
}

function isLoopback(name: string): boolean {
  return name === 'localhost' || name === '127.0.0.1' || name === '[::1]';
}

/** What a request target may consist of: printable ASCII. */
const TARGET = /^[!-~]+$/;

/** The request, or why it is none: a text for a 400. */
export function visitOf(request: IncomingMessage, peer: Peer): Visit | string {
  const { headers } = request;
  if (request.httpVersionMajor !== 1) return 'only HTTP/1.0 and HTTP/1.1 are spoken here';
  const header = headers.host;
  const host = header === undefined ? NO_HOST : parseHost(header);
  if (host === undefined || repeatsHost(request)) return 'malformed Host header';
  const coding = headers['transfer-encoding'];
  if (coding !== undefined && coding.toLowerCase() !== 'chunked')
    return 'chunked is the only transfer coding that is known here';
  let target = request.url ?? '';
  if (!TARGET.test(target)) return 'malformed request target';
  if (target[0] !== '/') {
    const absolute = /^https?:\/\/([^/?#]*)(.*)$/i.exec(target);
    if (absolute === null) return 'malformed request target';
    if (parseHost(absolute[1] ?? '')?.authority !== host.authority)
      return 'the Host header contradicts the request target';
    const rest = absolute[2] ?? '';
    target = rest[0] === '/' ? rest : `/${rest}`;
  }
  const mark = target.indexOf('?');
  const path = mark < 0 ? target : target.slice(0, mark);
  const matched = withoutTrailingSlash(path);
  return {
    peer,
    host,
    method: request.method ?? 'GET',
    path: matched,
    slash: matched.length < path.length,
    query: mark < 0 ? '' : target.slice(mark + 1),
    headers,
  };
}

/** Node keeps the first of several Host headers and drops the rest silently. */
function repeatsHost(request: IncomingMessage): boolean {
  const { rawHeaders } = request;
  let seen = false;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]!;
    if (name.length !== 4 || name.toLowerCase() !== 'host') continue;
    if (seen) return true;
    seen = true;
  }
  return false;
}

/** Headers that say that somebody else stands between; the reference knows four of them, `x-forwarded-*` are more (H16). */
const PROXY_HEADERS = ['x-real-ip', 'forwarded', 'via', 'cf-connecting-ip', 'true-client-ip'];

/** Whether a request came through a proxy that says so. */
export function isProxied(headers: IncomingHttpHeaders): boolean {
  if (PROXY_HEADERS.some((name) => headers[name] !== undefined)) return true;
  for (const name in headers) if (name.startsWith('x-forwarded-')) return true;
  return false;
}

/**
 * Whether a request was made on this machine, by a program or a page of the node itself (F21): a loopback peer, a loopback Host
 * (else a page of the outside may have had its name resolved to us), no proxy, and no page of another origin.
 */
export function isLocal(visit: Visit): boolean {
  const { peer, host, headers } = visit;
  if (!peer.loopback || !host.loopback || isProxied(headers)) return false;
  return !isForeign(visit);
}

/** Whether a page of another origin caused it (F21). */
export function isForeign({ host, headers }: Visit): boolean {
  return isCrossOrigin({
    host: host.authority,
    origin: headers.origin,
    secFetchSite: one(headers['sec-fetch-site']),
  });
}

/** A header that node:http may have as a list. */
export function one(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header;
}

/** The scheme a client used, as far as we can know it (F22). */
export function knownProto({ peer, headers }: Visit): 'http' | 'https' {
  if (peer.encrypted) return 'https';
  return peer.trustedProxy ? claimedProto(headers) : 'http';
}

/** The scheme a client says it used; good enough for where it is redirected to (M159). */
export function claimedProto(headers: IncomingHttpHeaders): 'http' | 'https' {
  const claimed = firstOf(headers['x-forwarded-proto']);
  return claimed?.toLowerCase() === 'https' ? 'https' : 'http';
}

/** The client, for limits by client: what a trusted proxy says, else the peer. */
export function clientAddress({ peer, headers }: Visit): string {
  if (!peer.trustedProxy) return peer.address;
  // The last entry is the one that the trusted proxy itself wrote.
  const forwarded = headers['x-forwarded-for'];
  const last = (Array.isArray(forwarded) ? forwarded.join(',') : forwarded)?.split(',').at(-1);
  return last?.trim() || peer.address;
}

/** The client as a channel is told: what the first proxy wrote, whoever that was (§6.11). */
export function forwardedFor({ headers }: Pick<Visit, 'headers'>): string | undefined {
  return (
    firstOf(headers['x-forwarded-for']) ??
    firstOf(headers['x-real-ip']) ??
    firstOf(headers['cf-connecting-ip'])
  );
}

function firstOf(header: string | string[] | undefined): string | undefined {
  const text = Array.isArray(header) ? header[0] : header;
  const first = text?.split(',')[0]?.trim();
  return first === '' ? undefined : first;
}
