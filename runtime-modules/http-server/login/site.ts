/**
 * Whose page caused a request: ours, or one of another origin. Cookies do not tell: to a browser the subdomains of one domain are the
 * same site, so it sends them along when the page of one package calls another's.
 */

export interface Provenance {
  /** The authority asked for, lower case, with its port. */
  readonly host: string;
  readonly method: string;
  readonly origin: string | undefined;
  readonly secFetchSite: string | undefined;
  readonly secFetchMode: string | undefined;
}

/**
 * Whether a page of another origin made it. What is no browser sends neither header and is not one. `Sec-Fetch-Site` is believed before
 * `Origin`: scripts can set neither, and it holds behind a proxy that changes the host. Over plain HTTP to a name or address in a local
 * network browsers leave it out, and only `Origin` tells.
 */
export function isCrossOrigin(
  request: Pick<Provenance, 'host' | 'origin' | 'secFetchSite'>,
): boolean {
  const { host, origin, secFetchSite } = request;
  if (secFetchSite !== undefined) return secFetchSite !== 'same-origin' && secFetchSite !== 'none';
  return origin !== undefined && origin !== `http://${host}` && origin !== `https://${host}`;
}

/** The same, but for following a link from elsewhere: that shows a page to its user and to nobody else. */
export function isCrossOriginCall(request: Provenance): boolean {
  const { method, secFetchMode } = request;
  const isVisit = secFetchMode === 'navigate' && (method === 'GET' || method === 'HEAD');
  return !isVisit && isCrossOrigin(request);
}
