/** SQL that means harm: other files, endless work, memory, and children that die (H5, H7, H24, findings F17). */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { err, FOREIGN, ME, SIBLING, SqliteBench } from './testing.ts';

const ENDLESS =
  'WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c) SELECT count(*) n FROM c';
const STATEMENT_MS = 700;

let home: string;
let db: SqliteBench;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'sqlite-'));
  db = new SqliteBench(home, { statementMs: STATEMENT_MS });
  await db.ask('Open');
  await db.write('CREATE TABLE t(a)');
});
afterEach(async () => {
  await db[Symbol.asyncDispose]();
  await rm(home, { recursive: true });
});

const sqlError = (text: string): unknown =>
  err({ RusqliteError: expect.stringContaining(text) as string });

describe('other files', () => {
  test('M106 H5 no statement reaches another file, or tells where this one is', async () => {
    const before = (await readdir(home)).toSorted();
    const out = join(home, 'out.db');
    for (const sql of [
      `ATTACH '${out}' AS x`,
      `attach '' as x`,
      `ATTACH 'file:${out}?mode=rwc' AS x`,
      `PRAGMA temp_store_directory = '${home}'`,
      'PRAGMA database_list',
      'PRAGMA writable_schema = 1',
      'PRAGMA main.writable_schema(1)',
      'PRAGMA hard_heap_limit = 1',
      'SELECT * FROM pragma_database_list',
      'SELECT file FROM pragma_database_list()',
      `SELECT load_extension('${out}')`,
      `SELECT fts3_tokenizer('x')`,
      'BEGIN',
    ]) {
      expect([sql, await db.query(sql)]).toEqual([sql, sqlError('not authorized')]);
    }
    for (const sql of [
      `VACUUM INTO '${out}'`,
      `VACUUM main INTO '${out}'`,
      `VACUUM INTO 'file:${out}?mode=rwc'`,
      'DETACH main',
      'COMMIT',
      'ROLLBACK',
      'SAVEPOINT x',
      'CREATE TEMP TABLE x(a)',
      'CREATE VIRTUAL TABLE x USING csv(filename="/etc/passwd")',
    ]) {
      expect([sql, await db.write(sql)]).toEqual([
        sql,
        err({
          RusqliteError: expect.stringMatching(/not authorized|no such|no transaction/) as string,
        }),
      ]);
    }
    for (const sql of ["SELECT readfile('/etc/passwd')", "SELECT writefile('/tmp/x','y')"]) {
      expect(await db.query(sql)).toEqual(sqlError('no such function'));
    }
    expect((await readdir(home)).toSorted()).toEqual(before);
    expect(await db.write('VACUUM')).toBe('Ok');
    expect(await db.write('REINDEX')).toBe('Ok');
    expect(await db.write('ANALYZE')).toBe('Ok');
  });

  test('H5 triggers and views cannot do what statements cannot', async () => {
    const sql = `CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT load_extension('x'); END`;
    expect(await db.write(sql)).toBe('Ok');
    expect(await db.write('INSERT INTO t VALUES(1)')).toEqual(sqlError('not authorized'));
    expect(await db.query('SELECT * FROM t')).toEqual([]);
  });

  test('H5 pragmas about durability and memory are accepted without effect', async () => {
    expect(await db.query('PRAGMA journal_mode = DELETE')).toEqual([]);
    expect(await db.query('PRAGMA journal_mode')).toEqual([{ journal_mode: 'wal' }]);
    expect(await db.query('PRAGMA synchronous = OFF')).toEqual([]);
    expect(await db.query('PRAGMA synchronous')).toEqual([{ synchronous: 2 }]);
    expect(await db.query('PRAGMA mmap_size = 1000000')).toEqual([]);
  });

  test('full-text and spatial indexes work', async () => {
    expect(await db.write('CREATE VIRTUAL TABLE f USING fts5(x)')).toBe('Ok');
    expect(await db.write("INSERT INTO f VALUES('hello world')")).toBe('Ok');
    expect(await db.query("SELECT x FROM f WHERE f MATCH 'world'")).toEqual([{ x: 'hello world' }]);
    expect(await db.write('CREATE VIRTUAL TABLE r USING rtree(id, a, b)')).toBe('Ok');
  });
});

describe('values', () => {
  test('M107 H7 what is not finite is null, and the module lives', async () => {
    expect(await db.rowsText('SELECT 9e999 a, -9e999 b')).toBe('[{"a":null,"b":null}]');
    expect(await db.query('SELECT ? a', '[1e400]')).toEqual(err('InvalidParameters'));
    expect(await db.query('SELECT 1 a')).toEqual([{ a: 1 }]);
  });

  test('H7 a NUL in the statement is refused with its place, one in a text kept', async () => {
    expect(await db.query('SELECT 1\0')).toEqual(sqlError('position: 8'));
    expect(await db.query('SELECT ? a', '["a\\u0000b"]')).toEqual([{ a: 'a\0b' }]);
  });

  test('H24 values and results too large are refused by name', async () => {
    expect(await db.query('SELECT length(zeroblob(1000000000)) n')).toEqual(sqlError('too big'));
    const rows = `WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c LIMIT 80)
      SELECT hex(zeroblob(500000)) h FROM c`;
    expect(await db.query(rows)).toEqual(sqlError('larger than'));
    expect(await db.query('SELECT 1 a')).toEqual([{ a: 1 }]);
  });

  test('H7 deep expressions, many columns and long statements are refused, not fatal', async () => {
    const deep = `SELECT ${'('.repeat(5000)}1${')'.repeat(5000)}`;
    expect(await db.query(deep)).toEqual(sqlError(''));
    expect(await db.query(`SELECT ${'1,'.repeat(5000)}1`)).toEqual(sqlError('too many'));
    expect(await db.query(`SELECT ${'1+'.repeat(2000)}1`)).toEqual(sqlError('depth'));
    expect(await db.query('SELECT ?99999')).toEqual(sqlError(''));
    expect(await db.query(`SELECT '${'x'.repeat(1024 * 1024)}'`)).toEqual(err('MalformedRequest'));
    expect(await db.query('SELECT 1 a')).toEqual([{ a: 1 }]);
  });

  test('H24 a value of 64 MiB is kept; as rows it is too large, and told so', async () => {
    const size = 64 * 1024 * 1024;
    const base64 = Buffer.alloc(size, 7).toString('base64');
    // With the usual time for a statement.
    await using db = new SqliteBench(home);
    await db.ask('Open');
    expect(await db.write('INSERT INTO t VALUES(?)', `["${base64}"]`)).toBe('Ok');
    expect(await db.query('SELECT length(a) n, substr(a, -2) s FROM t')).toEqual([
      { n: size, s: Buffer.alloc(2, 7).toString('base64') },
    ]);
    expect(await db.query('SELECT a FROM t')).toEqual(sqlError('the result is larger than'));
  });

  test('a value of 40 MiB goes in and out', async () => {
    await db[Symbol.asyncDispose]();
    db = new SqliteBench(home, { statementMs: 60_000 });
    await db.ask('Open');
    const text = `${'a b '.repeat(10 * 1024 * 1024)}!`;
    expect(await db.write('INSERT INTO t VALUES(?)', JSON.stringify([text]))).toBe('Ok');
    expect(await db.query('SELECT length(a) n FROM t')).toEqual([{ n: text.length }]);
    const rows = (await db.query('SELECT a FROM t')) as { a: string }[];
    expect(rows[0]?.a === text).toBe(true);
  });
});

describe('endless work', () => {
  test('F17 a runaway query is ended at its limit, its database goes on', async () => {
    expect(await db.query(ENDLESS)).toEqual(sqlError('interrupted'));
    expect(await db.query('SELECT 1 a')).toEqual([{ a: 1 }]);
    expect(await db.write('INSERT INTO t VALUES(1)')).toBe('Ok');
  });

  test('F17 while a query runs away, neither its own database nor another waits for it', async () => {
    await db[Symbol.asyncDispose]();
    db = new SqliteBench(home, { statementMs: 4_000 });
    await db.ask('Open');
    await db.ask('Open', { db: 'n' });
    await db.ask('Open', { from: SIBLING });
    await db.write('CREATE TABLE t(a)', undefined, { db: 'n' });
    const order: string[] = [];
    const note = (name: string) => (): void => void order.push(name);
    const endless = db.query(ENDLESS).then(note('endless'));
    const own = db.write('INSERT INTO t VALUES(1)', undefined, { from: SIBLING }).then(note('own'));
    const other = db.query('SELECT * FROM t', undefined, { db: 'n' }).then(note('other'));
    await Promise.all([endless, own, other]);
    expect(order.at(-1)).toBe('endless');
    expect(await db.query('SELECT a FROM t')).toEqual([{ a: 1 }]);
  });

  test('F17 a runaway write is ended and leaves nothing; what was behind it runs', async () => {
    const sql =
      'INSERT INTO t WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c) SELECT x FROM c';
    const endless = db.write(sql);
    const behind = [1, 2, 3].map((value) => db.write('INSERT INTO t VALUES(?)', `[${value}]`));
    expect(await endless).toEqual(sqlError('interrupted'));
    expect(await Promise.all(behind)).toEqual(['Ok', 'Ok', 'Ok']);
    expect(await db.query('SELECT a FROM t')).toEqual([{ a: 1 }, { a: 2 }, { a: 3 }]);
  });

  test('F17 many runaways at once: everybody is answered, others go on', async () => {
    const names = Array.from({ length: 12 }, (_, index) => `d${index}`);
    await Promise.all(names.map((name) => db.ask('Open', { db: name })));
    const endless = names.map((name) => db.query(ENDLESS, undefined, { db: name }));
    for (const answer of await Promise.all(endless))
      expect(answer).toEqual(sqlError('interrupted'));
    const rows = names.map((name) => db.query('SELECT 1 a', undefined, { db: name }));
    expect(await Promise.all(rows)).toEqual(names.map(() => [{ a: 1 }]));
  }, 60_000);

  test('F17 a query whose requester is gone is ended before its limit', async () => {
    await db[Symbol.asyncDispose]();
    db = new SqliteBench(home, { statementMs: 600_000 });
    await db.ask('Open');
    const gone = new AbortController();
    const body = { package_id: { package_name: 'a', publisher_node: 'b.os' }, db: 'm' };
    const request = db.bench.request({ from: ME, body: { ...body, action: { Query: ENDLESS } } });
    const answer = db.bench.answer(request, gone.signal);
    gone.abort();
    await answer;
    expect(await db.query('SELECT 1 a')).toEqual([{ a: 1 }]);
  });

  test('RemoveDb ends a runaway query of its own', async () => {
    await db[Symbol.asyncDispose]();
    db = new SqliteBench(home, { statementMs: 600_000 });
    await db.ask('Open');
    const endless = db.query(ENDLESS);
    // Asked from then on: the query has left its database, or runs in front of this.
    while (!Array.isArray(await db.query('SELECT 1 a')));
    expect(await db.ask('RemoveDb')).toBe('Ok');
    expect(await endless).toEqual(sqlError('interrupted'));
  });
});

describe('ends', () => {
  test('M82 what was answered is there after kill -9 of the node at any moment', async () => {
    const program = fileURLToPath(new URL('./writer.testing.ts', import.meta.url));
    const folder = join(home, 'crash');
    let last = -1;
    for (const answers of [1, 7, 30, 100]) {
      const child = spawn(process.execPath, [program, folder], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let seen = 0;
      for await (const chunk of child.stdout) {
        for (const line of String(chunk).trim().split('\n')) {
          last = Number(line);
          seen += 1;
        }
        if (seen >= answers) break;
      }
      child.kill('SIGKILL');
      await using after = new SqliteBench(folder);
      await after.ask('Open');
      const [row] = (await after.query('SELECT max(a) n, count(*) c FROM t')) as {
        n: number;
        c: number;
      }[];
      expect(row!.n).toBeGreaterThanOrEqual(last);
      expect(row!.c).toBe(row!.n + 1);
    }
  }, 60_000);

  test('a child outlives its node by no more than moments, even inside an endless statement', async () => {
    const program = fileURLToPath(new URL('./writer.testing.ts', import.meta.url));
    const node = spawn(process.execPath, [program, join(home, 'orphan'), 'endless'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    for await (const _ of node.stdout) break;
    const children = (await readFile(`/proc/${node.pid}/task/${node.pid}/children`, 'utf8'))
      .trim()
      .split(' ')
      .map(Number);
    expect(children.length).toBeGreaterThan(0);
    node.kill('SIGKILL');
    const lives = (): boolean => children.some((pid) => pid > 0 && isAlive(pid));
    while (lives()) await new Promise(setImmediate);
  }, 10_000);

  test('a foreign process with the write capability still cannot open or remove', async () => {
    const extra = { from: FOREIGN, capabilities: [db.capability('write'), db.capability('read')] };
    expect(await db.write('INSERT INTO t VALUES(1)', undefined, extra)).toBe('Ok');
    expect(await db.ask('RemoveDb', extra)).toEqual(err('MismatchingPackageId'));
  });
});

/** Not counting what only waits to be reaped by whoever runs the tests. */
function isAlive(pid: number): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
