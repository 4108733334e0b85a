/** Limits of connections that the node opens on behalf of processes. */

/** Time for a connection to stand, proxy and TLS included, in milliseconds. */
export const CONNECT_MS_MAX = 20_000;
/** Before the next address of a host is tried beside the first, in milliseconds. */
export const ADDRESS_ATTEMPT_MS = 250;
/** Addresses of one host that are tried. */
export const ADDRESSES_MAX = 16;
/** One try at asking one name server, in milliseconds; there are two. */
export const NAME_SERVER_MS_MAX = 3_000;
/** With a proxy: time for the look at where a name leads, in milliseconds; then the proxy decides alone. */
export const PROXIED_LOOKUP_MS_MAX = 2_000;
/** An unused connection is kept open for its package this long, in milliseconds. */
export const IDLE_MS_MAX = 15_000;
/** Unused connections kept open, of all packages together; a further one is closed. */
export const IDLE_CONNECTIONS_MAX = 64;
/** The same to one host of one package. */
export const IDLE_CONNECTIONS_PER_HOST_MAX = 6;
/** Status line and header fields of a response; a longer one fails the request. */
export const RESPONSE_HEAD_BYTES_MAX = 64 * 1024;
/** Interim (1xx) responses before the final one. */
export const INTERIM_RESPONSES_MAX = 16;
/** A redirect's own body is read up to this size, so that its connection can be used again; past it the connection is closed. */
export const IGNORED_BODY_BYTES_MAX = 16 * 1024;
/** Times a request is sent again because the kept connection it went to was closed by the server meanwhile. */
export const STALE_RETRIES_MAX = 8;
