/**
 * One source file to the module of a wasm job: a WASI command that a provider's extension runs (extensions/gpu). A module, not a component:
 * it starts faster, and its exit code arrives whole.
 */
import { basename, extname, resolve } from 'node:path';
import { compileScript } from './assemblyscript.ts';
import { BuildError } from './build-error.ts';
import { compileC } from './c.ts';
import { JOB_GLUE } from './paths.ts';

export interface JobBuild {
  readonly module: Uint8Array;
  /** Absolute paths of the sources that went in. */
  readonly inputs: readonly string[];
}

const C_FLAGS = [
  '--target=wasm32-wasi',
  '-O2',
  '-g0',
  '-Wall',
  '-Werror=implicit-function-declaration',
  '-Wl,--strip-debug',
];

/**
 * Builds a job of C, or of AssemblyScript (`*.as.ts`, which exports `main(): void`; `import … from 'job'` gives it files, arguments and
 * output: kit/templates/job/job.ts).
 * @throws BuildError: `toolchain-missing` naming what to install, `source` with the compiler's report, `unknown-language`
 */
export async function buildJob(sourceFile: string): Promise<JobBuild> {
  const source = resolve(sourceFile);
  if (extname(source) === '.c')
    return { module: await compileC([source], [...C_FLAGS, '-lm']), inputs: [source] };
  if (!basename(source).endsWith('.as.ts')) {
    throw new BuildError('unknown-language', `${source}: jobs are built of .c and .as.ts files`);
  }
  const entry = `
import { main } from "./${basename(source, '.ts')}";
export { cabi_realloc } from "job";
main();
`;
  const { core, inputs } = await compileScript(source, entry, [
    ...['--lib', JOB_GLUE],
    ...['--runtime', 'incremental'],
    ...['--use', 'abort=~lib/job/failed'],
    ...['--exportStart', '_start'],
  ]);
  return { module: core, inputs };
}
