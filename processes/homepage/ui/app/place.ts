/** Where the page is, as the browser's address says; changing it changes what is shown. */
import { type OpenApp, openAppAt, type PageName, pageAt, PATHS } from './address.ts';
import { Store } from './store.ts';

export interface Place {
  readonly page: PageName;
  /** The app that is open in place. */
  readonly open: OpenApp | undefined;
  /** The process whose details are shown. */
  readonly process: string | undefined;
}

export const place = new Store<Place>(read());

addEventListener('popstate', reread);
addEventListener('hashchange', reread);

export function goTo(page: PageName, query = ''): void {
  push(`${PATHS[page]}${query}`);
}

/** Shows the details of a process beside the table; undefined: of none. */
export function showProcess(id: string | undefined): void {
  goTo('processes', id === undefined ? '' : `?id=${encodeURIComponent(id).replaceAll('%3A', ':')}`);
}

/** Another address without the page being fetched again. */
export function push(address: string): void {
  if (address === location.pathname + location.search + location.hash) return;
  history.pushState(undefined, '', address);
  reread();
}

/** A plain click on a link to one of our pages changes the page here; with a modifier the browser does what it does with links. */
export function followLink(event: MouseEvent): void {
  const { altKey, button, ctrlKey, metaKey, shiftKey, target } = event;
  const link = target instanceof Element ? target.closest('a') : null;
  if (link === null || event.defaultPrevented || button !== 0) return;
  if (altKey || ctrlKey || metaKey || shiftKey || link.target !== '') return;
  const { origin, pathname, search, hash } = link;
  const ours = Object.values(PATHS).includes(pathname) && origin === location.origin;
  if (!ours || link.hasAttribute('download') || link.classList.contains('skip')) return;
  event.preventDefault();
  push(pathname + search + hash);
}

function reread(): void {
  place.value = read();
}

function read(): Place {
  const page = pageAt(location.pathname);
  const id = new URLSearchParams(location.search).get('id') ?? undefined;
  return { page, open: openAppAt(location.hash), process: page === 'processes' ? id : undefined };
}
