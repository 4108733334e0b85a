/** AssemblyScript to a component: a few kilobytes, half a second, from npm packages alone. */
import { readFile, readdir } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { BuildError } from './build-error.ts';
import { GLUE, PROCESS_WIT } from './paths.ts';
import { componentOfCore } from './wasm-tools.ts';

const ENTRY_FILE = 'kit-entry.ts';

/** The two functions the component model asks for, around a guest's `main`. */
const entry = (module: string): string => `
import { main } from "./${module}";
import { text, cabi_realloc as allocate } from "hyperware";
export function cabi_realloc(old: usize, oldSize: usize, align: usize, size: usize): usize {
  return allocate(old, oldSize, align, size);
}
export function init(our: usize, length: usize): void { main(text(our, length)); }
`;

/** Component and the files it was made of. */
export interface NativeBuild {
  readonly component: Uint8Array;
  readonly inputs: readonly string[];
}

/**
 * Compiles `source`; `import … from 'hyperware'` gives it the canonical-ABI glue of kit/templates/glue/hyperware.ts.
 * @throws BuildError: `toolchain-missing` without the compiler, `source` with the compiler's own report
 */
export async function buildAssemblyScript(source: string): Promise<NativeBuild> {
  const { core, inputs } = await compileScript(source, entry(basename(source, '.ts')), [
    ...['--lib', GLUE],
    ...['--runtime', 'minimal'],
    ...['--use', 'abort='],
    '--debug',
  ]);
  const wit = await readFile(PROCESS_WIT, 'utf8');
  return { component: await componentOfCore(core, wit, 'process-v1', source), inputs };
}

/** What was compiled last; the next waits for it. */
let last: Promise<unknown> = Promise.resolve();
/** Names of the compiler's own library, without what `--lib` has added. */
let own: ReadonlySet<string> | undefined;

/**
 * Compiles `entryText`, which stands beside `source` and imports it, to a core module; `--lib` among the flags gives it its glue.
 * @throws BuildError as `buildAssemblyScript`
 */
export function compileScript(
  source: string,
  entryText: string,
  flags: readonly string[],
): Promise<CompiledScript> {
  // The compiler keeps what `--lib` gave it, so glue of one world would be there in the next: one after another, each with its own.
  const made = last.then(async () => {
    const asc = await loadCompiler();
    const { libraryFiles } = asc;
    own ??= new Set(Object.keys(libraryFiles));
    for (const name of Object.keys(libraryFiles)) if (!own.has(name)) delete libraryFiles[name];
    return compile(asc, source, entryText, flags);
  });
  last = made.catch(() => {});
  return made;
}

interface CompiledScript {
  readonly core: Uint8Array;
  readonly inputs: readonly string[];
}

// eslint-disable-next-line max-params -- those of compileScript, and the compiler
async function compile(
  asc: Compiler,
  source: string,
  entryText: string,
  flags: readonly string[],
): Promise<CompiledScript> {
  const folder = dirname(source);
  const inputs: string[] = [];
  let core: Uint8Array | undefined;
  let complaints = '';
  const { error } = await asc.main(
    [
      ENTRY_FILE,
      ...['--outFile', 'out.wasm'],
      ...['--optimizeLevel', '3'],
      ...['--shrinkLevel', '1'],
      ...flags,
    ],
    {
      stderr: {
        write(chunk: Uint8Array | string) {
          complaints += typeof chunk === 'string' ? chunk : new TextDecoder().decode(chunk);
        },
      },
      readFile: async (name, base) => {
        if (basename(name) === ENTRY_FILE) return entryText;
        const path = resolve(base === '.' ? folder : resolve(folder, base), name);
        try {
          const text = await readFile(path, 'utf8');
          inputs.push(path);
          return text;
        } catch {
          return null;
        }
      },
      writeFile: (name, contents) => {
        if (name === 'out.wasm') core = contents as unknown as Uint8Array;
      },
      listFiles: async (name, base) => {
        const path = resolve(base === '.' ? folder : resolve(folder, base), name);
        return (await readdir(path).catch(() => [])).filter((file) => file.endsWith('.ts'));
      },
    },
  );
  if (error !== null || core === undefined) {
    throw new BuildError('source', `${source} does not compile:\n${complaints.trim()}`, {
      cause: error,
    });
  }
  return { core, inputs };
}

type Compiler = typeof import('assemblyscript/asc');

async function loadCompiler(): Promise<Compiler> {
  try {
    return await import('assemblyscript/asc');
  } catch (error) {
    throw new BuildError(
      'toolchain-missing',
      'building AssemblyScript needs the npm package assemblyscript 0.28.20: npm install --save-dev assemblyscript@0.28.20',
      { cause: error },
    );
  }
}
