import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Modules } from './modules.ts';

test('a program is asked for once, and a size that is not its own is asked for anew', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'hl-modules-'));
  try {
    const modules = new Modules();
    let asked = 0;
    const get = async (name: string, size: number): Promise<string> => {
      const path = join(folder, name);
      await modules.get({ sha256: 'a'.repeat(64), size, path }, async () => {
        asked += 1;
        await writeFile(path, 'wasm');
      });
      return readFile(path, 'utf8');
    };
    expect(await get('one', 4)).toBe('wasm');
    expect(await get('two', 4)).toBe('wasm');
    expect(asked).toBe(1);
    await get('three', 5);
    expect(asked).toBe(2);
  } finally {
    await rm(folder, { recursive: true });
  }
});
