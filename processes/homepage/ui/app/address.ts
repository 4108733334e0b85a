/** Where the page is: which of its pages, and which app is open on top of it. */
import type { App } from './apps.ts';

export type PageName = 'home' | 'processes' | 'logs';

export const PATHS: Readonly<Record<PageName, string>> = {
  home: '/',
  processes: '/processes',
  logs: '/logs',
};

/** Anything unknown is home. */
export function pageAt(pathname: string): PageName {
  const path = pathname.length > 1 ? pathname.replace(/\/$/, '') : pathname;
  const names: readonly PageName[] = ['processes', 'logs'];
  return names.find((name) => PATHS[name] === path) ?? 'home';
}

/** An app opened in place: `#app-<process id>[/path]` (packages.md §14.3). */
export interface OpenApp {
  readonly id: string;
  /** Below the app's own paths; empty for the app's front. */
  readonly path: string;
}

export function openAppAt(hash: string): OpenApp | undefined {
  const match = /^#app-([^/]+)(\/.*)?$/.exec(hash);
  if (match === null) return undefined;
  return { id: decoded(match[1] ?? ''), path: match[2] ?? '' };
}

export function hashOf({ id, path }: OpenApp): string {
  return `#app-${encodeURIComponent(id).replaceAll('%3A', ':')}${path}`;
}

/** The address of an app opened in place. */
export function frameAddress(app: App, path: string): string {
  const front = app.path ?? `/${app.id}/`;
  if (path === '') return front;
  // The URL parser must not be talked into another host or out of the app.
  return `/${app.id}${new URL(path.replace(/^\/+/, '/'), 'http://x').pathname}`;
}

/** On localhost each subdomain has cookies of its own, so apps open in tabs there; elsewhere they may open in place. */
export function opensInTabs(hostname: string): boolean {
  return (
    hostname === 'localhost' ||
    hostname.endsWith('.localhost') ||
    hostname.startsWith('127.') ||
    hostname === '[::1]'
  );
}

/** What a message from an app in a frame asks to be opened. */
export type LinkRequest = { readonly app: OpenApp } | { readonly tab: string };

/**
 * Reads a message of an app (packages.md §14.3): `OPEN_APP {id}`, `APP_LINK_CLICKED {url}`, `HW_LINK_CLICKED {url}`.
 * @param origin of this page
 * @returns undefined for anything else, and for addresses that are neither of an app nor of the web
 */
export function linkRequestIn(
  data: unknown,
  apps: readonly App[],
  origin: string,
): LinkRequest | undefined {
  const { type, id, url } = (typeof data === 'object' && data !== null ? data : {}) as Record<
    string,
    unknown
  >;
  if (type === 'OPEN_APP') {
    const known = apps.find((app) => app.id === id && app.path !== null);
    return known === undefined ? undefined : { app: { id: known.id, path: '' } };
  }
  if ((type !== 'APP_LINK_CLICKED' && type !== 'HW_LINK_CLICKED') || typeof url !== 'string')
    return undefined;
  const link = URL.parse(url.replace(/^hw:\/\//, '/'), origin);
  if (link === null || !/^https?:$/.test(link.protocol)) return undefined;
  if (link.origin !== origin) return { tab: link.href };
  const [, name = '', rest = ''] = /^\/([^/]+)(\/.*)?$/.exec(link.pathname) ?? [];
  const app = apps.find(({ id }) => id === decoded(name));
  return app === undefined
    ? { tab: link.href }
    : { app: { id: app.id, path: rest === '/' ? '' : rest } };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
