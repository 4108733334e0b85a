/** The list that the process keeps: its items, its latest changes, and how far each page has come. All of it is the process's state. */
import { t } from '../../lib/index.ts';
import { type Change, changed, items, type Why } from '../shared/list.ts';
import { type Heard, made, type Made } from '../shared/wire.ts';

/** Changes kept for pages that come back; who has missed more gets everything. */
export const CHANGES_MAX = 100;
/** Pages remembered. A page forgotten and back with changes that were made already would make them again. */
export const PAGES_MAX = 200;

export const board = t.record({
  /** Another list has another name: revisions of one mean nothing for the other. */
  list: t.text,
  revision: t.u64,
  items,
  changes: t.list(made),
  /** By page: the number of its last change that was decided. */
  pages: t.dictionary(t.u32),
});
export type Board = t.Decoded<typeof board>;

export function emptyBoard(): Board {
  return { list: crypto.randomUUID(), revision: 0, items: [], changes: [], pages: new Map() };
}

export type Decision =
  | { readonly kind: 'made'; readonly board: Board; readonly made: Made }
  | { readonly kind: 'refused'; readonly board: Board; readonly why: Why | typeof DECIDED };

/** A page that asks again has been told what was made when it came back, so this was refused. */
const DECIDED = { kind: 'Decided', message: 'this was refused before' } as const;

/** Makes a change, once, or says why not. */
export function decide(
  before: Board,
  {
    page,
    number,
    change,
  }: { readonly page: string; readonly number: number; readonly change: Change },
): Decision {
  if (number <= numberOf(before, page)) return { kind: 'refused', board: before, why: DECIDED };
  const pages = withNumber(before, page, number);
  const after = changed(before.items, change);
  if (!after.ok) return { kind: 'refused', board: { ...before, pages }, why: after.error };
  const revision = Number(before.revision) + 1;
  const entry: Made = { revision, page, number, change };
  return {
    kind: 'made',
    board: {
      ...before,
      revision,
      items: after.value,
      changes: [...before.changes, entry].slice(-CHANGES_MAX),
      pages,
    },
    made: entry,
  };
}

/** What a page that has seen `revision` of `list` must be told. */
export function catchUp(
  now: Board,
  page: string,
  seen: { readonly list: string | undefined; readonly revision: number | bigint },
): Heard {
  const first = now.changes[0]?.revision ?? Number(now.revision) + 1;
  const known = seen.list === now.list && seen.revision <= now.revision;
  if (known && Number(seen.revision) + 1 >= Number(first)) {
    return { kind: 'Made', value: now.changes.filter(({ revision }) => revision > seen.revision) };
  }
  const { list, revision, items: all } = now;
  return { kind: 'Everything', value: { list, revision, items: all, number: numberOf(now, page) } };
}

function numberOf({ pages }: Board, page: string): number {
  return pages.get(page) ?? 0;
}

/** The page is the latest then; of too many, the one silent for longest goes. */
function withNumber(before: Board, page: string, number: number): ReadonlyMap<string, number> {
  const pages = new Map(before.pages);
  pages.delete(page);
  pages.set(page, number);
  const oldest = pages.keys().next();
  if (pages.size > PAGES_MAX && oldest.done !== true) pages.delete(oldest.value);
  return pages;
}
