/** Every limit of the native console. Sources: runtime-modules.md §9, §13.2. */

/** Commands kept in memory and, after a start, in the history file. */
export const HISTORY_LINES_MAX = 1_000;
/** All log files together, in bytes; 0 means one file without limit. */
export const LOG_BYTES_DEFAULT = 16_000_000;
/** Log files kept after a rotation. */
export const LOG_FILES_DEFAULT = 4;
/** A line typed or piped in, in UTF-16 units; the rest of a longer one is dropped and the user is told. */
export const LINE_LENGTH_MAX = 65_536;
/** One print on the screen, in UTF-16 units; the log has all of it. */
export const PRINT_LENGTH_MAX = 65_536;
/** Prints that wait while the process-verbosity screen is shown; the oldest go first. */
export const SCREEN_PRINTS_MAX = 256;
/** What can be typed on that screen, in UTF-16 units. */
export const SCREEN_INPUT_MAX = 512;
/** The highest global verbosity (§9.2). */
export const VERBOSITY_MAX = 4;
/** Text waiting for the screen or the log, in UTF-16 units, from which on a guest that prints is suspended. */
export const BACKLOG_SOFT_MAX = 256 * 1024;
/** From here on prints are dropped and counted: those who print without being suspended must not fill the memory. */
export const BACKLOG_HARD_MAX = 8 * 1024 * 1024;
