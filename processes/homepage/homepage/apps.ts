/** The registry of tiles and widgets: what `Add` makes of a request, and in which order they are shown (packages.md §14.1). */
import { Refusal, t, type ProcessId } from '../../lib/index.ts';

/** Apps that are registered at most; one more is refused. */
export const APPS_MAX = 500;
/** UTF-16 units of an app's label; longer ones are cut. */
export const LABEL_CHARS_MAX = 100;
/** UTF-16 units of an app's path. */
export const PATH_CHARS_MAX = 2_048;
/** UTF-16 units of an icon's data URL, and of a widget. A listing holds all of them. */
export const PICTURE_CHARS_MAX = 262_144;

/** Payload of `Add`. */
export const addition = t.record({
  label: t.text,
  icon: t.option(t.text),
  path: t.option(t.text),
  widget: t.option(t.text),
});
export type Addition = t.Decoded<typeof addition>;

/** Survives restarts: the order (as in the reference), and which apps are favourites (ours). */
export const layout = t.record({ order: t.dictionary(t.u32), favorites: t.dictionary(t.bool) });
export type Layout = t.Decoded<typeof layout>;

/** An entry, as `GetApps` and `GET /apps` show it. */
export interface App {
  readonly id: ProcessId;
  readonly process: string;
  readonly package_name: string;
  readonly publisher: string;
  readonly path: string | null;
  readonly label: string;
  readonly base64_icon: string | null;
  readonly widget: string | null;
  readonly order: number;
  readonly favorite: boolean;
}

interface Entry extends Omit<App, 'order' | 'favorite'> {
  /** Where it stands while nobody has put it anywhere. */
  readonly place: number;
}

const FAVORITES: ReadonlySet<string> = new Set(['main:app-store:sys', 'settings:settings:sys']);

/** Entries live as long as the process does; their layout is handed in. */
export class Apps {
  readonly #entries = new Map<ProcessId, Entry>();

  /** Adds or replaces the entry of `id`. @throws Refusal for a label, path, icon or widget that is too long, and for one too many */
  add(id: ProcessId, { label, path, icon, widget }: Addition): void {
    const known = this.#entries.get(id);
    if (known === undefined && this.#entries.size >= APPS_MAX) {
      throw new Refusal('TooMany', `${APPS_MAX} apps are registered already`);
    }
    requireShort('path', path, PATH_CHARS_MAX);
    requireShort('icon', icon, PICTURE_CHARS_MAX);
    requireShort('widget', widget, PICTURE_CHARS_MAX);
    const [process = '', package_name = '', publisher = ''] = id.split(':');
    this.#entries.set(id, {
      id,
      process,
      package_name,
      publisher,
      path: path === undefined ? null : `/${id}/${path.replace(/^\//, '')}`,
      label: label.slice(0, LABEL_CHARS_MAX),
      base64_icon: icon ?? null,
      widget: widget ?? null,
      place: known?.place ?? this.#entries.size,
    });
  }

  remove(id: ProcessId): void {
    this.#entries.delete(id);
  }

  /** The widget of an app, as it was added. */
  widgetOf(id: string): string | undefined {
    return this.#entries.get(id as ProcessId)?.widget ?? undefined;
  }

  /** All entries, first things first. */
  list({ order, favorites }: Layout): App[] {
    return [...this.#entries.values()]
      .map(({ place, ...entry }) => ({
        ...entry,
        order: order.get(entry.id) ?? place,
        favorite: favorites.get(entry.id) ?? FAVORITES.has(entry.id),
      }))
      .sort((a, b) => a.order - b.order || (a.id < b.id ? -1 : 1));
  }
}

function requireShort(name: string, value: string | undefined, max: number): void {
  if ((value?.length ?? 0) > max)
    throw new Refusal('TooLong', `${name}: at most ${max} characters`);
}
