/** Every limit of kv. */

/** A body holds one key (as an array of numbers, four characters a byte at most); a longer body is malformed. */
export const BODY_BYTES_MAX = 1024 * 1024;
/** Largest value. */
export const VALUE_BYTES_MAX = 64 * 1024 * 1024;
/** Databases open at once; beyond it the least recently used one that is idle is closed, and opened again when it is asked for. */
export const HANDLES_MAX = 32;
/** Databases open at once until fd-manager says otherwise (runtime-modules.md §13.2). */
export const HANDLES_DEFAULT = 10;
/** File descriptors that one open database counts for: lock, log, manifest, info log and a new table; tables are mapped. */
export const DESCRIPTORS_PER_DATABASE = 8;
/** Files one open database may have open. */
export const FILES_PER_HANDLE_MAX = 64;
/** Memory one open database uses to cache blocks. */
export const CACHE_BYTES = 4 * 1024 * 1024;
/** Memory of one open database's newest rows, twice at most. */
export const WRITE_BUFFER_BYTES = 4 * 1024 * 1024;
/** Writes that wait are written together up to this many bytes; one alone may be larger. */
export const BATCH_BYTES_MAX = 16 * 1024 * 1024;
/** Open transactions of one process. */
export const TRANSACTIONS_PER_PROCESS_MAX = 64;
/** Sets and Deletes in one transaction. */
export const TRANSACTION_OPERATIONS_MAX = 100_000;
/** Keys and values in the open transactions of one process. */
export const TRANSACTION_BYTES_MAX = 128 * 1024 * 1024;
/** Entries of a Scan page when the request names no limit. */
export const SCAN_ENTRIES_DEFAULT = 100;
/** Entries of a Scan page, whatever the request asks for. */
export const SCAN_ENTRIES_MAX = 1_000;
/** Keys and values of a Scan page; the entry that passes it is the page's last. */
export const SCAN_BYTES_MAX = 4 * 1024 * 1024;
