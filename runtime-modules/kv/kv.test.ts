import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Capability } from '../../wit/types.ts';
import { Bench, OUR_NODE, type Reply, TestPort } from '../shared/testing.ts';
import { kv, type KvWork } from './index.ts';
import { SCAN_ENTRIES_MAX, TRANSACTIONS_PER_PROCESS_MAX } from './limits.ts';

const P = { package_name: 'a', publisher_node: 'b.os' };
const ME = 'p:a:b.os';
const SIBLING = 'q:a:b.os';
const FOREIGN = 'p:c:d.os';
const OK = 'Ok';

let home: string;
let bench: Bench<KvWork>;

function start(options: { handlesMax?: number } = {}): Bench<KvWork> {
  const port = new TestPort('kv');
  return new Bench(kv({ root: join(home, 'kv'), ...options })({ port }), port);
}

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'kv-'));
  bench = start();
});
afterEach(async () => {
  await bench.module[Symbol.asyncDispose]();
  await rm(home, { recursive: true });
});

interface Extra {
  readonly from?: string;
  readonly db?: string;
  readonly blob?: Uint8Array | string;
  readonly pkg?: unknown;
  readonly capabilities?: readonly Capability[];
}

function reply(action: unknown, extra: Extra = {}): Promise<Reply | undefined> {
  const { from = ME, db = 'm', pkg = P, blob, capabilities = [] } = extra;
  return bench.ask({ from, body: { package_id: pkg, db, action }, blob, capabilities });
}

async function ask(action: unknown, extra: Extra = {}): Promise<unknown> {
  return (await reply(action, extra))?.body;
}

const key = (text: string): number[] => [...Buffer.from(text)];
const set = (name: string, value: string, extra: Extra = {}, tx_id: unknown = null) =>
  ask({ Set: { key: key(name), tx_id } }, { ...extra, blob: Buffer.from(value) });
async function get(name: string, extra: Extra = {}): Promise<string | undefined> {
  const answer = await reply({ Get: key(name) }, extra);
  if (answer?.blob === undefined) {
    expect(answer?.body).toEqual({ Err: 'KeyNotFound' });
    return undefined;
  }
  expect(answer.body).toEqual({ Get: key(name) });
  return Buffer.from(answer.blob.bytes).toString();
}
async function begin(extra: Extra = {}): Promise<number> {
  const body = (await ask('BeginTx', extra)) as { BeginTx: { tx_id: number } };
  return body.BeginTx.tx_id;
}
const cap = (kind: string, db = 'm', pkg: unknown = P): Capability => ({
  issuer: { node: OUR_NODE, process: bench.port.our.process },
  params: JSON.stringify({ kind, db_key: [pkg, db] }),
});
const err = (error: unknown): unknown => ({ Err: error });

describe('opening and capabilities', () => {
  test('M65 Open answers Ok and grants read and write with the exact params', async () => {
    expect(await ask('Open')).toBe(OK);
    expect(bench.port.granted.get(ME as never)).toEqual([cap('read'), cap('write')]);
    expect(await ask('Open')).toBe(OK);
  });

  test('M66 Open and RemoveDb of another package are refused, root of other modules or not', async () => {
    const root: Capability = {
      issuer: { node: OUR_NODE, process: 'vfs:distro:sys' as never },
      params: '{"root":true}',
    };
    for (const action of ['Open', 'RemoveDb']) {
      const body = await ask(action, { from: FOREIGN, capabilities: [root] });
      expect(body).toEqual(err('MismatchingPackageId'));
    }
    expect(await readdir(home)).toEqual([]);
  });

  test('M67 before its own Open a process has neither right, a sibling included', async () => {
    await ask('Open');
    for (const from of [SIBLING, FOREIGN]) {
      expect(await ask({ Get: [1] }, { from })).toEqual(err('NoReadCap'));
      expect(await ask({ Scan: { prefix: [] } }, { from })).toEqual(err('NoReadCap'));
      expect(await ask('Backup', { from })).toEqual(err('NoReadCap'));
      expect(await set('k', 'v', { from })).toEqual(err('NoWriteCap'));
    }
    expect(await ask({ Get: [1] }, { db: 'other' })).toEqual(err('NoReadCap'));
  });

  test('M77 transactions need the write capability', async () => {
    for (const action of ['BeginTx', { Commit: { tx_id: 1 } }, { Abandon: { tx_id: 1 } }]) {
      expect(await ask(action, { capabilities: [cap('read')] })).toEqual(err('NoWriteCap'));
    }
  });

  test('M81 a read capability handed to a foreign process allows Get, not Set', async () => {
    await ask('Open');
    await set('k', 'v');
    const extra = { from: FOREIGN, capabilities: [cap('read')] };
    expect(await get('k', extra)).toBe('v');
    expect(await set('k', 'w', extra)).toEqual(err('NoWriteCap'));
    const writer = { from: FOREIGN, capabilities: [cap('write')] };
    expect(await set('k', 'w', writer)).toBe(OK);
    expect(await get('k')).toBe('w');
  });

  test('a capability of another package, database, node or spelling opens nothing', async () => {
    await ask('Open');
    const elsewhere: Capability = {
      issuer: { node: 'bob.os', process: bench.port.our.process },
      params: cap('read').params,
    };
    for (const held of [
      cap('read', 'n'),
      cap('read', 'm', { package_name: 'c', publisher_node: 'd.os' }),
      { ...cap('read'), params: '{"root":true}' },
      elsewhere,
    ]) {
      const body = await ask({ Get: [1] }, { from: FOREIGN, capabilities: [held] });
      expect(body).toEqual(err('NoReadCap'));
    }
  });

  test('a process that the kernel does not know gets AddCapFailed', async () => {
    bench.port.unknown.add(ME);
    expect(await ask('Open')).toEqual(err('AddCapFailed'));
  });

  test('two processes racing to create one database both succeed, and share it', async () => {
    const answers = await Promise.all([
      ask('Open'),
      ask('Open', { from: SIBLING }),
      ask('Open'),
      ask('Open', { from: SIBLING }),
    ]);
    expect(answers).toEqual([OK, OK, OK, OK]);
    await set('k', 'v');
    expect(await get('k', { from: SIBLING })).toBe('v');
  });
});

describe('values', () => {
  beforeEach(async () => {
    await ask('Open');
  });

  test('M68 a missing key is KeyNotFound, a present one comes back with its value', async () => {
    expect(await get('k')).toBeUndefined();
    expect(await set('k', 'v')).toBe(OK);
    const answer = await reply({ Get: key('k') });
    expect(answer?.body).toEqual({ Get: key('k') });
    expect(answer?.blob).toEqual({
      mime: 'application/octet-stream',
      bytes: expect.objectContaining({ 0: 118 }) as Uint8Array,
    });
  });

  test('M69 an empty value is a blob of no bytes', async () => {
    await set('k', '');
    const answer = await reply({ Get: key('k') });
    expect(answer?.blob?.bytes.length).toBe(0);
  });

  test('M70 Set without a blob is malformed', async () => {
    expect(await ask({ Set: { key: [1], tx_id: null } })).toEqual(err('MalformedRequest'));
  });

  test('M71 Delete of a missing key is Ok, of a present one deletes it', async () => {
    expect(await ask({ Delete: { key: [1], tx_id: null } })).toBe(OK);
    await set('k', 'v');
    expect(await ask({ Delete: { key: key('k') } })).toBe(OK);
    expect(await get('k')).toBeUndefined();
  });

  test('M72 keys are arbitrary bytes: none collides with another', async () => {
    const keys = [[], [0], [0, 0], [255], [255, 255], [195, 40], [97], [97, 0], [97, 255]];
    for (const [index, name] of keys.entries()) {
      const blob = Buffer.from(String(index));
      expect(await ask({ Set: { key: name, tx_id: null } }, { blob })).toBe(OK);
    }
    for (const [index, name] of keys.entries()) {
      const answer = await reply({ Get: name });
      expect(answer?.body).toEqual({ Get: name });
      expect(Buffer.from(answer!.blob!.bytes).toString()).toBe(String(index));
    }
  });

  test('M84 keys and values of the process library are JSON text', async () => {
    expect(await set('"a"', '18446744073709551615')).toBe(OK);
    expect(await ask({ Get: [34, 97, 34] })).toEqual({ Get: [34, 97, 34] });
    expect(await get('"a"')).toBe('18446744073709551615');
  });

  test('a value of 64 MiB is kept, a larger one refused', async () => {
    const large = new Uint8Array(64 * 1024 * 1024).fill(7);
    const action = { Set: { key: [1], tx_id: null } };
    expect(await ask(action, { blob: large })).toBe(OK);
    const answer = await reply({ Get: [1] });
    expect(Buffer.compare(answer!.blob!.bytes, large)).toBe(0);
    const body = await ask(action, { blob: new Uint8Array(64 * 1024 * 1024 + 1) });
    expect(body).toEqual({ Err: { RocksDBError: expect.stringContaining('bytes') as string } });
  });

  test('M11 requests sent without waiting take effect in order, reads among them', async () => {
    const answers: Promise<unknown>[] = [];
    for (let round = 0; round < 50; round++) {
      answers.push(set('k', String(round)), get('k'), ask({ Delete: { key: key('k') } }), get('k'));
    }
    const seen = await Promise.all(answers);
    for (let round = 0; round < 50; round++) {
      expect(seen.slice(4 * round, 4 * round + 4)).toEqual([OK, String(round), OK, undefined]);
    }
  });
});

describe('transactions', () => {
  beforeEach(async () => {
    await ask('Open');
  });

  test('M73 ids differ, and nothing is visible before Commit', async () => {
    const [one, two] = [await begin(), await begin()];
    expect(one).not.toBe(two);
    await set('gone', 'v');
    expect(await set('k', 'v', {}, one)).toBe(OK);
    expect(await ask({ Delete: { key: key('gone'), tx_id: one } })).toBe(OK);
    expect(await get('k')).toBeUndefined();
    expect(await get('gone')).toBe('v');
    expect(await ask({ Commit: { tx_id: one } })).toBe(OK);
    expect(await get('k')).toBe('v');
    expect(await get('gone')).toBeUndefined();
  });

  test('M74 Commit applies in order, once', async () => {
    const tx = await begin();
    await set('k', '1', {}, tx);
    await ask({ Delete: { key: key('k'), tx_id: tx } });
    await set('k', '2', {}, tx);
    await set('l', '1', {}, tx);
    await ask({ Delete: { key: key('l'), tx_id: tx } });
    expect(await ask({ Commit: { tx_id: tx } })).toBe(OK);
    expect(await get('k')).toBe('2');
    expect(await get('l')).toBeUndefined();
    expect(await ask({ Commit: { tx_id: tx } })).toEqual(err({ NoTx: tx }));
  });

  test('M75 an unknown tx_id is NoTx', async () => {
    expect(await set('k', 'v', {}, 7)).toEqual(err({ NoTx: 7 }));
    expect(await ask({ Delete: { key: [1], tx_id: 7 } })).toEqual(err({ NoTx: 7 }));
    expect(await ask({ Abandon: { tx_id: 7 } })).toEqual(err({ NoTx: 7 }));
  });

  test('M76 ids up to 2^64-1 are echoed exactly', async () => {
    const text = `{"package_id":${JSON.stringify(P)},"db":"m","action":{"Commit":{"tx_id":18446744073709551615}}}`;
    const request = bench.request({ from: ME, body: text });
    const answer = await bench.answer(request);
    expect(new TextDecoder().decode(answer?.body)).toBe('{"Err":{"NoTx":18446744073709551615}}');
  });

  test('Abandon forgets a transaction', async () => {
    const tx = await begin();
    await set('k', 'v', {}, tx);
    expect(await ask({ Abandon: { tx_id: tx } })).toBe(OK);
    expect(await ask({ Commit: { tx_id: tx } })).toEqual(err({ NoTx: tx }));
    expect(await get('k')).toBeUndefined();
  });

  test('a transaction of another process is unknown: nobody commits it elsewhere', async () => {
    await ask('Open', { from: SIBLING });
    const tx = await begin();
    await set('k', 'v', {}, tx);
    for (const action of [
      { Commit: { tx_id: tx } },
      { Abandon: { tx_id: tx } },
      { Delete: { key: [1], tx_id: tx } },
    ]) {
      expect(await ask(action, { from: SIBLING })).toEqual(err({ NoTx: tx }));
    }
    expect(await ask({ Commit: { tx_id: tx } })).toBe(OK);
    expect(await get('k')).toBe('v');
  });

  test('a process that ends takes its transactions along, and no others', async () => {
    await ask('Open', { from: SIBLING });
    const mine = await begin();
    const other = await begin({ from: SIBLING });
    await set('k', 'v', {}, mine);
    bench.module.onProcessGone?.(ME as never, false);
    expect(await ask({ Commit: { tx_id: mine } })).toEqual(err({ NoTx: mine }));
    expect(await ask({ Commit: { tx_id: other } }, { from: SIBLING })).toBe(OK);
    expect(await get('k')).toBeUndefined();
  });

  test('H24 open transactions of one process are limited, and freed by their end', async () => {
    const open: number[] = [];
    for (let count = 0; count < TRANSACTIONS_PER_PROCESS_MAX; count++) open.push(await begin());
    expect(await ask('BeginTx')).toEqual({
      Err: { RocksDBError: expect.stringContaining('transactions') as string },
    });
    expect(await ask({ Commit: { tx_id: open[0] } })).toBe(OK);
    await begin();
  });
});

describe('what is ours', () => {
  beforeEach(async () => {
    await ask('Open');
  });

  interface Page {
    readonly Scan: {
      readonly entries: readonly { key: number[]; length: number }[];
      readonly cursor: number[] | null;
    };
  }

  test('Scan pages through the keys of a prefix, values in the blob', async () => {
    for (const name of ['a', 'b', 'b1', 'b2', 'b3', 'c']) await set(name, `<${name}>`);
    const first = await reply({ Scan: { prefix: key('b'), limit: 3 } });
    const page = first?.body as Page;
    expect(page.Scan.entries.map((entry) => Buffer.from(entry.key).toString())).toEqual([
      'b',
      'b1',
      'b2',
    ]);
    expect(page.Scan.entries.map((entry) => entry.length)).toEqual([3, 4, 4]);
    expect(Buffer.from(first!.blob!.bytes).toString()).toBe('<b><b1><b2>');
    const cursor = page.Scan.cursor;
    expect(cursor).toEqual(key('b2'));
    const last = (await ask({ Scan: { prefix: key('b'), limit: 3, cursor } })) as Page;
    expect(last.Scan).toEqual({ entries: [{ key: key('b3'), length: 4 }], cursor: null });
  });

  test('Scan of prefixes of 255s ends with the keys', async () => {
    for (const name of [[254], [255], [255, 255], [255, 255, 1]]) {
      await ask({ Set: { key: name, tx_id: null } }, { blob: 'v' });
    }
    const page = (await ask({ Scan: { prefix: [255, 255] } })) as Page;
    expect(page.Scan.entries.map((entry) => entry.key)).toEqual([
      [255, 255],
      [255, 255, 1],
    ]);
    const all = (await ask({ Scan: { prefix: [], cursor: [255] } })) as Page;
    expect(all.Scan.entries.length).toBe(2);
  });

  test('Scan pages are limited whatever is asked for', async () => {
    const tx = await begin();
    for (let index = 0; index <= SCAN_ENTRIES_MAX; index++) await set(`k${index}`, '', {}, tx);
    await ask({ Commit: { tx_id: tx } });
    const page = (await ask({ Scan: { prefix: [], limit: 1e9 } })) as Page;
    expect(page.Scan.entries.length).toBe(SCAN_ENTRIES_MAX);
    expect(page.Scan.cursor).not.toBeNull();
  });

  test('Backup leaves a copy that opens as a database', async () => {
    await set('k', 'v');
    expect(await ask('Backup')).toBe(OK);
    await set('k', 'w');
    expect(await ask('Backup')).toBe(OK);
    const copy = join(home, 'kv', '.backup', 'a:b.os', 'm');
    expect(await readdir(copy)).toContain('CURRENT');
    expect(await readdir(join(home, 'kv', '.backup', 'a:b.os'))).toEqual(['m']);
  });
});

describe('removing, restarting, limits', () => {
  test('M79 RemoveDb leaves an empty database', async () => {
    await ask('Open');
    await set('k', 'v');
    expect(await ask('RemoveDb')).toBe(OK);
    expect(await get('k')).toBeUndefined();
    expect(await set('k', 'w')).toBe(OK);
  });

  test('M80 RemoveDb of a database that never was is errno 2', async () => {
    expect(await ask('RemoveDb', { db: 'never' })).toEqual(
      err({ IOError: 'No such file or directory (os error 2)' }),
    );
  });

  test('M78 a transaction left open at shutdown leaves no trace; M82 what was answered is there', async () => {
    await ask('Open');
    await set('kept', 'v');
    const tx = await begin();
    await set('k', 'v', {}, tx);
    const { granted } = bench.port;
    await bench.module[Symbol.asyncDispose]();
    bench = start();
    for (const [process, capabilities] of granted) bench.port.granted.set(process, capabilities);
    expect(await get('kept')).toBe('v');
    expect(await get('k')).toBeUndefined();
    expect(await ask({ Commit: { tx_id: tx } })).toEqual(err({ NoTx: tx }));
  });

  test('M83 H4 names that are no plain path component are refused, and nothing outside is touched', async () => {
    for (const db of ['', '.', '..', '../x', '/x', 'a/b', 'a\\b', 'a\0b', '../../../tmp/x']) {
      for (const action of ['Open', 'RemoveDb', { Get: [1] }]) {
        expect(await ask(action, { db })).toEqual(err('MalformedRequest'));
      }
    }
    const pkg = { package_name: '../x', publisher_node: 'y' };
    expect(await ask({ Get: [1] }, { pkg, capabilities: [cap('read', 'm', pkg)] })).toEqual(
      err('MalformedRequest'),
    );
    expect(await readdir(home)).toEqual([]);
  });

  test('a name too long for the host is an IOError, 255 bytes are not', async () => {
    const long = 'ü'.repeat(300);
    expect(await ask('Open', { db: long })).toEqual(
      err({ IOError: 'File name too long (os error 36)' }),
    );
    expect(await ask('Open', { db: 'x'.repeat(240) })).toBe(OK);
  });

  test('more databases than handles: closed and opened again on demand', async () => {
    await bench.module[Symbol.asyncDispose]();
    bench = start({ handlesMax: 3 });
    const names = Array.from({ length: 12 }, (_, index) => `db${index}`);
    await Promise.all(names.map((db) => ask('Open', { db })));
    await Promise.all(names.map((db) => set('k', db, { db })));
    const values = await Promise.all(names.map((db) => get('k', { db })));
    expect(values).toEqual(names);
  });

  test('a damaged database is moved aside and told of, and an empty one takes its place', async () => {
    await ask('Open');
    await set('k', 'v');
    await bench.module[Symbol.asyncDispose]();
    const { writeFile } = await import('node:fs/promises');
    await writeFile(join(home, 'kv', 'a:b.os', 'm', 'CURRENT'), 'nonsense');
    bench = start();
    expect(await ask('Open')).toBe(OK);
    expect(await get('k')).toBeUndefined();
    const [notice] = bench.port.prints.filter(({ verbosity }) => verbosity === 0);
    expect(notice?.text).toMatch(/damaged/);
    const [aside] = await readdir(join(home, 'kv', '.damaged', 'a:b.os', 'm'));
    const current = join(home, 'kv', '.damaged', 'a:b.os', 'm', aside!, 'CURRENT');
    expect(await readFile(current, 'utf8')).toBe('nonsense');
    expect((await stat(join(home, 'kv', 'a:b.os', 'm'))).isDirectory()).toBe(true);
  });
});

describe('common rules', () => {
  test('M1 M2 M3 tolerance and refusals of bodies', async () => {
    await ask('Open');
    const text = JSON.stringify({ extra: 1, package_id: P, db: 'm', action: { Get: [1] } });
    expect((await bench.ask({ from: ME, body: text }))?.body).toEqual(err('KeyNotFound'));
    for (const body of [
      `${text} x`,
      JSON.stringify({ package_id: 'a:b.os', db: 'm', action: 'Open' }),
      JSON.stringify({ package_id: P, db: 'm', action: 'Nothing' }),
      JSON.stringify({ package_id: P, db: 1, action: 'Open' }),
      JSON.stringify({ package_id: P, db: 'm', action: { Get: [256] } }),
      JSON.stringify({ package_id: P, db: 'm', action: { Commit: { tx_id: -1 } } }),
      JSON.stringify({ package_id: P, db: 'm', action: { Commit: { tx_id: 1.5 } } }),
      '',
      '\xff',
    ]) {
      expect((await bench.ask({ from: ME, body }))?.body).toEqual(err('MalformedRequest'));
    }
  });

  test('M6 a request from another node gets no answer', async () => {
    const body = { package_id: P, db: 'm', action: 'Open' };
    expect(await bench.ask({ from: 'bob.os@p:a:b.os', body })).toBeUndefined();
  });

  test('M7 M8 M10 metadata is echoed on success only; errors are always sent; data alone carries a blob', async () => {
    const asked = { from: ME, metadata: 'm', expectsResponse: false };
    const bad = await bench.ask({ ...asked, body: '{}' });
    expect(bad).toMatchObject({ body: err('MalformedRequest'), metadata: undefined });
    expect(bad?.blob).toBeUndefined();
    const open = { package_id: P, db: 'm', action: 'Open' };
    expect(await bench.ask({ ...asked, body: open })).toBeUndefined();
    const good = await bench.ask({ ...asked, expectsResponse: true, body: open });
    expect(good).toMatchObject({ body: OK, metadata: 'm', blob: undefined });
  });
});
