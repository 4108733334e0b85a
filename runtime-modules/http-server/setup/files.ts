/** The files of the setup pages, from an allow-list; what they share with the login page comes from there. */
import { readFile } from 'node:fs/promises';
import { type LoginFile, readLoginFiles } from '../login/login-files.ts';

const JAVASCRIPT = 'text/javascript; charset=utf-8';
const PAGE = 'page.html';

const OWN: readonly (readonly [file: string, contentType: string])[] = [
  ['setup.css', 'text/css; charset=utf-8'],
  ['setup.js', JAVASCRIPT],
  ['dom.js', JAVASCRIPT],
  ['node.js', JAVASCRIPT],
  ['wallet.js', JAVASCRIPT],
  ['name-view.js', JAVASCRIPT],
  ['mint-view.js', JAVASCRIPT],
  ['keyfile-views.js', JAVASCRIPT],
];

export interface SetupFiles {
  readonly page: Uint8Array;
  /** By path. */
  readonly assets: ReadonlyMap<string, LoginFile>;
}

export async function readSetupFiles(): Promise<SetupFiles> {
  const [page, login, ...own] = await Promise.all([
    readFile(ownFile(PAGE)),
    readLoginFiles(),
    ...OWN.map(async ([file, contentType]) => {
      const bytes = new Uint8Array(await readFile(ownFile(file)));
      return [`/setup/${file}`, { contentType, bytes }] as const;
    }),
  ]);
  return { page, assets: new Map([...login, ...own]) };
}

function ownFile(name: string): URL {
  return new URL(`./pages/${name}`, import.meta.url);
}
