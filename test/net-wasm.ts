/**
 * `runtime-modules/net/*-wasm.ts` out of the texts beside them. Run it to write the files (`node test/net-wasm.ts`); a test of each compares
 * the two.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseText } from '../kit/build/wasm-tools.ts';

const FOLDER = join(import.meta.dirname, '..', 'runtime-modules', 'net');
const LINE_CHARS = 92;
/** By the name of their text, what their bytes are called. */
const MODULES = { 'simd-vectors': 'SIMD_VECTORS', 'short-cipher': 'SHORT_CIPHER' } as const;

type ModuleName = keyof typeof MODULES;

/** The file of bytes, and what it has to be. */
export async function bytesFile(
  name: ModuleName,
): Promise<{ readonly path: string; readonly content: string }> {
  const text = join(FOLDER, `${name}.wat`);
  const wasm = await parseText(await readFile(text, 'utf8'), text);
  const lines = Buffer.from(wasm)
    .toString('base64')
    .match(new RegExp(`.{1,${LINE_CHARS}}`, 'g'));
  const literal = (lines ?? []).map((line) => `  '${line}'`).join(' +\n');
  const content = `/** \`${name}.wat\` in base64; written by \`test/net-wasm.ts\`. */
export const ${MODULES[name]} =
${literal};
`;
  return { path: join(FOLDER, `${name}-wasm.ts`), content };
}

if (import.meta.main) {
  for (const name of ['simd-vectors', 'short-cipher'] as const) {
    const { path, content } = await bytesFile(name);
    await writeFile(path, content);
  }
}
