/**
 * What a list is, what can change in it, and what a change does: the same for the process, which decides, and for the page, which
 * shows its own changes before they are decided.
 */
import {
  bool,
  type Decoded,
  list as listOf,
  option,
  record,
  text,
  union,
  unit,
} from '../../../wit/codec.ts';
import type { Result } from '../../../wit/types.ts';

/** Items of a list; one more is refused. */
export const ITEMS_MAX = 1_000;
/** UTF-16 units of an item's text. */
export const TEXT_CHARS_MAX = 500;
/** UTF-16 units of an item's id, which its author chooses. */
export const ID_CHARS_MAX = 64;

export const item = record({ id: text, text, done: bool });
export type Item = Decoded<typeof item>;
export type Items = readonly Item[];
export const items = listOf(item);

/** `before`: the item that it is put in front of; without, or when that is gone, it is the last. */
export const change = union({
  Add: record({ item, before: option(text) }),
  Edit: record({ id: text, text }),
  Check: record({ id: text, done: bool }),
  Move: record({ id: text, before: option(text) }),
  Remove: text,
  /** Removes everything that is done. */
  Tidy: unit,
});
export type Change = Decoded<typeof change>;

/** Why a change is not made. */
export interface Why {
  readonly kind: 'Gone' | 'Empty' | 'TooLong' | 'TooMany';
  readonly message: string;
}

/** The list after a change. What is so already stays so: a change that comes twice does nothing the second time. */
export function changed(before: Items, wanted: Change): Result<Items, Why> {
  switch (wanted.kind) {
    case 'Add':
      return add(before, wanted.value.item, wanted.value.before);
    case 'Edit': {
      const { id, text: written } = wanted.value;
      const why = whyNot(written);
      return why === undefined ? replace(before, id, { text: written }) : refuse(why);
    }
    case 'Check':
      return replace(before, wanted.value.id, { done: wanted.value.done });
    case 'Move': {
      const { id, before: next } = wanted.value;
      const moved = before.find((one) => one.id === id);
      if (moved === undefined) return refuse(GONE);
      if (next === id) return accept(before);
      return accept(insert(without(before, id), moved, next));
    }
    case 'Remove':
      return accept(without(before, wanted.value));
    case 'Tidy':
      return accept(before.filter(({ done }) => !done));
  }
}

const GONE: Why = { kind: 'Gone', message: 'somebody has removed this meanwhile' };

function add(before: Items, made: Item, next: string | undefined): Result<Items, Why> {
  if (before.some(({ id }) => id === made.id)) return accept(before);
  const why = whyNot(made.text);
  if (why !== undefined) return refuse(why);
  if (made.id === '' || made.id.length > ID_CHARS_MAX) {
    return refuse({ kind: 'TooLong', message: `an id has 1 to ${ID_CHARS_MAX} characters` });
  }
  if (before.length >= ITEMS_MAX) {
    return refuse({ kind: 'TooMany', message: `a list has at most ${ITEMS_MAX} items` });
  }
  return accept(insert(before, made, next));
}

function whyNot(written: string): Why | undefined {
  if (written.trim() === '') return { kind: 'Empty', message: 'there must be something to do' };
  if (written.length <= TEXT_CHARS_MAX) return undefined;
  return { kind: 'TooLong', message: `at most ${TEXT_CHARS_MAX} characters` };
}

function replace(before: Items, id: string, parts: Partial<Item>): Result<Items, Why> {
  if (!before.some((one) => one.id === id)) return refuse(GONE);
  return accept(before.map((one) => (one.id === id ? { ...one, ...parts } : one)));
}

function without(before: Items, id: string): Items {
  return before.filter((one) => one.id !== id);
}

function insert(before: Items, made: Item, next: string | undefined): Items {
  const at = before.findIndex(({ id }) => id === next);
  return at < 0 ? [...before, made] : before.toSpliced(at, 0, made);
}

function accept(value: Items): Result<Items, Why> {
  return { ok: true, value };
}

function refuse(error: Why): Result<Items, Why> {
  return { ok: false, error };
}
