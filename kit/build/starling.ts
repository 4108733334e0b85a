/** JavaScript to a component with StarlingMonkey inside: the whole web platform's globals, 13 MB. */
import { readFile } from 'node:fs/promises';
import { BuildError } from './build-error.ts';
import { PROCESS_WIT } from './paths.ts';

type Options = NonNullable<Parameters<Componentize>[2]>;
type Componentize = typeof import('@bytecodealliance/componentize-js').componentize;

/** @throws BuildError: `toolchain-missing` without componentize-js, `componentize` when it refuses the module */
export async function componentizeFull(code: string, source: string): Promise<Uint8Array> {
  const componentize = await loadComponentize();
  try {
    // Contract and source as text, because their other form goes to the file system through a shim. Its typings, not it, ask for a path.
    const options: Omit<Options, 'sourcePath'> = {
      worldName: 'process-v1',
      disableFeatures: ['http', 'fetch-event'],
    };
    const wit = await readFile(PROCESS_WIT, 'utf8');
    const { component } = await componentize(code, wit, options as Options);
    return component;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new BuildError('componentize', `${source}: ${reason}`, { cause: error });
  }
}

async function loadComponentize(): Promise<Componentize> {
  try {
    return (await import('@bytecodealliance/componentize-js')).componentize;
  } catch (error) {
    throw new BuildError(
      'toolchain-missing',
      'the "full" engine needs the npm package @bytecodealliance/componentize-js 0.23.0: install it, or drop "engine": "full"',
      { cause: error },
    );
  }
}
