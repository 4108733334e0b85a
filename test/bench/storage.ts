/**
 * `kv.*`, `sqlite.*` and `storage.isolation`: native guests on the storage modules beside the same work on the engines directly
 * (findings F18): statements prepared once, the same sync policy, the same result encoding; 1 and 64 requests outstanding.
 */
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { Level } from 'level';
import { RowWriter } from '../../runtime-modules/sqlite/rows.ts';
import { alternate, percentile, timed } from './measure.ts';
import { count, type Bench, type Row, type Scale } from './row.ts';
import { storageNode, type StorageNode, type Work } from './storage-guest.ts';

/** The target is at 64 outstanding; the row with 1 is for comparison. */
const WINDOWS = [1, 64] as const;
/** Text with spaces: without them, sqlite's parameters would be a blob in base64. */
const VALUE = 'some text '.repeat(10);
const KEY = '[6#,6#,6#,6#]';
/** What a guest's four digits are as a key. */
const keyOf = (n: number): Buffer =>
  Buffer.from(Array.from(String(n % 10_000).padStart(4, '0'), (digit) => 60 + Number(digit)));
/** How long the other process's query runs, in steps of its counter. */
const SLOW_SQL_S = 5;

type Store = Level<Uint8Array, Uint8Array>;

export const storage: readonly Bench[] = [
  {
    name: 'kv.put.batch',
    run: (scale) =>
      kvRows('kv.put.batch', scale, 5_000, 5, {
        work: { module: 'kv', action: `{"Set":{"key":${KEY},"tx_id":null}}`, blob: VALUE },
        floor: async (store, operations, window) => {
          for (let at = 0; at < operations; at += window) {
            const batch = Array.from({ length: window }, (_, index) => ({
              type: 'put' as const,
              key: keyOf(at + index),
              value: Buffer.from(VALUE),
            }));
            await store.batch(batch, { sync: true });
          }
        },
        note: 'floor: level, one synced batch of as many puts as are outstanding',
      }),
  },
  {
    name: 'kv.get',
    run: (scale) =>
      kvRows('kv.get', scale, 20_000, 1 / 0.3, {
        work: { module: 'kv', action: `{"Get":${KEY}}` },
        floor: async (store, operations, window) => {
          for (let at = 0; at < operations; at += window) {
            await Promise.all(
              Array.from({ length: window }, (_, index) => store.get(keyOf(at + index))),
            );
          }
        },
        note: 'floor: level, as many async gets at a time as are outstanding',
      }),
  },
  { name: 'sqlite.insert.tx', run: insertRows },
  { name: 'sqlite.read.point', run: readRows },
  { name: 'storage.isolation', run: isolationRows },
];

interface KvCase {
  readonly work: Work;
  readonly floor: (store: Store, operations: number, window: number) => Promise<void>;
  readonly note: string;
}

async function kvRows(
  name: string,
  scale: Scale,
  full: number,
  ratioMax: number,
  { work, floor, note }: KvCase,
): Promise<Row[]> {
  const rows: Row[] = [];
  await using node = await storageNode();
  const operations = count(full, scale, 64);
  const store: Store = new Level(join(node.folder, 'floor'), {
    keyEncoding: 'view',
    valueEncoding: 'view',
  });
  await store.open();
  await store.batch(
    Array.from({ length: 10_000 }, (_, n) => ({
      type: 'put' as const,
      key: keyOf(n),
      value: Buffer.from(VALUE),
    })),
    { sync: true },
  );
  const set: Work = { module: 'kv', action: `{"Set":{"key":${KEY},"tx_id":null}}`, blob: VALUE };
  await node.run(set, 10_000, 64);
  for (const window of WINDOWS) {
    const { ours, floor: direct } = await alternate(
      scale.runs,
      async () => perOne(await node.run(work, operations, window), operations),
      async () => perOne(await timed(() => floor(store, operations, window)), operations),
    );
    rows.push(row(name, window, ours, direct, ratioMax, scale, note));
  }
  await store.close();
  return rows;
}

async function insertRows(scale: Scale): Promise<Row[]> {
  const inserts = count(10_000, scale, 64);
  const rows: Row[] = [];
  await using node = await storageNode();
  const direct = openDirect(node);
  const sql = 'INSERT INTO t(a, b) VALUES(?, ?)';
  const insert = direct.prepare(sql);
  const all = direct.transaction(() => {
    for (let n = 0; n < inserts; n += 1) insert.run(10_000 + n, VALUE);
  });
  await node.ask(
    'sqlite',
    '{"Write":{"statement":"CREATE TABLE t(a INTEGER, b TEXT)","tx_id":null}}',
  );
  const action = `{"Write":{"statement":${JSON.stringify(sql)},"tx_id":7}}`;
  const blob = `[1####,"${VALUE}"]`;
  const work: Work = { module: 'sqlite', action, blob, last: '{"Commit":{"tx_id":7}}' };
  for (const window of WINDOWS) {
    const { ours, floor } = await alternate(
      scale.runs,
      async () => perOne(await node.run(work, inserts, window), inserts),
      async () => perOne(await timed(() => all()), inserts),
    );
    const note = `${inserts} inserts and their commit; floor: better-sqlite3, prepared once, synchronous FULL`;
    rows.push(row('sqlite.insert.tx', window, ours, floor, 5, scale, note));
  }
  direct.close();
  return rows;
}

async function readRows(scale: Scale): Promise<Row[]> {
  const reads = count(10_000, scale, 64);
  const rows: Row[] = [];
  await using node = await storageNode();
  const direct = openDirect(node);
  const fill = (insert: (n: number) => unknown): void => {
    for (let n = 0; n < 10_000; n += 1) insert(10_000 + n);
  };
  const insert = direct.prepare('INSERT INTO t(a, b) VALUES(?, ?)');
  direct.transaction(() => fill((n) => insert.run(n, VALUE)))();
  direct.exec('CREATE INDEX i ON t(a)');
  await node.ask(
    'sqlite',
    '{"Write":{"statement":"CREATE TABLE t(a INTEGER, b TEXT)","tx_id":null}}',
  );
  await node.ask('sqlite', '{"Write":{"statement":"CREATE INDEX i ON t(a)","tx_id":null}}');
  await node.ask(
    'sqlite',
    `{"Query":"WITH RECURSIVE c(x) AS (SELECT 10000 UNION ALL SELECT x+1 FROM c LIMIT 10000) INSERT INTO t SELECT x, '${VALUE}' FROM c"}`,
  );
  const sql = 'SELECT a, b FROM t WHERE a = ?';
  const read = direct.prepare(sql).raw(true).safeIntegers(true);
  const writer = new RowWriter(['a', 'b']);
  const work: Work = {
    module: 'sqlite',
    action: `{"Query":${JSON.stringify(sql)}}`,
    blob: '[1####]',
  };
  for (const window of WINDOWS) {
    const { ours, floor } = await alternate(
      scale.runs,
      async () => perOne(await node.run(work, reads, window), reads),
      async () =>
        perOne(
          await timed(() => {
            // Proof of the type: raw rows are arrays of the engine's values.
            for (let n = 0; n < reads; n += 1)
              Buffer.from(`[${writer.text(read.get(10_000n + BigInt(n % 10_000)) as bigint[])}]`);
          }),
          reads,
        ),
    );
    const note = 'floor: better-sqlite3, prepared once, the row encoded';
    rows.push(row('sqlite.read.point', window, ours, floor, 10, scale, note));
  }
  direct.close();
  return rows;
}

/** Latencies of small gets, one after another, alone and while another process's query runs. */
async function isolationRows(scale: Scale): Promise<Row[]> {
  await using node = await storageNode();
  await node.ask('kv', '{"Set":{"key":[1],"tx_id":null}}', 'v');
  await node.ask('sqlite', '{"Write":{"statement":"CREATE TABLE t(a)","tx_id":null}}');
  const seconds = Math.max(0.2, SLOW_SQL_S * Math.min(1, scale.work));
  const alone = await latencies(node, seconds);
  const steps = await stepsFor(node, seconds * 1.2);
  // On a busy machine it may be ended at its limit, which disturbs as little.
  const query = node.ask('sqlite', endless(steps)).catch(() => undefined);
  const beside = await latencies(node, seconds);
  await query;
  return [
    {
      name: 'storage.isolation',
      value: percentile(beside, 0.99),
      unit: 'us',
      floor: percentile(alone, 0.99),
      target: { of: 'ratio', max: 2 },
      p50: percentile(beside, 0.5),
      p99: percentile(beside, 0.99),
      runs: 1,
      note: `p99 of a small kv get during a query of ${seconds} s; floor: the same, idle`,
    },
  ];
}

async function latencies(node: StorageNode, seconds: number): Promise<number[]> {
  const taken: number[] = [];
  const end = performance.now() + seconds * 1000;
  while (performance.now() < end) {
    taken.push((await timed(() => node.ask('kv', '{"Get":[1]}'))) * 1000);
  }
  return taken;
}

/** How far a query counts in that time. */
async function stepsFor(node: StorageNode, seconds: number): Promise<number> {
  const probe = 200_000;
  const ms = await timed(() => node.ask('sqlite', endless(probe)));
  return Math.round((probe * seconds * 1000) / ms);
}

function endless(steps: number): string {
  const sql = `WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c LIMIT ${steps}) SELECT count(*) n FROM c`;
  return `{"Query":${JSON.stringify(sql)}}`;
}

function openDirect(node: StorageNode): Sqlite {
  const direct = new Sqlite(join(node.folder, 'direct.db'));
  direct.pragma('journal_mode = WAL');
  direct.pragma('synchronous = FULL');
  direct.exec('CREATE TABLE t(a INTEGER, b TEXT)');
  return direct;
}

function row(
  name: string,
  window: number,
  value: number,
  floor: number,
  ratioMax: number,
  scale: Scale,
  note: string,
): Row {
  const target = window === 1 ? undefined : ({ of: 'ratio', max: ratioMax } as const);
  return { name: `${name}.${window}`, value, unit: 'us', floor, target, runs: scale.runs, note };
}

/** Microseconds each. */
function perOne(ms: number, count: number): number {
  return (ms * 1_000) / count;
}
