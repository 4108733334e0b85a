/** The list of bad input, each through the real engine or a whole kernel: a clear error, and the neighbour still answers. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { ImageError } from '../../kernel/engine.ts';
import { buildComponent } from '../../kit/build/component.ts';
import { answer, echo, guest, ofText } from '../support/engine-guests.ts';
import { delivery, EngineBench, RecordingHost, texts, turns } from '../support/engine-host.ts';
import { testNode, type TestNode } from '../support/node.ts';

const bench = new EngineBench();
let node: TestNode;
let echoBytes: Uint8Array;
const rejections: unknown[] = [];
const onRejection = (reason: unknown): void => void rejections.push(reason);

beforeAll(async () => {
  process.on('unhandledRejection', onRejection);
  node = await testNode();
  echoBytes = await echo();
  await node.start('echo:bad:sys', echoBytes);
});
afterEach(async () => {
  // After each of them: the other processes keep answering, and nothing escaped.
  expect((await node.ask('echo:bad:sys', 'still here')).text).toBe('still here');
  expect(rejections).toEqual([]);
});
afterAll(async () => {
  process.off('unhandledRejection', onRejection);
  await node[Symbol.asyncDispose]();
  bench[Symbol.dispose]();
});

/** A small generator with a seed: which bytes are hit must be the same in every run. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 0x1_0000_0000) * below);
  };
}

/** Loads it; what loads must start, or say why not, and must die when killed. Returns what came of it. */
async function survive(bytes: Uint8Array): Promise<'refused' | 'ran'> {
  let image;
  try {
    image = await bench.engine.load(bytes);
  } catch (error) {
    expect(error).toBeInstanceOf(ImageError);
    expect((error as ImageError).message).toMatch(/^[ -~]+$/);
    return 'refused';
  }
  const host = new RecordingHost();
  const running = bench.engine.start(
    image,
    { node: 'test.os', process: 'x:bad:sys' as never },
    host,
  );
  host.deliver(delivery('hello'));
  await turns(2);
  running.kill();
  await running.ended;
  return 'ran';
}

test('F1 F10 bit-flipped, truncated and random components are refused by name or run alone', async () => {
  const next = random(1);
  const outcomes = { refused: 0, ran: 0 };
  for (let i = 0; i < 300; i++) {
    const bytes = Uint8Array.from(echoBytes);
    for (let flips = 0; flips <= i % 3; flips++) bytes[next(bytes.length)]! ^= 1 << next(8);
    outcomes[await survive(bytes)] += 1;
  }
  expect(outcomes.refused).toBeGreaterThan(50);
  expect(outcomes.ran).toBeGreaterThan(50);
  for (let length = 0; length < echoBytes.length; length += 37) {
    expect(await survive(echoBytes.slice(0, length))).toBe('refused');
  }
  for (let i = 0; i < 30; i++) {
    const bytes = Uint8Array.from({ length: 200 }, () => next(256));
    if (i % 2 === 0) bytes.set(echoBytes.subarray(0, 8));
    expect(await survive(bytes)).toBe('refused');
  }
});

test('F1 F10 a damaged QuickJS guest, nested components and all', async () => {
  const script = await buildComponent('test/guests/echo.ts');
  const next = random(2);
  for (let i = 0; i < 12; i++) {
    const bytes = Uint8Array.from(script);
    // Half of them in the last part, where the components are wired.
    const from = i % 2 === 0 ? 0 : bytes.length - 20_000;
    for (let flips = 0; flips < 3; flips++)
      bytes[from + next(bytes.length - from)]! ^= 1 << next(8);
    await survive(bytes);
  }
  expect(await survive(script.slice(0, script.length - 5))).toBe('refused');
});

test('K102 damaged components in a node: the log says why, once each', async () => {
  const cases: readonly (readonly [string, Uint8Array, RegExp])[] = [
    ['empty:bad:sys', new Uint8Array(), /not a component|no component|empty/i],
    [
      'text:bad:sys',
      new TextEncoder().encode('hello world, this is no wasm'),
      /no WebAssembly file/,
    ],
    ['cut:bad:sys', echoBytes.slice(0, 400), /./],
    [
      'imports:bad:sys',
      await ofText('(component (import "evil:host/exec@1.0.0" (instance (export "run" (func)))))'),
      /evil:host\/exec@1\.0\.0/,
    ],
    [
      'future:bad:sys',
      await ofText('(component (import "hyperware:process/standard@2.0.0" (instance)))'),
      /hyperware:process@2\.0\.0/,
    ],
    [
      'memory:bad:sys',
      await ofText('(component (core module $m (memory 65536)) (core instance (instantiate $m)))'),
      /4096 MiB/,
    ],
  ];
  for (const [name, bytes, message] of cases) {
    await node.start(name, bytes);
    const said = (): string[] =>
      texts(node).filter((text) => text.startsWith(`could not start ${name}: `));
    while (said().length === 0) await turns(1);
    expect(said()).toHaveLength(1);
    expect(said()[0]).toMatch(message);
  }
});

/** Starts in the node, sends it one request, and gives the line about its end. */
async function report(
  name: string,
  bytes: Uint8Array,
  body: string | Uint8Array = '',
): Promise<string> {
  await node.start(name, bytes);
  void node.ask(name, body);
  const found = (): string | undefined =>
    texts(node).find((text) => text.startsWith(`${name} ended with an error:\n`));
  while (found() === undefined) await turns(1);
  return found()!.slice(`${name} ended with an error:\n`.length);
}

test('deep recursion is a stack overflow of that process, with the names of its functions', async () => {
  const text = await report(
    'deep:bad:sys',
    await guest({
      more: '(func $dig_deeper (param i32) (result i32) (i32.add (call $dig_deeper (local.get 0)) (i32.const 1)))',
      init: '(drop (call $dig_deeper (i32.const 1)))',
    }),
  );
  expect(text).toMatch(/^stack overflow\n/);
  expect(text).toMatch(/\n {2}at dig_deeper/);
});

test('deep recursion that calls the host at the bottom', async () => {
  const host = new RecordingHost();
  const running = await bench.start(
    await guest({
      imports: ['has-blob'],
      more: '(func $dig (result i32) (drop (call $has-blob)) (i32.add (call $dig) (i32.const 1)))',
      init: '(drop (call $dig))',
    }),
    host,
  );
  const end = await running.ended;
  expect(end).toMatchObject({ kind: 'trapped', report: expect.stringMatching(/^stack overflow/) });
  expect(host.calls.length).toBeGreaterThan(100);
});

test("a trap report shows the guest's functions, and no control characters whatever they are called", async () => {
  const text = await report(
    'named:bad:sys',
    await guest({
      more: String.raw`(func $inner (@name "evil\1b[2J\07\u{202e}name") (unreachable)) (func $outer_one (call $inner))`,
      init: '(call $outer_one)',
    }),
  );
  expect(text).toMatch(/^unreachable\n {2}at evil\?\[2J\?\?name/);
  expect(text).toMatch(/\n {2}at outer_one .*\n {2}at init /);
  expect(text.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
});

test('what a guest traps with is named: division, bounds, indirect calls, unreachable', async () => {
  for (const [name, init, message] of [
    ['div:bad:sys', '(drop (i32.div_u (i32.const 1) (i32.const 0)))', /divide by zero/],
    ['oob:bad:sys', '(drop (i32.load (i32.const -8)))', /out of bounds/],
    ['copy:bad:sys', '(memory.copy (i32.const 0) (i32.const 8) (i32.const -1))', /out of bounds/],
    ['call:bad:sys', '(call_indirect $t (i32.const 9))', /table index|out of bounds/],
  ] as const) {
    const bytes = await guest({ init, more: '(table $t 2 funcref)' });
    expect(await report(name, bytes), name).toMatch(message);
  }
});

test('invalid UTF-8 in a print, an address and metadata', async () => {
  const bad = String.raw`(data (i32.const 64) "\ff\fe\80bad")`;
  expect(
    await report(
      'print:bad:sys',
      await guest({
        imports: ['print-to-terminal'],
        more: bad,
        init: '(call $print-to-terminal (i32.const 0) (i32.const 64) (i32.const 6))',
      }),
    ),
  ).toMatch(/^a string at pointer 64 is not UTF-8/);
  for (const [name, slot] of [
    ['address:bad:sys', 256],
    ['metadata:bad:sys', 256 + 32 + 36],
  ] as const) {
    const text = await report(
      name,
      await guest({
        imports: ['send-request'],
        more: bad,
        init: `(i32.store (i32.const ${256 + 32 + 32}) (i32.const 1))
          (i32.store (i32.const ${slot}) (i32.const 64)) (i32.store (i32.const ${slot + 4}) (i32.const 6))
          (call $send-request (i32.const 256))`,
      }),
    );
    expect(text, name).toMatch(/^a string at pointer 64 is not UTF-8/);
  }
});

test('a list whose length overflows memory', async () => {
  for (const length of ['0xffffffff', '0x08000000', '0x7fffffff']) {
    const bytes = await guest({
      imports: ['send-requests', 'save-capabilities'],
      init: `(call $save-capabilities (i32.const 256) (i32.const ${length}))`,
    });
    expect(await report(`length-${length}:bad:sys`, bytes)).toMatch(/out of bounds of memory/);
  }
});

test('bodies of 10 MiB both ways', async () => {
  const body = Buffer.alloc(10 * 1024 * 1024, 'hyperloom');
  const reply = await node.ask('echo:bad:sys', body);
  expect(Buffer.compare(reply.body, body)).toBe(0);
});

test('responses nobody asked for', async () => {
  const bytes = await guest({
    imports: ['receive', 'send-response', 'has-blob'],
    init: `${answer('(i32.const 64)', '(i32.const 4)').repeat(50)}
      (loop $l (global.set $next (i32.const 0x100000))
        (call $receive (i32.const 1024))
        ${answer('(i32.const 1024)', '(i32.const 1)').repeat(3)}
        (br $l))`,
  });
  await node.start('eager:bad:sys', bytes);
  expect((await node.ask('eager:bad:sys', '')).body.length).toBe(1);
  expect((await node.ask('eager:bad:sys', '')).body.length).toBe(1);
});

test('1,000 processes that crash on start', async () => {
  const traps = await guest({ init: '(unreachable)' });
  const before = texts(node).length;
  for (let i = 0; i < 1_000; i++) await node.start(`crash-${i}:bad:sys`, traps);
  const ended = (): number =>
    texts(node)
      .slice(before)
      .filter((text) => / ended with an error:\nunreachable/.test(text)).length;
  while (ended() < 1_000) await turns(1);
  for (let i = 0; i < 1_000; i += 99)
    expect(await node.kernel.kill(`crash-${i}:bad:sys` as never)).toBe(false);
});

test('wrong imports of core modules', async () => {
  const wrong =
    await ofText(`(component (core module $m (import "nowhere" "f" (func)) (memory (export "memory") 1)
      (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable) (func (export "init") (param i32 i32)))
    (core module $n (func (export "f") (param i32)))
    (core instance $n (instantiate $n))
    (core instance $i (instantiate $m (with "nowhere" (instance $n))))
    (alias core export $i "memory" (core memory $memory))
    (alias core export $i "cabi_realloc" (core func $realloc))
    (func $init (param "our" string) (canon lift (core func $i "init") (memory $memory) (realloc $realloc)))
    (export "init" (func $init)))`);
  const running = bench.engine
    .load(wrong)
    .then(
      (image) =>
        bench.engine.start(image, { node: 'a', process: 'a:b:c' as never }, new RecordingHost())
          .ended,
    );
  await expect(running.catch((error: unknown) => error)).resolves.toMatchObject(
    expect.objectContaining({ reason: expect.stringMatching(/import/) }),
  );
  const hl = await ofText(
    '(component (core module $m (import "hl" "fuel" (global (mut i32)))) (core instance (instantiate $m)))',
  );
  await expect(bench.engine.load(hl)).rejects.toThrow(ImageError);
});
