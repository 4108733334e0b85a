/**
 * A package's `ui/` folder to the files under `pkg/ui/` that its process serves (packages.md §2, kit.md §2.2 and §4.1 step 6).
 *
 * Every `*.ts`, `*.tsx`, `*.js` and `*.css` that lies directly in `ui/` is bundled and minified to a file of the same stem; what they
 * share goes to `chunks/`. Modules and styles in folders below are parts of them. Everything else, pages first of all, is copied as it
 * is. A folder with a `package.json` that has a `build:copy` or `build` script is built by that instead.
 */
import { build, type BuildFailure, type Message, type OutputFile, type Plugin } from 'esbuild';
import { readdir, readFile, rm } from 'node:fs/promises';
import { basename, dirname, join, posix, relative, sep } from 'node:path';
import { replaceFile } from './build-cache.ts';
import { BuildError } from './build-error.ts';
import { NODE_MODULES } from './paths.ts';
import { buildByNpm, readNpmScript } from './ui-npm.ts';

/** What became of a `ui/` folder. */
export interface UiReport {
  readonly files: readonly UiFile[];
  /** Every file of `pkg/ui` was as it is now. */
  readonly cached: boolean;
  readonly wallMs: number;
}

export interface UiFile {
  /** Below `pkg/ui`, with `/`. */
  readonly path: string;
  readonly bytes: number;
}

/** File name to content; the names are relative, with `/`. */
type Files = Map<string, Uint8Array>;

/** What bundles may use: browsers of the last two years. */
const BROWSERS = ['es2022', 'chrome111', 'edge111', 'firefox115', 'safari16.4'];
const ENTRY = /^[^.].*\.(ts|tsx|js|jsx|mjs|css)$/;
const SOURCE = /\.(ts|tsx|jsx|css)$/;
const TEST_OR_TYPES = /\.(test|spec)\.[jt]sx?$|\.d\.ts$/;
/** Of people and tools, not of browsers. */
const NOT_SHIPPED = new Set(['node_modules', 'dist', 'package.json', 'package-lock.json']);

/**
 * Builds `<root>/ui` into `<root>/pkg/ui`, where only what it made is left. Does nothing, and returns undefined, where there is no
 * `ui` folder: the files of `pkg/ui` are then the author's own.
 * @throws BuildError with code `source`, naming file and line; `pkg/ui` is then as before
 */
export async function buildUi(
  root: string,
  options: { readonly force?: boolean } = {},
): Promise<UiReport | undefined> {
  const started = performance.now();
  const source = join(root, 'ui');
  const to = join(root, 'pkg', 'ui');
  const names = await listFiles(source, (name) => NOT_SHIPPED.has(name) || name.startsWith('.'));
  if (names === undefined) return undefined;
  const script = await readNpmScript(source);
  if (script !== undefined) {
    const cached = await buildByNpm({ root, script, force: options.force === true });
    const files = await readAll(to, (await listFiles(to)) ?? []);
    return { files: listed(files), cached, wallMs: performance.now() - started };
  }
  const files = new Map([...(await copied(source, names)), ...(await bundled(source, names))]);
  checkReferences(source, files);
  const cached = !(await replaceFolder(to, files));
  return { files: listed(files), cached, wallMs: performance.now() - started };
}

async function bundled(source: string, names: readonly string[]): Promise<Files> {
  const entries = names.filter(
    (name) => !name.includes('/') && ENTRY.test(name) && !TEST_OR_TYPES.test(name),
  );
  requireDistinct(source, entries);
  const scripts = entries.filter((name) => !name.endsWith('.css'));
  const styles = entries.filter((name) => name.endsWith('.css'));
  return new Map([...(await bundle(source, scripts)), ...(await bundle(source, styles))]);
}

/** Scripts and styles go separately: a style that a script imports would otherwise take the name of one beside it. */
async function bundle(source: string, entries: readonly string[]): Promise<Files> {
  if (entries.length === 0) return new Map();
  const result = await build({
    entryPoints: entries.map((name) => `./${name}`),
    absWorkingDir: source,
    outdir: join(source, 'dist'),
    bundle: true,
    splitting: true,
    write: false,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: BROWSERS,
    charset: 'utf8',
    legalComments: 'none',
    define: { 'process.env.NODE_ENV': '"production"' },
    jsx: 'automatic',
    jsxImportSource: 'preact',
    plugins: [filesOfTheNode],
    // A package outside this repository gets preact, htm and uplot from kit, so that it builds without a network.
    nodePaths: [NODE_MODULES],
    chunkNames: 'chunks/[name]-[hash]',
    assetNames: 'assets/[name]-[hash]',
    loader: Object.fromEntries(ASSETS.map((ending) => [`.${ending}`, 'file' as const])),
    logLevel: 'silent',
  }).catch((error: unknown) => {
    throw sourceError(source, error);
  });
  return new Map(result.outputFiles.map((file) => [nameOf(source, file), file.contents]));
}

/**
 * Imports of absolute paths (`/hyperware.css`, `/our.js`) are fetched from the node by the browser. Not by esbuild's `external`, whose
 * pattern would also match every resolved path.
 */
const filesOfTheNode: Plugin = {
  name: 'files of the node',
  setup: (bundling) => {
    bundling.onResolve({ filter: /^\// }, ({ path }) => ({ path, external: true }));
  },
};

/** Files that a bundled style or script may refer to by `url()` or `import`. */
const ASSETS = ['svg', 'png', 'jpg', 'jpeg', 'gif', 'webp', 'avif', 'ico', 'woff2', 'wasm'];

function nameOf(source: string, file: OutputFile): string {
  return relative(join(source, 'dist'), file.path).split(sep).join('/');
}

function requireDistinct(source: string, entries: readonly string[]): void {
  const products = entries.map((name) => name.replace(/\.(tsx?|jsx|mjs)$/, '.js'));
  const twice = products.find((name, index) => products.indexOf(name) !== index);
  if (twice === undefined) return;
  throw new BuildError('source', `${source}: two sources would become ${twice}; rename one`);
}

async function copied(source: string, names: readonly string[]): Promise<Files> {
  const kept = names.filter(
    (name) =>
      !SOURCE.test(name) &&
      !TEST_OR_TYPES.test(name) &&
      !(ENTRY.test(name) && !name.includes('/')) &&
      basename(name) !== 'tsconfig.json',
  );
  return readAll(source, kept);
}

/** A page that names a file beside it which is not there would fail in the browser, silently: it fails here, by name. */
function checkReferences(source: string, files: Files): void {
  for (const [page, content] of files) {
    if (!page.endsWith('.html')) continue;
    const text = new TextDecoder().decode(content).replaceAll(/<!--.*?-->/gs, '');
    for (const [, reference = ''] of text.matchAll(/\s(?:src|href)="(\.{1,2}\/[^"?#]*)/g)) {
      const named = posix.join(dirname(page), reference);
      if (files.has(named) || named.endsWith('/') || named === '.') continue;
      throw new BuildError(
        'source',
        `${join(source, page)} refers to ${reference}, which is not built: put its source beside the page`,
      );
    }
  }
}

/** @returns whether anything had to change */
async function replaceFolder(to: string, files: Files): Promise<boolean> {
  let changed = false;
  for (const name of (await listFiles(to)) ?? []) {
    if (files.has(name)) continue;
    await rm(join(to, name));
    changed = true;
  }
  for (const [name, content] of files) {
    const there = await readFile(join(to, name)).catch(() => undefined);
    if (there?.equals(content) === true) continue;
    await replaceFile(join(to, name), content);
    changed = true;
  }
  return changed;
}

/** Names of the files below `folder`, sorted, with `/`; undefined when there is no such folder. */
async function listFiles(
  folder: string,
  skip: (name: string) => boolean = () => false,
): Promise<string[] | undefined> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => undefined);
  if (entries === undefined) return undefined;
  const found: string[] = [];
  for (const entry of entries) {
    if (skip(entry.name)) continue;
    if (entry.isFile()) found.push(entry.name);
    if (!entry.isDirectory()) continue;
    const below = (await listFiles(join(folder, entry.name), skip)) ?? [];
    found.push(...below.map((name) => `${entry.name}/${name}`));
  }
  return found.toSorted();
}

async function readAll(folder: string, names: readonly string[]): Promise<Files> {
  const files: Files = new Map();
  for (const name of names) files.set(name, await readFile(join(folder, name)));
  return files;
}

function listed(files: Files): UiFile[] {
  return [...files]
    .map(([path, content]) => ({ path, bytes: content.length }))
    .toSorted((a, b) => (a.path < b.path ? -1 : 1));
}

function sourceError(source: string, error: unknown): BuildError {
  const messages = isBuildFailure(error) ? error.errors.map(line) : [String(error)];
  return new BuildError('source', `${source} does not bundle:\n${messages.join('\n')}`, {
    cause: error,
  });
}

function line({ location, text }: Message): string {
  return location === null
    ? text
    : `${location.file}:${location.line}:${location.column + 1}: ${text}`;
}

function isBuildFailure(error: unknown): error is BuildFailure {
  return error instanceof Error && 'errors' in error && Array.isArray(error.errors);
}
