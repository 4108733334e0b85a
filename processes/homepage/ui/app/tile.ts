/** One app as a tile, with its options. */
import type { VNode } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { type App, hueOf, iconAddress } from './apps.ts';
import { html } from './html.ts';
import { Icon } from './icons.ts';

interface TileProps {
  readonly app: App;
  /** The key that opens it. */
  readonly digit: number | undefined;
  /** Whether Tab leads here; arrows lead to the others. */
  readonly reached: boolean;
  readonly dragged: boolean;
  readonly stopped: boolean;
  readonly inTabs: boolean;
  /** Whether its options are shown. */
  readonly menu: boolean;
  readonly onMenu: (shown: boolean) => void;
  readonly onOpen: (app: App) => void;
  readonly onFocus: () => void;
  readonly onToggle: () => void;
  readonly onStep: (by: number) => void;
}

export function Tile(props: TileProps): VNode {
  const { app, digit, reached, dragged, stopped, inTabs, menu } = props;
  const link = useRef<HTMLAnchorElement>(null);
  const closeMenu = (): void => {
    props.onMenu(false);
    link.current?.focus();
  };
  const onClick = (event: MouseEvent): void => {
    const plain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey;
    if (inTabs || !plain) return;
    event.preventDefault();
    props.onOpen(app);
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.target !== link.current || event.ctrlKey || event.metaKey) return;
    if (event.key !== 'm' && event.key !== 'ContextMenu') return;
    event.preventDefault();
    props.onMenu(true);
  };
  return html`<li
    class=${`tile ${dragged ? 'ghost' : ''}`}
    data-tile=${app.id}
    onKeyDown=${onKeyDown}
  >
    <a
      ref=${link}
      class="tile-link"
      href=${app.path}
      target=${inTabs ? '_blank' : undefined}
      rel=${inTabs ? 'noopener' : undefined}
      tabindex=${reached ? 0 : -1}
      draggable=${false}
      aria-describedby="tile-hint"
      aria-keyshortcuts=${digit}
      title=${app.id}
      onClick=${onClick}
      onFocus=${props.onFocus}
      onContextMenu=${(event: MouseEvent) => (event.preventDefault(), props.onMenu(true))}
    >
      <${Face} app=${app} />
      <span class="tile-label">${app.label}</span>
      ${stopped && html`<span class="tile-state">not running</span>`}
      ${digit !== undefined && html`<kbd class="digit" aria-hidden="true">${digit}</kbd>`}
    </a>
    <button
      type="button"
      class="tile-more"
      tabindex="-1"
      aria-label=${`Options of ${app.label}`}
      aria-haspopup="menu"
      aria-expanded=${menu}
      onClick=${() => props.onMenu(!menu)}
    >
      <${Icon} name="more" />
    </button>
    ${menu && html`<${Menu} ...${props} onClose=${closeMenu} />`}
  </li>`;
}

/** The app's picture, or its first letter in a colour of its own. */
export function Face({ app }: { readonly app: App }): VNode {
  const icon = iconAddress(app);
  if (icon !== undefined) {
    return html`<img class="face" src=${icon} alt="" draggable=${false} />`;
  }
  const letter = /^./u.exec(app.label.trim())?.[0].toUpperCase() ?? '?';
  return html`<span class="face letter" style=${{ '--hue': hueOf(app.id) }} aria-hidden="true"
    >${letter}</span
  >`;
}

/** What is under the pointer while a tile is dragged. */
export function Floating(props: {
  readonly app: App;
  readonly left: number;
  readonly top: number;
}): VNode {
  const { app, left, top } = props;
  return html`<div
    class="tile floating"
    style=${{ left: `${left}px`, top: `${top}px` }}
    aria-hidden="true"
  >
    <span class="tile-link"
      ><${Face} app=${app} /><span class="tile-label">${app.label}</span></span
    >
  </div>`;
}

type MenuProps = TileProps & { readonly onClose: () => void };

function Menu({ app, onToggle, onStep, onClose }: MenuProps): VNode {
  const menu = useRef<HTMLDivElement>(null);
  useEffect(() => {
    menu.current?.querySelector<HTMLElement>('[role=menuitem]')?.focus();
    const outside = (event: Event): void => {
      if (!(event.target instanceof Node) || !menu.current?.contains(event.target)) onClose();
    };
    addEventListener('pointerdown', outside);
    return () => removeEventListener('pointerdown', outside);
  }, []);
  const onKeyDown = (event: KeyboardEvent): void => {
    const items = [...(menu.current?.querySelectorAll<HTMLElement>('[role=menuitem]') ?? [])];
    const at = items.findIndex((item) => item === document.activeElement);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined) items.at((at + step) % items.length)?.focus();
    else if (event.key === 'Escape' || event.key === 'Tab') onClose();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const item = (label: string, act: () => void): VNode =>
    html`<button type="button" role="menuitem" tabindex="-1" onClick=${() => (onClose(), act())}>
      ${label}
    </button>`;
  return html`<div
    class="menu"
    role="menu"
    aria-label=${`Options of ${app.label}`}
    ref=${menu}
    onKeyDown=${onKeyDown}
  >
    ${item(app.favorite ? 'Remove from favourites' : 'Add to favourites', onToggle)}
    ${item('Move left', () => onStep(-1))} ${item('Move right', () => onStep(1))}
    <a
      role="menuitem"
      tabindex="-1"
      href=${app.path}
      target="_blank"
      rel="noopener"
      onClick=${onClose}
      >Open in a new tab</a
    >
    <a role="menuitem" tabindex="-1" href=${`/processes?id=${app.id}`} onClick=${onClose}
      >Its process</a
    >
  </div>`;
}
