/** The checks of a package's own files that a build makes: they parse, and what they name exists (packages.md §4-§6). */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BuildError } from './build-error.ts';

/** `package:publisher` from `metadata.json`. */
export async function readPackageId(root: string): Promise<string> {
  const path = join(root, 'metadata.json');
  const metadata = await readJson(path);
  const properties = field(metadata, 'properties');
  const name = field(properties, 'package_name');
  const publisher = field(properties, 'publisher');
  if (typeof name !== 'string' || !/^[a-z0-9-]+$/.test(name)) {
    throw new BuildError(
      'bad-manifest',
      `${path}: properties.package_name consists of a-z, 0-9 and -`,
    );
  }
  if (typeof publisher !== 'string' || !/^[a-z0-9.-]+$/.test(publisher)) {
    throw new BuildError(
      'bad-manifest',
      `${path}: properties.publisher consists of a-z, 0-9, . and -`,
    );
  }
  return `${name}:${publisher}`;
}

/** Every component that `manifest.json` and `scripts.json` name must lie in `pkg`. */
export async function checkManifest(pkg: string): Promise<void> {
  const files = await readdir(pkg);
  const manifestPath = join(pkg, 'manifest.json');
  const manifest = await readJson(manifestPath);
  if (!Array.isArray(manifest))
    throw new BuildError('bad-manifest', `${manifestPath} is not an array`);
  for (const item of manifest as unknown[]) {
    const path = field(item, 'process_wasm_path');
    if (typeof path !== 'string') {
      throw new BuildError('bad-manifest', `${manifestPath}: an entry lacks process_wasm_path`);
    }
    requireWasm(files, path.replace(/^\//, ''), manifestPath);
  }
  if (!files.includes('scripts.json')) return;
  const scriptsPath = join(pkg, 'scripts.json');
  const scripts = await readJson(scriptsPath);
  if (typeof scripts !== 'object' || scripts === null || Array.isArray(scripts)) {
    throw new BuildError('bad-manifest', `${scriptsPath} is not an object`);
  }
  for (const name of Object.keys(scripts)) requireWasm(files, name, scriptsPath);
}

function requireWasm(files: readonly string[], wasm: string, named: string): void {
  if (files.includes(wasm)) return;
  const near = files.find((file) => file.replaceAll('_', '-') === wasm.replaceAll('_', '-'));
  throw new BuildError(
    'missing-wasm',
    `Missing a .wasm file declared by ${named}: ${wasm}` +
      (near === undefined ? '; no process of that name was built' : `; there is ${near}`),
  );
}

async function readJson(path: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw new BuildError('no-package', `${path} is missing`, { cause: error });
  }
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new BuildError('bad-manifest', `${path} is not JSON: ${String(error)}`, { cause: error });
  }
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && name in value
    ? (value as Record<string, unknown>)[name]
    : undefined;
}
