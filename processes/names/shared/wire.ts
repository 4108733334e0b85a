/** What page and process say to each other on their WebSocket. Runs in both. */
import { bool, list, option, record, text, u32, union, type Decoded } from '../../../wit/codec.ts';

/** UTF-16 units of a name that is asked for; the chain sets no limit to how deep names are. */
export const NAME_CHARS_MAX = 500;

export const note = record({
  /** With its `~` or `!`. */
  label: text,
  /** What it says, to people; undefined where that is not known. */
  means: option(text),
  /** The beginning of its data, `0x` hex, and how many bytes there are. */
  data: text,
  bytes: u32,
  /** Where it was written; undefined where only its value was asked for. */
  block: option(u32),
});
export type Note = Decoded<typeof note>;

export const found = record({
  name: text,
  owner: text,
  account: text,
  notes: list(note),
  /** Whether these are all notes, not only those that nodes have. */
  complete: bool,
});
export type Found = Decoded<typeof found>;

/** From a page: look at that name from now on, and at no other. */
export const said = union({ Watch: text });
export type Said = Decoded<typeof said>;

/** From the process, about the name that the page asked for last. */
export const heard = union({
  Found: found,
  /** Nobody has minted it. */
  Free: text,
  /** A note that was written just now. */
  Written: record({ name: text, note }),
  /** Why nothing can be said; where it passes, what can be said follows. */
  Trouble: record({ name: text, message: text }),
});
export type Heard = Decoded<typeof heard>;
