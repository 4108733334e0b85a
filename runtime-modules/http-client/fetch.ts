/** HTTP requests of guests: what is sent, redirects, and what comes back (runtime-modules.md §7.1). */
import type { HttpClientAction, HttpClientError } from '../../wit/http-client-api.ts';
import type { ProcessId, Result } from '../../wit/types.ts';
import { packageOf } from '../../wit/address.ts';
import type { ConnectionPool } from '../shared/outbound/connection-pool.ts';
import {
  exchange,
  type Field,
  type IncomingHttp,
  type OutgoingHttp,
} from '../shared/outbound/exchange.ts';
import { hostPortOf } from '../shared/outbound/host-pattern.ts';
import { basicAuthorization } from '../shared/outbound/proxy.ts';
import type { ByteBudget } from './byte-budget.ts';
import { fieldOf, isToken, sendable } from './header-fields.ts';
import { REDIRECTS_MAX } from './limits.ts';
import { redirected } from './redirect.ts';
import { isForeignHost, outside, type Scope } from './scope.ts';

type HttpAction = Extract<HttpClientAction, { kind: 'Http' }>['value'];

/** Accepted; HTTP/1.1 is spoken whichever it is. */
const VERSIONS = new Set(['HTTP/0.9', 'HTTP/1.0', 'HTTP/1.1', 'HTTP/2.0', 'HTTP/3.0']);

/** The request as it will be sent first. */
export function outgoingOf(
  { method, version, url: text, headers: given }: HttpAction,
  body: Uint8Array,
  scope: Scope,
): Result<OutgoingHttp, HttpClientError> {
  const refuse = (error: HttpClientError): Result<never, HttpClientError> => ({ ok: false, error });
  if (!isToken(method)) return refuse({ kind: 'BadMethod', value: { method } });
  const url = URL.parse(text);
  if (url === null) return refuse({ kind: 'BadUrl', value: { url: text } });
  if (version !== undefined && !VERSIONS.has(version))
    return refuse({ kind: 'BadVersion', value: { version } });
  if (url.hostname === '')
    return refuse({ kind: 'BuildRequestFailed', value: `${text.slice(0, 200)} names no host` });
  if (method.toUpperCase() === 'CONNECT')
    return refuse({
      kind: 'BuildRequestFailed',
      value: 'CONNECT opens a tunnel, it is no request',
    });
  const headers = sendable(given).filter((field) => !isForeignHost(field, scope));
  return { ok: true, value: { method, url, headers: completed(headers, url), body } };
}

function completed(headers: readonly Field[], url: URL): readonly Field[] {
  const more: Field[] = [];
  if (fieldOf(headers, 'accept') === undefined) more.push(['Accept', '*/*']);
  const authorization = basicAuthorization(url);
  if (authorization !== undefined && fieldOf(headers, 'authorization') === undefined)
    more.push(['Authorization', authorization]);
  return [...headers, ...more];
}

export interface FetchOptions {
  readonly pool: ConnectionPool;
  readonly process: ProcessId;
  readonly scope: Scope;
  readonly bodyBytesMax: number;
  /** What is being received for processes. */
  readonly receiving: ByteBudget;
  readonly signal: AbortSignal;
}

/** The last response of the chain of redirects, or in words why there is none. */
export async function fetchFollowing(
  first: OutgoingHttp,
  options: FetchOptions,
): Promise<Result<IncomingHttp, string>> {
  const { pool, process, scope, bodyBytesMax, receiving, signal } = options;
  let held = 0;
  const charge = (bytes: number): boolean => {
    if (!receiving.take(process, bytes)) return false;
    held += bytes;
    return true;
  };
  try {
    let outgoing = first;
    for (let followed = 0; ; followed += 1) {
      const refusal = refusalOf(outgoing.url, scope);
      if (refusal !== undefined) return { ok: false, error: refusal };
      const { url } = outgoing;
      const current = outgoing;
      const outcome = await exchange(current, {
        pool,
        owner: packageOf(process),
        bodyBytesMax,
        wantsBody: (head) => redirected(current, head) === undefined,
        charge,
        signal,
      });
      const next = outcome.ok ? redirected(current, outcome.value) : undefined;
      if (next === undefined) return outcome;
      if (followed === REDIRECTS_MAX)
        return { ok: false, error: `${url.host} redirects, after ${REDIRECTS_MAX} redirects` };
      outgoing = next;
    }
  } finally {
    receiving.give(process, held);
  }
}

function refusalOf(url: URL, scope: Scope): string | undefined {
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    return `${url.protocol} cannot be fetched, only http: and https:`;
  return outside(scope, hostPortOf(url));
}
