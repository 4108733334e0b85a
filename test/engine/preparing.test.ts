/** Preparing off-thread, within limits, once; the cache that is never believed (findings.md F10); what one image costs (F13). */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ImageCache } from '../../kernel/image/cache.ts';
import { ImageStore } from '../../kernel/image/image-store.ts';
import { PREPARATION_VERSION, prepare } from '../../kernel/image/prepare.ts';
import { Preparer } from '../../kernel/image/preparer.ts';
import { refusal } from '../../kernel/image/testing.ts';
import { buildComponent } from '../../kit/build/component.ts';
import { echo, guest } from '../support/engine-guests.ts';
import { delivery, EngineBench, RecordingHost, turns } from '../support/engine-host.ts';

const KEY = Buffer.alloc(32, 7);
let folder: string;
let component: Uint8Array;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'engine-cache-'));
  component = await echo();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('F10 preparing that takes too long is refused, and the next one is not', async () => {
  const script = await buildComponent('test/guests/echo.ts');
  using preparer = new Preparer({ timeMs: 1 });
  await expect(preparer.prepare(script)).rejects.toThrow(refusal('limit', /took over 1 ms/));
  using patient = new Preparer();
  const [first, second] = await Promise.all([
    patient.prepare(component),
    patient.prepare(component),
  ]);
  expect(first.length).toBe(3);
  expect(second).toEqual(first);
  await expect(patient.prepare(Uint8Array.of(1, 2, 3))).rejects.toThrow(
    refusal('not-a-component', /./),
  );
  expect((await patient.prepare(component)).length).toBe(3);
});

test('F10 a worker that ends takes its job with it only', async () => {
  const preparer = new Preparer();
  const lost = preparer.prepare(component);
  preparer[Symbol.dispose]();
  await expect(lost).rejects.toThrow(refusal('limit', /shutting down/));
});

test('F10 however many ask at the same time, a component is prepared once; a refusal is remembered, a lack of time is not', async () => {
  let prepared = 0;
  const store = new ImageStore(async (bytes) => {
    prepared += 1;
    await turns(1);
    return prepare(bytes);
  });
  const images = await Promise.all(
    Array.from({ length: 20 }, () => store.load(Uint8Array.from(component))),
  );
  expect(new Set(images).size).toBe(1);
  expect(prepared).toBe(1);
  const broken = component.slice(0, 100);
  for (let i = 0; i < 3; i++) await expect(store.load(broken)).rejects.toThrow(/./);
  expect(prepared).toBe(2);
  let tries = 0;
  const busy = new ImageStore(async (bytes) => {
    if (++tries === 1) await new Preparer({ timeMs: 0 }).prepare(bytes);
    return prepare(bytes);
  });
  await expect(busy.load(component)).rejects.toThrow(refusal('limit', /0 ms/));
  expect((await busy.load(component)).modules.length).toBe(3);
});

test('F10 the store holds no image that nobody runs, but for the last few', async () => {
  setFlagsFromString('--expose-gc');
  const collect: () => void = runInNewContext('gc');
  let prepared = 0;
  const store = new ImageStore(async (bytes) => {
    prepared += 1;
    return prepare(bytes);
  });
  const variant = (i: number): Promise<Uint8Array> =>
    guest({ init: '', more: `(data (i32.const 64) "${i}")` });
  const held = await store.load(await variant(0));
  for (let i = 1; i <= 60; i++) await store.load(await variant(i));
  for (let i = 0; i < 10; i++) {
    collect();
    await turns(5);
  }
  expect(prepared).toBe(61);
  expect(await store.load(await variant(0)), 'it is in use').toBe(held);
  await store.load(await variant(60));
  expect(prepared, 'one of the last').toBe(61);
  await store.load(await variant(1));
  expect(prepared, 'long ago').toBe(62);
});

test('F10 entries that are damaged, cut, foreign, renamed or of another version are as good as none', async () => {
  const cache = new ImageCache(join(folder, 'entries'), KEY);
  const modules = prepare(component);
  await cache.write('aa', modules);
  const path = join(folder, 'entries', 'aa.image');
  const entry = readFileSync(path);
  expect((await cache.read('aa'))?.map((one) => Buffer.from(one).toString('hex'))).toEqual(
    modules.map((one) => Buffer.from(one).toString('hex')),
  );
  // Every byte matters: header, MAC, lengths and code.
  for (let at = 0; at < entry.length; at += at < 64 ? 1 : 97) {
    const damaged = Buffer.from(entry);
    damaged[at]! ^= 1;
    writeFileSync(path, damaged);
    expect(await cache.read('aa'), `byte ${at}`).toBe(undefined);
  }
  for (const length of [0, 7, 39, 40, 43, 44, entry.length - 1]) {
    writeFileSync(path, entry.subarray(0, length));
    expect(await cache.read('aa'), `${length} bytes`).toBe(undefined);
  }
  writeFileSync(path, Buffer.concat([entry, Buffer.from([0])]));
  expect(await cache.read('aa')).toBe(undefined);
  writeFileSync(path, entry);
  expect(await cache.read('aa')).toBeDefined();
  writeFileSync(join(folder, 'entries', 'bb.image'), entry);
  expect(await cache.read('bb'), 'under another name').toBe(undefined);
  expect(
    await new ImageCache(join(folder, 'entries'), Buffer.alloc(32, 8)).read('aa'),
    'another node',
  ).toBe(undefined);
  expect(PREPARATION_VERSION).toMatch(/fuel/);
});

test('F10 the engine rebuilds a damaged entry, and never runs what is in it', async () => {
  const home = join(folder, 'home');
  const marker = await guest({
    imports: ['print-to-terminal'],
    more: '(data (i32.const 64) "honest")',
    init: '(call $print-to-terminal (i32.const 0) (i32.const 64) (i32.const 6))',
  });
  const run = async (): Promise<string[]> => {
    using bench = new EngineBench({ cache: { home, key: KEY } });
    const host = new RecordingHost();
    await (
      await bench.start(marker, host)
    ).ended;
    return host.printed;
  };
  expect(await run()).toEqual(['honest']);
  const [name] = readdirSync(join(home, 'cache'));
  const path = join(home, 'cache', name!);
  const good = readFileSync(path);
  const evil = Buffer.from(good.toString('latin1').replaceAll('honest', 'hacked'), 'latin1');
  expect(evil.equals(good)).toBe(false);
  writeFileSync(path, evil);
  expect(await run()).toEqual(['honest']);
  expect(readFileSync(path).equals(good), 'written anew').toBe(true);
  expect(await run()).toEqual(['honest']);
  expect(readdirSync(join(home, 'cache'))).toEqual([name]);
});

test('F13 processes of one component share its compiled modules and cost a few KB of heap each', async () => {
  using bench = new EngineBench();
  const image = await bench.engine.load(component);
  expect(await bench.engine.load(Uint8Array.from(component))).toBe(image);
  setFlagsFromString('--expose-gc');
  const collect: () => void = runInNewContext('gc');
  const heap = async (): Promise<number> => {
    for (let i = 0; i < 4; i++) {
      collect();
      await turns(3);
    }
    return process.memoryUsage().heapUsed;
  };
  const start = async (): Promise<{
    host: RecordingHost;
    guest: Awaited<ReturnType<typeof bench.start>>;
  }> => {
    const host = new RecordingHost();
    return { host, guest: await bench.start(component, host) };
  };
  const warm = await Promise.all(Array.from({ length: 20 }, start));
  await turns(5);
  const before = await heap();
  const live = await Promise.all(Array.from({ length: 200 }, start));
  await turns(20);
  for (const { host } of live) host.deliver(delivery('x'));
  while (live.some(({ host }) => !host.calls.some(({ name }) => name === 'send-response')))
    await turns(1);
  const each = ((await heap()) - before) / live.length;
  // jco's glue took 80 KB.
  expect(each).toBeLessThan(24 * 1024);
  for (const one of [...warm, ...live]) one.guest.kill();
});
