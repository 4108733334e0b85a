/** What the console keeps on disk: history and logs. */
import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { History } from './history.ts';
import { LogFile, type LogOptions } from './log-file.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hyperloom-terminal-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const never = (error: Error): void => {
  throw error;
};

test('M231 the history survives a restart, and keeps its newest 1000 lines', async () => {
  const path = join(folder, '.terminal_history');
  await writeFile(path, Array.from({ length: 1200 }, (_, n) => `line ${n}\n`).join(''));
  const first = await History.open(path, never);
  expect(first.lines).toHaveLength(1000);
  first.add('newest');
  first.add('newest');
  await first.close();
  const second = await History.open(path, never);
  expect(second.lines).toHaveLength(1000);
  expect(second.lines.at(-1)).toBe('newest');
  expect(second.lines[0]).toBe('line 201');
  await second.close();
});

test('M231 a history that cannot be kept is told, and goes on in memory', async () => {
  const told: string[] = [];
  const history = await History.open(folder, (error) => told.push(error.message));
  history.add('x');
  await history.close();
  expect(history.lines).toEqual(['x']);
  expect(told).toHaveLength(2);
});

function options(change: Partial<LogOptions> = {}): LogOptions {
  let second = 0;
  return {
    folder: join(folder, 'logs'),
    bytesMax: 1000,
    filesMax: 4,
    now: () => new Date(2026, 0, 2, 3, 4, (second += 1)),
    failed: never,
    ...change,
  };
}

async function write(log: LogFile, lines: number): Promise<void> {
  for (let n = 0; n < lines; n += 1) {
    log.write(`${String(n).padStart(99)}\n`);
    await log.close();
  }
}

test('M233 a file is named by its start, and is new at each start', async () => {
  const now = (): Date => new Date(2026, 0, 2, 3, 4, 5);
  for (const text of ['a\n', 'b\n']) {
    const log = new LogFile(options({ now }));
    log.write(text);
    await log.close();
  }
  expect(await readdir(join(folder, 'logs'))).toEqual([
    '2026-01-02-03:04:05-1.log',
    '2026-01-02-03:04:05.log',
  ]);
});

test('M233 a new file at a share of the limit; the oldest beyond the number kept go', async () => {
  const log = new LogFile(options());
  // Three 100-byte lines would reach 300 of 250: two lines a file.
  for (let n = 0; n < 20; n += 1) log.write(`${String(n).padStart(99)}\n`);
  await log.close();
  const names = await readdir(join(folder, 'logs'));
  expect(names).toHaveLength(4);
  const texts = await Promise.all(
    names.map((name) => readFile(join(folder, 'logs', name), 'utf8')),
  );
  expect(texts.join('').match(/\d+/g)?.map(Number)).toEqual([12, 13, 14, 15, 16, 17, 18, 19]);
  expect(texts.every((text) => text.length < 250)).toBe(true);
});

test('M233 the oldest by modification time goes first', async () => {
  const log = new LogFile(options({ filesMax: 1 }));
  await write(log, 1);
  const old = join(folder, 'logs', 'zzz.log');
  await writeFile(old, 'old');
  await utimes(old, 0, 0);
  const next = new LogFile(options({ filesMax: 2 }));
  await write(next, 1);
  expect(await readdir(join(folder, 'logs'))).not.toContain('zzz.log');
});

test('M233 size 0 never rotates', async () => {
  const log = new LogFile(options({ bytesMax: 0 }));
  for (let n = 0; n < 100; n += 1) log.write(`${'x'.repeat(99)}\n`);
  await log.close();
  const names = await readdir(join(folder, 'logs'));
  expect(names).toHaveLength(1);
  expect((await readFile(join(folder, 'logs', names[0] ?? ''), 'utf8')).length).toBe(10_000);
});

test('M233 a log that cannot be written is told once, and the node goes on', async () => {
  await writeFile(join(folder, 'logs'), 'a file where the folder should be');
  const told: Error[] = [];
  const log = new LogFile(options({ failed: (error) => told.push(error) }));
  log.write('a\n');
  await log.close();
  log.write('b\n');
  await log.close();
  expect(told).toHaveLength(1);
});
