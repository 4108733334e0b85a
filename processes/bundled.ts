/**
 * The packages that come with the node: every folder here with a metadata.json whose publisher is `sys`. Their components are built
 * from source when they are missing or stale, and found again by a fingerprint of the sources, so that a warm start builds nothing,
 * and loads no build tool.
 */
import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { BundledPackage } from '../kernel/boot.ts';

/** A bundled package could not be built or read; the message names it and says what to do. */
export class BundleBuildError extends Error {
  override readonly name = 'BundleBuildError';
}

const PROCESSES = import.meta.dirname;
const ROOT = dirname(PROCESSES);
/** What components are made of besides their own folder. */
const SHARED_SOURCES = ['lib']
  .map((name) => join(PROCESSES, name))
  .concat(['wit', 'kit/build', 'package-lock.json'].map((name) => join(ROOT, name)))
  .concat(
    readdirSync(join(ROOT, 'contracts'))
      .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
      .map((name) => join(ROOT, 'contracts', name)),
  );
const PUBLISHER = 'sys';
const INDISPENSABLE = 'terminal';

interface Stamp {
  /** Of the sources. */
  readonly sources: string;
  /** Of what was made of them, so that a damaged or half-written product is made again. */
  readonly products: string;
  /** File name in `target/`. */
  readonly zip: string;
}

/**
 * Loads all bundled packages. `tell` gets a line for each step of a build, and for each package that cannot be built: it is left out.
 * @throws BundleBuildError when that is the terminal, without which nobody could do anything about it
 */
export async function bundledPackages(
  tell: (line: string) => void,
  root: string = PROCESSES,
): Promise<BundledPackage[]> {
  const packages: BundledPackage[] = [];
  let shared: string | undefined;
  for (const name of (await readdir(root)).sort()) {
    const folder = join(root, name);
    const metadata = await readFile(join(folder, 'metadata.json'), 'utf8').catch(() => undefined);
    if (metadata === undefined || !isBundled(metadata)) continue;
    shared ??= await fingerprint(SHARED_SOURCES, isComponent);
    try {
      packages.push(await load(name, folder, metadata, shared, tell));
    } catch (error) {
      if (!(error instanceof BundleBuildError) || name === INDISPENSABLE) throw error;
      tell(`${error.message} The node starts without it.`);
    }
  }
  return packages;
}

async function load(
  name: string,
  folder: string,
  metadata: string,
  shared: string,
  tell: (line: string) => void,
): Promise<BundledPackage> {
  const pkg = join(folder, 'pkg');
  const hasUi = (await stat(join(folder, 'ui')).catch(() => undefined)) !== undefined;
  const isProduct = (path: string): boolean =>
    isComponent(path) || (hasUi && path === join(pkg, 'ui'));
  const sources = `${shared} ${await fingerprint([folder], isProduct)}`;
  const stamp = await readStamp(folder);
  const target = join(folder, 'target');
  let zip = join(target, stamp?.zip ?? '');
  const fresh = stamp?.sources === sources && stamp.products === (await fingerprint([pkg, zip]));
  if (!fresh) {
    tell(`building package ${name} (first start, or its sources changed)`);
    zip = await build(name, folder, tell);
    // The fingerprint of the sources as they were before the build: an edit made meanwhile is seen at the next start.
    const products = await fingerprint([pkg, zip]);
    const made: Stamp = { sources, products, zip: zip.slice(target.length + 1) };
    await writeWhole(stampPath(folder), JSON.stringify(made));
  }
  return { label: name, metadata, zip: await readFile(zip), files: await readFiles(pkg) };
}

async function build(name: string, folder: string, tell: (line: string) => void): Promise<string> {
  const { buildPackage } = await import('../kit/build/package.ts');
  try {
    const { zip } = await buildPackage(folder, {
      onUi: (ui) => {
        if (!ui.cached) tell(`built ${name}/ui`);
      },
      onProcess: (process) => {
        if (!process.cached) tell(`built ${name}/${process.name}`);
      },
    });
    return zip;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new BundleBuildError(
      `the bundled package ${name} cannot be built: ${reason}\nIf this is a fresh checkout, run \`npm ci\` again; else mend processes/${name}.`,
      { cause: error },
    );
  }
}

function isBundled(metadata: string): boolean {
  try {
    const value = JSON.parse(metadata) as { properties?: { publisher?: unknown } };
    return value.properties?.publisher === PUBLISHER;
  } catch {
    // Damaged: taken along, so that boot says what is wrong with it.
    return true;
  }
}

async function readFiles(folder: string): Promise<{ path: string; bytes: Uint8Array }[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  return Promise.all(
    paths.map(async (path) => ({
      path: path.slice(folder.length + 1).replaceAll('\\', '/'),
      bytes: await readFile(path),
    })),
  );
}

/** Of every file's path, size and time, below all `roots`, but for what `isProduct` says is made by a build. */
async function fingerprint(
  roots: readonly string[],
  isProduct: (path: string) => boolean = () => false,
): Promise<string> {
  const lines: string[] = [];
  for (const root of roots) await listFiles(root, lines, isProduct);
  return createHash('sha256').update(lines.join('\n')).digest('hex');
}

async function listFiles(
  path: string,
  lines: string[],
  isProduct: (path: string) => boolean,
): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) return;
  if (!found.isDirectory()) {
    lines.push(`${path} ${found.size} ${found.mtimeMs}`);
    return;
  }
  for (const name of (await readdir(path)).sort()) {
    if (name === 'target' || name === 'node_modules' || name.endsWith('.test.ts')) continue;
    const below = join(path, name);
    if (!isProduct(below)) await listFiles(below, lines, isProduct);
  }
}

function isComponent(path: string): boolean {
  return path.endsWith('.wasm');
}

async function readStamp(folder: string): Promise<Stamp | undefined> {
  try {
    const value = JSON.parse(await readFile(stampPath(folder), 'utf8')) as Partial<Stamp> | null;
    const { sources, products, zip } = value ?? {};
    if (typeof sources !== 'string' || typeof products !== 'string') return undefined;
    return typeof zip !== 'string' || zip.includes('/') ? undefined : { sources, products, zip };
  } catch {
    return undefined;
  }
}

function stampPath(folder: string): string {
  return join(folder, 'target', 'bundled.json');
}

async function writeWhole(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(`${path}.new`, text);
  await rename(`${path}.new`, path);
}
