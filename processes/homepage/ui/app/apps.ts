/** The tiles of the home page: which there are, where each stands, and what moving one means for the node. */
import type { App } from '../../homepage/apps.ts';

export type { App };

/** Tiles in two rows of their own. */
export interface Tiles {
  readonly favorites: readonly App[];
  readonly others: readonly App[];
}
export type Section = keyof Tiles;

/** What has to be told to the node. */
export interface Change {
  readonly order: readonly (readonly [id: string, order: number])[];
  /** Undefined while it stays what it is. */
  readonly favorite: readonly [id: string, favorite: boolean] | undefined;
}

/** Digits that open a tile. */
export const SHORTCUTS_MAX = 9;

/** The apps that can be opened, as `GET /apps` orders them. */
export function tilesOf(apps: readonly App[]): Tiles {
  const openable = apps.filter(({ path }) => path !== null);
  return {
    favorites: openable.filter(({ favorite }) => favorite),
    others: openable.filter(({ favorite }) => !favorite),
  };
}

/** What the digits 1 to 9 open, in the order in which they are seen. */
export function shortcuts({ favorites, others }: Tiles): readonly App[] {
  return [...favorites, ...others].slice(0, SHORTCUTS_MAX);
}

/** Those whose label or name has all the words; those whose label begins with the text stand first. */
export function search(apps: readonly App[], text: string): App[] {
  const wanted = text.trim().toLowerCase();
  const words = wanted.split(/\s+/);
  const found = apps.filter(({ label, id, path }) => {
    const about = `${label} ${id}`.toLowerCase();
    return path !== null && words.every((word) => about.includes(word));
  });
  const begins = ({ label }: App): number => (label.toLowerCase().startsWith(wanted) ? 0 : 1);
  return found.toSorted((a, b) => begins(a) - begins(b));
}

/** The apps with one of them elsewhere: before the tile that is now at `index` of `section`, itself not counted. */
export function moved(
  apps: readonly App[],
  id: string,
  to: { readonly section: Section; readonly index: number },
): App[] {
  const one = apps.find((app) => app.id === id);
  if (one === undefined) return [...apps];
  const tiles = tilesOf(apps.filter((app) => app.id !== id));
  const section = [...tiles[to.section]];
  section.splice(Math.max(0, to.index), 0, { ...one, favorite: to.section === 'favorites' });
  const { favorites, others }: Tiles = { ...tiles, [to.section]: section };
  const tilesInOrder = [...favorites, ...others].values();
  // What has only a widget stays where it is among them.
  return apps
    .map((app) => (app.path === null ? app : (tilesInOrder.next().value ?? app)))
    .map((app, order) => ({ ...app, order }));
}

/** The place of a tile. */
export function placeOf(
  apps: readonly App[],
  id: string,
): { readonly section: Section; readonly index: number } | undefined {
  const tiles = tilesOf(apps);
  for (const section of ['favorites', 'others'] as const) {
    const index = tiles[section].findIndex((app) => app.id === id);
    if (index >= 0) return { section, index };
  }
  return undefined;
}

/** What the node has to be told so that it shows `after` from now on; undefined for nothing. */
export function changeBetween(
  before: readonly App[],
  after: readonly App[],
  id: string,
): Change | undefined {
  const old = new Map(before.map((app) => [app.id, app]));
  const order = after
    .filter((app) => old.get(app.id)?.order !== app.order)
    .map((app) => [app.id, app.order] as const);
  const now = after.find((app) => app.id === id)?.favorite;
  const favorite =
    now === undefined || old.get(id as App['id'])?.favorite === now
      ? undefined
      : ([id, now] as const);
  return order.length === 0 && favorite === undefined ? undefined : { order, favorite };
}

/** How an app's widget is shown: as an address of its own, or through this node's sandbox for HTML (pages.ts there). */
export function widgetAddress(app: App, theme: string): string | undefined {
  if (app.widget === null || app.widget.trim() === '') return undefined;
  if (/^\s*</.test(app.widget)) return `/widget?id=${encodeURIComponent(app.id)}&theme=${theme}`;
  return /^(https?:\/\/|\/(?!\/))/i.test(app.widget) ? app.widget : undefined;
}

/** An icon is shown only if it is a picture that asks nobody else. */
export function iconAddress({ base64_icon: icon }: App): string | undefined {
  return icon !== null && /^data:image\//i.test(icon) ? icon : undefined;
}

/** A hue in degrees that an app without an icon keeps. */
export function hueOf(id: string): number {
  let hash = 7;
  for (const char of id) hash = (hash * 31 + (char.codePointAt(0) ?? 0)) % 3_600;
  return hash / 10;
}
