/**
 * `npm run build:contracts`: compiles `contracts/src` and writes `contracts/abi`. `--check` writes nothing and fails when what is there
 * differs.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { renderAll } from './render-all.ts';

const FOLDER = fileURLToPath(new URL('../abi', import.meta.url));
const check = process.argv.includes('--check');

const files = await renderAll();
mkdirSync(FOLDER, { recursive: true });
const stale = readdirSync(FOLDER).filter((name) => !files.has(name));
const changed = [...files].filter(([name, text]) => textOf(name) !== text).map(([name]) => name);
if (!check) {
  for (const name of stale) rmSync(join(FOLDER, name));
  for (const name of changed) writeFileSync(join(FOLDER, name), files.get(name)!);
}
const differing = [...stale, ...changed];
process.stdout.write(
  differing.length === 0
    ? `${files.size} modules, none differs\n`
    : `${check ? 'differs' : 'written'}: ${differing.join(', ')}\n`,
);
if (check && differing.length > 0) process.exit(1);

function textOf(name: string): string | undefined {
  try {
    return readFileSync(join(FOLDER, name), 'utf8');
  } catch {
    return undefined;
  }
}
