/** The tiles: favourites and all other apps, opened by click, key or digit, ordered by dragging or by keys. */
import type { VNode } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { type App, moved, placeOf, type Section, shortcuts, tilesOf } from './apps.ts';
import { type Drag, useDrag } from './drag.ts';
import { isDirection, neighbour } from './focus.ts';
import { html } from './html.ts';
import { say } from './notices.ts';
import { Floating, Tile } from './tile.ts';

interface TilesProps {
  readonly apps: readonly App[];
  /** Of processes that are known not to run. */
  readonly stopped: ReadonlySet<string>;
  readonly inTabs: boolean;
  readonly onOpen: (app: App) => void;
  /** The apps as they stand after `id` was moved. */
  readonly onMove: (after: readonly App[], id: string) => void;
}

export function Tiles(props: TilesProps): VNode {
  const { apps, onMove } = props;
  const grid = useRef<HTMLDivElement>(null);
  const [focused, setFocused] = useState<string>();
  /** A tile that changes its row is another element: the focus has to follow it. */
  const refocus = useRef<string>(undefined);
  const [menu, setMenu] = useState<string>();
  const drag = useDrag(grid, apps, { onDrop: onMove, onHold: setMenu });
  useLayoutEffect(() => {
    if (refocus.current === undefined) return;
    linkOf(grid.current, refocus.current)?.focus();
    refocus.current = undefined;
  });
  const shown = drag?.preview ?? apps;
  const tiles = tilesOf(shown);
  const digits = new Map(shortcuts(tiles).map((app, index) => [app.id, index + 1]));
  const first = [...tiles.favorites, ...tiles.others].some(({ id }) => id === focused)
    ? focused
    : (tiles.favorites[0] ?? tiles.others[0])?.id;
  const move = (id: string, section: Section, index: number): void => {
    const after = moved(apps, id, { section, index });
    const now = placeOf(after, id);
    const label = apps.find((app) => app.id === id)?.label ?? id;
    if (now === undefined) return;
    refocus.current = id;
    onMove(after, id);
    const row = now.section === 'favorites' ? 'favourites' : 'apps';
    say(`${label}: place ${now.index + 1} of the ${row}`);
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const id = tileOf(event.target)?.dataset['tile'];
    if (id === undefined || isMenu(event.target)) return;
    const step = event.shiftKey ? { ArrowLeft: -1, ArrowRight: 1 }[event.key] : undefined;
    const at = placeOf(apps, id);
    if (at !== undefined && step !== undefined) move(id, at.section, at.index + step);
    else if (at !== undefined && isPlain(event) && event.key === 'f') toggle(id, at.section);
    else if (!walk(event, grid.current)) return;
    event.preventDefault();
  };
  const toggle = (id: string, section: Section): void =>
    move(id, section === 'favorites' ? 'others' : 'favorites', Number.MAX_SAFE_INTEGER);
  const one = (app: App): VNode =>
    html`<${Tile}
      key=${app.id}
      app=${app}
      digit=${digits.get(app.id)}
      reached=${app.id === first}
      dragged=${app.id === drag?.id}
      stopped=${props.stopped.has(app.id)}
      inTabs=${props.inTabs}
      menu=${app.id === menu}
      onMenu=${(shown: boolean) => setMenu(shown ? app.id : undefined)}
      onOpen=${props.onOpen}
      onFocus=${() => setFocused(app.id)}
      onToggle=${() => toggle(app.id, app.favorite ? 'favorites' : 'others')}
      onStep=${(by: number) => {
        const at = placeOf(apps, app.id);
        if (at !== undefined) move(app.id, at.section, at.index + by);
      }}
    />`;
  return html`<div
    class=${`tiles ${drag === undefined ? '' : 'dragging'}`}
    ref=${grid}
    onKeyDown=${onKeyDown}
  >
    <section aria-labelledby="favorites-title">
      <h2 id="favorites-title">Favourites</h2>
      <ul class="grid" data-section="favorites">
        ${tiles.favorites.map(one)}
      </ul>
      ${
        tiles.favorites.length === 0 &&
        html`<p class="hint drop-hint">Drag an app here, or press <kbd>F</kbd> on one.</p>`
      }
    </section>
    <section aria-labelledby="apps-title">
      <h2 id="apps-title">Apps</h2>
      <ul class="grid" data-section="others">
        ${tiles.others.map(one)}
      </ul>
      ${tiles.others.length === 0 && html`<p class="hint">Every app is a favourite.</p>`}
    </section>
    <p class="unseen" id="tile-hint">
      Press M for options, F to make it a favourite, Shift with the left and right arrows to move
      it.
    </p>
    ${drag !== undefined && html`<${FloatingTile} drag=${drag} apps=${shown} />`}
  </div>`;
}

function FloatingTile({
  drag,
  apps,
}: {
  readonly drag: Drag;
  readonly apps: readonly App[];
}): VNode | undefined {
  const app = apps.find(({ id }) => id === drag.id);
  return app && html`<${Floating} app=${app} left=${drag.left} top=${drag.top} />`;
}

/** Moves the focus to a neighbour. False when the key is another one, or leads nowhere. */
function walk(event: KeyboardEvent, grid: HTMLElement | null): boolean {
  if (!isPlain(event) || !isDirection(event.key)) return false;
  const links = [...(grid?.querySelectorAll<HTMLElement>('.tile-link') ?? [])];
  const from = links.findIndex((link) => link === event.target);
  const to = neighbour(
    links.map((link) => link.getBoundingClientRect()),
    from,
    event.key,
  );
  if (to === undefined) {
    // Up from the first row: back to where one searches.
    if (event.key === 'ArrowUp') document.querySelector<HTMLElement>('main .search input')?.focus();
    return event.key === 'ArrowUp';
  }
  links[to]?.focus();
  return true;
}

/** Moves the focus to the first tile. */
export function focusTiles(): void {
  document.querySelector<HTMLElement>('main .tile-link[tabindex="0"]')?.focus();
}

function isPlain({ altKey, ctrlKey, metaKey, shiftKey }: KeyboardEvent): boolean {
  return !altKey && !ctrlKey && !metaKey && !shiftKey;
}

function isMenu(target: EventTarget | null): boolean {
  return target instanceof Element && target.closest('[role=menu]') !== null;
}

function tileOf(target: EventTarget | null): HTMLElement | null {
  return target instanceof Element ? target.closest<HTMLElement>('[data-tile]') : null;
}

function linkOf(grid: HTMLElement | null, id: string): HTMLElement | null | undefined {
  return grid?.querySelector<HTMLElement>(`[data-tile="${CSS.escape(id)}"] .tile-link`);
}

/** Opens the first nine by their digit. */
export function useDigits(apps: readonly App[], onOpen: (app: App) => void): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      const field = event.target instanceof Element && event.target.closest('input, select');
      if (!isPlain(event) || field || document.querySelector('dialog[open]') !== null) return;
      const app = /^[1-9]$/.test(event.key) ? apps[Number(event.key) - 1] : undefined;
      if (app !== undefined) onOpen(app);
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  });
}
