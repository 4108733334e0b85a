/**
 * A `ui/` folder that brings its own tools: `npm run build:copy`, which puts its files into `pkg/ui` itself, else `npm run build`, whose
 * `dist/` is copied (kit.md §2.2, §4.1). Dependencies are installed when `node_modules` is absent; only that needs a network.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { replaceFile } from './build-cache.ts';
import { BuildError } from './build-error.ts';

export type NpmScript = 'build:copy' | 'build';

/** How long `npm install` and each script may take, ms. */
export const NPM_TIMEOUT_MS = 600_000;
/** What npm may print before it is stopped, bytes. */
export const NPM_OUTPUT_BYTES_MAX = 16 * 1_024 * 1_024;

const run = promisify(execFile);

/**
 * Which script of `ui/package.json` builds it; undefined when there is none, and kit builds it.
 * @throws BuildError when the file is there and not JSON
 */
export async function readNpmScript(ui: string): Promise<NpmScript | undefined> {
  const path = join(ui, 'package.json');
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  let described: unknown;
  try {
    described = JSON.parse(text);
  } catch (error) {
    throw new BuildError('bad-manifest', `${path} is not JSON`, { cause: error });
  }
  const scripts = (described as { scripts?: Record<string, unknown> } | null)?.scripts ?? {};
  return (['build:copy', 'build'] as const).find((name) => typeof scripts[name] === 'string');
}

/**
 * @returns true when neither the sources nor the products changed since the last time, so that nothing was run
 * @throws BuildError with the end of what npm printed
 */
export async function buildByNpm(options: {
  readonly root: string;
  readonly script: NpmScript;
  readonly force: boolean;
}): Promise<boolean> {
  const { root, script, force } = options;
  const ui = join(root, 'ui');
  const to = join(root, 'pkg', 'ui');
  const stampPath = join(root, 'target', 'ui.json');
  const stamp = async (): Promise<string> =>
    JSON.stringify({ script, sources: await digest(ui), products: await digest(to) });
  const before = await readFile(stampPath, 'utf8').catch(() => undefined);
  if (!force && before !== undefined && before === (await stamp())) return true;
  if (!(await exists(join(ui, 'node_modules')))) await npm(ui, ['install']);
  await npm(ui, ['run', script]);
  if (script === 'build') {
    if (!(await exists(join(ui, 'dist')))) {
      throw new BuildError('source', `${ui}: \`npm run build\` left no dist folder`);
    }
    await rm(to, { recursive: true, force: true });
    await cp(join(ui, 'dist'), to, { recursive: true });
  }
  await replaceFile(stampPath, await stamp());
  return false;
}

async function npm(folder: string, args: readonly string[]): Promise<void> {
  try {
    await run('npm', args, {
      cwd: folder,
      timeout: NPM_TIMEOUT_MS,
      maxBuffer: NPM_OUTPUT_BYTES_MAX,
    });
  } catch (cause) {
    const { stdout, stderr, message } = cause as Error & { stdout?: string; stderr?: string };
    const missing = (cause as { code?: unknown }).code === 'ENOENT';
    const said = `${stdout ?? ''}\n${stderr ?? ''}`.trim().split('\n').slice(-20).join('\n');
    throw new BuildError(
      missing ? 'toolchain-missing' : 'source',
      missing
        ? `${folder} is built by npm, which is not on the path`
        : `${folder}: npm ${args.join(' ')} failed:\n${said || message}`,
      { cause },
    );
  }
}

/** Of the names and contents of all files below `folder` but what npm itself put there. */
async function digest(folder: string): Promise<string> {
  const hash = createHash('sha256');
  const visit = async (path: string, name: string): Promise<void> => {
    const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
    for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      if (entry.name === 'node_modules' || entry.name === 'dist') continue;
      const below = `${name}/${entry.name}`;
      if (entry.isDirectory()) await visit(join(path, entry.name), below);
      if (!entry.isFile()) continue;
      const content = await readFile(join(path, entry.name));
      hash.update(`${below}\0${content.length}\0`).update(content);
    }
  };
  await visit(folder, '');
  return hash.digest('hex');
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
