/** F20: the power goes at any instant, with any part of what was not synced; what was acknowledged after a sync is there. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openLevelStore } from '../../runtime-modules/state/level-store.ts';
import { subjects } from './crash-subjects.ts';
import { Disk, type Operation, randomFrom, readLog, writeOut } from './power-cut.ts';

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
/** Acknowledged writes that are recorded, at least. */
const WRITES = 600;
/** Of those, at least so many of sqlite. */
const TABLE_WRITES = 60;
const CUTS = 120;
/** sqlite, which starts a process to look, is looked at after each cut of this many. */
const SQL_EVERY = 3;
const SEED = Number(process.env['HYPERLOOM_SEED'] ?? Date.now() % 1_000_000);

const required = (process.env['HYPERLOOM_REQUIRE'] ?? '').split(',').includes('cc');
const missing =
  process.platform !== 'linux'
    ? 'the recorder is for Linux'
    : spawnSync('cc', ['--version']).status === 0
      ? undefined
      : 'there is no C compiler (cc)';

test('F20 the recorder can be built here, where that is required', () => {
  if (required) expect(missing).toBeUndefined();
});

describe.skipIf(missing !== undefined)(`power cuts (${missing ?? `seed ${SEED}`})`, () => {
  let folder: string;
  let home: string;
  let operations: Operation[];

  beforeAll(async () => {
    folder = await realpath(await mkdtemp(join(tmpdir(), 'power-')));
    home = join(folder, 'home');
    await mkdir(home);
    const recorder = join(folder, 'recorder.so');
    execFileSync('cc', ['-shared', '-fPIC', '-O1', '-o', recorder, here('./recorder.c'), '-ldl']);
    operations = await record(recorder);
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  async function record(recorder: string): Promise<Operation[]> {
    const log = join(folder, 'log');
    await writeFile(log, '');
    const child = spawn(process.execPath, [here('./crash-writer.ts')], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: {
        ...process.env,
        LD_PRELOAD: recorder,
        HYPERLOOM_RECORD_LOG: log,
        HYPERLOOM_RECORD_ROOT: home,
        HYPERLOOM_RECORD_SAYS: '1',
      },
    });
    child.stdin.write(`${JSON.stringify({ home, next: {}, synced: true, sql: true })}\n`);
    let output = '';
    child.stdout.setEncoding('latin1').on('data', (text: string) => {
      output += text;
      // sqlite starts processes of its own, and by then the others have written a lot.
      const tables = output.match(/^tables /gm)?.length ?? 0;
      if (tables > TABLE_WRITES && output.split('\n').length > WRITES) child.kill('SIGKILL');
    });
    await new Promise((resolve) => child.once('close', resolve));
    return readLog(await readFile(log));
  }

  test('F20 the recorder sees every kind of call of LevelDB, of SQLite and of the vfs', () => {
    const seen = new Set(operations.map(({ kind }) => kind));
    expect([...seen].toSorted()).toEqual(
      expect.arrayContaining([
        'mkdir',
        'open',
        'rename',
        'said',
        'sync',
        'truncate',
        'unlink',
        'write',
      ]),
    );
    const opened = operations.flatMap((each) => (each.kind === 'open' ? [each.path] : []));
    expect(opened.some((path) => /kernel\/\d+\.log$/.test(path))).toBe(true);
    expect(opened.some((path) => path.includes('/vfs/log:sys/'))).toBe(true);
    expect(opened.some((path) => path.endsWith('/m.db-wal'))).toBe(true);
  });

  test(`F20 after each of ${CUTS} cuts everything acknowledged is there, and nothing else is torn`, async () => {
    const random = randomFrom(SEED);
    const points = Array.from({ length: CUTS }, () =>
      Math.floor(random() * operations.length),
    ).toSorted((a, b) => a - b);
    const disk = new Disk();
    const acknowledged: Record<string, number> = {};
    let at = 0;
    for (const [index, point] of points.entries()) {
      for (; at <= point; at += 1) {
        const operation = operations[at]!;
        if (operation.kind === 'said') note(operation.text, acknowledged);
        else disk.apply(operation);
      }
      const found = join(folder, `cut-${index}`);
      await mkdir(found);
      await writeOut(disk.cut(random), home, found);
      const sql = index % SQL_EVERY === 0;
      await look(found, acknowledged, { when: `seed ${SEED}, operation ${point}`, sql });
      await rm(found, { recursive: true });
    }
    expect(Math.min(...Object.values(acknowledged))).toBeGreaterThan(5);
  }, 120_000);

  test('F20 the model can fail: without its syncs the same record loses what was acknowledged', async () => {
    const random = randomFrom(SEED);
    const disk = new Disk();
    const acknowledged: Record<string, number> = {};
    for (const operation of operations) {
      if (operation.kind === 'said') note(operation.text, acknowledged);
      else if (operation.kind !== 'sync') disk.apply(operation);
    }
    const found = join(folder, 'unsynced');
    await mkdir(found);
    await writeOut(disk.cut(random), home, found);
    await expect(look(found, acknowledged, { when: '', sql: true })).rejects.toThrow();
  });
});

function note(text: string, acknowledged: Record<string, number>): void {
  for (const [, name = '', count] of text.matchAll(/^(\w+) (\d+)$/gm))
    acknowledged[name] = Number(count);
}

async function look(
  home: string,
  acknowledged: Readonly<Record<string, number>>,
  { when, sql }: { readonly when: string; readonly sql: boolean },
): Promise<void> {
  // LevelDB does not sync the first lines of a database that it makes: cut then, it is damaged, and empty in any case.
  const onDamage = acknowledged['states'] === undefined ? 'move-aside' : 'refuse';
  const { store } = await openLevelStore(join(home, 'kernel'), { onDamage });
  try {
    await using looking = subjects({ home, store, sql });
    for (const subject of looking.all) {
      const last = acknowledged[subject.name];
      const reading = subject.found();
      // Before the first acknowledgement anything may be there, also half of a file that never was whole.
      if (last === undefined) await reading.catch(() => undefined);
      if (last === undefined) continue;
      const found = await reading;
      expect([last, last + 1], `${subject.name}, ${when}`).toContain(found);
    }
  } finally {
    await store[Symbol.asyncDispose]();
  }
}
