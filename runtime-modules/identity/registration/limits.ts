/** Limits of registering and booting. */

/** Bytes of a request's body while a node is set up (networking.md §14). */
export const SETUP_BODY_BYTES_MAX = 16 * 1024;
/** How far the time of a boot's signature may be from ours, in milliseconds (F31). */
export const SIGNATURE_AGE_MS_MAX = 10 * 60 * 1_000;
/** How often the chain is asked whether a boot's name is where it should be; a provider may lag behind the wallet's. */
export const BOOT_ROUNDS_MAX = 5;
/** Between two of those, in milliseconds. */
export const BOOT_ROUND_MS = 2_000;
/** Routers, cache sources and providers that a boot may name, each. */
export const CUSTOM_ENTRIES_MAX = 64;
