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
/** A message that is signed, in bytes. */
export const MESSAGE_BYTES_MAX = 16 * 1024;
/** Tags of messages that one capability names. */
export const TAGS_MAX = 64;
/** Length of a tag, in UTF-16 units. */
export const TAG_CHARS_MAX = 128;
/** Length of the id of something to be sent, in UTF-16 units. */
export const SEND_ID_CHARS_MAX = 128;
/** Transactions of one key on one chain that wait to be mined; providers keep no more. */
export const PENDING_MAX = 64;
/** Transactions of all keys on all chains that are not over: those that are mined, and not yet deep, too. */
export const LIVE_MAX = 2_048;
/** Transactions that are over and whose id is known; the oldest are forgotten. */
export const FINISHED_MAX = 4_096;
/** A question to a chain, in seconds. */
export const CHAIN_ASK_S = 15;
/** Between two looks at a chain while something is pending there, in milliseconds. */
export const POLL_MS = 2_000;
/** Between two looks while all that was sent is mined and none of it deep enough, in milliseconds. */
export const SETTLE_POLL_MS = 30_000;
/** What is pending is broadcast again after this, in milliseconds. */
export const REBROADCAST_MS = 30_000;
/** The first that is pending is sent again with higher fees after this, in milliseconds. */
export const STUCK_MS = 60_000;
/** Blocks above its own after which a transaction is over. */
export const DEPTH_BLOCKS = 12;
/** After this a mined transaction is over on a chain that makes no blocks, in milliseconds. */
export const SETTLED_MS = 30 * 60_000;
/** Times that one transaction is sent with higher fees. */
export const REPLACEMENTS_MAX = 16;
/** Looks that find the nonce used and no receipt, until the transaction counts as superseded. */
export const LOOKS_MAX = 5;
