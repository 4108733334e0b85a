/** Limits of the signer. */

/** A message's body; typed data and transactions are hashed on the node's thread. */
export const BODY_BYTES_MAX = 64 * 1024;
/** A blob to be hashed. */
export const HASH_BYTES_MAX = 16 * 1024 * 1024;
/** Keys that a node keeps; a further one is refused. */
export const KEYS_MAX = 1_000;
/** Length of a key's name, in UTF-16 units. */
export const NAME_CHARS_MAX = 64;
/** Signatures of one batch. */
export const SIGNATURES_MAX = 256;
/** Capabilities of the signer that are looked at for one process; what it holds beyond them counts for nothing. */
export const GRANTS_MAX = 256;
/** Types or calls that one capability names. */
export const GRANT_ENTRIES_MAX = 64;
/** Budgets that may be drawn on in one day; further ones are refused until the next. */
export const BUDGETS_MAX = 2_000;
/** Growing amounts whose highest is remembered; of a forgotten one the next counts in full. */
export const MARKS_MAX = 2_000;
/** Files that one Merkle root is made of. */
export const TREE_FILES_MAX = 10_000;
/** Length of a transaction's calldata, in bytes. */
export const CALLDATA_BYTES_MAX = 24 * 1024;
