import type { FileHandle } from 'node:fs/promises';
import { beforeEach, expect, test } from 'vitest';
import { CURSORS_MAX, HANDLES_DEFAULT, HANDLES_MAX } from './limits.ts';
import { OpenFiles, type OpenFile } from './open-files.ts';

let files: OpenFiles;
let hits: number;
let open: number;
beforeEach(() => {
  hits = 0;
  open = 0;
  files = new OpenFiles(() => {
    hits += 1;
  });
});

/** Only what the cache calls; whether it closes each handle once is what these tests are about. */
function handle(): Promise<FileHandle> {
  open += 1;
  let isClosed = false;
  const close = (): Promise<void> => {
    expect(isClosed).toBe(false);
    isClosed = true;
    open -= 1;
    return Promise.resolve();
  };
  return Promise.resolve({ close } as unknown as FileHandle);
}

const use = <T>(path: string, work: (file: OpenFile) => Promise<T>): Promise<T> =>
  files.use(path, handle, work);
const seek = (path: string, to: bigint): Promise<void> =>
  use(path, async (file) => {
    file.cursor = to;
  });
const cursor = (path: string): Promise<bigint> => use(path, async (file) => file.cursor);

test('M63 handles stay within the limit on both sides of it, cursors survive', async () => {
  for (let n = 0; n < HANDLES_DEFAULT; n += 1) await seek(`f${n}`, BigInt(n));
  expect([open, hits]).toEqual([HANDLES_DEFAULT, 0]);
  await seek('one more', 7n);
  expect([open, hits]).toEqual([HANDLES_DEFAULT / 2 + 1, 1]);
  for (let n = 0; n < HANDLES_DEFAULT; n += 1) expect(await cursor(`f${n}`)).toBe(BigInt(n));
});

test('M63 the least recently used handles close first', async () => {
  for (let n = 0; n < HANDLES_DEFAULT; n += 1) await seek(`f${n}`, 1n);
  await cursor('f0');
  await seek('new', 1n);
  const before = open;
  await cursor('f0');
  expect(open).toBe(before);
});

test('M63 a lower limit closes the surplus, a huge one is cut to HANDLES_MAX', async () => {
  for (let n = 0; n < 8; n += 1) await seek(`f${n}`, 1n);
  files.setLimit(3);
  expect([open, hits]).toEqual([3, 1]);
  files.setLimit(Number.MAX_SAFE_INTEGER);
  for (let n = 0; n < HANDLES_MAX + 1; n += 1) await seek(`g${n}`, 1n);
  expect(open).toBeLessThanOrEqual(HANDLES_MAX);
  files.setLimit(0);
  await seek('still works', 1n);
});

test('M63 remembered cursors are bounded; the oldest start at 0 again', async () => {
  files.setLimit(1);
  for (let n = 0; n < CURSORS_MAX + 10; n += 1) await seek(`f${n}`, 5n);
  expect(await cursor('f0')).toBe(0n);
  expect(await cursor(`f${CURSORS_MAX}`)).toBe(5n);
});

test('M60 a handle in use when its tree is reset closes after its user, once', async () => {
  const gate = Promise.withResolvers<void>();
  const using = use('d/f', () => gate.promise);
  await new Promise(setImmediate);
  files.resetTree('d');
  expect(open).toBe(1);
  gate.resolve();
  await using;
  expect(open).toBe(0);
});

test('M60 a handle opened across a reset of its tree is not kept', async () => {
  const gate = Promise.withResolvers<void>();
  let opened = 0;
  const using = files.use(
    'd/f',
    async () => {
      opened += 1;
      await gate.promise;
      return handle();
    },
    () => Promise.resolve(),
  );
  files.resetTree('d');
  gate.resolve();
  await using;
  expect([opened, open]).toEqual([2, 1]);
});

test('M52 a reset of `d` leaves `dd` alone', async () => {
  await seek('d/f', 1n);
  await seek('dd/f', 2n);
  files.resetTree('d');
  expect([await cursor('d/f'), await cursor('dd/f')]).toEqual([0n, 2n]);
});
