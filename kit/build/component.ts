/** One source file, of any language we build, to one component. */
import { basename, extname, resolve } from 'node:path';
import { buildAssemblyScript } from './assemblyscript.ts';
import { BuildError } from './build-error.ts';
import { bundleScript, type ScriptEngine } from './bundle-script.ts';
import { buildC } from './c.ts';
import { componentizeQuickJs } from './quickjs.ts';
import { PLACEHOLDER_EXPORT } from './quickjs-exports.ts';
import { componentizeFull } from './starling.ts';
import { buildWat } from './wat.ts';

export type Language = 'typescript' | 'assemblyscript' | 'c' | 'wat';

export interface ComponentOptions {
  /** Default: by the file's name; see `languageOf`. */
  readonly language?: Language;
  /** For TypeScript. Default `quickjs`. */
  readonly engine?: ScriptEngine;
}

export interface ComponentBuild {
  readonly component: Uint8Array;
  readonly language: Language;
  /** Absolute paths of every source file that went in; what incremental builds compare. */
  readonly inputs: readonly string[];
}

/**
 * Builds one component.
 * @throws BuildError
 */
export async function buildComponent(
  sourceFile: string,
  options: ComponentOptions = {},
): Promise<Uint8Array> {
  return (await buildSource(sourceFile, options)).component;
}

/** As `buildComponent`, and says what it was made of. */
export async function buildSource(
  sourceFile: string,
  options: ComponentOptions = {},
): Promise<ComponentBuild> {
  const source = resolve(sourceFile);
  const language = options.language ?? languageOf(source);
  switch (language) {
    case 'typescript':
      return buildScript(source, options.engine ?? 'quickjs');
    case 'assemblyscript':
      return { language, ...(await buildAssemblyScript(source)) };
    case 'c':
      return { language, ...(await buildC([source])) };
    case 'wat':
      return { language, ...(await buildWat(source)) };
  }
}

/** By extension; a file in a folder `assembly`, or named `*.as.ts`, is AssemblyScript. */
export function languageOf(source: string): Language {
  switch (extname(source)) {
    case '.wat':
      return 'wat';
    case '.c':
      return 'c';
    case '.ts':
    case '.js':
    case '.mjs':
      return basename(source).endsWith('.as.ts') || /[\\/]assembly[\\/][^\\/]*$/.test(source)
        ? 'assemblyscript'
        : 'typescript';
    default:
      throw new BuildError('unknown-language', `${source}: kit builds .ts, .js, .c and .wat files`);
  }
}

async function buildScript(source: string, engine: ScriptEngine): Promise<ComponentBuild> {
  const exportName = engine === 'quickjs' ? PLACEHOLDER_EXPORT : 'init';
  const { code, inputs } = await bundleScript(source, engine, exportName);
  const component =
    engine === 'quickjs'
      ? await componentizeQuickJs(code, source)
      : await componentizeFull(code, source);
  return { component, language: 'typescript', inputs };
}
