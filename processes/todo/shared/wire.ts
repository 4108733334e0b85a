/**
 * What page and process say to each other on their WebSocket. Every change has a revision, and every page knows which it has seen, so
 * that after a break it is told what it missed; its own changes have numbers, so that none is made twice.
 */
import {
  list,
  option,
  record,
  text,
  u32,
  u64,
  union,
  unit,
  type Decoded,
} from '../../../wit/codec.ts';
import { change, items } from './list.ts';

/** UTF-16 units of a page's name. */
export const PAGE_CHARS_MAX = 64;

/** A change that was made. `page` and `number`: whose it was, and its how-manieth. */
export const made = record({ revision: u64, page: text, number: u32, change });
export type Made = Decoded<typeof made>;

/** From a page. */
export const said = union({
  /** Comes first. `list` and `revision`: what the page shows already, if anything. */
  Hello: record({ page: text, list: option(text), revision: u64 }),
  /** `number`: one more than that of the change before. */
  Change: record({ number: u32, change }),
  Ping: unit,
});
export type Said = Decoded<typeof said>;

/** From the process. */
export const heard = union({
  /** All there is. `number`: of the last change of this page that was decided. */
  Everything: record({ list: text, revision: u64, items, number: u32 }),
  /** Changes since what the page has, oldest first; at least one, but for the answer to `Hello`. */
  Made: list(made),
  Refused: record({ number: u32, kind: text, message: text }),
  Pong: unit,
});
export type Heard = Decoded<typeof heard>;
