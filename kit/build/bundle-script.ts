/** TypeScript sources to the one ES module that a JavaScript engine inside a component can run. */
import { build, type Message } from 'esbuild';
import { dirname, join } from 'node:path';
import { PROCESS_LIBRARY } from './paths.ts';
import { BuildError } from './build-error.ts';

/** Which JavaScript engine is put into the component. QuickJS: a tenth of the size, five times the messages. */
export type ScriptEngine = 'quickjs' | 'full';

export interface ScriptBundle {
  readonly code: string;
  /** Absolute paths of every file that went in. */
  readonly inputs: readonly string[];
}

/** Host interfaces; imported by the component, not bundled. */
const HOST_IMPORTS = [
  'hyperware:process/standard@1.0.0',
  'wasi:random/random@0.2.12',
  'hyperloom:guest/native@1.0.0',
];

/**
 * Bundles `source` behind the prelude of the engine. Async functions are lowered to generators over our own Promise, whose jobs the
 * process loop runs (processes/lib/engine/jobs.ts says why). `hyperware` and `hyperware/x` resolve to the process library.
 * @param exportName what the component's function is called: `init`, or its placeholder
 * @throws BuildError with code `source`: what esbuild refuses, with file and line
 */
export function bundleScript(
  source: string,
  engine: ScriptEngine,
  exportName: string,
): Promise<ScriptBundle> {
  const entry =
    `import { boot } from ${JSON.stringify(preludeOf(engine))};\n` +
    `import * as guest from ${JSON.stringify(source)};\n` +
    `export const ${exportName} = boot(guest);\n`;
  return bundleEntry(entry, source);
}

/** The file that must be imported before any guest code; it exports `boot`. */
export function preludeOf(engine: ScriptEngine): string {
  return join(PROCESS_LIBRARY, 'engine', `${engine}.ts`);
}

/** Bundles the text of an entry module; `source` is what messages name and what relative imports start from. */
export async function bundleEntry(entry: string, source: string): Promise<ScriptBundle> {
  const result = await build({
    stdin: { contents: entry, resolveDir: dirname(source), sourcefile: 'entry.ts', loader: 'ts' },
    bundle: true,
    write: false,
    metafile: true,
    format: 'esm',
    platform: 'neutral',
    mainFields: ['module', 'main'],
    target: 'es2023',
    supported: { 'async-await': false, 'async-generator': false, 'for-await': false },
    // Whitespace costs parse time in the snapshot only; names are what a trap's stack shows.
    minify: false,
    legalComments: 'none',
    charset: 'utf8',
    external: HOST_IMPORTS,
    alias: { hyperware: PROCESS_LIBRARY },
    logLevel: 'silent',
    absWorkingDir: dirname(source),
  }).catch((error: unknown) => {
    throw sourceError(source, error);
  });
  const code = withOurAsync(result.outputFiles[0]?.text ?? '');
  const inputs = Object.keys(result.metafile.inputs)
    .filter((path) => path !== 'entry.ts')
    .map((path) => join(dirname(source), path));
  return { code, inputs };
}

/** The bundler's helper for async functions; matched as a whole, so that another version of it is left alone. */
const ASYNC_HELPER = /^var __async = \(__this, __arguments, generator\) => \{\n(?: .*\n)*\};$/m;

/** With the Promise of processes/lib/engine/promise.ts doing it in a third of the instructions. */
function withOurAsync(code: string): string {
  return code.replace(
    ASYNC_HELPER,
    'var __async = (__this, __arguments, generator) => Promise.async(__this, __arguments, generator);',
  );
}

function sourceError(source: string, error: unknown): BuildError {
  const messages = isBuildFailure(error) ? error.errors.map(line) : [String(error)];
  return new BuildError('source', `${source} does not bundle:\n${messages.join('\n')}`, {
    cause: error,
  });
}

function line(message: Message): string {
  const at = message.location;
  return at === null ? message.text : `${at.file}:${at.line}:${at.column + 1}: ${message.text}`;
}

function isBuildFailure(error: unknown): error is { errors: Message[] } {
  return (
    typeof error === 'object' && error !== null && 'errors' in error && Array.isArray(error.errors)
  );
}
