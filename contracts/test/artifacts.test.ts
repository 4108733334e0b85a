import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { renderAll } from '../build/render-all.ts';

const FOLDER = fileURLToPath(new URL('../abi', import.meta.url));

test('HM3 what is committed in abi/ is what the sources compile to, byte for byte', async () => {
  const built = await renderAll();
  const committed = new Map(
    readdirSync(FOLDER).map((name) => [name, readFileSync(join(FOLDER, name), 'utf8')]),
  );
  const differing = new Set(
    [...built.keys(), ...committed.keys()].filter(
      (name) => built.get(name) !== committed.get(name),
    ),
  );
  expect([...differing], 'run `npm run build:contracts`').toEqual([]);
}, 300_000);
