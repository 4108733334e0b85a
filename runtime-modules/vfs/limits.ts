/** Every limit of the vfs. */

/** A body holds two paths at most; longer ones are malformed. */
export const BODY_BYTES_MAX = 256 * 1024;
/** Largest answer to Read, ReadToEnd and ReadExact, which carry it as one blob. Beyond it: IOError 27. */
export const READ_BYTES_MAX = 256 * 1024 * 1024;
/** Largest answer to ReadToString, which is JSON text. */
export const TEXT_BYTES_MAX = 64 * 1024 * 1024;
/** Entries of one directory that ReadDir lists; beyond it IOError 75. */
export const READ_DIR_ENTRIES_MAX = 200_000;
/** Members of an archive. */
export const ZIP_MEMBERS_MAX = 65_535;
/** Bytes all members of an archive may have when unpacked, by their own account, which is then enforced. */
export const ZIP_BYTES_MAX = 1024 * 1024 * 1024;
/** Bytes moved by one file-system call. */
export const SLICE_BYTES = 4 * 1024 * 1024;
/** Up to here hashing and text conversion happen on the kernel's thread: a hop to the worker costs more (SHA-256: 0.15 ms). */
export const INLINE_BYTES_MAX = 256 * 1024;
/** Handles kept open until fd-manager says otherwise (runtime-modules.md §2.7). */
export const HANDLES_DEFAULT = 10;
/** Handles kept open at most, however many descriptors fd-manager offers: a machine may allow a million. */
export const HANDLES_MAX = 4096;
/** Cursors of files that are not open, remembered at most; the oldest are forgotten (and start at 0 again). */
export const CURSORS_MAX = 8192;
/** File operations at work at once; further ones wait. */
export const OPERATIONS_MAX = 64;
/** Members up to this size, packed and unpacked, are handled whole: a chain of streams for each costs more than the data. */
export const ZIP_WHOLE_BYTES_MAX = 1024 * 1024;
