/** How development nodes find each other, and what in their folder is not believed. */
import { mkdtemp, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { hnsUpdate, type HnsUpdate } from '../../wit/eth-api.ts';
import { TestClock } from '../shared/testing.ts';
import { DevelopmentRecords, RECORD_BYTES_MAX } from './records.ts';

let home: string;
let folder: string;
let clock: TestClock;
const learnt: HnsUpdate[] = [];
const opened: DevelopmentRecords[] = [];

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'hyperloom-records-'));
  folder = join(home, 'network');
  clock = new TestClock();
  learnt.length = 0;
});
afterEach(async () => {
  for (const each of opened.splice(0)) await each[Symbol.asyncDispose]();
  await rm(home, { recursive: true, force: true });
});

const record = (name: string, port = 1): HnsUpdate => ({
  name,
  public_key: 'ab',
  ips: ['127.0.0.1'],
  ports: new Map([['tcp', port]]),
  routers: [],
});
async function open(name: string): Promise<DevelopmentRecords> {
  const records = await DevelopmentRecords.open(folder, record(name), {
    clock,
    learnt: (update) => void learnt.push(update),
  });
  opened.push(records);
  return records;
}
/** Reading files takes as long as it takes. */
async function learns(count: number): Promise<string[]> {
  while (learnt.length < count) await clock.advance(1_000);
  return learnt.map(({ name }) => name);
}

test('nodes learn of those before them at once, of later ones soon, and of changes; their owner alone may read', async () => {
  await open('alice.dev');
  const bob = await open('bob.dev');
  expect(await learns(2)).toEqual(['alice.dev', 'bob.dev']);
  expect((await stat(folder)).mode & 0o777).toBe(0o700);
  expect((await stat(join(folder, 'bob.dev.json'))).mode & 0o777).toBe(0o600);
  await bob[Symbol.asyncDispose]();
  expect(await readdir(folder)).toEqual(['alice.dev.json']);
  await writeFile(join(folder, 'carol.dev.json'), hnsUpdate.encode(record('carol.dev')));
  expect((await learns(3)).at(-1)).toBe('carol.dev');
  await writeFile(join(folder, 'carol.dev.json'), hnsUpdate.encode(record('carol.dev', 2)));
  await utimes(join(folder, 'carol.dev.json'), 1, 1);
  expect(await learns(4)).toHaveLength(4);
  expect(learnt[3]?.ports.get('tcp')).toBe(2);
});

test('records of another name, of no name, that are none, too long, or our own are not believed', async () => {
  await open('alice.dev');
  const write = (file: string, text: string | Uint8Array): Promise<void> =>
    writeFile(join(folder, file), text);
  await write('mallory.dev.json', hnsUpdate.encode(record('bob.dev')));
  await write('Bad Name.json', hnsUpdate.encode(record('Bad Name')));
  await write('text.dev.json', 'text');
  await write('long.dev.json', `${' '.repeat(RECORD_BYTES_MAX)}{}`);
  await write('alice.dev.json', hnsUpdate.encode(record('alice.dev', 9)));
  await write('other.txt', 'x');
  await write('good.dev.json', hnsUpdate.encode(record('good.dev')));
  expect(await learns(1)).toEqual(['good.dev']);
  await clock.advance(3_000);
  expect(learnt).toHaveLength(1);
});
