/** Whatever guests do, the event loop turns and their neighbours answer (findings.md F4, F5). Turns are counted, not timed. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { testNode, type TestNode } from '../support/node.ts';
import { echo, guest } from '../support/engine-guests.ts';
import { EngineBench, RecordingHost, turns } from '../support/engine-host.ts';

const bench = new EngineBench();
afterAll(() => bench[Symbol.dispose]());

/** Turns of the event loop until a hog is asked to end and has. A loop that never turned would never get here. */
async function livesBeside(
  init: string,
  options: Partial<Parameters<typeof guest>[0]> = {},
): Promise<number> {
  const hog = await bench.start(await guest({ imports: ['has-blob'], ...options, init }));
  await turns(10);
  const { fuel } = hog.usage();
  await turns(10);
  expect(hog.usage().fuel, 'it ran all the time').toBeGreaterThan(fuel);
  hog.kill();
  expect(await hog.ended).toEqual({ kind: 'killed' });
  return fuel;
}

const MIB_256 = '(i32.const 0x10000000)';

test('F4 an empty loop', async () => {
  await livesBeside('(loop $l (br $l))');
});

test('F4 memory.fill and memory.copy of 256 MiB', async () => {
  const memory = '4097';
  await livesBeside(`(loop $l (memory.fill (i32.const 0) (i32.const 7) ${MIB_256}) (br $l))`, {
    memory,
  });
  await livesBeside(`(loop $l (memory.copy (i32.const 0) (i32.const 8) ${MIB_256}) (br $l))`, {
    memory,
  });
});

test('F4 table.fill, table.copy and table.init of many entries', async () => {
  const more = '(table $t 500000 funcref) (func $f) (elem declare func $f)';
  await livesBeside(
    '(loop $l (table.fill $t (i32.const 0) (ref.func $f) (i32.const 500000)) (br $l))',
    { more },
  );
  await livesBeside(
    '(loop $l (table.copy $t $t (i32.const 0) (i32.const 1) (i32.const 499999)) (br $l))',
    { more },
  );
});

test('F4 20,000 instructions in a row', async () => {
  const line = '(local.set $x (f64.sqrt (f64.add (local.get $x) (f64.const 1.1))))'.repeat(5_000);
  await livesBeside(`(local $x f64) (loop $l ${line} (br $l))`);
});

test('F4 recursion without a loop', async () => {
  const more =
    '(func $f (param i32) (if (local.get 0) (then (call $f (i32.sub (local.get 0) (i32.const 1))) (call $f (i32.sub (local.get 0) (i32.const 1))))))';
  await livesBeside('(call $f (i32.const 60))', { more });
});

test('F4 host calls that copy 1 MiB, in a row without a loop between', async () => {
  let turned = 0;
  const host = new RecordingHost();
  const component = await guest({
    imports: ['print-to-terminal'],
    memory: '64',
    // NUL bytes are text.
    init: '(call $print-to-terminal (i32.const 0) (i32.const 0) (i32.const 0x100000))'.repeat(400),
  });
  const running = await bench.start(component, host);
  let ended = false;
  void running.ended.then(() => (ended = true));
  while (!ended) {
    await turns(1);
    turned += 1;
  }
  expect(await running.ended).toEqual({ kind: 'returned' });
  expect(host.printed.length).toBe(400);
  expect(turned).toBeGreaterThan(5);
});

test('F4 many small host calls in a row without a loop between', async () => {
  let turned = 0;
  const running = await bench.start(
    await guest({
      imports: ['our'],
      memory: '17',
      init: '(call $our (i32.const 64))'.repeat(40_000),
    }),
  );
  let ended = false;
  void running.ended.then(() => (ended = true));
  while (!ended) {
    await turns(1);
    turned += 1;
  }
  expect(await running.ended).toEqual({ kind: 'returned' });
  expect(turned).toBeGreaterThan(5);
});

/** Sends itself, or its peer, a request for each one it got. */
function chatter(peer: string): Promise<Uint8Array> {
  const text = `test.os${peer}chatsys`;
  return guest({
    imports: ['receive', 'send-request'],
    more: `(data (i32.const 64) "${text}")`,
    init: `
      (i32.store (i32.const 256) (i32.const 64)) (i32.store (i32.const 260) (i32.const 7))
      (i32.store (i32.const 264) (i32.const 71)) (i32.store (i32.const 268) (i32.const ${peer.length}))
      (i32.store (i32.const 272) (i32.const ${71 + peer.length})) (i32.store (i32.const 276) (i32.const 4))
      (i32.store (i32.const 280) (i32.const ${75 + peer.length})) (i32.store (i32.const 284) (i32.const 3))
      (loop $for-ever
        (global.set $next (i32.const 0x100000))
        (call $send-request (i32.const 256))
        (call $receive (i32.const 1024))
        (br $for-ever))`,
  });
}

let node: TestNode;
beforeAll(async () => {
  node = await testNode();
});
afterAll(() => node[Symbol.asyncDispose]());

test('F5 guests that only talk, to each other and to themselves, leave the event loop its turns', async () => {
  await node.start('left:chat:sys', await chatter('right'));
  await node.start('right:chat:sys', await chatter('left'));
  await node.start('self:chat:sys', await chatter('self'));
  await node.start('echo:chat:sys', await echo());
  // Were there no turns, none of these would come back.
  await turns(50);
  for (let i = 0; i < 20; i++) expect((await node.ask('echo:chat:sys', `${i}`)).text).toBe(`${i}`);
  const ids = ['left:chat:sys', 'right:chat:sys', 'self:chat:sys'];
  for (const name of ids) expect(await node.kernel.kill(name as never)).toBe(true);
  expect((await node.ask('echo:chat:sys', 'still here')).text).toBe('still here');
});

test('F5 beside a hog and a guest that never waits, a neighbour gets its messages', async () => {
  await node.start('hog:chat:sys', await guest({ init: '(loop $l (br $l))' }));
  await node.start('busy:chat:sys', await chatter('busy'));
  await node.start('calm:chat:sys', await echo());
  for (let i = 0; i < 10; i++) expect((await node.ask('calm:chat:sys', `${i}`)).text).toBe(`${i}`);
  await node.kernel.kill('hog:chat:sys' as never);
  await node.kernel.kill('busy:chat:sys' as never);
});
