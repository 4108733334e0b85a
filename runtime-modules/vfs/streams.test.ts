/** Files that come and go piece by piece (findings F46): the asker's rights, quotas, and what stays of what was not finished. */
import { readdir, stat, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Accounts } from '../shared/accounts.ts';
import { parseQuotas } from '../shared/quotas.ts';
import type { Asker, FileSink, FileSource } from '../shared/file-streams.ts';
import { packageId, processId } from '../../wit/address.ts';
import { OUR_NODE } from '../shared/testing.ts';
import { OWNER, STRANGER, VfsBench, WRITE_D } from './bench.testing.ts';

const F = '/p:q/d/f';
const LIMIT = 1_000;
const P = packageId('p:q');

let accounts: Accounts;
let bench: VfsBench;
beforeEach(async () => {
  accounts = new Accounts(parseQuotas({ packages: { 'p:q': { bytes: LIMIT, handles: 10 } } }));
  bench = await VfsBench.make(accounts);
});
afterEach(() => bench[Symbol.asyncDispose]());

const asker = (process: string, held: readonly object[] = []): Asker => ({
  source: { node: OUR_NODE, process: processId(process) },
  caller: { exists: true, heldFrom: () => [], holds: (capability) => held.includes(capability) },
});

async function sink(path: string, bytes: number): Promise<FileSink> {
  const found = bench.streams.sink(asker(OWNER), path, bytes);
  if (!found.ok) throw new Error(found.error);
  return found.value();
}

async function source(path: string): Promise<FileSource> {
  const found = bench.streams.source(asker(OWNER), path);
  if (!found.ok) throw new Error(found.error);
  return found.value();
}

const piece = (text: string): Uint8Array => new TextEncoder().encode(text);
const partials = async (): Promise<string[]> => readdir(bench.disk('.partial'));

test('F46 what came in pieces is the file, and before it is whole the old one is', async () => {
  await bench.write(F, 'old');
  const coming = await sink(F, 10);
  await coming.write([piece('01'), piece('234')]);
  expect(await bench.read(F)).toBe('old');
  await coming.write([piece('56789')]);
  await coming.commit();
  expect(await bench.read(F)).toBe('0123456789');
  await coming.abandon();
  expect(await bench.read(F)).toBe('0123456789');
  expect(await partials()).toEqual([]);
  expect((await stat(bench.disk('p:q/d/f'))).mode & 0o77).toBe(0);
  const going = await source(F);
  expect(going.size).toBe(10);
  const [one, two] = [new Uint8Array(4), new Uint8Array(20)];
  expect(await going.read(3, [one, two])).toBe(7);
  expect(Buffer.concat([one, two.subarray(0, 3)]).toString()).toBe('3456789');
  await going.close();
});

test('F46 nothing stays of what is abandoned, and its room is given back', async () => {
  const coming = await sink(F, LIMIT);
  await coming.write([piece('half')]);
  await expect(sink('/p:q/d/g', 1)).rejects.toThrow('quota exceeded');
  await coming.abandon();
  expect(await partials()).toEqual([]);
  expect(await bench.do(F, 'Metadata')).toMatchObject({ Err: {} });
  expect(await accounts.bytes(P)).toBe(0);
  const again = await sink(F, LIMIT);
  await again.write([new Uint8Array(LIMIT)]);
  await again.commit();
  expect(await accounts.bytes(P)).toBe(LIMIT);
  await expect(sink('/p:q/d/g', 1)).rejects.toThrow('quota exceeded');
});

test('F46 rights are those of vfs, decided before anything is opened', () => {
  const { streams } = bench;
  expect(streams.sink(asker(STRANGER), F, 1)).toEqual({ ok: false, error: 'forbidden' });
  expect(streams.source(asker(STRANGER), F)).toEqual({ ok: false, error: 'forbidden' });
  expect(streams.source(asker(STRANGER, [WRITE_D]), F)).toEqual({ ok: false, error: 'forbidden' });
  expect(streams.sink(asker(OWNER), '/p:q/d/../../x:y/d/f', 1)).toEqual({
    ok: false,
    error: 'forbidden',
  });
  for (const path of ['/../x', 'f', '/p:q/d/\0'])
    expect(streams.sink(asker(OWNER), path, 1)).toEqual({ ok: false, error: 'malformed' });
});

test('F46 T5 a link is not followed out of the drive, in either direction', async () => {
  await bench.write('/p:q/d/real', 'x');
  await symlink(join(bench.home, 'secret'), bench.disk('p:q/d/link'));
  await symlink(bench.home, bench.disk('p:q/d/folder'));
  await expect(source('/p:q/d/link')).rejects.toThrow();
  await expect(source('/p:q/d/folder/secret')).rejects.toThrow();
  await expect(sink('/p:q/d/folder/x', 1)).rejects.toThrow();
  await expect(source('/p:q/d')).rejects.toThrow('Is a directory');
  await expect(source('/p:q/d/none')).rejects.toThrow('No such file');
});
