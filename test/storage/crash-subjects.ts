/**
 * What the crash and power-cut tests write and look for: each subject writes numbered states through a real module and can tell from
 * the disk which one is there. Used by the writer, which is killed, and by the test, which looks.
 */
import { join } from 'node:path';
import { createHash } from 'node:crypto';
import { Bench, TestPort } from '../../runtime-modules/shared/testing.ts';
import type { LevelStore } from '../../runtime-modules/state/level-store.ts';
import { kv, type KvWork } from '../../runtime-modules/kv/index.ts';
import { SqliteBench } from '../../runtime-modules/sqlite/testing.ts';
import { vfs } from '../../runtime-modules/vfs/index.ts';
import { processId } from '../../wit/address.ts';

export type Counts = Readonly<Record<string, number>>;

export interface Subject {
  readonly name: string;
  /** Called once in a process, before the first write. */
  begin(next: number): Promise<void>;
  /** Resolves when it was acknowledged. */
  write(count: number): Promise<void>;
  /** The last number that is wholly there; -1: none. @throws Error when there is anything that no crash may leave */
  found(): Promise<number>;
}

export interface World {
  readonly home: string;
  readonly store: LevelStore;
  /** Make vfs writes certain with SyncAll: for power cuts, which page caches do not survive. */
  readonly synced?: boolean;
  /** With sqlite, which starts processes of its own. */
  readonly sql?: boolean;
  /** The environment of those processes. */
  readonly environment?: Readonly<Record<string, string>>;
}

export function subjects(world: World): Subjects {
  const files = new Bench(
    vfs({ root: join(world.home, 'vfs') })({ port: new TestPort('vfs') }),
    new TestPort('vfs'),
  );
  const send: Send = async (from, path, action, blob) => {
    const reply = await files.ask({ from, body: { path, action }, blob });
    const error = (reply?.body as { Err?: unknown } | undefined)?.Err;
    if (error !== undefined)
      throw new Error(`${path} ${JSON.stringify(action)}: ${JSON.stringify(error)}`);
    return reply?.blob?.bytes ?? new Uint8Array();
  };
  const synced = world.synced ?? false;
  const port = new TestPort('kv');
  const keys = new Bench(kv({ root: join(world.home, 'kv') })({ port }), port);
  const tables = world.sql === true ? new Tables(world.home, world.environment ?? {}) : undefined;
  const all = [
    new States(world.store),
    new Pairs(keys),
    ...(tables === undefined ? [] : [tables]),
    new Whole(send, synced),
    new Log(send, synced),
    new Swap(send, synced),
  ];
  const close = async (): Promise<void> => {
    for (const each of [files.module, keys.module, tables]) await each?.[Symbol.asyncDispose]();
  };
  return { all, [Symbol.asyncDispose]: close };
}

export interface Subjects extends AsyncDisposable {
  readonly all: readonly Subject[];
}

type Send = (
  from: string,
  path: string,
  action: string | object,
  blob?: Uint8Array,
) => Promise<Uint8Array>;

/** Two states and a capability that only ever change together. */
class States implements Subject {
  readonly name = 'states';
  readonly #store: LevelStore;
  readonly #ids = ['left', 'right'].map((name) => processId(`${name}:crash:sys`));

  constructor(store: LevelStore) {
    this.#store = store;
  }

  async begin(): Promise<void> {
    // Nothing to make.
  }

  async write(count: number): Promise<void> {
    const bytes = Buffer.from(String(count));
    await this.#store.commit(this.#ids.map((id) => ({ kind: 'put-state', id, bytes }) as const));
  }

  async found(): Promise<number> {
    const [left, right] = await Promise.all(
      this.#ids.map(async (id) => Number((await this.#store.readState(id))?.toString() ?? -1)),
    );
    if (left !== right) throw new Error(`half a batch: ${left} and ${right}`);
    return left ?? -1;
  }
}

/** Two keys that only ever change together, in one transaction of kv. */
class Pairs implements Subject {
  readonly name = 'pairs';
  readonly #bench: Bench<KvWork>;

  constructor(bench: Bench<KvWork>) {
    this.#bench = bench;
  }

  async begin(): Promise<void> {
    await this.#ask('Open');
  }

  async write(count: number): Promise<void> {
    const { body } = (await this.#ask('BeginTx')) ?? {};
    const { tx_id } = (body as { BeginTx: { tx_id: number } }).BeginTx;
    for (const key of [[1], [2]]) await this.#ask({ Set: { key, tx_id } }, String(count));
    await this.#ask({ Commit: { tx_id } });
  }

  async found(): Promise<number> {
    await this.#ask('Open');
    const [left, right] = [await this.#get([1]), await this.#get([2])];
    if (left !== right) throw new Error(`half a transaction: ${left} and ${right}`);
    return left;
  }

  async #get(key: number[]): Promise<number> {
    const body = { package_id: PAIRS, db: 'd', action: { Get: key } };
    const reply = await this.#bench.ask({ from: 'w:pairs:sys', body });
    return reply?.blob === undefined ? -1 : Number(Buffer.from(reply.blob.bytes).toString());
  }

  async #ask(action: unknown, blob?: string): ReturnType<Bench<KvWork>['ask']> {
    const body = { package_id: PAIRS, db: 'd', action };
    const reply = await this.#bench.ask({ from: 'w:pairs:sys', body, blob });
    const error = (reply?.body as { Err?: unknown } | undefined)?.Err;
    if (error !== undefined) throw new Error(`kv: ${JSON.stringify(error)}`);
    return reply;
  }
}

const PAIRS = { package_name: 'pairs', publisher_node: 'sys' };

/** A row for each number, and a sum of them in another table, in one transaction of sqlite. */
class Tables implements Subject, AsyncDisposable {
  readonly name = 'tables';
  readonly #db: SqliteBench;

  constructor(home: string, environment: Readonly<Record<string, string>>) {
    this.#db = new SqliteBench(home, { environment });
  }

  async begin(_next: number): Promise<void> {
    await this.#ok(this.#db.ask('Open'));
    await this.#ok(this.#db.write('CREATE TABLE IF NOT EXISTS n(n INTEGER PRIMARY KEY)'));
    await this.#ok(this.#db.write('CREATE TABLE IF NOT EXISTS c(c INTEGER)'));
  }

  async write(count: number): Promise<void> {
    const tx = await this.#db.begin();
    await this.#ok(this.#db.write('INSERT INTO n VALUES(?)', `[${count}]`, {}, tx));
    await this.#ok(this.#db.write('INSERT INTO c VALUES(?)', `[${count}]`, {}, tx));
    await this.#ok(this.#db.commit(tx));
  }

  async found(): Promise<number> {
    await this.begin(0);
    const rows = await this.#db.query(
      'SELECT (SELECT count(*) FROM n) n, (SELECT count(*) FROM c) c, (SELECT ifnull(max(n), -1) FROM n) last',
    );
    const { n, c, last } = (rows as { n: number; c: number; last: number }[])[0]!;
    if (n !== c || n !== last + 1) throw new Error(`half a transaction: ${n}, ${c}, ${last}`);
    return last;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#db[Symbol.asyncDispose]();
  }

  async #ok(answer: Promise<unknown>): Promise<void> {
    const body = await answer;
    if (body !== 'Ok') throw new Error(`sqlite: ${JSON.stringify(body)}`);
  }
}

/** Drives are made anew each time; that is harmless. */
async function drive(send: Send, from: string): Promise<string> {
  const path = `/${from.split(':').slice(1).join(':')}/d`;
  await send(from, path, 'CreateDrive');
  return path;
}

/** A number, and as many bytes that follow from it. */
function page(count: number): Buffer {
  const hash = createHash('sha256').update(String(count)).digest();
  const body = Buffer.alloc((count * 7919) % 50_000, hash);
  return Buffer.concat([Buffer.from(`${count}\n`), body]);
}

/** The number of a page, if all of it is there. */
function pageNumber(bytes: Uint8Array): number {
  const text = Buffer.from(bytes);
  const count = Number(text.subarray(0, Math.max(0, text.indexOf(10))).toString() || 'NaN');
  if (!Number.isInteger(count) || !page(count).equals(text))
    throw new Error(
      `a torn file of ${bytes.length} bytes, starting ${text.subarray(0, 12).toString()}`,
    );
  return count;
}

/** One file, replaced as a whole again and again: old or new, never a mixture. */
class Whole implements Subject {
  readonly name = 'whole';
  readonly #send: Send;
  readonly #synced: boolean;

  constructor(send: Send, synced: boolean) {
    this.#send = send;
    this.#synced = synced;
  }

  async begin(): Promise<void> {
    await drive(this.#send, 'w:whole:sys');
  }

  async write(count: number): Promise<void> {
    await this.#send('w:whole:sys', '/whole:sys/d/f', 'Write', page(count));
    if (this.#synced) await this.#send('w:whole:sys', '/whole:sys/d/f', 'SyncAll');
  }

  async found(): Promise<number> {
    const bytes = await readOr(this.#send, 'w:whole:sys', '/whole:sys/d/f');
    return bytes === undefined ? -1 : pageNumber(bytes);
  }
}

/** A log that only grows: every line in order, and at most a piece of the next. */
class Log implements Subject {
  readonly name = 'log';
  readonly #send: Send;
  readonly #synced: boolean;

  constructor(send: Send, synced: boolean) {
    this.#send = send;
    this.#synced = synced;
  }

  async begin(next: number): Promise<void> {
    await drive(this.#send, 'w:log:sys');
    const path = '/log:sys/d/f';
    await this.#send('w:log:sys', path, { OpenFile: { create: true } });
    await this.#send('w:log:sys', path, { SetLen: lines(next).length });
    if (this.#synced) await this.#send('w:log:sys', path, 'SyncAll');
  }

  async write(count: number): Promise<void> {
    await this.#send('w:log:sys', '/log:sys/d/f', 'Append', Buffer.from(`line ${count}\n`));
    if (this.#synced) await this.#send('w:log:sys', '/log:sys/d/f', 'SyncAll');
  }

  async found(): Promise<number> {
    const bytes = await readOr(this.#send, 'w:log:sys', '/log:sys/d/f');
    const text = Buffer.from(bytes ?? []).toString('latin1');
    let count = 0;
    let at = 0;
    for (;;) {
      const line = `line ${count}\n`;
      if (!text.startsWith(line, at)) break;
      at += line.length;
      count += 1;
    }
    // A cut of power may also leave zeros where the rest of the line was to be.
    const rest = text.slice(at).replace(/\0+$/, '');
    if (!`line ${count}\n`.startsWith(rest))
      throw new Error(`the log goes on with ${JSON.stringify(rest.slice(0, 40))}`);
    return count - 1;
  }
}

/** As many of the log's lines as there were, as text. */
export const lines = (count: number): string =>
  Array.from({ length: count }, (_, n) => `line ${n}\n`).join('');

/** A new file moved over the old one under another name: one of the two is always there. */
class Swap implements Subject {
  readonly name = 'swap';
  readonly #send: Send;
  readonly #synced: boolean;

  constructor(send: Send, synced: boolean) {
    this.#send = send;
    this.#synced = synced;
  }

  async begin(): Promise<void> {
    await drive(this.#send, 'w:swap:sys');
  }

  async write(count: number): Promise<void> {
    const fresh = '/swap:sys/d/fresh';
    await this.#send('w:swap:sys', fresh, 'CreateFile');
    await this.#send('w:swap:sys', fresh, 'WriteAll', page(count));
    await this.#send('w:swap:sys', fresh, 'SyncAll');
    await this.#send('w:swap:sys', fresh, { Rename: { new_path: '/swap:sys/d/f' } });
    if (this.#synced) await this.#send('w:swap:sys', '/swap:sys/d/f', 'SyncAll');
  }

  async found(): Promise<number> {
    const bytes = await readOr(this.#send, 'w:swap:sys', '/swap:sys/d/f');
    return bytes === undefined ? -1 : pageNumber(bytes);
  }
}

async function readOr(send: Send, from: string, path: string): Promise<Uint8Array | undefined> {
  try {
    return await send(from, path, 'Read');
  } catch (error) {
    if (String(error).includes('os error 2')) return undefined;
    throw error;
  }
}
