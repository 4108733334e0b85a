import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { packageId } from '../../wit/address.ts';
import { copyTree, type Copied } from '../shared/copy-tree.ts';
import { Staging } from '../backup/staging.ts';
import type { VfsModule } from './index.ts';
import { VfsBench } from './bench.testing.ts';

const P = packageId('p:q');
const { signal } = new AbortController();

test('F19 a package is copied as of one instant while its process writes on, and nothing it wrote fails', async () => {
  await using bench = await VfsBench.make();
  const { backup } = bench.module as VfsModule;
  // Many files between the two, so that a copy without a barrier would see them at different times.
  for (let n = 0; n < 200; n += 1) await bench.write(`/p:q/d/m${n}`, 'x');
  await bench.write('/p:q/d/a', '0');
  await bench.write('/p:q/d/z', '0');
  let stop = false;
  let written = 0;
  const writing = (async () => {
    for (let n = 1; !stop; n += 1) {
      for (const name of ['a', 'z'])
        expect(await bench.write(`/p:q/d/${name}`, String(n))).toBe('Ok');
      written = n;
    }
  })();
  for (let round = 0; round < 5; round += 1) {
    const into = join(bench.home, `copy-${round}`);
    await mkdir(into);
    await backup.prepare?.(P, into, signal);
    const before = written;
    await backup.hold(P, () => backup.copy(P, into, signal));
    const read = async (name: string): Promise<number> =>
      Number(await readFile(join(into, 'd', name), 'utf8'));
    const [a, z] = [await read('a'), await read('z')];
    expect([a, a - 1]).toContain(z);
    expect(a).toBeGreaterThanOrEqual(before);
    expect(await readdir(join(into, 'd'))).toHaveLength(202);
  }
  stop = true;
  await writing;
  // It did write; how often is the machine's business.
  expect(written).toBeGreaterThan(0);
});

test('F19 while one package is held, others go on, and its own requests wait', async () => {
  await using bench = await VfsBench.make();
  const { backup } = bench.module as VfsModule;
  let waited: Promise<unknown> | undefined;
  let done = false;
  await backup.hold(P, async () => {
    waited = bench.write('/p:q/d/f', '1').then((answer) => ((done = true), answer));
    const other = await bench.do('/x:y/d', 'CreateDrive', { from: 'x:x:y' });
    expect(other).toBe('Ok');
    expect(done).toBe(false);
  });
  expect(await waited).toBe('Ok');
});

test('F19 a staged part is there until the next one, and nothing stays when the reader leaves', async () => {
  await using bench = await VfsBench.make();
  await bench.write('/p:q/d/f', 'content');
  await bench.do('/x:y/d', 'CreateDrive', { from: 'x:x:y' });
  const { backup } = bench.module as VfsModule;
  const copyKernel = (into: string): Promise<void> => mkdir(into);
  const staging = new Staging({ home: bench.home, copyKernel, participants: [backup] });
  const seen: string[] = [];
  for await (const { prefix, folder } of staging.parts(signal)) {
    seen.push(prefix);
    if (prefix === 'vfs/p:q')
      expect(await readFile(join(folder, 'd', 'f'), 'utf8')).toBe('content');
  }
  expect(seen).toEqual(['kernel', 'vfs/p:q', 'vfs/x:y']);
  for await (const part of staging.parts(signal)) if (part.prefix === 'vfs/p:q') break;
  expect(await readdir(bench.home)).toEqual(['vfs']);
});

test('F19 a second copy of a folder takes over changes, removals and changed kinds, and skips the rest', async () => {
  await using bench = await VfsBench.make();
  const from = bench.disk('/p:q/d');
  const into = join(bench.home, 'copy');
  const nowMs = (): number => Date.now() + 60_000;
  for (const name of ['same', 'changed', 'gone', 'turned']) await writeFile(join(from, name), name);
  await mkdir(join(from, 'folder'));
  await writeFile(join(from, 'folder', 'f'), 'f');
  await mkdir(into);
  const copied: Copied = new Map();
  expect(await copyTree(from, into, { copied, signal, nowMs })).toBe(
    'samechangedgoneturnedf'.length,
  );
  await writeFile(join(from, 'changed'), 'CHANGED');
  await rm(join(from, 'gone'));
  await rm(join(from, 'turned'));
  await mkdir(join(from, 'turned'));
  await writeFile(join(from, 'turned', 'inside'), 'same');
  await rm(join(from, 'folder'), { recursive: true });
  await writeFile(join(from, 'folder'), 'no folder');
  // Only what is not copied again keeps this.
  await writeFile(join(into, 'same'), 'not touched');
  await copyTree(from, into, { copied, signal, nowMs });
  expect((await readdir(into)).toSorted()).toEqual(['changed', 'folder', 'same', 'turned']);
  expect(await readFile(join(into, 'same'), 'utf8')).toBe('not touched');
  expect(await readFile(join(into, 'changed'), 'utf8')).toBe('CHANGED');
  expect(await readFile(join(into, 'folder'), 'utf8')).toBe('no folder');
  expect(await readFile(join(into, 'turned', 'inside'), 'utf8')).toBe('same');
});
