import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { processId } from '../../wit/address.ts';
import type { Capability } from '../../wit/types.ts';
import { err, FOREIGN, ME, P, SIBLING, SqliteBench } from './testing.ts';

let home: string;
let db: SqliteBench;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'sqlite-'));
  db = new SqliteBench(home);
});
afterEach(async () => {
  await db[Symbol.asyncDispose]();
  await rm(home, { recursive: true });
});

const sqlError = (text: string): unknown =>
  err({ RusqliteError: expect.stringContaining(text) as string });

describe('opening and capabilities', () => {
  test('M85 Open creates the file in WAL mode; a second Open is Ok', async () => {
    expect(await db.ask('Open')).toBe('Ok');
    expect(await db.ask('Open')).toBe('Ok');
    const folder = join(home, 'sqlite', 'a:b.os', 'm');
    expect(await readdir(folder)).toContain('m.db');
    expect(await db.query('PRAGMA journal_mode')).toEqual([{ journal_mode: 'wal' }]);
    expect(db.bench.port.granted.get(ME as never)?.slice(0, 2)).toEqual([
      db.capability('read'),
      db.capability('write'),
    ]);
  });

  test('M66 Open and RemoveDb of another package are refused', async () => {
    for (const action of ['Open', 'RemoveDb']) {
      expect(await db.ask(action, { from: FOREIGN })).toEqual(err('MismatchingPackageId'));
    }
    expect(await readdir(home)).toEqual([]);
  });

  test('M105 H3 a process without the capability is refused, a sibling and another package alike', async () => {
    await db.ask('Open');
    for (const from of [SIBLING, FOREIGN]) {
      expect(await db.query('SELECT 1', undefined, { from })).toEqual(err('NoReadCap'));
      expect(await db.write('CREATE TABLE t(a)', undefined, { from })).toEqual(err('NoWriteCap'));
      expect(await db.ask('BeginTx', { from })).toEqual(err('NoWriteCap'));
      expect(await db.commit(1, { from })).toEqual(err('NoWriteCap'));
      expect(await db.ask('Backup', { from })).toEqual(err('NoReadCap'));
    }
    const reader = { from: FOREIGN, capabilities: [db.capability('read')] };
    expect(await db.query('SELECT 1 a', undefined, reader)).toEqual([{ a: 1 }]);
    expect(await db.write('CREATE TABLE t(a)', undefined, reader)).toEqual(err('NoWriteCap'));
    const other = { from: FOREIGN, capabilities: [db.capability('read', 'other')] };
    expect(await db.query('SELECT 1', undefined, other)).toEqual(err('NoReadCap'));
  });

  test('M108 M83 names that are no plain path component are refused', async () => {
    for (const name of ['', '.', '..', '../x', '/x', 'a/b', 'a\0b']) {
      expect(await db.ask('Open', { db: name })).toEqual(err('MalformedRequest'));
      expect(await db.ask('RemoveDb', { db: name })).toEqual(err('MalformedRequest'));
    }
    expect(await readdir(home)).toEqual([]);
    expect(await db.ask('Open', { db: 'ü'.repeat(300) })).toEqual(
      err({ IOError: 'File name too long (os error 36)' }),
    );
  });

  test('M105 a capability of another package, database, node, module or kind opens nothing', async () => {
    await db.ask('Open');
    await db.write('CREATE TABLE t(a)');
    const mine = db.capability('read');
    const named = (params: unknown): Capability => ({ ...mine, params: JSON.stringify(params) });
    const key = [P, 'm'];
    const forged: Capability[] = [
      db.capability('read', 'm', { package_name: 'c', publisher_node: 'd.os' }),
      db.capability('read', 'other'),
      db.capability('write'),
      { ...mine, issuer: { ...mine.issuer, node: 'evil.os' } },
      { ...mine, issuer: { ...mine.issuer, process: processId('kv:distro:sys') } },
      named({ kind: 'read', db_key: key, more: 1 }),
      named({ kind: ['read'], db_key: key }),
      named({ kind: 'read', db_key: ['a:b.os', 'm'] }),
      named({ root: true }),
      { ...mine, params: 'read' },
    ];
    for (const capability of forged) {
      const answer = await db.query('SELECT a FROM t', undefined, {
        from: FOREIGN,
        capabilities: [capability],
      });
      expect(answer, capability.params).toEqual(err('NoReadCap'));
    }
    const right = { from: FOREIGN, capabilities: [mine] };
    expect(await db.query('SELECT a FROM t', undefined, right)).toEqual([]);
    expect(await db.write('INSERT INTO t VALUES(1)', undefined, right)).toEqual(err('NoWriteCap'));
  });

  test('M108 names: 300 characters are an IOError, NUL and separators malformed, any other text is one', async () => {
    const TOO_LONG = err({ IOError: 'File name too long (os error 36)' });
    for (const long of [
      'x'.repeat(300),
      'ü'.repeat(300),
      '漢'.repeat(300),
      '🐘'.repeat(150),
      '漢'.repeat(81),
    ])
      expect(await db.ask('Open', { db: long }), long.slice(0, 2)).toEqual(TOO_LONG);
    for (const bad of ['a\0b', 'a/b', 'a\\b', '..', '.', '', '\0'])
      expect(await db.ask('Open', { db: bad }), bad).toEqual(err('MalformedRequest'));
    for (const odd of ['漢'.repeat(60), 'a b', '-wal', "'; DROP TABLE t; --", '%2e%2e', 'ＡＢ…']) {
      expect(await db.ask('Open', { db: odd }), odd).toBe('Ok');
      expect(await db.write('CREATE TABLE t(a)', undefined, { db: odd }), odd).toBe('Ok');
    }
    expect((await readdir(home)).toSorted()).toEqual(['sqlite']);
    expect(await readdir(join(home, 'sqlite'))).toEqual(['a:b.os']);
  });

  test('two processes racing to create one database both succeed, and share it', async () => {
    const both = [ME, SIBLING, ME, SIBLING].map((from) => db.ask('Open', { from }));
    expect(await Promise.all(both)).toEqual(['Ok', 'Ok', 'Ok', 'Ok']);
    await db.write('CREATE TABLE t(a)');
    expect(await db.query('SELECT * FROM t', undefined, { from: SIBLING })).toEqual([]);
  });

  test('M104 RemoveDb deletes the data; M80 of a database that never was it is errno 2', async () => {
    expect(await db.ask('RemoveDb')).toEqual(
      err({ IOError: 'No such file or directory (os error 2)' }),
    );
    await db.ask('Open');
    await db.write('CREATE TABLE t(a)');
    expect(await db.ask('RemoveDb')).toBe('Ok');
    expect(await db.query('SELECT * FROM t')).toEqual(sqlError('no such table'));
    expect(await db.write('CREATE TABLE t(a)')).toBe('Ok');
  });
});

describe('statements', () => {
  beforeEach(async () => {
    await db.ask('Open');
  });

  test('M86 CREATE, INSERT, UPDATE, DELETE are Ok; SELECT answers Read and rows', async () => {
    expect(await db.write('CREATE TABLE t(a INTEGER, b TEXT)')).toBe('Ok');
    expect(await db.write("INSERT INTO t VALUES(1,'x'),(2,'y')")).toBe('Ok');
    expect(await db.write('UPDATE t SET b=? WHERE a=?', '["Zed",2]')).toBe('Ok');
    expect(await db.write('DELETE FROM t WHERE a=1')).toBe('Ok');
    const answer = await db.reply({ Query: 'SELECT * FROM t' });
    expect(answer?.body).toBe('Read');
    expect(answer?.blob?.mime).toBe('application/octet-stream');
    expect(Buffer.from(answer!.blob!.bytes).toString()).toBe('[{"a":2,"b":"Zed"}]');
  });

  test('M87 M88 the keyword gate looks at the first word, whatever its case', async () => {
    expect(await db.query('INSERT INTO t VALUES(1)')).toEqual(err('NotAReadKeyword'));
    expect(await db.write('SELECT 1')).toEqual(err('NotAWriteKeyword'));
    expect(await db.query('select 1 a')).toEqual([{ a: 1 }]);
    expect(await db.query(' \n\tSeLeCt 1 a')).toEqual([{ a: 1 }]);
    for (const sql of ['SELECT*FROM t', '-- c\nSELECT 1', '(SELECT 1)', '', ' ']) {
      expect(await db.query(sql)).toEqual(err('NotAReadKeyword'));
    }
    expect(await db.write('INSERT(')).toEqual(err('NotAWriteKeyword'));
  });

  test('M89 PRAGMA, EXPLAIN, WITH and VALUES are queries; WITH … INSERT inserts', async () => {
    await db.write('CREATE TABLE t(a)');
    expect(await db.query('PRAGMA user_version')).toEqual([{ user_version: 0 }]);
    expect(await db.query('PRAGMA user_version = 7')).toEqual([]);
    expect(await db.query('PRAGMA user_version')).toEqual([{ user_version: 7 }]);
    expect(await db.query('EXPLAIN QUERY PLAN SELECT * FROM t')).toHaveLength(1);
    expect(await db.query('VALUES (1),(2)')).toEqual([{ column1: 1 }, { column1: 2 }]);
    expect(await db.query('WITH x AS (SELECT 5 a) INSERT INTO t SELECT a FROM x')).toEqual([]);
    expect(await db.query('SELECT * FROM t')).toEqual([{ a: 5 }]);
  });

  test('M90 no rows are []; keys are sorted bytewise; equal names are one key', async () => {
    expect(await db.rowsText('SELECT 1 WHERE 0')).toBe('[]');
    expect(await db.rowsText('SELECT 1 b, 2 a, 3 "ü", 4 Z, 5 a')).toBe(
      '[{"Z":4,"a":5,"b":1,"ü":3}]',
    );
  });

  test('M91 column types map as they should; booleans are 1 and 0', async () => {
    const sql = "SELECT 1 i, 1.5 r, 'x' t, x'00ff' b, NULL n, ? yes, ? no";
    expect(await db.rowsText(sql, '[true,false]')).toBe(
      '[{"b":"AP8=","i":1,"n":null,"no":0,"r":1.5,"t":"x","yes":1}]',
    );
  });

  test('M92 integers beyond 2^53 survive', async () => {
    const values =
      '[9007199254740993,-9223372036854775808,9223372036854775807,18446744073709551615]';
    expect(await db.rowsText('SELECT ? a, ? b, ? c, ? d', values)).toBe(
      '[{"a":9007199254740993,"b":-9223372036854775808,"c":9223372036854775807,"d":18446744073709552000.0}]',
    );
  });

  test('M93 1.0 is REAL and 1 is INTEGER, both ways', async () => {
    expect(
      await db.rowsText(
        'SELECT typeof(?1) a, typeof(?2) b, ?1 c, ?2 d, typeof(?3) e',
        '[1.0,1,1e2]',
      ),
    ).toBe('[{"a":"real","b":"integer","c":1.0,"d":1,"e":"real"}]');
    expect(await db.rowsText('SELECT 1e300*10 a, -0.0 b, 1e21 c')).toMatch(
      /^\[\{"a":1e\+301,"b":-?0\.0,"c":1e\+21\}\]$/,
    );
  });

  test('M94 strings that are canonical base64 are bound as blobs', async () => {
    const blobs = {
      '': '',
      Dave: '0dabde',
      test: 'b5eb2d',
      user: 'bac7ab',
      '2024': 'db4db8',
      true: 'b6bb9e',
      null: '9ee965',
      abcd1234: '69b71dd76df8',
      'QQ==': '41',
    };
    for (const [text, hex] of Object.entries(blobs)) {
      const rows = await db.query('SELECT typeof(?1) t, lower(hex(?1)) h', JSON.stringify([text]));
      expect(rows).toEqual([{ t: 'blob', h: hex }]);
    }
    for (const text of [
      'Bob',
      'Alice',
      'QQ=',
      'QR==',
      'aGVsbG8',
      'hello world',
      '0x1234567890abcdef',
      'a===',
      '====',
    ]) {
      const rows = await db.query('SELECT typeof(?1) t, ?1 v', JSON.stringify([text]));
      expect(rows).toEqual([{ t: 'text', v: text }]);
    }
  });

  test('M94 such a value differs from a literal as it does in the reference', async () => {
    await db.write('CREATE TABLE t(a TEXT)');
    await db.write('INSERT INTO t VALUES(?)', '["Dave"]');
    await db.write("INSERT INTO t VALUES('Dave')");
    expect(await db.query('SELECT typeof(a) t, length(a) n FROM t')).toEqual([
      { t: 'blob', n: 3 },
      { t: 'text', n: 4 },
    ]);
    expect(await db.query("SELECT count(*) n FROM t WHERE a='Dave'")).toEqual([{ n: 1 }]);
    expect(await db.query("SELECT count(*) n FROM t WHERE a LIKE 'Dav%'")).toEqual([{ n: 1 }]);
    expect(await db.query('SELECT typeof(a) t FROM t ORDER BY a')).toEqual([
      { t: 'text' },
      { t: 'blob' },
    ]);
    expect(await db.query('SELECT a FROM t')).toEqual([{ a: 'Dave' }, { a: 'Dave' }]);
  });

  test('M95 what is no array of scalars is InvalidParameters', async () => {
    for (const blob of ['{}', '', '[[1]]', '[{}]', '1', 'null', '[1', '[1] x', '[1e999]', '\xff']) {
      expect(await db.query('SELECT 1', blob)).toEqual(err('InvalidParameters'));
      expect(await db.write('CREATE TABLE t(a)', blob)).toEqual(err('InvalidParameters'));
    }
    expect(await db.query('SELECT 1 a')).toEqual([{ a: 1 }]);
    expect(await db.query('SELECT 1 a', ' [ ] ')).toEqual([{ a: 1 }]);
  });

  test('M96 a wrong number of parameters names both numbers', async () => {
    const wrong = (got: number, needed: number): unknown =>
      err({
        RusqliteError: `Wrong number of parameters passed to query. Got ${got}, needed ${needed}`,
      });
    expect(await db.query('SELECT ?, ?', '[1]')).toEqual(wrong(1, 2));
    expect(await db.query('SELECT ?', '[1,2,3]')).toEqual(wrong(3, 1));
    expect(await db.query('SELECT ?')).toEqual(wrong(0, 1));
    expect(await db.query('SELECT ?3', '[1]')).toEqual(wrong(1, 3));
    expect(
      await db.query('SELECT \'?\', "?", `?`, [?] -- ?\n /* ? */ FROM (SELECT 1 "?")', '[1]'),
    ).toEqual(wrong(1, 0));
    await db.write('CREATE TABLE t(a)');
    expect(await db.write('INSERT INTO t VALUES(?)', '[]')).toEqual(wrong(0, 1));
  });

  test('M96 named and numbered parameters are bound by position', async () => {
    const sql = 'SELECT :a a, @b b, $c c, ? d, :a e, ?2 f';
    expect(await db.query(sql, '[1,2,3,4]')).toEqual([{ a: 1, b: 2, c: 3, d: 4, e: 1, f: 2 }]);
    expect(await db.query('SELECT ?2 a, ?1 b', '[1,2]')).toEqual([{ a: 2, b: 1 }]);
  });

  test('M97 of several statements only the first runs', async () => {
    expect(await db.query('SELECT 1 a; SELECT 2 b')).toEqual([{ a: 1 }]);
    expect(await db.write('CREATE TABLE t(a); CREATE TABLE u(a)')).toBe('Ok');
    expect(await db.query('SELECT * FROM u')).toEqual(sqlError('no such table'));
    expect(await db.query('SELECT ? a; SELECT ?, ?', '[1]')).toEqual([{ a: 1 }]);
  });

  test('M98 RETURNING through Write is refused', async () => {
    await db.write('CREATE TABLE t(a)');
    expect(await db.write('INSERT INTO t VALUES(1) RETURNING a')).toEqual(
      err({ RusqliteError: 'Execute returned results - did you mean to call query?' }),
    );
    expect(await db.query('SELECT * FROM t')).toEqual([]);
  });

  test('M99 foreign keys are enforced, unless switched off for the database', async () => {
    await db.write('CREATE TABLE p(a INTEGER PRIMARY KEY)');
    await db.write('CREATE TABLE c(a REFERENCES p(a))');
    expect(await db.write('INSERT INTO c VALUES(1)')).toEqual(sqlError('FOREIGN KEY'));
    expect(await db.query('PRAGMA foreign_keys = OFF')).toEqual([]);
    expect(await db.write('INSERT INTO c VALUES(1)')).toBe('Ok');
  });

  test('a changed schema changes the columns of a known statement', async () => {
    await db.write('CREATE TABLE t(a)');
    await db.write('INSERT INTO t VALUES(1)');
    expect(await db.query('SELECT * FROM t')).toEqual([{ a: 1 }]);
    await db.write('ALTER TABLE t ADD COLUMN b');
    expect(await db.query('SELECT * FROM t')).toEqual([{ a: 1, b: null }]);
    await db.write('ALTER TABLE t RENAME COLUMN a TO c');
    expect(await db.query('SELECT * FROM t')).toEqual([{ b: null, c: 1 }]);
  });

  test('M11 requests sent without waiting take effect in order', async () => {
    await db.write('CREATE TABLE t(a)');
    const seen: Promise<unknown>[] = [];
    for (let index = 0; index < 100; index++) {
      seen.push(db.write('INSERT INTO t VALUES(?)', `[${index}]`));
      seen.push(db.query('SELECT count(*) n FROM t'));
    }
    const answers = await Promise.all(seen);
    for (let index = 0; index < 100; index++) {
      expect(answers[2 * index + 1]).toEqual([{ n: index + 1 }]);
    }
  });
});

describe('transactions', () => {
  beforeEach(async () => {
    await db.ask('Open');
    await db.write('CREATE TABLE t(a INTEGER PRIMARY KEY)');
  });

  test('M100 all or nothing; the id is gone either way', async () => {
    const good = await db.begin();
    await db.write('INSERT INTO t VALUES(1)', undefined, {}, good);
    await db.write('INSERT INTO t VALUES(2)', undefined, {}, good);
    expect(await db.commit(good)).toBe('Ok');
    expect(await db.commit(good)).toEqual(err({ NoTx: good }));
    const bad = await db.begin();
    await db.write('INSERT INTO t VALUES(3)', undefined, {}, bad);
    await db.write('INSERT INTO t VALUES(1)', undefined, {}, bad);
    expect(await db.commit(bad)).toEqual(sqlError('UNIQUE'));
    expect(await db.commit(bad)).toEqual(err({ NoTx: bad }));
    expect(await db.query('SELECT a FROM t')).toEqual([{ a: 1 }, { a: 2 }]);
  });

  test('M101 a Write with an unknown id begins it; Commit of an unknown id is NoTx', async () => {
    const id = '18446744073709551615';
    const body = (action: string): string =>
      `{"package_id":${JSON.stringify(P)},"db":"m","action":${action}}`;
    const ask = async (action: string): Promise<string> => {
      const answer = await db.bench.answer(db.bench.request({ from: ME, body: body(action) }));
      return new TextDecoder().decode(answer?.body);
    };
    expect(await ask(`{"Commit":{"tx_id":${id}}}`)).toBe(`{"Err":{"NoTx":${id}}}`);
    expect(await ask(`{"Write":{"statement":"INSERT INTO t VALUES(1)","tx_id":${id}}}`)).toBe(
      '"Ok"',
    );
    expect(await ask(`{"Commit":{"tx_id":${id}}}`)).toBe('"Ok"');
    expect(await db.query('SELECT a FROM t')).toEqual([{ a: 1 }]);
  });

  test('M102 words and parameters are refused at the Write, SQL at the Commit', async () => {
    const tx = await db.begin();
    const write = (sql: string, blob?: string): Promise<unknown> => db.write(sql, blob, {}, tx);
    expect(await write('SELECT 1')).toEqual(err('NotAWriteKeyword'));
    expect(await write('INSERT INTO t VALUES(?)', '{}')).toEqual(err('InvalidParameters'));
    const long = `[${'"x",'.repeat(20_000)}[]]`;
    expect(await write('INSERT INTO t VALUES(?)', long)).toEqual(err('InvalidParameters'));
    expect(await write('INSERT INTO t VALUES(5)')).toBe('Ok');
    expect(await write('INSERT INTO nowhere VALUES(5)')).toBe('Ok');
    expect(await db.commit(tx)).toEqual(sqlError('no such table'));
    const again = await db.begin();
    await db.write('INSERT INTO t VALUES(?)', long, {}, again);
    await db.write('INSERT INTO t VALUES(6)', undefined, {}, again);
    expect(await db.commit(again)).toBe('Ok');
    expect(await db.query('SELECT a FROM t')).toEqual([{ a: 6 }]);
  });

  test('M103 a Query does not see what is only buffered', async () => {
    const tx = await db.begin();
    await db.write('INSERT INTO t VALUES(1)', undefined, {}, tx);
    expect(await db.query('SELECT a FROM t')).toEqual([]);
    const seen = [db.commit(tx), db.query('SELECT a FROM t')];
    expect(await Promise.all(seen)).toEqual(['Ok', [{ a: 1 }]]);
  });

  test('a transaction of another process is unknown, and ends with its own', async () => {
    await db.ask('Open', { from: SIBLING });
    const tx = await db.begin();
    await db.write('INSERT INTO t VALUES(1)', undefined, {}, tx);
    const other = { from: SIBLING };
    expect(await db.commit(tx, other)).toEqual(err({ NoTx: tx }));
    expect(await db.ask({ Abandon: { tx_id: tx } }, other)).toEqual(err({ NoTx: tx }));
    expect(await db.write('INSERT INTO t VALUES(2)', undefined, other, tx)).toEqual(
      err({ NoTx: tx }),
    );
    db.bench.module.onProcessGone?.(ME as never, 'ended');
    expect(await db.commit(tx)).toEqual(err({ NoTx: tx }));
    expect(await db.query('SELECT a FROM t')).toEqual([]);
  });

  test('Abandon forgets a transaction', async () => {
    const tx = await db.begin();
    await db.write('INSERT INTO t VALUES(1)', undefined, {}, tx);
    expect(await db.ask({ Abandon: { tx_id: tx } })).toBe('Ok');
    expect(await db.commit(tx)).toEqual(err({ NoTx: tx }));
  });
});

describe('files', () => {
  test('Backup leaves a copy that opens as a database', async () => {
    await db.ask('Open');
    await db.write('CREATE TABLE t(a)');
    await db.write('INSERT INTO t VALUES(1)');
    expect(await db.ask('Backup')).toBe('Ok');
    await db.write('INSERT INTO t VALUES(2)');
    expect(await db.ask('Backup')).toBe('Ok');
    const path = join(home, 'sqlite', '.backup', 'a:b.os', 'm.db');
    const copy = new DatabaseSync(path, { readOnly: true });
    expect(copy.prepare('SELECT count(*) n FROM t').get()).toMatchObject({ n: 2 });
    copy.close();
  });

  test('more databases than handles: closed and opened again on demand', async () => {
    await db[Symbol.asyncDispose]();
    db = new SqliteBench(home, { handlesMax: 2 });
    const names = ['a', 'b', 'c', 'd', 'e'];
    for (const name of names) {
      await db.ask('Open', { db: name });
      await db.write('CREATE TABLE t(a)', undefined, { db: name });
      await db.write('INSERT INTO t VALUES(?)', `["${name}"]`, { db: name });
    }
    for (const name of names) {
      const rows = await db.query('SELECT a FROM t', undefined, { db: name });
      expect(rows).toEqual([{ a: name }]);
    }
  });

  test('a file that is no database is moved aside and told of', async () => {
    await db.ask('Open');
    await db.write('CREATE TABLE t(a)');
    const { granted } = db.bench.port;
    await db[Symbol.asyncDispose]();
    const folder = join(home, 'sqlite', 'a:b.os', 'm');
    await writeFile(join(folder, 'm.db'), 'nonsense '.repeat(1000));
    db = new SqliteBench(home);
    for (const [process, capabilities] of granted) db.bench.port.granted.set(process, capabilities);
    expect(await db.ask('Open')).toBe('Ok');
    expect(await db.query('SELECT * FROM t')).toEqual(sqlError('no such table'));
    expect(db.bench.port.prints.filter(({ verbosity }) => verbosity === 0)).toHaveLength(1);
    const kept = join(home, 'sqlite', '.damaged', 'a:b.os', 'm');
    const [aside] = await readdir(kept);
    expect((await stat(join(kept, aside!, 'm.db'))).size).toBe(9000);
  });
});

describe('common rules', () => {
  test('M1 M2 M3 tolerance and refusals of bodies', async () => {
    await db.ask('Open');
    const text = JSON.stringify({ x: 1, package_id: P, db: 'm', action: { Query: 'SELECT 1' } });
    expect((await db.bench.ask({ from: ME, body: text }))?.body).toBe('Read');
    for (const body of [
      `${text} x`,
      JSON.stringify({ package_id: 'a:b.os', db: 'm', action: 'Open' }),
      JSON.stringify({ package_id: P, db: 'm', action: 'Nothing' }),
      JSON.stringify({ package_id: P, db: 'm', action: { Commit: { tx_id: 1.0 } } }).replace(
        '1}',
        '1.0}',
      ),
      '',
    ]) {
      expect((await db.bench.ask({ from: ME, body }))?.body).toEqual(err('MalformedRequest'));
    }
  });

  test('M6 a request from another node gets no answer', async () => {
    const body = { package_id: P, db: 'm', action: 'Open' };
    expect(await db.bench.ask({ from: 'bob.os@p:a:b.os', body })).toBeUndefined();
  });

  test('M7 M8 metadata is echoed on success only; errors are always sent', async () => {
    const asked = { from: ME, metadata: 'm', expectsResponse: false };
    const bad = await db.bench.ask({ ...asked, body: '{}' });
    expect(bad).toMatchObject({ body: err('MalformedRequest'), metadata: undefined });
    const open = { package_id: P, db: 'm', action: 'Open' };
    expect(await db.bench.ask({ ...asked, body: open })).toBeUndefined();
    const good = await db.bench.ask({ ...asked, expectsResponse: true, body: open });
    expect(good).toMatchObject({ body: 'Ok', metadata: 'm', blob: undefined });
  });
});
