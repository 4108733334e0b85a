/** One receipt for an attempt, for ever, whatever happens to the program (compute-market.md §7.2; CM20, CM50). */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, mkdir, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { SignedReceipts } from './signed-receipts.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'receipts-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const word = (value: number): string => `0x${value.toString(16).padStart(64, '0')}`;
const inTwoFolders = (value: number): string =>
  `0x${value % 2 === 0 ? 'ab' : 'cd'}${word(value).slice(4)}`;

test('CM20 there is never a second receipt of an attempt, in this run or a later one', async () => {
  const receipts = await SignedReceipts.open(folder);
  const jobId = `0x${'ab'.repeat(32)}`;
  expect(await receipts.of(jobId, 0)).toBeUndefined();
  await receipts.add(jobId, 0, word(1));
  await expect(receipts.add(jobId, 0, word(2))).rejects.toThrow('there is a receipt');
  const both = [receipts.add(jobId, 1, word(3)), receipts.add(jobId, 1, word(4))];
  expect((await Promise.allSettled(both)).map(({ status }) => status).toSorted()).toEqual([
    'fulfilled',
    'rejected',
  ]);
  await receipts.close();
  const again = await SignedReceipts.open(folder);
  expect(await again.of(jobId, 0)).toBe(word(1));
  expect(await again.of(jobId.toUpperCase().replace('X', 'x'), 1)).toBe(word(3));
  await expect(again.add(jobId, 1, word(5))).rejects.toThrow('there is a receipt');
  await expect(again.add('0x../../x', 0, word(6))).rejects.toThrow(RangeError);
  await again.close();
});

test('CM20 a receipt of an earlier version of this program counts', async () => {
  const digits = 'ab'.repeat(32);
  await mkdir(join(folder, 'ab'));
  await writeFile(join(folder, 'ab', `${digits}-7`), word(9));
  const receipts = await SignedReceipts.open(folder);
  expect(await receipts.of(`0x${digits}`, 7)).toBe(word(9));
  expect(await receipts.of(`0x${digits}`, 6)).toBeUndefined();
  await expect(receipts.add(`0x${digits}`, 7, word(8))).rejects.toThrow('there is a receipt');
  await receipts.close();
});

test('CM50 what an attempt ended with is there until it is dropped, and the receipt then too', async () => {
  const receipts = await SignedReceipts.open(folder);
  await receipts.add(word(1), 0, word(11), { lease: 'one', text: '{"a":"\\n"}\nmore' });
  await receipts.add(word(2), 0, word(12), { lease: 'two', text: '' });
  receipts.drop('one');
  receipts.drop('never');
  await receipts.close();
  const again = await SignedReceipts.open(folder);
  expect(again.kept()).toEqual([{ lease: 'two', text: '' }]);
  expect(await again.of(word(1), 0)).toBe(word(11));
  await again.close();
});

test('CM50 of what was being written when the power went nothing is left, and nothing else is lost', async () => {
  const receipts = await SignedReceipts.open(folder);
  await receipts.add(word(1), 0, word(11), { lease: 'one', text: 'text' });
  const path = join(folder, 'journal');
  const whole = (await readFile(path)).length;
  await receipts.add(word(2), 0, word(12));
  await receipts.close();
  const all = await readFile(path);
  for (const length of [all.length - 1, whole + 13, whole + 5, whole]) {
    await writeFile(path, all.subarray(0, length));
    const again = await SignedReceipts.open(folder);
    expect([await again.of(word(1), 0), await again.of(word(2), 0)]).toEqual([word(11), undefined]);
    expect(again.kept()).toEqual([{ lease: 'one', text: 'text' }]);
    await again.add(word(3), 0, word(13));
    await again.close();
    const last = await SignedReceipts.open(folder);
    expect([await last.of(word(1), 0), await last.of(word(3), 0)]).toEqual([word(11), word(13)]);
    await last.close();
  }
  // A length without its bytes, and bytes that are not those that were summed.
  await writeFile(path, all);
  await truncate(path, whole);
  await appendFile(path, Buffer.alloc(200));
  const again = await SignedReceipts.open(folder);
  expect(await again.of(word(1), 0)).toBe(word(11));
  await again.close();
});

test('CM20 CM50 receipts that have moved out of the journal count, what is kept stays in it, and it does not grow', async () => {
  const receipts = await SignedReceipts.open(folder, { journalBytesMax: 4_096 });
  await receipts.add(word(0), 0, word(77), { lease: 'first', text: 'kept' });
  for (let at = 1; at <= 100; at += 1) {
    const lease = `lease ${at}`;
    await receipts.add(inTwoFolders(at), at, word(at), { lease, text: 'x'.repeat(100) });
    receipts.drop(lease);
  }
  await receipts.close();
  expect((await readFile(join(folder, 'ab.signed'))).length).toBeGreaterThan(10 * 68);
  expect((await readFile(join(folder, 'journal'))).length).toBeLessThan(16_384);
  // A part of an entry, as a power cut leaves it.
  await appendFile(join(folder, 'ab.signed'), Buffer.alloc(30, 1));
  let again = await SignedReceipts.open(folder, { journalBytesMax: 1 });
  const check = async (): Promise<void> => {
    for (let at = 1; at <= 100; at += 1) {
      expect(await again.of(inTwoFolders(at), at)).toBe(word(at));
      expect(await again.of(inTwoFolders(at), at + 1)).toBeUndefined();
    }
    expect(again.kept()).toEqual([{ lease: 'first', text: 'kept' }]);
    await expect(again.add(inTwoFolders(50), 50, word(1))).rejects.toThrow('there is a receipt');
  };
  await check();
  for (let at = 1; at <= 10; at += 1) await again.add(inTwoFolders(200 + at), 0, word(at));
  await again.close();
  again = await SignedReceipts.open(folder);
  await check();
  for (let at = 1; at <= 10; at += 1)
    expect(await again.of(inTwoFolders(200 + at), 0)).toBe(word(at));
  await again.close();
});

test('CM50 a program that is killed while it signs has every receipt that it told', async () => {
  const program = `
    import { SignedReceipts } from ${JSON.stringify(new URL('./signed-receipts.ts', import.meta.url).href)};
    const receipts = await SignedReceipts.open(${JSON.stringify(folder)}, { journalBytesMax: 2000 });
    const word = (value) => '0x' + value.toString(16).padStart(64, '0');
    for (let at = 1; ; at += 4)
      await Promise.all([0, 1, 2, 3].map(async (more) => {
        await receipts.add(word(at + more), 0, word(at + more), { lease: String(at + more), text: 't' });
        process.stdout.write(at + more + '\\n');
        if (more === 0) receipts.drop(String(at));
      }));`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let told = '';
  await new Promise<void>((resolve) =>
    child.stdout.on('data', (text: Buffer) => {
      told += text.toString();
      if (told.split('\n').length > 200) resolve();
    }),
  );
  child.kill('SIGKILL');
  await once(child, 'close');
  const numbers = told.split('\n').slice(0, -1).map(Number);
  const receipts = await SignedReceipts.open(folder);
  for (const number of numbers) expect(await receipts.of(word(number), 0)).toBe(word(number));
  const kept = new Set(receipts.kept().map(({ lease }) => Number(lease)));
  // Of those that were dropped the latest may be there: they are dropped again.
  for (const number of numbers) if (number % 4 !== 1) expect(kept).toContain(number);
  await receipts.close();
});
