import { expect, test } from 'vitest';
import { address } from '../../wit/address.ts';
import { defineProcess, type Process, t } from './index.ts';
import { keepCapabilities } from './caps.ts';
import { type Kv, KvError, openKv, rawBytes, rawText } from './kv.ts';
import { blobBytes, listOf, openSqlite, raw, type Sqlite, SqliteError } from './sqlite.ts';
import { FakeKv } from './testing/fake-kv.ts';
import { FakeSqlite } from './testing/fake-sqlite.ts';
import { FakeVfs } from './testing/fake-vfs.ts';
import { MemoryHost } from './testing/memory-host.ts';
import { TestProcess } from './testing/test-process.ts';
import { type Drive, drive, openDrive, VfsError } from './vfs.ts';

class World {
  readonly vfs = new FakeVfs();
  readonly kv = new FakeKv();
  readonly sqlite = new FakeSqlite();
  host = new MemoryHost('alice.os@test:test:sys');

  /** Runs `work` as a process; throws what it throws. */
  async run<T>(work: (process: Process<undefined>) => Promise<T>): Promise<T> {
    const results: T[] = [];
    const module = defineProcess<Readonly<Record<string, never>>, undefined>({
      setup: async (process) => {
        results.push(await work(process));
        process.exit();
      },
    });
    const started = await TestProcess.start(module, {
      peers: {
        'vfs:distro:sys': this.vfs.peer,
        'kv:distro:sys': this.kv.peer,
        'sqlite:distro:sys': this.sqlite.peer,
      },
    });
    this.host = started.host;
    const [result] = results;
    if (results.length === 0) throw new Error('the process waits for ever');
    return result as T;
  }
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (data: Uint8Array): string => new TextDecoder().decode(data);

async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const one of source) all.push(one);
  return all;
}

/** What a promise was rejected with. */
async function failure(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error,
  );
}

// ---- vfs

const onDrive = <T>(world: World, work: (files: Drive) => Promise<T>): Promise<T> =>
  world.run(async (process) => work(await drive(process, 'files')));

test('what is written is read back, replaced, appended to and measured', async () => {
  const world = new World();
  await onDrive(world, async (files) => {
    await files.write('a.txt', 'one');
    await files.write('a.txt', 'zwei');
    await files.append('a.txt', '!');
    await files.append('new.txt', 'made by append');
    expect(await files.readText('a.txt')).toBe('zwei!');
    expect(await files.readText('new.txt')).toBe('made by append');
    expect(await files.stat('a.txt')).toEqual({ kind: 'File', bytes: 5 });
    expect(await files.exists('b.txt')).toBe(false);
    await files.write('empty', new Uint8Array());
    expect(await files.read('empty')).toEqual(new Uint8Array());
  });
  expect(world.vfs.text('test:sys/files/a.txt')).toBe('zwei!');
});

test('missing folders are made when asked for, and only when they are missing', async () => {
  const world = new World();
  await onDrive(world, async (files) => {
    const refused = await failure(files.write('x/y/z.txt', 'deep'));
    expect(refused).toMatchObject({ name: 'VfsError', code: 'IOError', errno: 2 });
    await files.write('x/y/z.txt', 'deep', { mkdirs: true });
    const before = world.vfs.log.length;
    await files.write('x/y/z.txt', 'again', { mkdirs: true });
    expect(world.vfs.log.slice(before)).toEqual(['Write test:sys/files/x/y/z.txt']);
  });
});

test('M34 a listing has paths of the drive, sorted; recursively, a folder is followed by what is in it', async () => {
  const world = new World();
  await onDrive(world, async (files) => {
    for (const path of ['b/two', 'b/deep/three', 'a', 'c']) {
      await files.write(path, path, { mkdirs: true });
    }
    const flat = await collect(files.list());
    expect(flat.map(({ path, kind }) => `${kind} ${path}`)).toEqual([
      'File a',
      'Directory b',
      'File c',
    ]);
    const all = await collect(files.list('', { recursive: true }));
    expect(all.map(({ path }) => path)).toEqual(['a', 'b', 'b/deep', 'b/deep/three', 'b/two', 'c']);
    expect(all.at(3)?.name).toBe('three');
    // Whoever stops early asks for no more.
    const before = world.vfs.log.length;
    for await (const { path } of files.list('', { recursive: true })) if (path === 'a') break;
    expect(world.vfs.log.length).toBe(before + 1);
  });
});

test('M54 removing tells whether something was there, and takes folders with what is in them only when asked', async () => {
  await onDrive(new World(), async (files) => {
    await files.write('folder/file', 'x', { mkdirs: true });
    expect(await files.remove('nothing')).toBe(false);
    expect(await failure(files.remove('folder'))).toMatchObject({ errno: 39 });
    expect(await files.remove('folder', { recursive: true })).toBe(true);
    expect(await files.exists('folder/file')).toBe(false);
    await files.write('one', '1');
    await files.copy('one', 'two');
    await files.rename('one', 'three');
    expect(await files.remove('two')).toBe(true);
    expect((await collect(files.list())).map(({ path }) => path)).toEqual(['three']);
  });
});

test('no path leaves the drive', async () => {
  const world = new World();
  await onDrive(world, async (files) => {
    for (const attempt of [
      files.read('../other/secret'),
      files.write('a/../../x', ''),
      files.rename('a', '../b'),
      collect(files.list('..')),
    ]) {
      expect(await failure(attempt)).toMatchObject({ name: 'VfsError', code: 'BadPath' });
    }
    expect(world.vfs.log).toEqual(['CreateDrive test:sys/files']);
  });
});

test('two readers of one file have positions of their own, at the same time too', async () => {
  await onDrive(new World(), async (files) => {
    await files.write('f', '0123456789');
    const one = await files.open('f');
    const two = await files.open('f');
    await two.seek(-3, 'end');
    const read = await Promise.all([one.readExact(4), two.readExact(3), one.readAt(8, 100)]);
    expect(read.map(text)).toEqual(['0123', '789', '89']);
    expect([one.position, two.position]).toEqual([4, 10]);
    expect(await failure(two.readExact(1))).toMatchObject({ detail: 'early eof' });
    expect(await two.readAt(10, 5)).toEqual(new Uint8Array());
    expect(await failure(two.seek(-11, 'end'))).toBeInstanceOf(RangeError);
  });
});

test('parts are written where they belong, also by writers that do not wait for each other', async () => {
  const world = new World();
  await onDrive(world, async (files) => {
    const file = await files.open('f', { create: true });
    await Promise.all([
      file.writeAt(4, bytes('4567')),
      file.writeAt(0, bytes('0123')),
      file.writeAt(8, bytes('89')),
    ]);
    expect(await files.readText('f')).toBe('0123456789');
    await file.setLength(3);
    await file.seek(3);
    await file.write(bytes('!'));
    await file.sync();
    await file.close();
    expect(await files.readText('f')).toBe('012!');
    expect(await failure(files.open('absent'))).toMatchObject({ errno: 2 });
  });
});

test('a file streams in and out in chunks, and appears under its name when it is complete', async () => {
  const world = new World();
  await onDrive(world, async (files) => {
    const source = function* (): Generator<Uint8Array> {
      for (let chunk = 0; chunk < 5; chunk++) {
        expect(world.vfs.files.has('test:sys/files/in/big')).toBe(false);
        yield bytes(String(chunk).repeat(10));
      }
    };
    expect(await files.writeChunks('in/big', source(), { mkdirs: true })).toBe(50);
    const sizes = (await collect(files.chunks('in/big', { bytes: 20 }))).map((one) => one.length);
    expect(sizes).toEqual([20, 20, 10]);
    expect(text((await collect(files.chunks('in/big', { from: 45 })))[0] ?? bytes(''))).toBe(
      '44444',
    );
    const broken = function* (): Generator<Uint8Array> {
      yield bytes('x');
      throw new Error('source failed');
    };
    await expect(files.writeChunks('in/big', broken())).rejects.toThrow('source failed');
    expect((await files.stat('in/big'))?.bytes).toBe(50);
    expect((await collect(files.list('in'))).map(({ path }) => path)).toEqual(['in/big']);
  });
});

test("M19 M22 another package's drive is read with its capability, which travels with a message", async () => {
  const world = new World();
  world.vfs.folders.add('other:sys/shared');
  world.vfs.files.set('other:sys/shared/f', bytes('theirs'));
  await world.run(async (process) => {
    const shared = openDrive(process, '/other:sys/shared');
    expect(await failure(shared.read('f'))).toMatchObject({ code: 'NoReadCap' });
    const [read] = shared.capabilities('read');
    if (read === undefined) throw new Error();
    const elsewhere = { issuer: address('alice.os@kv:distro:sys'), params: '1' };
    const received = { capabilities: [read, elsewhere] };
    expect(keepCapabilities(process.host, received, 'vfs:distro:sys')).toBe(1);
    expect(await shared.readText('f')).toBe('theirs');
    expect(await failure(shared.write('f', 'ours'))).toMatchObject({ code: 'NoWriteCap' });
    // Reading in parts works without the right to open or close (runtime-modules.md §2.5).
    expect(text((await collect(shared.chunks('f')))[0] ?? bytes(''))).toBe('theirs');
  });
});

test('M4 silence for want of the right to send is said to be that', async () => {
  const module = defineProcess({
    setup: async (process) => {
      const error = await failure(drive(process, 'files'));
      process.print(String(error));
    },
  });
  const started = await TestProcess.start(module);
  started.host.advance(5);
  await started.run();
  expect(started.host.prints.at(-1)?.text).toMatch(/VfsError: .*NoMessaging: .*"vfs:distro:sys"/);
});

// ---- kv

const note = t.record({ title: t.text, stars: t.u8 });

test('M68 M69 M71 M72 values are set, read, found missing and deleted', async () => {
  const world = new World();
  await world.run(async (process) => {
    const notes = await openKv(process, 'notes', { key: t.text, value: note });
    await notes.set('a', { title: 'first', stars: 3 });
    expect(await notes.get('a')).toEqual({ title: 'first', stars: 3 });
    expect([await notes.get('b'), await notes.has('a'), await notes.has('b')]).toEqual([
      undefined,
      true,
      false,
    ]);
    await notes.delete('a');
    await notes.delete('a');
    expect(await notes.has('a')).toBe(false);
    const empty = await openKv(process, 'raw', { key: rawBytes, value: rawBytes });
    await empty.set(new Uint8Array([0, 255]), new Uint8Array());
    expect(await empty.get(new Uint8Array([0, 255]))).toEqual(new Uint8Array());
  });
});

test('M84 keys and values are JSON as the Rust library stores them', async () => {
  const world = new World();
  await world.run(async (process) => {
    const notes = await openKv(process, 'notes', { key: t.text, value: note });
    await notes.set('a', { title: 't', stars: 1 });
  });
  const [[key, value] = []] = [...(world.kv.databases.get('test:sys notes') ?? [])];
  expect(key).toBe(Buffer.from('"a"').toString('hex'));
  expect(text(value ?? bytes(''))).toBe('{"title":"t","stars":1}');
});

const words = (process: Process<undefined>): Promise<Kv<string, string>> =>
  openKv(process, 'words', { key: rawText, value: rawText });

test('a scan yields the keys of a prefix in order, over all pages, up to a limit', async () => {
  const world = new World();
  await world.run(async (process) => {
    const kv = await words(process);
    for (const word of ['b/2', 'a', 'b/1', 'b/3', 'c', 'b/10', 'b/é'])
      await kv.set(word, `<${word}>`);
    expect(await collect(kv.scan({ prefix: 'b/' }))).toEqual(
      ['b/1', 'b/10', 'b/2', 'b/3', 'b/é'].map((word) => [word, `<${word}>`]),
    );
    expect((await collect(kv.scan({ limit: 3 }))).map(([key]) => key)).toEqual([
      'a',
      'b/1',
      'b/10',
    ]);
    expect(await collect(kv.scan({ prefix: 'zz' }))).toEqual([]);
  });
});

test('M73 M74 a transaction takes effect as a whole, and not at all when its work throws', async () => {
  const world = new World();
  await world.run(async (process) => {
    const kv = await words(process);
    await kv.set('old', 'x');
    const result = await kv.tx(async (tx) => {
      await tx.set('one', '1');
      await tx.delete('old');
      expect(await kv.has('one')).toBe(false);
      return 'done';
    });
    expect([result, await kv.get('one'), await kv.has('old')]).toEqual(['done', '1', false]);
    const thrown = kv.tx(async (tx) => {
      await tx.set('two', '2');
      throw new Error('changed my mind');
    });
    await expect(thrown).rejects.toThrow('changed my mind');
    expect(await kv.has('two')).toBe(false);
    expect(world.kv.transactions.size).toBe(0);
  });
});

test("M67 M81 another package's database is used with its capability and never opened", async () => {
  const world = new World();
  await world.run(async (process) => {
    const theirs = await openKv(process, 'db', { key: rawText, value: rawText, of: 'other:sys' });
    const refused = await failure(theirs.get('a'));
    expect(refused).toBeInstanceOf(KvError);
    expect(refused).toMatchObject({ code: 'NoReadCap' });
    keepCapabilities(process.host, { capabilities: theirs.capabilities('read', 'write') });
    await theirs.set('a', 'b');
    expect(await theirs.get('a')).toBe('b');
    expect(world.kv.log).not.toContain('Open');
  });
});

test('stored bytes that the codec refuses are an error that names the part', async () => {
  await new World().run(async (process) => {
    const kv = await words(process);
    await kv.set('"k"', '{"title":"t"}');
    const typed = await openKv(process, 'words', { key: t.text, value: note });
    expect(await failure(typed.get('k'))).toMatchObject({
      code: 'BadData',
      detail: 'value stars: expected u8',
    });
  });
});

// ---- sqlite

const withTable = <T>(world: World, work: (db: Sqlite) => Promise<T>): Promise<T> =>
  world.run(async (process) =>
    work(
      await openSqlite(process, 'main', {
        migrations: ['create table notes (id integer primary key, body, size)'],
      }),
    ),
  );

test('values are parameters: what looks like SQL stays a text', async () => {
  const world = new World();
  await withTable(world, async (db) => {
    const evil = "'); drop table notes; --";
    await db.run`insert into notes (id, body) values (${1}, ${evil})`;
    expect(await db.get`select body from notes where body = ${evil}`).toEqual({ body: evil });
    expect(world.sqlite.log.join()).not.toContain('drop table');
  });
});

test('M94 a text that could be base64 is a text all the same, and equals one in SQL', async () => {
  await withTable(new World(), async (db) => {
    for (const [id, body] of [
      'Dave',
      'test',
      '2024',
      '',
      'QUJD',
      'Alice',
      'a b',
      'ähm=',
    ].entries()) {
      await db.run`insert into notes (id, body) values (${id}, ${body})`;
    }
    expect(await db.all`select id from notes where typeof(body) <> 'text'`).toEqual([]);
    expect(await db.get`select id from notes where body = 'Dave'`).toEqual({ id: 0 });
    expect(await db.get`select id from notes where body = ${'test'}`).toEqual({ id: 1 });
    expect(await db.get`select id from notes where body like ${'QUJ%'}`).toEqual({ id: 4 });
  });
});

test('M91 M92 every kind of value comes back as what it was', async () => {
  await withTable(new World(), async (db) => {
    const blob = new Uint8Array([0, 1, 254, 255]);
    const big = 2n ** 62n + 1n;
    const values = [1.5, -3, big, true, null, undefined, blob, new Uint8Array()] as const;
    for (const [id, value] of values.entries()) {
      await db.run`insert into notes (id, body) values (${id}, ${value})`;
    }
    const rows = await db.all`select body, typeof(body) as kind from notes order by id`;
    expect(rows.map(({ body }) => body)).toEqual([1.5, -3, big, 1, null, null, 'AAH+/w==', '']);
    expect(rows.map(({ kind }) => kind)).toEqual(
      'real integer integer integer null null blob blob'.split(' '),
    );
    expect(blobBytes(rows[6]?.['body'])).toEqual(blob);
    await expect(db.run`insert into notes (body) values (${Number.NaN})`).rejects.toThrow(
      TypeError,
    );
    await expect(db.run`insert into notes (body) values (${2n ** 63n})`).rejects.toThrow(TypeError);
  });
});

test('M92 integers beyond 2^53 are exact beside texts that look like them', async () => {
  await withTable(new World(), async (db) => {
    const looks = ['"12345678901234567890"', '\u0000i5', '\u0000', 'x: 9007199254740993,'];
    for (const [id, body] of looks.entries()) {
      await db.run`insert into notes (id, body, size) values (${id}, ${body}, ${9_007_199_254_740_993n})`;
    }
    const rows =
      await db.all`select body, size, 1e300 as f, 0.1234567890123456789 as g from notes order by id`;
    expect(rows.map(({ body }) => body)).toEqual(looks);
    expect(rows[0]).toMatchObject({
      size: 9_007_199_254_740_993n,
      f: 1e300,
      g: 0.12345678901234568,
    });
  });
});

test('pieces of SQL and lists of values can be put into a template', async () => {
  await withTable(new World(), async (db) => {
    for (const id of [1, 2, 3])
      await db.run`insert into notes (id, body) values (${id}, ${`n${id}`})`;
    const rows =
      await db.all`select ${raw('id')} from notes where body in (${listOf(['n1', 'n3'])}) order by id`;
    expect(rows).toEqual([{ id: 1 }, { id: 3 }]);
    expect(await db.get`select id from notes where id in (${listOf([])})`).toBe(undefined);
  });
});

test('M100 a transaction takes effect as a whole: not when its work throws, not when one statement fails', async () => {
  const world = new World();
  await withTable(world, async (db) => {
    await db.tx(async (tx) => {
      await tx.run`insert into notes (id) values (${1})`;
      await tx.run`insert into notes (id) values (${2})`;
    });
    const thrown = db.tx(async (tx) => {
      await tx.run`insert into notes (id) values (${3})`;
      throw new Error('changed my mind');
    });
    await expect(thrown).rejects.toThrow('changed my mind');
    const clash = db.tx(async (tx) => {
      await tx.run`insert into notes (id) values (${4})`;
      await tx.run`insert into notes (id) values (${1})`;
    });
    expect(await failure(clash)).toBeInstanceOf(SqliteError);
    expect(await db.all`select id from notes`).toEqual([{ id: 1 }, { id: 2 }]);
    expect(world.sqlite.transactions.size).toBe(0);
  });
});

test('migrations run once each and in order; a database newer than the program is refused', async () => {
  const world = new World();
  const first = ['create table a (x)'];
  const both = [...first, ['alter table a add column y', 'insert into a values (1, 2)']];
  await world.run((process) => openSqlite(process, 'm', { migrations: first }));
  for (let start = 0; start < 2; start++) {
    await world.run(async (process) => {
      const db = await openSqlite(process, 'm', { migrations: both });
      expect(await db.all`select x, y from a`).toEqual([{ x: 1, y: 2 }]);
    });
  }
  const older = world.run((process) => openSqlite(process, 'm', { migrations: first }));
  await expect(older).rejects.toMatchObject({ code: 'BadMigration' });
});

test('a migration that fails leaves nothing behind, and runs again after it was mended', async () => {
  const world = new World();
  const bad = [['create table a (x)', 'insert into nowhere values (1)']];
  const opening = world.run((process) => openSqlite(process, 'm', { migrations: bad }));
  await expect(opening).rejects.toMatchObject({ code: 'RusqliteError' });
  await world.run(async (process) => {
    const db = await openSqlite(process, 'm', { migrations: ['create table a (x, y)'] });
    expect(await db.all`select * from a`).toEqual([]);
  });
});

test('errors of the module are errors of their class', async () => {
  await new World().run(async (process) => {
    const files = await drive(process, 'files');
    const error = await failure(files.read('absent'));
    expect(error).toBeInstanceOf(VfsError);
    expect(String(error)).toBe(
      'VfsError: vfs Read /test:sys/files/absent: IOError: No such file or directory (os error 2)',
    );
  });
});
