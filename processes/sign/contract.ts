/** What is asked of `sign:sign:sys` and what it answers (packages.md §18). The message, and what is made of it, travel in the blob. */
import { bool, list, record, text, u8, union, unit } from '../../wit/codec.ts';

export const signRequest = union({
  /** Signs the blob for who asks; the signature is the blob of the answer. */
  NetKeySign: unit,
  /** Whether the process at the address `node` had the blob signed, by the key of its node. */
  NetKeyVerify: record({ node: text, signature: list(u8) }),
  /** What `NetKeySign` would sign. */
  NetKeyMakeMessage: unit,
});

export const signResponse = union({
  NetKeySign: unit,
  NetKeyVerify: bool,
  NetKeyMakeMessage: unit,
});
