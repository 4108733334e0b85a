/** Every limit of the kernel proper; the engine's are in image/ and hart/. Findings section 5 decides the mailbox figures. */

/** Requests a mailbox holds before its senders wait. Responses and send errors have reserved room and are not counted. */
export const MAILBOX_MESSAGES_MAX = 1_000;
/** Bytes of bodies, blobs, metadata and capabilities of those requests. One message over it enters an empty mailbox only. */
export const MAILBOX_BYTES_MAX = 64 * 1024 * 1024;
/** How long a sender is suspended by a full mailbox before its request fails, in seconds. */
export const SUSPENDED_SENDER_S = 5;
/** Requests one process may have unanswered; the next one traps it. */
export const OUTSTANDING_REQUESTS_MAX = 65_536;
/** Bytes those requests keep alive, because their send errors carry them; the request that passes it traps the process. */
export const OUTSTANDING_BYTES_MAX = 256 * 1024 * 1024;
/** Bytes of responses waiting in one mailbox; past it a response is dropped and its request ends with `timeout`. */
export const WAITING_RESPONSE_BYTES_MAX = 256 * 1024 * 1024;
/** Capabilities delivered to a process that it may still save; the oldest is forgotten first. */
export const DELIVERED_CAPABILITIES_MAX = 4_096;
/** Capabilities one process holds; a save or grant past it is refused with a level-0 line. */
export const HELD_CAPABILITIES_MAX = 16_384;
/** Length of a capability's params, in UTF-16 units, that is held or may be saved after delivery; it may be attached at any length. */
export const CAPABILITY_PARAMS_CHARS_MAX = 8_192;
/** Work of one source that a module has accepted and not finished; its next request is suspended like by a full mailbox. */
export const MODULE_JOBS_PER_SOURCE_MAX = 1_000;
/** The same of all processes of a package together, unless the owner's quotas say otherwise. */
export const MODULE_JOBS_PER_PACKAGE_MAX = 4_000;
/** Timeouts further away than this never fire: about 31 years, in seconds. */
export const TIMEOUT_S_MAX = 1_000_000_000;
/** Accuracy of request timeouts: a timeout fires at most this late, never early. */
export const TIMER_TICK_MS = 8;
/** One sleep of the timer wheel; the host's timers cannot take more than 2^31 ms. */
export const TIMER_SLEEP_MS_MAX = 60 * 60 * 1000;
/** The internal vfs read of `spawn` (kernel.md §2.2), in seconds. */
export const SPAWN_READ_S = 5;
/** Printouts the kernel remembers for whoever may ask; the oldest go first. */
export const PRINT_LOG_LINES_MAX = 4_000;
/** Characters of those printouts together. */
export const PRINT_LOG_CHARS_MAX = 4_000_000;
/** Characters of one of them that are remembered. */
export const PRINT_LOG_LINE_CHARS_MAX = 8_192;
/** Printouts in one answer to a Logs command. */
export const PRINT_LOG_ANSWER_LINES_MAX = 1_000;
/** Random bytes drawn from the operating system at a time. */
export const RANDOM_POOL_BYTES = 8_192;
