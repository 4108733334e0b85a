/** Limits of `hn-ext/1` (compute-market.md §10.2, §10.5). Times in milliseconds. */

/** Bytes of one frame; a longer one ends the channel. */
export const EXT_FRAME_BYTES_MAX = 1024 * 1024;
/** Frames of one channel that are none, after which it is closed. */
export const BAD_FRAMES_MAX = 3;
/** Reliable frames, and their bytes, that wait for the other side to have them. */
export const UNACKED_FRAMES_MAX = 4_096;
export const UNACKED_BYTES_MAX = 16 * 1024 * 1024;
/** Reliable frames received after which they are acknowledged, if nothing else goes back. */
export const ACK_EVERY_FRAMES = 8;
/** Bytes of log of one job that may be under way. */
export const LOG_WINDOW_BYTES = 1024 * 1024;
/** Bytes of log in one frame. */
export const LOG_CHUNK_BYTES = 128 * 1024;
/** Files of a result in one frame. */
export const FILES_PER_FRAME = 1_000;
/** Silence between two signs of life, and the silence after which a channel is dead. */
export const PING_EVERY_MS = 10_000;
export const SILENCE_MS_MAX = 30_000;
/** Time for a handshake. */
export const HANDSHAKE_MS_MAX = 10_000;
/** Wrong proofs within `LOCKOUT_MS`, after which nobody is let in for as long. */
export const BAD_PROOFS_MAX = 3;
export const LOCKOUT_MS = 60_000;
/** Model requests of one extension at a time. */
export const LLM_CALLS_MAX = 64;
/** Bytes of a model request's body. */
export const LLM_BODY_BYTES_MAX = 8 * 1024 * 1024;
/** Bytes of one answer that may be under way: with all calls 16 MiB. */
export const LLM_WINDOW_BYTES = 256 * 1024;
/** Bytes of body or answer in one frame. */
export const LLM_CHUNK_BYTES = 128 * 1024;
