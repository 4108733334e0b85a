/** Where a redirect leads and what is sent there (RFC 9110 §15.4, Fetch §4.4; runtime-modules.md §7.1). Pure. */
import type { Field, IncomingHead, OutgoingHttp } from '../shared/outbound/exchange.ts';
import { fieldOf } from './header-fields.ts';

const REDIRECTS = new Set([301, 302, 303, 307, 308]);
/** Fields that speak of the body. */
const OF_THE_BODY = new Set([
  'content-encoding',
  'content-language',
  'content-location',
  'content-type',
]);
/** Fields for the eyes of one origin. */
const OF_THE_ORIGIN = new Set(['authorization', 'cookie', 'cookie2', 'host', 'www-authenticate']);

/** The request that the response asks for instead; undefined when it asks for none, or one that cannot be understood. */
export function redirected(
  from: OutgoingHttp,
  { status, headers }: IncomingHead,
): OutgoingHttp | undefined {
  if (!REDIRECTS.has(status)) return undefined;
  const location = fieldOf(headers, 'location');
  if (location === undefined) return undefined;
  const url = URL.parse(Buffer.from(location, 'latin1').toString('utf8'), from.url.href);
  if (url === null) return undefined;
  const toGet = status <= 303 && from.method !== 'GET' && from.method !== 'HEAD';
  const elsewhere = url.origin !== from.url.origin;
  const stays = ([name]: Field): boolean => {
    const key = name.toLowerCase();
    return !(toGet && OF_THE_BODY.has(key)) && !(elsewhere && OF_THE_ORIGIN.has(key));
  };
  return {
    method: toGet ? 'GET' : from.method,
    url,
    headers: from.headers.filter(stays),
    body: status <= 303 ? new Uint8Array() : from.body,
  };
}
