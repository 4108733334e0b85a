/**
 * runtime-modules/net/simd-vectors-wasm.ts out of the text beside it. Run it to write the file (`node test/simd-vectors-wasm.ts`); a test
 * compares the two.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseText } from '../kit/build/wasm-tools.ts';

const FOLDER = join(import.meta.dirname, '..', 'runtime-modules', 'net');
const TEXT = join(FOLDER, 'simd-vectors.wat');
export const BYTES_FILE = join(FOLDER, 'simd-vectors-wasm.ts');
const LINE_CHARS = 92;

/** What the file of bytes has to be. */
export async function bytesFile(): Promise<string> {
  const wasm = await parseText(await readFile(TEXT, 'utf8'), TEXT);
  const lines = Buffer.from(wasm)
    .toString('base64')
    .match(new RegExp(`.{1,${LINE_CHARS}}`, 'g'));
  const text = (lines ?? []).map((line) => `  '${line}'`).join(' +\n');
  return `/** \`simd-vectors.wat\` in base64; written by \`test/simd-vectors-wasm.ts\`. */
export const SIMD_VECTORS =
${text};
`;
}

if (import.meta.main) await writeFile(BYTES_FILE, await bytesFile());
