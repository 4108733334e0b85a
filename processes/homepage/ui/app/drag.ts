/** Dragging a tile: with a mouse at once, with a finger after holding it, so that the page can still be scrolled. */
import type { RefObject } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { type App, moved, placeOf, type Section } from './apps.ts';
import { nearest } from './focus.ts';

/** How far a mouse goes before a click becomes a drag, px. */
export const DRAG_PX = 6;
/** How long a finger rests on a tile that it wants to move, ms. */
export const HOLD_MS = 350;

export interface Drag {
  readonly id: string;
  /** Where the tile floats, in the window. */
  readonly left: number;
  readonly top: number;
  /** The apps as they would stand if it was dropped now. */
  readonly preview: readonly App[];
}

interface Start {
  readonly id: string;
  readonly pointer: number;
  readonly x: number;
  readonly y: number;
  /** From the tile's corner to the pointer. */
  readonly dx: number;
  readonly dy: number;
  readonly hold: ReturnType<typeof setTimeout> | undefined;
}

export interface DragHandlers {
  readonly onDrop: (after: readonly App[], id: string) => void;
  /** A finger rested on a tile and went nowhere. */
  readonly onHold: (id: string) => void;
}

/** Makes the tiles in `grid` (`[data-tile]` in `[data-section]`) movable; the drag under way, if any. */
export function useDrag(
  grid: RefObject<HTMLElement | null>,
  apps: readonly App[],
  handlers: DragHandlers,
): Drag | undefined {
  const [drag, setDrag] = useState<Drag>();
  // What the listeners see: they are added once, and must not look at an old drawing.
  const now = useRef({ apps, handlers, drag });
  now.current = { apps, handlers, drag };
  useEffect(() => {
    const element = grid.current;
    if (element === null) return undefined;
    const dragging = new Dragging(element, () => now.current, setDrag);
    return dragging.listen();
  }, []);
  return drag;
}

interface Now {
  readonly apps: readonly App[];
  readonly handlers: DragHandlers;
  readonly drag: Drag | undefined;
}

class Dragging {
  readonly #grid: HTMLElement;
  readonly #now: () => Now;
  readonly #show: (drag: Drag | undefined) => void;
  #start: Start | undefined;
  #active = false;
  /** Whether the pointer left the place where it went down. */
  #moved = false;

  constructor(grid: HTMLElement, now: () => Now, show: (drag: Drag | undefined) => void) {
    this.#grid = grid;
    this.#now = now;
    this.#show = show;
  }

  /** Returns what ends it. */
  listen(): () => void {
    const ended = new AbortController();
    const { signal } = ended;
    const on = this.#grid.addEventListener.bind(this.#grid);
    on('pointerdown', (event) => this.#down(event), { signal });
    // A link would be dragged by the browser, and a held one opens its menu.
    on('dragstart', (event) => event.preventDefault(), { signal });
    on('contextmenu', (event) => this.#active && event.preventDefault(), { signal });
    // Not passive: once a tile is held, the finger moves it and not the page.
    on('touchmove', (event) => this.#active && event.preventDefault(), { signal, passive: false });
    on('click', (event) => this.#click(event), { signal, capture: true });
    addEventListener('pointermove', (event) => this.#move(event), { signal });
    addEventListener('pointerup', () => this.#end(true), { signal });
    addEventListener('pointercancel', () => this.#end(false), { signal });
    addEventListener(
      'keydown',
      (event) => this.#active && event.key === 'Escape' && this.#end(false),
      {
        signal,
      },
    );
    return () => ended.abort();
  }

  #down(event: PointerEvent): void {
    const target = event.target as Element;
    const tile = target.closest<HTMLElement>('[data-tile]');
    const id = tile?.dataset['tile'];
    if (tile === null || id === undefined || event.button !== 0) return;
    if (target.closest('.tile-more, [role=menu]') !== null) return;
    const { left, top } = tile.getBoundingClientRect();
    this.#moved = false;
    const touch = event.pointerType !== 'mouse';
    this.#start = {
      id,
      pointer: event.pointerId,
      x: event.clientX,
      y: event.clientY,
      dx: event.clientX - left,
      dy: event.clientY - top,
      hold: touch
        ? setTimeout(() => this.#begin(event.clientX, event.clientY), HOLD_MS)
        : undefined,
    };
  }

  #move({ pointerId, clientX: x, clientY: y }: PointerEvent): void {
    const start = this.#start;
    if (start === undefined || pointerId !== start.pointer) return;
    const far = Math.hypot(x - start.x, y - start.y) > DRAG_PX;
    if (far) this.#moved = true;
    if (this.#active && this.#moved) this.#follow(x, y);
    if (this.#active || !far) return;
    if (start.hold === undefined) this.#begin(x, y);
    else this.#end(false);
  }

  #begin(x: number, y: number): void {
    this.#active = true;
    getSelection()?.removeAllRanges();
    this.#follow(x, y);
  }

  #follow(x: number, y: number): void {
    const start = this.#start;
    if (start === undefined) return;
    const { apps, drag } = this.#now();
    const before = drag?.preview ?? apps;
    const to = this.#placeUnder(start.id, x, y);
    const preview = to === undefined ? before : moved(before, start.id, to);
    this.#show({ id: start.id, left: x - start.dx, top: y - start.dy, preview });
  }

  /** Undefined when the tile is best where it is. */
  #placeUnder(id: string, x: number, y: number): { section: Section; index: number } | undefined {
    for (const list of this.#grid.querySelectorAll<HTMLElement>('[data-section]')) {
      if (list.childElementCount > 0) continue;
      const { top, bottom } = (list.parentElement ?? list).getBoundingClientRect();
      if (y > top && y < bottom) return { section: list.dataset['section'] as Section, index: 0 };
    }
    const tiles = [...this.#grid.querySelectorAll<HTMLElement>('[data-section] [data-tile]')];
    const boxes = tiles.map((tile) => tile.getBoundingClientRect());
    const at = nearest(boxes, x, y);
    const other = at === undefined ? undefined : tiles[at]?.dataset['tile'];
    if (at === undefined || other === undefined || other === id) return undefined;
    const apps = (this.#now().drag?.preview ?? this.#now().apps).filter((app) => app.id !== id);
    const place = placeOf(apps, other);
    const box = boxes[at];
    if (place === undefined || box === undefined) return undefined;
    const after = x > box.left + box.width / 2 ? 1 : 0;
    return { section: place.section, index: place.index + after };
  }

  #end(drop: boolean): void {
    const start = this.#start;
    if (start === undefined) return;
    clearTimeout(start.hold);
    this.#start = undefined;
    if (!this.#active) return;
    const { drag, handlers } = this.#now();
    const still = start.hold !== undefined && !this.#moved;
    if (drop && still) handlers.onHold(start.id);
    else if (drop && drag !== undefined) handlers.onDrop(drag.preview, start.id);
    this.#show(undefined);
    // The click that follows a drop opens nothing; it comes in this same turn, or never.
    setTimeout(() => {
      this.#active = false;
    }, 0);
  }

  #click(event: MouseEvent): void {
    if (!this.#active) return;
    event.preventDefault();
    event.stopPropagation();
  }
}
