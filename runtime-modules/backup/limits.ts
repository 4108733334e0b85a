/** Every limit of backup files and of asking a running node for one. */

/** Plaintext bytes of one sealed chunk, as a power of two: 1 MiB. Memory of a backup is a few of them. */
export const CHUNK_LOG2 = 20;
/** Chunk sizes that a restore takes, as powers of two: a hostile header must not ask for memory. */
export const CHUNK_LOG2_MIN = 12;
export const CHUNK_LOG2_MAX = 24;
/** Work of the key derivation (scrypt, r 8, p 1) as a power of two: 2^17 takes 128 MiB and about half a second. */
export const KEY_COST_LOG2 = 17;
export const KEY_COST_LOG2_MIN = 10;
export const KEY_COST_LOG2_MAX = 20;
/** Bytes of one file moved at a time. */
export const BLOCK_BYTES = 1024 * 1024;
/** Bytes of one entry's header, which holds a path and perhaps the target of a link. */
export const ENTRY_BYTES_MAX = 64 * 1024;
/** Characters of a line between a node and who asks it for a backup. */
export const LINE_CHARS_MAX = 64 * 1024;
/** Connections to a node's control socket. */
export const CONNECTIONS_MAX = 4;
/** How long the other side may take to read one part, in milliseconds; then the node takes its copy back. */
export const PART_MS_MAX = 6 * 60 * 60 * 1000;
/** Longest path of a socket on the usual systems, in bytes. */
export const SOCKET_PATH_BYTES_MAX = 100;
