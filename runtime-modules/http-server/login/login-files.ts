/**
 * The files of the login page, from an allow-list. The page hashes the password in the browser, with the very modules of
 * @noble/hashes as they are installed: nothing is bundled, and nothing comes from elsewhere.
 */
import { readFile } from 'node:fs/promises';

export interface LoginFile {
  readonly contentType: string;
  readonly bytes: Uint8Array;
}

const HTML = 'text/html; charset=utf-8';
const CSS = 'text/css; charset=utf-8';
const JAVASCRIPT = 'text/javascript; charset=utf-8';

const OWN: readonly (readonly [path: string, file: string, contentType: string])[] = [
  ['/login/page.css', 'page.css', CSS],
  ['/login/page.js', 'page.js', JAVASCRIPT],
  ['/login/password-hash.js', 'password-hash.js', JAVASCRIPT],
  ['/login/theme.js', 'theme.js', JAVASCRIPT],
  ['/login/icon.svg', 'icon.svg', 'image/svg+xml'],
  ['/login/by-name', 'by-name.html', HTML],
];
/** argon2.js and what it imports; a test follows the imports. */
const NOBLE = ['argon2.js', 'blake2.js', 'utils.js', '_blake.js', '_md.js', '_u64.js'];

/** Everything below `/login/`, by path. */
export async function readLoginFiles(): Promise<ReadonlyMap<string, LoginFile>> {
  const noble = import.meta.resolve('@noble/hashes/argon2.js');
  const wanted = [
    ...OWN.map(([path, file, contentType]) => ({ path, contentType, url: ownFile(file) })),
    ...NOBLE.map((file) => ({
      path: `/login/noble/${file}`,
      contentType: JAVASCRIPT,
      url: new URL(file, noble),
    })),
  ];
  return new Map(
    await Promise.all(
      wanted.map(async ({ path, contentType, url }) => {
        const bytes = new Uint8Array(await readFile(url));
        return [path, { contentType, bytes }] as const;
      }),
    ),
  );
}

/** What the page is told; the rest of it is the same for everybody. */
export interface PageValues {
  readonly node: string;
  /** Whether any password works. */
  readonly development: boolean;
  /** The label of the secure subdomain it is shown on; empty on the node's own host. */
  readonly app: string;
  /** Where the node's own pages are. */
  readonly base: string;
}

/** The page as a function of what it is told. */
export async function readLoginPage(): Promise<(values: PageValues) => Uint8Array> {
  const template = await readFile(ownFile('page.html'), 'utf8');
  return (values) => {
    const named: Readonly<Record<string, string>> = {
      node: values.node,
      fake: String(values.development),
      app: values.app,
      base: values.base,
    };
    const filled = template.replace(/\$\{(\w+)\}/g, (_, name: string) => escape(named[name] ?? ''));
    return new TextEncoder().encode(filled);
  };
}

function ownFile(name: string): URL {
  return new URL(`./page/${name}`, import.meta.url);
}

function escape(text: string): string {
  const entities: Readonly<Record<string, string>> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&#39;',
  };
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? character);
}
