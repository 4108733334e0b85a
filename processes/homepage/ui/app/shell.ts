/** What is around every page: its head, the way to the others, and how things stand with the node. */
import type { VNode } from 'preact';
import { useState } from 'preact/hooks';
import { type PageName, PATHS } from './address.ts';
import { connection } from './api.ts';
import { html } from './html.ts';
import { Icon, type IconName, Mark } from './icons.ts';
import { Dialog } from './notices.ts';
import { place } from './place.ts';
import { Store, useStore } from './store.ts';
import { chooseTheme, storedTheme, type Theme } from './theme.ts';

export const theme = new Store<Theme>(storedTheme());
export const helpShown = new Store(false);

/** `window.our.node`, which `/our.js` sets. */
export function ourNode(): string {
  return (globalThis as { our?: { node?: string } }).our?.node ?? location.hostname;
}

const PAGES: readonly { readonly name: PageName; readonly label: string }[] = [
  { name: 'home', label: 'Home' },
  { name: 'processes', label: 'Processes' },
  { name: 'logs', label: 'Logs' },
];

export function Head(): VNode {
  return html`<header class="head">
    <a class="brand" href="/" title="Home"><${Mark} /><span>${ourNode()}</span></a>
    <${Pages} className="pages" label="Pages" />
    <div class="tools">
      <${ThemeButton} />
      <button
        type="button"
        class="icon-button"
        aria-label="Keyboard help"
        title="Keyboard help (?)"
        onClick=${() => (helpShown.value = true)}
      >
        <${Icon} name="help" />
      </button>
    </div>
  </header>`;
}

/** The same links at the foot of a narrow screen, where a thumb reaches them. */
export function Foot(): VNode {
  return html`<${Pages} className="foot" label="Pages, again" />`;
}

function Pages(props: { readonly className: string; readonly label: string }): VNode {
  const { page, open } = useStore(place);
  return html`<nav class=${props.className} aria-label=${props.label}>
    ${PAGES.map(
      ({ name, label }) =>
        html`<a
          key=${name}
          href=${PATHS[name]}
          aria-current=${name === page && open === undefined ? 'page' : undefined}
          ><${Icon} name=${name} /><span>${label}</span></a
        >`,
    )}
  </nav>`;
}

const THEMES: Readonly<Record<Theme, { next: Theme; icon: IconName; label: string }>> = {
  system: { next: 'light', icon: 'system', label: 'as the system' },
  light: { next: 'dark', icon: 'sun', label: 'light' },
  dark: { next: 'system', icon: 'moon', label: 'dark' },
};

function ThemeButton(): VNode {
  const { next, icon, label } = THEMES[useStore(theme)];
  const choose = (): void => {
    chooseTheme(next);
    theme.value = next;
  };
  return html`<button
    type="button"
    class="icon-button"
    aria-label=${`Colours: ${label}. Switch to ${THEMES[next].label}`}
    title=${`Colours: ${label}`}
    onClick=${choose}
  >
    <${Icon} name=${icon} />
  </button>`;
}

/** Says when the node does not answer, or asks for the password. What was there before stays to be read. */
export function Banner(): VNode {
  const state = useStore(connection);
  return html`<div class="banner-place" role="status">
    ${
      state === 'offline' &&
      html`<p class="banner">
        <span class="pulse"></span> The node does not answer. What you see is from before; trying
        again…
      </p>`
    }
    ${
      state === 'signed-out' &&
      html`<p class="banner">
        You are signed out.
        <button type="button" class="button small" onClick=${() => location.reload()}>
          Sign in
        </button>
      </p>`
    }
  </div>`;
}

const HELP: readonly (readonly [what: string, keys: readonly string[]])[] = [
  ['Search', ['/']],
  ['Open one of the first nine apps', ['1', '–', '9']],
  ['Walk over tiles, rows and lines', ['←', '↑', '↓', '→']],
  ['Open', ['Enter']],
  ['Move the app under the focus', ['Shift', '+', '←', '→']],
  ['Make it a favourite, or no longer', ['F']],
  ['Its options', ['M']],
  ['Home, processes, logs', ['H', 'P', 'L']],
  ['Close what is open', ['Esc']],
  ['This list', ['?']],
];

export function Help(): VNode | undefined {
  const shown = useStore(helpShown);
  if (!shown) return undefined;
  const close = (): void => {
    helpShown.value = false;
  };
  return html`<${Dialog} label="Keyboard help" onClose=${close}>
    <h2>Without a mouse</h2>
    <dl class="keys">
      ${HELP.map(
        ([what, keys]) =>
          html`<div key=${what}>
            <dt>${what}</dt>
            <dd>
              ${keys.map((key) => (key.length > 1 || /[\w?/←↑↓→]/.test(key) ? html`<kbd>${key}</kbd>` : key))}
            </dd>
          </div>`,
      )}
    </dl>
    <div class="dialog-actions">
      <button type="button" class="button" autofocus onClick=${close}>Close</button>
    </div>
  <//>`;
}

interface SearchProps {
  readonly label: string;
  readonly value: string;
  readonly onInput: (text: string) => void;
  readonly onKey?: (event: KeyboardEvent) => void;
}

/** A search field; `/` leads there, Escape empties it, and leaves it when it is empty. */
export function Search({ label, value, onInput, onKey }: SearchProps): VNode {
  const [id] = useState(() => `search-${Math.random().toString(36).slice(2)}`);
  const onKeyDown = (event: KeyboardEvent & { readonly currentTarget: HTMLInputElement }): void => {
    onKey?.(event);
    if (event.key !== 'Escape' || event.defaultPrevented) return;
    event.preventDefault();
    if (value === '') event.currentTarget.blur();
    else onInput('');
  };
  return html`<div class="search">
    <${Icon} name="search" />
    <input
      id=${id}
      type="search"
      placeholder=${label}
      aria-label=${label}
      aria-keyshortcuts="/"
      autocomplete="off"
      spellcheck=${false}
      value=${value}
      onInput=${(event: { currentTarget: HTMLInputElement }) => onInput(event.currentTarget.value)}
      onKeyDown=${onKeyDown}
    />
    <kbd aria-hidden="true">/</kbd>
  </div>`;
}

/** Leads to the search field of the page that is shown. */
export function focusSearch(): void {
  document.querySelector<HTMLInputElement>('main .search input')?.focus();
}
