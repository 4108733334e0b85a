/** How big a component may be. Source: findings.md F6, F10. All are checked while reading, before anything is built from it. */

/** Bytes of a component file. */
export const COMPONENT_BYTES_MAX = 64 * 1024 * 1024;
/** Components in components, and component or instance types in such types. */
export const NESTING_MAX = 16;
/** Definitions and declarations of a component, all nested ones counted. */
export const DEFINITIONS_MAX = 100_000;
/** Core modules of a component, all nested ones counted. */
export const CORE_MODULES_MAX = 64;
/** Core instances that are instantiations, and so live at once in one process (F6). */
export const CORE_INSTANCES_MAX = 64;
/** Component instances of one process; real ones have fewer than 30. */
export const COMPONENT_INSTANCES_MAX = 128;
/** Bytes of one name. */
export const NAME_BYTES_MAX = 100_000;
/**
 * Entries of all lists of a component together: functions (twice, with their bodies), types, names, fields, arguments. What is read
 * of an entry takes some 100 bytes, so this bounds the reader's memory too.
 */
export const ENTRIES_MAX = 1_000_000;
/** Parameters, and results, of one core function type (V8's own limit). */
export const CORE_PARAMS_MAX = 1_000;
/** Nested instructions cannot be deep in a constant expression, but it can be long. */
export const CONSTANT_INSTRUCTIONS_MAX = 10_000;
/**
 * Linear memory of one process, all its memories together, in pages of 64 KiB: 512 MiB (F6). A component that starts with more is
 * refused; growing past it fails as growing does.
 */
export const MEMORY_PAGES_MAX = 8_192;
/** Entries of all tables of one process together (F6); likewise. */
export const TABLE_ENTRIES_MAX = 1_000_000;
/** Tables of one process, all its core instances counted (F6). */
export const TABLES_MAX = 100;
