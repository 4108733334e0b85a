/** Limits of WebSockets and extension channels (runtime-modules.md §6.11, §13.2); those of ours alone say so. */

/** Channels open at once unless `--max-channels` says otherwise; a further upgrade gets the ordinary answer of its path. */
export const CHANNELS_MAX = 128;
/** Bytes of one message of a client; a longer one closes its channel with 1009. */
export const MESSAGE_BYTES_MAX = 64 * 1024 * 1024;
/** Bytes of one frame that is sent; a longer message goes in several, because the reference's clients take no longer frames. */
export const FRAME_BYTES_MAX = 16 * 1024 * 1024;
/** Payload bytes of a ping or pong; a longer one is refused with `WsPingPongTooLong`. */
export const CONTROL_BYTES_MAX = 125;
/** Frames of one message; one of more closes its channel with 1008. Ours: they cost memory beyond their bytes. */
export const FRAGMENTS_MAX = 16_384;
/** Pieces in which one frame arrives; one of more closes its channel with 1008. Ours, for the same reason. */
export const PIECES_MAX = 65_536;
/** Pings of a client that wait for their answer to be written; one more ends its connection. Ours. */
export const UNANSWERED_PINGS_MAX = 60;

/** Frames that wait for a client to read; past them, if they are more than `QUEUED_SMALL_BYTES`, its channel is closed with 1013. */
export const QUEUED_FRAMES_MAX = 100;
/** Bytes in which any burst of small frames may wait, up to `QUEUED_SMALL_FRAMES_MAX` of them. Ours. */
export const QUEUED_SMALL_BYTES = 1024 * 1024;
/** Frames of such a burst; past it the channel is closed with 1013. Ours. */
export const QUEUED_SMALL_FRAMES_MAX = 10_000;
/** Bytes that wait for a client to read; past them its channel is closed with 1013, except that one frame may be longer. Ours. */
export const QUEUED_BYTES_MAX = 64 * 1024 * 1024;
/**
 * Bytes that all channels together keep in memory: unfinished messages, frames that wait for a client, and frames that wait for a
 * process. Past it the connection that holds most of them ends. Ours.
 */
export const HELD_BYTES_MAX = 512 * 1024 * 1024;
/** What a frame or a piece of one counts beside its bytes. */
export const HELD_OVERHEAD_BYTES = 256;
/** What one read of a socket may leave unfinished without being counted: more than the host reads at once. */
export const READ_BYTES = 65_536;

/** How often each client is pinged, in milliseconds. Ours: the reference notices no dead client. */
export const PING_MS = 30_000;
/** Pings in a row without any sign of life, after which the connection ends. Ours. */
export const MISSED_PONGS_MAX = 2;
/** How long a client may take to answer a close frame before its connection ends, in milliseconds. Ours. */
export const CLOSE_WAIT_MS = 30_000;
/** The same while the node shuts down, in milliseconds. Ours. */
export const SHUTDOWN_WAIT_MS = 1_000;

/** Frames of an extension that wait for its process before its socket is read no further: a response may come behind them. Ours. */
export const EXTENSION_WAITING_FRAMES_MAX = 1_000;
/** Requests to one extension whose answer may still come; past it the oldest is forgotten. As many as a process may await. Ours. */
export const EXTENSION_ANSWERS_MAX = 65_536;
