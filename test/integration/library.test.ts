/** The process library's storage clients and timers in a real component, with the real modules (kit.md §10.8, §10.9, §10.11). */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildComponent } from '../../kit/build/component.ts';
import { systemClock } from '../../kernel/clock.ts';
import { kv } from '../../runtime-modules/kv/index.ts';
import { sqlite } from '../../runtime-modules/sqlite/index.ts';
import { timer } from '../../runtime-modules/timer/index.ts';
import { vfs } from '../../runtime-modules/vfs/index.ts';
import { processId } from '../../wit/address.ts';
import { testNode, type TestNode } from '../support/node.ts';

const ONE = 'main:one:me.os';
const TWO = 'main:two:me.os';
const MODULES = ['vfs', 'kv', 'sqlite', 'timer'].map((name) => `${name}:distro:sys`);

let root: string;
let node: TestNode;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'hyperloom-library-'));
  const source = fileURLToPath(new URL('../guests/lib-storage.ts', import.meta.url));
  const component = await buildComponent(source);
  node = await testNode();
  const { kernel } = node;
  kernel.registerModule(timer()({ clock: systemClock, port: kernel.port('timer') }));
  kernel.registerModule(vfs({ root: join(root, 'vfs') })({ port: kernel.port('vfs') }));
  kernel.registerModule(kv({ root: join(root, 'kv') })({ port: kernel.port('kv') }));
  kernel.registerModule(
    sqlite({ root: join(root, 'sqlite') })({ port: kernel.port('sqlite'), clock: systemClock }),
  );
  const modules = MODULES.map((name) => ({
    issuer: { node: 'test.os', process: processId(name) },
    params: '"messaging"',
  }));
  for (const name of [ONE, TWO]) await node.start(name, component, { capabilities: modules });
}, 120_000);
afterAll(async () => {
  await node[Symbol.asyncDispose]();
  await rm(root, { recursive: true, force: true });
});

async function call(method: string, args?: unknown): Promise<unknown> {
  const body = JSON.stringify(args === undefined ? method : { [method]: args });
  const { text } = await node.ask(ONE, body);
  const answer = JSON.parse(text) as unknown;
  return typeof answer === 'string' ? answer : (Object.values(answer as object)[0] as unknown);
}

test('files: written, read in parts, listed, copied, hashed, removed', async () => {
  expect(await call('Files')).toBe(
    '!? 9 a:Directory a/b:Directory a/b/c.txt:File log:File 32 45 true false 2 39 false',
  );
});

test('a file larger than the process streams through it in chunks', async () => {
  const bytes = 160 * 262_144;
  expect(await call('Stream', 160)).toBe(`${bytes} ${bytes} ${(160 * 161) / 2}`);
  // Linear memory never shrinks, so this is the most it held.
  const held = node.kernel.usage().get(processId(ONE))?.memoryBytes ?? Infinity;
  expect(held).toBeLessThan(bytes / 3);
});

test('M68 M69 M72 M73 M74 keys: scanned over pages, transactions whole or not at all', async () => {
  expect(await call('Keys')).toBe('600 k/1000 k/1599 1 false false 0');
});

test('M91 M92 M94 M100 M106 rows: every kind of value, and SQL that is refused', async () => {
  expect(await call('Rows')).toBe(
    'text:test text:Alice text: real:1.5 integer:-3 integer:4611686018427387905 integer:1 null:null blob:AP8= 1 2 RusqliteError RusqliteError',
  );
});

test('timers run, are cleared and given up in a guest', async () => {
  // On a busy machine timers of 10 and 30 ms fall due together, in either order; all of them are waited for.
  expect(await call('Times')).toMatch(/^(tick|late)( tick| late){2,3} AbortError true$/);
});

test('answers are given later, and a requester that has gone is noticed', async () => {
  expect(await call('Defer', 20)).toBe('after 20');
  void node.ask(ONE, '"Gone"', { seconds: 1 });
  await expect
    .poll(() =>
      node.prints.some((one) => 'text' in one && one.text.endsWith('the requester has gone')),
    )
    .toBe(true);
});

test("M19 M22 M67 M81 M105 rights handed over in a message open another package's drive and databases for reading only", async () => {
  expect(await call('Share', TWO)).toBe(
    'NoReadCap for you NoWriteCap key NoWriteCap row NoWriteCap',
  );
});
