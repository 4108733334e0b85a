import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { SealedWriter, unsealed } from './sealed.ts';

const CHUNK = 4096;
const HEADER = 17 + 3 + 32;
const CHEAP = { keyCostLog2: 10, chunkLog2: 12 };

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sealed-'));
  path = join(folder, 'f');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function seal(plain: Buffer, pieces = 1000): Promise<Buffer> {
  await using file = await open(path, 'w');
  const writer = await SealedWriter.start(file, 'pässword', CHEAP);
  for (let at = 0; at < plain.length; at += pieces)
    await writer.write(plain.subarray(at, at + pieces));
  await writer.finish();
  return readFile(path);
}

async function unseal(sealed: Uint8Array, password = 'pässword'): Promise<Buffer> {
  await writeFile(path, sealed);
  await using file = await open(path);
  const chunks: Buffer[] = [];
  for await (const chunk of unsealed(file, password)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const plain = (length: number): Buffer => Buffer.from(Array.from({ length }, (_, n) => n * 7));

test.each([0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])(
  'F19 a sealed file of %i bytes gives them back, and shows none of them',
  async (length) => {
    const sealed = await seal(plain(length));
    expect(await unseal(sealed)).toEqual(plain(length));
    if (length > 16) expect(sealed.includes(plain(16))).toBe(false);
    await expect(unseal(sealed, 'password')).rejects.toMatchObject({ code: 'wrong-password' });
  },
);

test('F19 two backups of one thing under one password have nothing in common', async () => {
  const [a, b] = [await seal(plain(100)), await seal(plain(100))];
  expect(a.subarray(HEADER).equals(b.subarray(HEADER))).toBe(false);
});

test('F19 every flipped bit of header and chunks is noticed', async () => {
  const sealed = await seal(plain(2 * CHUNK + 5));
  for (let at = 0; at < sealed.length; at += at < HEADER ? 1 : 211) {
    // A costly key is a matter of time, not of safety.
    if (at === 18 || at === 19) continue;
    const copy = Buffer.from(sealed);
    copy[at] = (copy[at] ?? 0) ^ 1;
    await expect(unseal(copy), `byte ${at}`).rejects.toMatchObject({ name: 'BackupError' });
  }
});

test('F19 chunks that are cut off, left out, swapped, doubled or added are noticed', async () => {
  const sealed = await seal(plain(3 * CHUNK + 5));
  const size = CHUNK + 16;
  const chunk = (n: number): Buffer => sealed.subarray(HEADER + n * size, HEADER + (n + 1) * size);
  const head = sealed.subarray(0, HEADER);
  const order = (...chunks: Buffer[]): Buffer => Buffer.concat([head, ...chunks]);
  const [a, b, c, d] = [chunk(0), chunk(1), chunk(2), chunk(3)];
  expect(await unseal(order(a, b, c, d))).toEqual(plain(3 * CHUNK + 5));
  for (const bad of [
    order(a, b, c),
    order(a, b, c, d.subarray(0, -1)),
    order(a, b),
    order(a),
    order(),
    order(a, c, d),
    order(b, a, c, d),
    order(a, b, b, c, d),
    order(a, b, c, d, d),
    order(a, b, c, d, Buffer.from('x')),
  ]) {
    await expect(unseal(bad)).rejects.toMatchObject({ name: 'BackupError' });
  }
});

test.each([
  ['not-a-backup', Buffer.from('')],
  ['not-a-backup', Buffer.from('hyperloom backup')],
  ['not-a-backup', Buffer.alloc(500)],
])('F19 %s is said of what is none', async (code, bytes) => {
  await expect(unseal(bytes)).rejects.toMatchObject({ code });
});

test('F19 a header that asks for gigabytes of memory or another format is refused before any work', async () => {
  const sealed = await seal(plain(5));
  const changed = (at: number, value: number): Buffer => {
    const copy = Buffer.from(sealed);
    copy[at] = value;
    return copy;
  };
  await expect(unseal(changed(17, 2))).rejects.toMatchObject({ code: 'other-version' });
  await expect(unseal(changed(18, 30))).rejects.toMatchObject({ code: 'damaged' });
  await expect(unseal(changed(19, 31))).rejects.toMatchObject({ code: 'damaged' });
});
