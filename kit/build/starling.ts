/** JavaScript to a component with StarlingMonkey inside: the whole web platform's globals, 13 MB. */
import { readFile } from 'node:fs/promises';
import { BuildError } from './build-error.ts';
import { PROCESS_WIT } from './paths.ts';

/** @throws BuildError: `toolchain-missing` without componentize-js, `componentize` when it refuses the module */
export async function componentizeFull(code: string, source: string): Promise<Uint8Array> {
  const componentize = await loadComponentize();
  try {
    // The typings know only this call's deprecated form, whose options ask for a file.
    const options = {
      sourcePath: source,
      worldName: 'process-v1',
      disableFeatures: ['http' as const, 'fetch-event' as const],
    };
    const wit = await readFile(PROCESS_WIT, 'utf8');
    const { component } = await componentize(code, wit, options);
    return component;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new BuildError('componentize', `${source}: ${reason}`, { cause: error });
  }
}

async function loadComponentize(): Promise<
  typeof import('@bytecodealliance/componentize-js').componentize
> {
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
