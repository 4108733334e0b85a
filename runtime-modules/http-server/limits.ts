/** Every limit of the web server but those of WebSocket channels and of logins, which stand with them. */

/** Bytes of one request's body; more is answered 413 (M147). */
export const REQUEST_BYTES_MAX = 64 * 1024 * 1024;
/** Bytes of bodies that all requests under way hold together; past it a request with a body is answered 503. */
export const REQUESTS_BYTES_MAX = 512 * 1024 * 1024;
/** Bytes of a request's first line and headers together; more is answered 431. */
export const HEADER_BYTES_MAX = 16 * 1024;
/** From the first byte of a connection, or of a further request on it, to the end of its headers, in milliseconds; then 408. */
export const HEADERS_MS_MAX = 15_000;
/** The same to the end of the body. */
export const REQUEST_MS_MAX = 300_000;
/** How often the two are looked after, in milliseconds: they are at most this late. */
export const REQUEST_CHECK_MS = 5_000;
/** How long an idle connection is kept for the next request, in milliseconds. */
export const KEEP_ALIVE_MS = 60_000;
/** How long a client may take nothing of an answer that is on its way to it, in milliseconds; then the connection ends. */
export const STALLED_CLIENT_MS_MAX = 30_000;
/** Open connections, WebSockets included; further ones are closed at once. */
export const CONNECTIONS_MAX = 10_000;
/** Requests of one connection that wait for their answers; a further one of a client that pipelines is answered 503. */
export const REQUESTS_PER_CONNECTION_MAX = 64;
/** How long a shutdown lets requests under way finish, in milliseconds. */
export const DRAIN_MS_MAX = 3_000;
/** How long after the start a browser that finds nothing is told to ask again, in milliseconds: apps bind their paths by then. */
export const STARTING_MS = 30_000;
/** How long an answer may take unless the request's header says otherwise, in seconds (M141). */
export const ANSWER_S_DEFAULT = 15;
/** The same on a development node, where the answer may come from somebody's debugger. */
export const ANSWER_S_DEVELOPMENT = 600;
/** The longest wait for an answer that a request's header can ask for, in seconds. */
export const ANSWER_S_MAX = 86_400;
/** Accuracy of those waits: never early, at most this late, in milliseconds. */
export const ANSWER_TICK_MS = 100;
/** How long a process that answers in pieces may be silent, in seconds; then the connection is cut. */
export const STREAM_IDLE_S_MAX = 60;
/**
 * Answers in pieces that one process has under way; a further one is answered 503. Each may hold one push back: half of what the kernel
 * lets a process have under way in a module.
 */
export const STREAMS_PER_PROCESS_MAX = 500;
/** Bytes of status and headers in a process's answer; more is answered 500. The body is the blob, and bounded by messages. */
export const ANSWER_HEAD_BYTES_MAX = 1024 * 1024;
/** Header sets of answers remembered in their ready form. */
export const ANSWER_HEADS_KEPT_MAX = 256;
/** Longest header set, in UTF-16 units, that is remembered. */
export const ANSWER_HEAD_KEPT_CHARS_MAX = 512;
/** Bytes of an action's body. */
export const ACTION_BYTES_MAX = 64 * 1024;
/** Length of a bound path, in UTF-16 units; a request's longer one would not fit its header either. */
export const PATH_CHARS_MAX = 8_192;
/** Bound and unbound paths of one process, HTTP and WebSocket together. */
export const BINDINGS_PER_PROCESS_MAX = 10_000;
/** Of those, paths with parameters or wildcards: each may have to be tried for a request. */
export const PATTERNS_PER_PROCESS_MAX = 256;
/** Parameters and wildcards of one path. */
export const PATTERN_PARTS_MAX = 16;
/** Bytes of static content that one process has bound. */
export const STATIC_BYTES_PER_PROCESS_MAX = 256 * 1024 * 1024;
/** Static content up to this size gets its ETag as it is bound; that of larger content is worked out beside the thread, in bytes. */
export const HASH_AT_ONCE_BYTES_MAX = 256 * 1024;
/** Smallest static content that is compressed, in bytes: below, headers outweigh the gain. */
export const COMPRESS_BYTES_MIN = 1_024;
/** Largest static content that is compressed, in bytes. */
export const COMPRESS_BYTES_MAX = 8 * 1024 * 1024;
/** Bytes handed to a connection at a time; a larger body goes out piece by piece, as its reader takes it. */
export const PIECE_BYTES = 256 * 1024;
/** Bytes of a local RPC request, its data in base64. */
export const RPC_BYTES_MAX = 96 * 1024 * 1024;
/** Host headers remembered in their parsed form. */
export const HOSTS_KEPT_MAX = 1_024;
/** The first port tried when none is given (M236). */
export const PORT_FIRST = 8_080;
/** The last one. */
export const PORT_LAST = 8_998;
