/** JavaScript to a component with the QuickJS engine inside (about 1.9 MB, 0.8 s). */
import { mkdtemp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BuildError } from './build-error.ts';
import { PROCESS_WIT } from './paths.ts';
import { PLACEHOLDER_EXPORT, repairExports } from './quickjs-exports.ts';
import { NATIVE_INTERFACE, NATIVE_WIT, withNative } from './quickjs-native.ts';

/**
 * Guests draw randomness through an import of their own, because the engine's is frozen in the snapshot (processes/lib/engine/random.ts).
 * The version is that of the WASI imports which this engine's runtime brings along.
 */
const RANDOM_WIT = `package wasi:random@0.2.12;
interface random { get-random-bytes: func(len: u64) -> list<u8>; }
`;

/**
 * @param code one ES module that exports the placeholder function
 * @param source for messages only
 * @throws BuildError with code `componentize`, e.g. when the module's top level throws
 */
export async function componentizeQuickJs(code: string, source: string): Promise<Uint8Array> {
  const { componentize } = await import('componentize-qjs');
  const folder = await mkdtemp(join(tmpdir(), 'kit-qjs-'));
  try {
    const wit = await worldCopy();
    await mkdir(join(folder, 'deps', 'random'), { recursive: true });
    await writeFile(join(folder, 'process.wit'), wit);
    await writeFile(join(folder, 'deps', 'random', 'random.wit'), RANDOM_WIT);
    await mkdir(join(folder, 'deps', 'guest'), { recursive: true });
    await writeFile(join(folder, 'deps', 'guest', 'guest.wit'), NATIVE_WIT);
    // Not `stubWasi`: with it Date.now() traps. Clocks and stdio are what a process is granted anyway.
    const { component } = await componentize({
      witPath: folder,
      jsSource: code,
      world: 'process-v1',
      sync: true,
      // The smaller engine saves 0.5 MB and takes a fifth more instructions for everything.
      optSize: false,
      stubWasi: false,
    });
    return repairExports(await withNative(component));
  } catch (error) {
    if (error instanceof BuildError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new BuildError('componentize', `${source}: ${reason}`, { cause: error });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function worldCopy(): Promise<string> {
  const text = await readFile(PROCESS_WIT, 'utf8');
  return text
    .replace('export init:', `export ${PLACEHOLDER_EXPORT}:`)
    .replace(
      'world process-v1 {',
      `world process-v1 {\n    import wasi:random/random@0.2.12;\n    import ${NATIVE_INTERFACE};`,
    );
}
