/** What in a package folder is a process, and in which language (packages.md §2, kit.md §4.2). */
import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { BuildError } from './build-error.ts';
import type { ScriptEngine } from './bundle-script.ts';
import type { Language } from './component.ts';

/** One component to build. */
export interface ProcessSource {
  /** Names the component: `pkg/<name>.wasm`. */
  readonly name: string;
  readonly language: Language;
  readonly engine: ScriptEngine;
  /** Absolute; the entry first. More than one only for C. */
  readonly files: readonly string[];
  /** A file of `scripts/`. */
  readonly script: boolean;
}

/** Folders of a package that never hold a process. */
const NOT_PROCESSES = new Set(['pkg', 'api', 'target', 'test', 'node_modules', 'ui', 'shared']);
/** Every source file directly in it is a process of its own: the scripts of a package are many and small. */
const SCRIPTS_FOLDER = 'scripts';
const SETTINGS_FILE = 'kit.json';
const SAFE_NAME = /^[a-z0-9-]+$/;

/**
 * Finds the processes of the package in `folder`: each subfolder with an entry file (`<name>.ts`, `index.ts`, `main.ts`,
 * `src/lib.ts`, `assembly/index.ts`, `*.c`, `*.wat`), and each source file in `scripts/`.
 * @throws BuildError for names that no process can have and for bad `kit.json` settings
 */
export async function findProcesses(folder: string): Promise<ProcessSource[]> {
  const found: ProcessSource[] = [];
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (!entry.isDirectory() || entry.name.startsWith('.') || NOT_PROCESSES.has(entry.name))
      continue;
    const path = join(folder, entry.name);
    if (entry.name === SCRIPTS_FOLDER) found.push(...(await findScripts(path)));
    else {
      const process = await findProcess(path);
      if (process !== undefined) found.push(process);
    }
  }
  for (const { name } of found) {
    if (!SAFE_NAME.test(name)) {
      throw new BuildError('bad-manifest', `process ${name}: names consist of a-z, 0-9 and -`);
    }
  }
  return found.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

async function findScripts(folder: string): Promise<ProcessSource[]> {
  return (await readdir(folder)).flatMap((file) => {
    const match = /^(.*?)(\.as)?\.(ts|js|wat|c)$/.exec(file);
    const name = match?.[1];
    if (match === null || name === undefined || isTestOrTypes(file)) return [];
    const language = match[2] === undefined ? LANGUAGES[match[3] ?? ''] : 'assemblyscript';
    if (language === undefined) return [];
    const files = [join(folder, file)];
    return [{ name, language, engine: 'quickjs' as const, files, script: true }];
  });
}

const LANGUAGES: Readonly<Record<string, Language>> = {
  ts: 'typescript',
  js: 'typescript',
  wat: 'wat',
  c: 'c',
};

async function findProcess(folder: string): Promise<ProcessSource | undefined> {
  const name = basename(folder).replaceAll('_', '-');
  const engine = await readEngine(folder);
  const files = (await filesOf(folder)).filter((file) => !isTestOrTypes(file));
  const make = (language: Language, chosen: readonly string[]): ProcessSource => ({
    name,
    language,
    engine,
    files: chosen.map((file) => join(folder, file)),
    script: false,
  });
  if (files.includes(join('assembly', 'index.ts'))) {
    return make('assemblyscript', [join('assembly', 'index.ts')]);
  }
  const stems = [basename(folder), 'index', 'main', join('src', 'lib'), join('src', 'index')];
  const script = stems
    .flatMap((stem) => [`${stem}.ts`, `${stem}.js`])
    .find((f) => files.includes(f));
  if (script !== undefined) return make('typescript', [script]);
  const c = files.filter((file) => file.endsWith('.c'));
  if (c.length > 0) return make('c', c);
  const wat = files.filter((file) => file.endsWith('.wat'));
  if (wat.length > 1) {
    throw new BuildError(
      'unknown-language',
      `${folder} holds several .wat files; one is a process`,
    );
  }
  return wat.length === 1 ? make('wat', wat) : undefined;
}

/** Files in the folder, and in its `src` and `assembly`. Sorted, so that C links in the same order everywhere. */
async function filesOf(folder: string): Promise<string[]> {
  const names = await readdir(folder);
  const deeper = await Promise.all(
    ['src', 'assembly']
      .filter((inner) => names.includes(inner))
      .map(async (inner) => (await readdir(join(folder, inner))).map((file) => join(inner, file))),
  );
  return [...names, ...deeper.flat()].toSorted();
}

async function readEngine(folder: string): Promise<ScriptEngine> {
  const path = join(folder, SETTINGS_FILE);
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text === undefined) return 'quickjs';
  let settings: unknown;
  try {
    settings = JSON.parse(text);
  } catch (error) {
    throw new BuildError('bad-manifest', `${path} is not JSON`, { cause: error });
  }
  const engine =
    typeof settings === 'object' && settings !== null && 'engine' in settings
      ? settings.engine
      : 'quickjs';
  if (engine !== 'quickjs' && engine !== 'full') {
    throw new BuildError('bad-manifest', `${path}: "engine" is "quickjs" or "full"`);
  }
  return engine;
}

function isTestOrTypes(file: string): boolean {
  return /\.(test|spec)\.[jt]s$|\.d\.ts$/.test(file);
}
