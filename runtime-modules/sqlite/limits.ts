/** Every limit of sqlite. */

/** A body holds one statement; a longer one is malformed. */
export const BODY_BYTES_MAX = 1024 * 1024;
/** A statement's parameters, as JSON text. */
export const PARAMETERS_BYTES_MAX = 128 * 1024 * 1024;
/** Parameters up to here are checked on the kernel's thread, longer ones in the child. */
export const INLINE_PARAMETERS_BYTES_MAX = 16 * 1024;
/** Largest text, blob or row that a statement may make. */
export const VALUE_BYTES_MAX = 128 * 1024 * 1024;
/** Rows of one answer, as JSON text; a query with more is refused. */
export const RESULT_BYTES_MAX = 64 * 1024 * 1024;
/** How long a statement may run before its child is killed, in milliseconds. */
export const STATEMENT_MS_MAX = 10_000;
/** How long a Commit or a Backup may take: it is many statements. */
export const COMMIT_MS_MAX = 120_000;
/** From here on a statement counts as slow: other databases leave its child. */
export const SLOW_MS = 50;
/** How often running statements are looked at. */
export const LOOK_MS = 25;
/** Children that share the databases. */
export const CHILDREN_SHARED = 2;
/** Children altogether, those of slow statements and quarantined databases included (about 60 MiB each). */
export const CHILDREN_MAX = 8;
/** Of those, children that belong to one quarantined database; a further one waits until another's is idle. */
export const CHILDREN_QUARANTINED = 3;
/** Slow queries of one package whose child is left to them alone, so that their database goes on elsewhere. */
export const DETACHED_PER_PACKAGE_MAX = 1;
/** Requests sent to a child before the first of them is answered. */
export const WINDOW = 64;
/** Databases open at once; beyond it the least recently used one that is idle is closed, and opened again when asked for. */
export const HANDLES_MAX = 64;
/** Databases open at once until fd-manager says otherwise (runtime-modules.md §13.2). */
export const HANDLES_DEFAULT = 10;
/** File descriptors that one open database counts for, in its child: the file, its write-ahead log, and shared memory. */
export const DESCRIPTORS_PER_DATABASE = 3;
/** Prepared statements kept by an open database. */
export const STATEMENTS_MAX = 128;
/** Memory an open database uses to cache pages, in KiB. */
export const CACHE_KIB = 8 * 1024;
/** Waiting for another connection's write, in milliseconds: only a detached query's database has two. */
export const BUSY_MS = 5_000;
/** Open transactions of one process. */
export const TRANSACTIONS_PER_PROCESS_MAX = 64;
/** Statements in one transaction. */
export const TRANSACTION_OPERATIONS_MAX = 100_000;
/** Statements and parameters in the open transactions of one process. */
export const TRANSACTION_BYTES_MAX = 128 * 1024 * 1024;
/** Time for a child to close its databases at shutdown before it is killed. */
export const CLOSE_MS_MAX = 10_000;
/** JavaScript memory of a child, in MiB. */
export const CHILD_HEAP_MIB = 512;
/** How often a child looks whether its node still lives, in milliseconds. */
export const LEASH_MS = 250;
