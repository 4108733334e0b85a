/** Descriptors: vfs, kv and sqlite ask fd-manager for their share, keep to it, and say when it was too small (runtime-modules.md §12). */
import { readdirSync, readlinkSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../kernel/clock.ts';
import { TestNode, type GuestApi } from '../../kernel/testing.ts';
import { packageId } from '../../wit/address.ts';
import { fdManager } from '../fd-manager/index.ts';
import { kv } from '../kv/index.ts';
import { DESCRIPTORS_PER_DATABASE as PER_KV } from '../kv/limits.ts';
import { sqlite } from '../sqlite/index.ts';
import { vfs } from '../vfs/index.ts';
import { Accounts, type Book } from './accounts.ts';
import { HandleSlots } from './handle-slots.ts';
import { parseQuotas } from './quotas.ts';
import { Bench, TestPort } from './testing.ts';

const ME = 'p:a:fake.os';
const OWNER = packageId('a:fake.os');
const PACKAGE = { package_name: 'a', publisher_node: 'fake.os' };
/** What fd-manager divides here. */
const BUDGET = 90;

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'descriptors-'));
});
afterEach(() => rm(home, { recursive: true, force: true }));

async function ask(guest: GuestApi, module: string, body: unknown, blob = 'x'): Promise<unknown> {
  const answer = await guest.sendAndAwait(
    `fake.os@${module}:distro:sys`,
    { body: Buffer.from(JSON.stringify(body)), expectsResponse: 30 },
    { mime: undefined, bytes: Buffer.from(blob) },
  );
  if (!answer.ok) return answer.error.kind;
  const { message } = answer.value;
  if (message.kind !== 'response') throw new Error('not a response');
  return JSON.parse(Buffer.from(message.response.body).toString());
}

const database = (action: unknown, db = 'm'): unknown => ({ package_id: PACKAGE, db, action });

type Shares = Readonly<Record<string, { readonly limit: number; readonly hit_count: number }>>;

test('M260 M261 M262 vfs, kv and sqlite register with their first work, and their hits move the shares', async () => {
  const node = new TestNode();
  const { kernel, clock } = node;
  const port = kernel.port('fd-manager');
  kernel.registerModule(
    fdManager({ softUlimit: BUDGET })({ port, clock, readUlimit: () => Promise.resolve(1024) }),
  );
  kernel.registerModule(vfs({ root: join(home, 'vfs') })({ port: kernel.port('vfs') }));
  kernel.registerModule(kv({ root: join(home, 'kv') })({ port: kernel.port('kv') }));
  kernel.registerModule(
    sqlite({ root: join(home, 'sqlite') })({ port: kernel.port('sqlite'), clock: systemClock }),
  );
  await kernel.boot([]);
  const done = Promise.withResolvers<void>();
  const code = async (guest: GuestApi): Promise<void> => {
    const shares = async (): Promise<Shares> =>
      ((await ask(guest, 'fd-manager', 'GetState')) as { GetState: Shares }).GetState;
    expect(await shares()).toEqual({});
    expect(await ask(guest, 'kv', database('Open'))).toBe('Ok');
    expect(await shares()).toEqual({ 'kv:distro:sys': { limit: BUDGET, hit_count: 1 } });
    expect(await ask(guest, 'sqlite', database('Open'))).toBe('Ok');
    expect(await ask(guest, 'vfs', { path: '/a:fake.os/d', action: 'CreateDrive' })).toBe('Ok');
    const even = { limit: BUDGET / 3, hit_count: 1 };
    expect(await shares()).toEqual({
      'kv:distro:sys': even,
      'sqlite:distro:sys': even,
      'vfs:distro:sys': even,
    });
    // Thirty descriptors are three of its databases: more are used in turn, and keep what they hold.
    for (const action of ['Open', { Set: { key: [1], tx_id: null } }, { Get: [1] }])
      for (let n = 0; n < 6; n += 1) {
        const answer = await ask(guest, 'kv', database(action, `d${n}`));
        expect(answer).toEqual(typeof action === 'object' && 'Get' in action ? action : 'Ok');
      }
    const after = await shares();
    expect(after['kv:distro:sys']!.hit_count).toBeGreaterThan(1);
    expect(after['kv:distro:sys']!.limit).toBeGreaterThan(BUDGET / 3);
    expect(after['vfs:distro:sys']!.limit).toBeLessThan(BUDGET / 3);
    const total = Object.values(after).reduce((sum, { limit }) => sum + limit, 0);
    expect(total).toBeLessThanOrEqual(BUDGET);
    expect(openIn('kv')).toBeLessThanOrEqual(after['kv:distro:sys']!.limit / PER_KV);
  };
  await node.start(ME, (guest) => code(guest).then(done.resolve, done.reject), {
    holds: ['vfs', 'kv', 'sqlite', 'fd-manager'].map((module) => `${module}:distro:sys`),
    public: true,
  });
  await done.promise;
  await node.kernel.shutdown();
});

/** Databases of kv that this process has open, as the system sees it; each holds its lock file. */
function openIn(module: string): number {
  if (process.platform !== 'linux') return 0;
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      const path = readlinkSync(`/proc/self/fd/${fd}`);
      return path.startsWith(join(home, module)) && path.endsWith('/LOCK');
    } catch {
      return false;
    }
  }).length;
}

const modules = {
  kv: (port: TestPort, budget?: Book) => kv({ root: join(home, 'kv') })({ port, budget }),
  sqlite: (port: TestPort, budget?: Book) =>
    sqlite({ root: join(home, 'sqlite') })({ port, budget, clock: systemClock }),
};

for (const [name, make] of Object.entries(modules)) {
  test(`M262 ${name} reports a hit when fd-manager's limit closes databases, and obeys nobody else`, async () => {
    const port = new TestPort(name);
    await using module = make(port);
    // Either module: the bench only hands on what its `decode` gave.
    const bench = new Bench<never>(module as never, port);
    const use = async (db: string): Promise<unknown> =>
      (await bench.ask({ from: ME, body: database('Open', db) }))?.body;
    const told = (): string[] =>
      port.sent.map(({ message }) =>
        message.kind === 'request' ? Buffer.from(message.request.body).toString() : '',
      );
    for (const db of ['a', 'b', 'c']) expect(await use(db)).toBe('Ok');
    expect(told()).toEqual(['"RequestFdsLimit"']);
    const limit = { FdsLimit: PER_KV };
    expect((await bench.ask({ from: 'x:y:z', body: limit }))?.body).toEqual({
      Err: 'MalformedRequest',
    });
    expect(told()).toHaveLength(1);
    expect(await bench.ask({ from: 'fd-manager:distro:sys', body: limit })).toBeUndefined();
    expect(told()).toEqual(['"RequestFdsLimit"', '"FdsLimitHit"']);
    // More at once than may be open: they wait for each other.
    expect(await Promise.all(['a', 'b', 'c', 'd'].map(use))).toEqual(['Ok', 'Ok', 'Ok', 'Ok']);
    expect(told().length).toBeGreaterThan(2);
  });
}

for (const [name, make] of Object.entries(modules)) {
  test(`${name}: open databases count against the quota of their package, which loses its own and nobody else's`, async () => {
    const accounts = new Accounts(parseQuotas({ packages: { [OWNER]: { handles: 2 } } }));
    const port = new TestPort(name);
    const module = make(
      port,
      accounts.book(() => Promise.resolve(0)),
    );
    const bench = new Bench<never>(module as never, port);
    const other = packageId('b:fake.os');
    const use = async (db: string, from = ME): Promise<unknown> => {
      const [, package_name, publisher_node] = from.split(':');
      const body = { package_id: { package_name, publisher_node }, db, action: 'Open' };
      return (await bench.ask({ from, body }))?.body;
    };
    expect(await use('x', 'p:b:fake.os')).toBe('Ok');
    for (const db of ['a', 'b', 'c', 'a', 'd']) {
      expect(await use(db)).toBe('Ok');
      await expect.poll(() => accounts.use(OWNER).handles).toBeLessThanOrEqual(2);
      expect(accounts.use(OWNER).handles).toBeGreaterThan(0);
    }
    expect(accounts.use(other).handles).toBe(1);
    await module[Symbol.asyncDispose]();
  });
}

test('M260 a limit of nothing still leaves one place, and a raised one lets in who waits', async () => {
  let evicted = 0;
  const hits: number[] = [];
  const slots = new HandleSlots({
    openMax: 4,
    openDefault: 2,
    evict: () => {
      evicted += 1;
      return false;
    },
    onLimitHit: () => hits.push(slots.open),
  });
  await slots.take(OWNER);
  await slots.take(OWNER);
  slots.setLimit(0);
  expect(hits).toEqual([2]);
  let entered = false;
  const third = slots.take(OWNER).then(() => {
    entered = true;
  });
  slots.free(OWNER);
  slots.free(OWNER);
  await third;
  expect(slots.open).toBe(1);
  entered = false;
  const fourth = slots.take(OWNER).then(() => {
    entered = true;
  });
  await new Promise(setImmediate);
  expect(entered).toBe(false);
  slots.setLimit(1_000_000);
  await fourth;
  expect(slots.open).toBe(2);
  expect(evicted).toBeGreaterThan(0);
  // At the module's own limit more descriptors would not help.
  await slots.take(OWNER);
  await slots.take(OWNER);
  const before = hits.length;
  void slots.take(OWNER);
  expect(hits).toHaveLength(before);
});
