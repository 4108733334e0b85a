/** kv and sqlite on a disk that is full or read-only: refusals by name, reads go on, and what was acknowledged is there afterwards. */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { kv } from '../../runtime-modules/kv/index.ts';
import { Bench, TestPort } from '../../runtime-modules/shared/testing.ts';
import { SqliteBench } from '../../runtime-modules/sqlite/testing.ts';
import { SmallDisk, whyNoSmallDisk } from './small-disk.ts';

const why = whyNoSmallDisk();
const MIB = 1024 * 1024;
const FULL = { Err: { IOError: 'No space left on device (os error 28)' } };
const READ_ONLY = { Err: { IOError: 'Read-only file system (os error 30)' } };
const ME = 'p:a:b.os';
const PACKAGE = { package_name: 'a', publisher_node: 'b.os' };

interface Keys extends AsyncDisposable {
  ask(action: unknown, blob?: Uint8Array | string, db?: string): Promise<unknown>;
  get(key: number): Promise<string | undefined>;
}

function keysOf(home: string): Keys {
  const port = new TestPort('kv');
  const bench = new Bench(kv({ root: join(home, 'kv') })({ port }), port);
  const reply = (
    action: unknown,
    blob?: Uint8Array | string,
    db = 'd',
  ): ReturnType<typeof bench.ask> =>
    bench.ask({ from: ME, body: { package_id: PACKAGE, db, action }, blob });
  return {
    ask: async (action, blob, db) => (await reply(action, blob, db))?.body,
    async get(key) {
      const bytes = (await reply({ Get: [key] }))?.blob?.bytes;
      return bytes === undefined ? undefined : Buffer.from(bytes).toString();
    },
    [Symbol.asyncDispose]: () => bench.module[Symbol.asyncDispose](),
  };
}

const set = (key: number, tx_id: number | null = null): unknown => ({ Set: { key: [key], tx_id } });

/** Takes all room there is; `rm` of what it returns gives it back. */
async function fill(disk: SmallDisk): Promise<string> {
  const filler = join(disk.path, 'filler');
  await writeFile(filler, Buffer.alloc(32 * MIB)).catch(() => undefined);
  return filler;
}

describe.skipIf(why !== undefined)(
  `databases on a disk that gives out${why === undefined ? '' : ` (${why})`}`,
  () => {
    test('M82 kv on a full disk: writes are refused by name, and what is acknowledged once there is room survives a restart', async () => {
      await using disk = await SmallDisk.mount(16);
      {
        await using keys = keysOf(disk.home);
        await keys.ask('Open');
        expect(await keys.ask(set(1), 'before')).toBe('Ok');
        const filler = await fill(disk);
        const answers: unknown[] = [];
        // Several, and of several pages: the first that fails leaves half a record in the log.
        for (let n = 0; n < 8; n += 1)
          answers.push(await keys.ask(set(10 + n), Buffer.alloc(MIB / 4, n)));
        expect(answers).toContainEqual(FULL);
        expect(await keys.get(1)).toBe('before');
        const { BeginTx } = (await keys.ask('BeginTx')) as { BeginTx: { tx_id: number } };
        for (const key of [2, 3])
          expect(await keys.ask(set(key, BeginTx.tx_id), Buffer.alloc(MIB))).toBe('Ok');
        expect(await keys.ask({ Commit: { tx_id: BeginTx.tx_id } })).toEqual(FULL);
        expect([await keys.get(2), await keys.get(3)]).toEqual([undefined, undefined]);
        await rm(filler);
        // LevelDB would take this and drop it at the next start, were it not opened again first.
        expect(await keys.ask(set(4), 'after')).toBe('Ok');
        expect(await keys.get(4)).toBe('after');
      }
      await using again = keysOf(disk.home);
      await again.ask('Open');
      expect(await again.get(1)).toBe('before');
      expect(await again.get(4)).toBe('after');
      expect([await again.get(2), await again.get(3)]).toEqual([undefined, undefined]);
    });

    test('M82 kv on a read-only disk: refused by name, and all there once it is writable', async () => {
      await using disk = await SmallDisk.mount(16);
      {
        await using keys = keysOf(disk.home);
        await keys.ask('Open');
        expect(await keys.ask(set(1), 'before')).toBe('Ok');
      }
      disk.remount('ro');
      await using keys = keysOf(disk.home);
      expect(await keys.ask('Open')).toEqual(READ_ONLY);
      expect(await keys.ask('Open', undefined, 'other')).toEqual(READ_ONLY);
      disk.remount('rw');
      expect(await keys.ask('Open')).toBe('Ok');
      expect(await keys.get(1)).toBe('before');
      expect(await keys.ask(set(1), 'new')).toBe('Ok');
    });

    test('M100 sqlite on a full disk: a transaction is refused whole, reads go on, and with room again all is well', async () => {
      await using disk = await SmallDisk.mount(16);
      {
        await using db = new SqliteBench(disk.home);
        await db.ask('Open');
        await db.write('CREATE TABLE t(a INTEGER, b)');
        expect(await db.write("INSERT INTO t VALUES(1, 'before')")).toBe('Ok');
        const filler = await fill(disk);
        const tx = await db.begin();
        for (let n = 10; n < 20; n += 1)
          await db.write('INSERT INTO t VALUES(?, randomblob(300000))', `[${n}]`, {}, tx);
        expect(await db.commit(tx)).toEqual(FULL);
        expect(await db.query('SELECT a, b FROM t')).toEqual([{ a: 1, b: 'before' }]);
        expect(await db.write('INSERT INTO t VALUES(2, randomblob(300000))')).toEqual(FULL);
        await rm(filler);
        expect(await db.write("INSERT INTO t VALUES(3, 'after')")).toBe('Ok');
      }
      await using again = new SqliteBench(disk.home);
      await again.ask('Open');
      expect(await again.query('SELECT a, b FROM t')).toEqual([
        { a: 1, b: 'before' },
        { a: 3, b: 'after' },
      ]);
      expect(await again.query('PRAGMA integrity_check')).toEqual([{ integrity_check: 'ok' }]);
    });

    test('M85 sqlite on a read-only disk: refused by name and not taken for damage, and all there once it is writable', async () => {
      await using disk = await SmallDisk.mount(16);
      {
        await using db = new SqliteBench(disk.home);
        await db.ask('Open');
        await db.write('CREATE TABLE t(a)');
        await db.write('INSERT INTO t VALUES(1)');
      }
      disk.remount('ro');
      await using db = new SqliteBench(disk.home);
      expect(await db.ask('Open')).toEqual(READ_ONLY);
      expect(await db.ask('Open', { db: 'other' })).toEqual(READ_ONLY);
      disk.remount('rw');
      expect(await db.ask('Open')).toBe('Ok');
      expect(await db.query('SELECT a FROM t')).toEqual([{ a: 1 }]);
    });
  },
);

test('M82 the tests of databases on small disks ran, or say why not', () => {
  expect(why).not.toBe('');
});
