/** Which processes the table shows, and in which order. */
import { isPartOfNode, type Row } from './usage.ts';

export const COLUMNS = [
  'id',
  'state',
  'cpu',
  'memory',
  'in',
  'out',
  'mailbox',
  'uptime',
  'restarts',
] as const;
export type Column = (typeof COLUMNS)[number];

export interface Order {
  readonly by: Column;
  readonly descending: boolean;
}

/** What one wants to see first of a column: the largest number, the first name. */
export function firstOrder(by: Column): Order {
  return { by, descending: by !== 'id' && by !== 'state' };
}

/** The order after a click on the head of `by`. */
export function nextOrder(order: Order, by: Column): Order {
  return order.by === by ? { by, descending: !order.descending } : firstOrder(by);
}

/** Equal values stand in the order of their names, whichever way is up, so that idle rows keep still. */
export function sorted(rows: readonly Row[], { by, descending }: Order): Row[] {
  const key = KEYS[by];
  const sign = descending ? -1 : 1;
  return rows.toSorted((a, b) => {
    const difference = compare(key(a), key(b));
    return difference === 0 ? compare(a.id, b.id) : sign * difference;
  });
}

/** The rows in the order that their names had in `ids`; those that are new stand last. */
export function inOrderOf(rows: readonly Row[], ids: readonly string[]): Row[] {
  const places = new Map(ids.map((id, place) => [id, place]));
  const placeOf = ({ id }: Row): number => places.get(id) ?? ids.length;
  return rows.toSorted((a, b) => placeOf(a) - placeOf(b));
}

/** Rows that hold every word in their name, state or reason. `all`: the parts of the node itself too. */
export function matching(
  rows: readonly Row[],
  text: string,
  options: { readonly all: boolean },
): Row[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return rows.filter(({ id, usage }) => {
    if (!options.all && isPartOfNode(usage)) return false;
    const about = `${id} ${usage.state} ${usage.last_end ?? ''}`.toLowerCase();
    return words.every((word) => about.includes(word));
  });
}

const KEYS: Readonly<Record<Column, (row: Row) => number | string>> = {
  id: ({ id }) => id,
  state: ({ usage }) => usage.state,
  cpu: ({ cpu }) => cpu ?? -1,
  memory: ({ usage }) => usage.memory_bytes,
  in: ({ inPerS }) => inPerS ?? -1,
  out: ({ outPerS }) => outPerS ?? -1,
  mailbox: ({ usage }) => usage.mailbox,
  uptime: ({ usage }) => usage.uptime_ms,
  restarts: ({ usage }) => usage.restarts,
};

function compare(a: number | string, b: number | string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** `main`, `app-store:sys`: what tells processes apart first. */
export function nameParts(id: string): { readonly name: string; readonly pkg: string } {
  const at = id.indexOf(':');
  return at < 0 ? { name: id, pkg: '' } : { name: id.slice(0, at), pkg: id.slice(at + 1) };
}
