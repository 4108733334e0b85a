/** Limits of http-client. Those of connections are in shared/outbound/limits.ts. */

/** A message's body; header fields and URLs are in it. */
export const BODY_BYTES_MAX = 256 * 1024;
/** A response's body, unless the operator says otherwise; a longer one fails its request. */
export const RESPONSE_BYTES_MAX = 64 * 1024 * 1024;
/**
 * What is being received for one process, and apart from it what is on its way to peers, in units of the longest response; past it the
 * newest response or channel fails.
 */
export const HELD_PER_PROCESS_MAX = 2;
/** The same of all processes together. */
export const HELD_MAX = 8;
/** Redirects followed; one more fails the request (M208). */
export const REDIRECTS_MAX = 10;
/** Requests of one process at servers at the same time; further ones wait in line. */
export const ACTIVE_PER_PROCESS_MAX = 32;
/** The same of all processes of a package. */
export const ACTIVE_PER_PACKAGE_MAX = 64;
/** The same of all packages; processes take turns. */
export const ACTIVE_MAX = 256;
/** A request that expects no response is given up after this, in seconds: nobody else would. */
export const UNAWAITED_S_MAX = 300;
/** No request is worked on longer than this, in seconds, however long its sender would wait. */
export const REQUEST_S_MAX = 3_600;

/** WebSockets one process has open. */
export const CHANNELS_PER_PROCESS_MAX = 128;
/** WebSockets of all processes together. */
export const CHANNELS_MAX = 1_024;
/** A message that arrives on a WebSocket; a longer one closes it (runtime-modules.md §6.11). */
export const MESSAGE_BYTES_MAX = 64 * 1024 * 1024;
/** Bytes on their way to the peer, from which on a push is acknowledged only when it has left. */
export const SENDING_BYTES_HIGH = 1024 * 1024;
/** Longer messages are sent in fragments of this size, with turns of the event loop between: masking one takes a millisecond. */
export const FRAGMENT_BYTES = 1024 * 1024;
/** What one message costs beside its payload, in bytes, when messages that wait for their process are counted. */
export const WAITING_MESSAGE_BYTES = 512;
/** Time for a handshake whose sender does not say how long it waits, in seconds. */
export const HANDSHAKE_S_MAX = 30;
/** Time for the peer to confirm a close, in milliseconds; then the connection is cut. */
export const CLOSE_MS_MAX = 5_000;
