/** Memories, tables, instances, processes and calls without suspension are bounded, each failing that guest alone (F6, F7). */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { GuestEnd } from '../../kernel/engine.ts';
import { refusal } from '../../kernel/image/testing.ts';
import { LIBC, lowered, STANDARD_IMPORT } from '../support/engine-components.ts';
import { echo, guest, guestText, ofText, REALLOC } from '../support/engine-guests.ts';
import { delivery, EngineBench, RecordingHost, texts, turns } from '../support/engine-host.ts';
import { testNode, type TestNode } from '../support/node.ts';

const bench = new EngineBench();
let node: TestNode;
beforeAll(async () => {
  node = await testNode();
  await node.start('echo:limits:sys', await echo());
});
afterAll(async () => {
  await node[Symbol.asyncDispose]();
  bench[Symbol.dispose]();
});

const PRINT = '(call $print-to-terminal (i32.const 0) (i32.const 64) (i32.const 1))';

/** The end of a guest that prints one mark for each thing that went as it must. */
async function marks(
  init: string,
  more = '',
  memory = '2',
): Promise<{ marks: number; end: GuestEnd }> {
  const host = new RecordingHost();
  const imports = ['print-to-terminal'];
  const realloc =
    '(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))';
  const running = await bench.start(await guest({ imports, init, more, memory, realloc }), host);
  const end = await running.ended;
  return { marks: host.printed.length, end };
}

/** Prints if the condition holds. */
const mark = (condition: string): string => `(if ${condition} (then ${PRINT}))`;

test('F6 memory.grow past 512 MiB gives the guest -1 and it goes on', async () => {
  const { marks: made, end } = await marks(`
    ${mark('(i32.eq (memory.grow (i32.const 65535)) (i32.const -1))')}
    ${mark('(i32.eq (memory.grow (i32.const 8191)) (i32.const -1))')}
    ${mark('(i32.eq (memory.grow (i32.const -1)) (i32.const -1))')}
    ${mark('(i32.eq (memory.size) (i32.const 2))')}
    ${mark('(i32.eq (memory.grow (i32.const 100)) (i32.const 2))')}
    ${mark('(i32.eq (memory.grow (i32.const 0)) (i32.const 102))')}`);
  expect(end).toEqual({ kind: 'returned' });
  expect(made).toBe(6);
});

test('F6 table.grow past a million entries gives the guest -1 and it goes on', async () => {
  const { marks: made, end } = await marks(
    `${mark('(i32.eq (table.grow $t (ref.null func) (i32.const 0x7fffffff)) (i32.const -1))')}
     ${mark('(i32.eq (table.grow $t (ref.null func) (i32.const 600000)) (i32.const 10))')}
     ${mark('(i32.eq (table.grow $u (ref.null func) (i32.const 600000)) (i32.const -1))')}
     ${mark('(i32.eq (table.size $t) (i32.const 600010))')}`,
    '(table $t 10 funcref) (table $u 10 funcref)',
  );
  expect(end).toEqual({ kind: 'returned' });
  expect(made).toBe(4);
});

/** A component of `count` instances of one module that grows its memory by `pages` in its start function, and returns. */
function many(count: number, core: string): string {
  const copies = Array.from({ length: count }, () => '(core instance (instantiate $Part))').join(
    '\n',
  );
  const rest = guestText({ init: '' }).slice('(module'.length);
  return `(component (core module $Part ${core}) ${copies}
    (core module $m ${rest}
    (core instance $i (instantiate $m))
    (alias core export $i "memory" (core memory $memory))
    (alias core export $i "cabi_realloc" (core func $realloc))
    (func $init (param "our" string) (canon lift (core func $i "init") (memory $memory) (realloc $realloc)))
    (export "init" (func $init)))`;
}

test('F6 the memories of all core instances count together', async () => {
  // Growing past the sum is refused, which this guest answers with a trap.
  const grow = (pages: number): string =>
    `(memory 1) (func $s (if (i32.eq (memory.grow (i32.const ${pages})) (i32.const -1)) (then unreachable))) (start $s)`;
  const fits = await bench.start(await ofText(many(8, grow(900))));
  expect(await fits.ended).toEqual({ kind: 'returned' });
  const tooMuch = await bench.start(await ofText(many(10, grow(900))));
  expect(await tooMuch.ended).toMatchObject({
    kind: 'not-started',
    reason: expect.stringMatching(/unreachable/),
  });
  await expect(bench.engine.load(await ofText(many(10, '(memory 900)')))).rejects.toThrow(
    refusal('limit', /MiB/),
  );
});

test('F6 64 core instances, not 65; a table of over a million entries; 4 GiB of memory', async () => {
  const accepted = await bench.start(await ofText(many(63, '')));
  expect(await accepted.ended).toEqual({ kind: 'returned' });
  await expect(bench.engine.load(await ofText(many(64, '')))).rejects.toThrow(
    refusal('limit', /core instances/),
  );
  await expect(bench.engine.load(await ofText(many(1, '(table 1000001 funcref)')))).rejects.toThrow(
    refusal('limit', /tables/),
  );
  await expect(bench.engine.load(await ofText(many(1, '(memory 65536)')))).rejects.toThrow(
    refusal('limit', /4096 MiB/),
  );
});

test('F6 past the cap of live processes a start fails with a clear error, and works again after an end', async () => {
  using small = new EngineBench({ guestsMax: 2 });
  const waits = await guest({ imports: ['receive'], init: '(call $receive (i32.const 64))' });
  const hosts = [new RecordingHost(), new RecordingHost()];
  const [first, second] = [await small.start(waits, hosts[0]), await small.start(waits, hosts[1])];
  const third = await small.start(waits);
  expect(await third.ended).toMatchObject({
    kind: 'not-started',
    reason: expect.stringMatching(/^2 processes are live.*vm\.max_map_count/),
  });
  expect(small.engine.startRefusal()).toMatch(/2 processes/);
  first.kill();
  await first.ended;
  expect(small.engine.startRefusal()).toBe(undefined);
  const fourth = await small.start(waits);
  fourth.kill();
  expect(await fourth.ended).toEqual({ kind: 'killed' });
  second.kill();
});

const HONEST_ECHO = {
  imports: ['receive', 'print-to-terminal'],
  init: `(call $receive (i32.const 64)) ${PRINT}`,
};

/** The end of a guest that receives one message through this allocator. */
async function receiving(realloc: string, more = ''): Promise<GuestEnd> {
  const host = new RecordingHost();
  const running = await bench.start(
    await guest({ ...HONEST_ECHO, memory: '17', realloc, more }),
    host,
  );
  host.deliver(delivery('hello'));
  const end = await running.ended;
  expect(host.printed).toEqual([]);
  return end;
}

const reallocOf = (body: string): string =>
  `(global $calls (mut i32) (i32.const 0))
   (func $realloc (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    ;; The first call is for the argument of init.
    (if (i32.eq (global.get $calls) (i32.const 1)) (then (return (i32.const 1024)))) ${body})`;

test('F7 a realloc that loops, or recurses, ends its guest', async () => {
  expect(await receiving(reallocOf('(loop $l (br $l)) (unreachable)'))).toMatchObject({
    kind: 'trapped',
    report: expect.stringMatching(/realloc.* ran for too long/),
  });
  expect(
    await receiving(
      reallocOf('(call $realloc (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))'),
    ),
  ).toMatchObject({
    kind: 'trapped',
    report: expect.stringMatching(/stack overflow|too long/),
  });
});

test('F7 a realloc that calls the host ends its guest, and the host sees nothing of the call', async () => {
  const host = new RecordingHost();
  const component = await guest({
    imports: ['receive', 'our', 'print-to-terminal'],
    init: '(call $receive (i32.const 64))',
    realloc: reallocOf(`${PRINT} (call $our (i32.const 64)) (i32.const 1024)`),
  });
  const running = await bench.start(component, host);
  host.deliver(delivery());
  expect(await running.ended).toMatchObject({
    kind: 'trapped',
    report: expect.stringMatching(/^realloc or post-return called a host function\n/),
  });
  expect(host.calls.map(({ name }) => name)).toEqual(['receive']);
});

test('F7 a realloc that lies about pointers ends its guest', async () => {
  for (const [pointer, message] of [
    ['3', /aligned/],
    ['-4', /out of bounds/],
    [`${17 * 65_536}`, /out of bounds/],
    [`${17 * 65_536 - 4}`, /out of bounds/],
  ] as const) {
    const end = await receiving(reallocOf(`(i32.const ${pointer})`));
    expect(end, pointer).toMatchObject({ kind: 'trapped', report: expect.stringMatching(message) });
  }
});

test('F7 a realloc that traps, or grows memory under the host, is that guest alone', async () => {
  const end = await receiving(reallocOf('(unreachable)'));
  expect(end).toMatchObject({
    kind: 'trapped',
    report: expect.stringMatching(/unreachable\n {2}at realloc/),
  });
  // Growing detaches the buffer that the host writes to.
  const host = new RecordingHost();
  const grows = REALLOC.replace(
    '(local.set $at',
    '(drop (memory.grow (i32.const 1))) (local.set $at',
  );
  expect(grows).not.toBe(REALLOC);
  const running = await bench.start(
    await guest({
      imports: ['receive', 'print-to-terminal'],
      init: `(call $receive (i32.const 1024))
        (call $print-to-terminal (i32.const 0) (i32.load (i32.const 1096)) (i32.load (i32.const 1100)))`,
      realloc: grows,
    }),
    host,
  );
  host.deliver(delivery('through growing memory'));
  expect(await running.ended).toEqual({ kind: 'returned' });
  expect(host.printed).toEqual(['through growing memory']);
});

test('F7 a start function that loops, or waits, does not start; one that has its answer at once does', async () => {
  const loops = await bench.start(
    await guest({ init: '', more: '(func $s (loop $l (br $l))) (start $s)' }),
  );
  expect(await loops.ended).toMatchObject({
    kind: 'not-started',
    reason: expect.stringMatching(/start function ran for too long/),
  });
  // Functions that pass no memory: the others are not linked yet when a start function runs.
  const clears = await guest({
    imports: ['clear-state'],
    init: '',
    more: '(func $s (call $clear-state)) (start $s)',
  });
  const host = new RecordingHost();
  expect(await (await bench.start(clears, host)).ended).toEqual({ kind: 'returned' });
  const slow = new RecordingHost();
  slow.clearState = () => new Promise(() => undefined);
  expect(await (await bench.start(clears, slow)).ended).toMatchObject({
    kind: 'not-started',
    reason: expect.stringMatching(/a start function called a host function that had to wait/),
  });
});

test('F7 a post-return that loops, or calls the host, ends its guest', async () => {
  for (const [post, message] of [
    ['(loop $l (br $l))', /too long/],
    ['(call $our (i32.const 64))', /^realloc or post-return called a host function\n/],
  ] as const) {
    const text = `(component ${STANDARD_IMPORT} ${LIBC} ${lowered('our')}
      (core module $Inner (import "host" "our" (func $our (param i32)))
        (func (export "go") (result i32) (i32.const 7))
        (func (export "after") (param i32) ${post}))
      (core instance $inner-host (export "our" (func $our)))
      (core instance $inner (instantiate $Inner (with "host" (instance $inner-host))))
      (func $go (result u32) (canon lift (core func $inner "go") (post-return (core func $inner "after"))))
      (core func $go-core (canon lower (func $go)))
      (core module $Main (import "host" "go" (func $go (result i32)))
        (func (export "init") (param i32 i32) (drop (call $go))))
      (core instance $host (export "go" (func $go-core)))
      (core instance $main (instantiate $Main (with "host" (instance $host))))
      (func $init (param "our" string) (canon lift (core func $main "init") (memory $memory) (realloc $realloc)))
      (export "init" (func $init)))`;
    const host = new RecordingHost();
    const running = await bench.start(await ofText(text), host);
    expect(await running.ended).toMatchObject({
      kind: 'trapped',
      report: expect.stringMatching(message),
    });
    expect(host.calls).toEqual([]);
  }
});

test('F6 F7 in a node: each of them is one line of the log, and the neighbour answers', async () => {
  const guests = {
    'loops:limits:sys': await guest({
      imports: ['receive'],
      init: '(call $receive (i32.const 64))',
      realloc: reallocOf('(loop $l (br $l)) (unreachable)'),
    }),
    'lies:limits:sys': await guest({
      imports: ['receive'],
      init: '(call $receive (i32.const 64))',
      realloc: reallocOf('(i32.const -4)'),
    }),
  };
  for (const [name, bytes] of Object.entries(guests)) {
    await node.start(name, bytes);
    void node.ask(name, 'x');
    const reported = (): boolean =>
      texts(node).some((text) => text.startsWith(`${name} ended with an error:\n`));
    while (!reported()) await turns(1);
    expect((await node.ask('echo:limits:sys', name)).text).toBe(name);
  }
});
