/** WASI, string encodings and bindings as real components meet them (findings.md F8, F9, F13). */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { component, lowered, sleeper } from '../support/engine-components.ts';
import { echo, guest, ofCore, ofText } from '../support/engine-guests.ts';
import { EngineBench, RecordingHost, texts, turns } from '../support/engine-host.ts';
import { buildComponent } from '../../kit/build/component.ts';
import { testNode, type TestNode } from '../support/node.ts';

const bench = new EngineBench();
let node: TestNode;
beforeAll(async () => {
  node = await testNode();
});
afterAll(async () => {
  await node[Symbol.asyncDispose]();
  bench[Symbol.dispose]();
});

test('F8 a guest that sleeps for an hour stops nobody', async () => {
  await node.start('sleeper:face:sys', await sleeper(3_600_000_000_000n));
  await node.start('echo:face:sys', await echo());
  for (let i = 0; i < 5; i++) expect((await node.ask('echo:face:sys', `${i}`)).text).toBe(`${i}`);
  expect(await node.kernel.kill('sleeper:face:sys' as never)).toBe(true);
});

test('F8 a short sleep ends', async () => {
  const host = new RecordingHost();
  expect(await (await bench.start(await sleeper(1_000_000n), host)).ended).toEqual({
    kind: 'returned',
  });
  expect(host.calls.map(({ name }) => name)).toEqual(['our', 'our']);
});

/** Writes "on out" to stdout and "on err" to stderr, then does `last`. */
function writer(last: string): Promise<Uint8Array> {
  const output = (which: string): string => `
    (import "wasi:cli/${which}@0.2.0" (instance $${which}
      (alias outer 1 $output-stream (type $o'))
      (export "output-stream" (type $o (eq $o')))
      (export "get-${which}" (func (result (own $o))))))
    (alias export $${which} "get-${which}" (func $get-${which}-func))
    (core func $get-${which} (canon lower (func $get-${which}-func)))`;
  return ofText(
    component({
      before: `
      (import "wasi:io/error@0.2.0" (instance $error-import (export "error" (type (sub resource)))))
      (alias export $error-import "error" (type $error))
      (import "wasi:io/streams@0.2.0" (instance $streams
        (export "output-stream" (type $o (sub resource)))
        (alias outer 1 $error (type $e'))
        (export "error" (type $e (eq $e')))
        (type $failed' (variant (case "last-operation-failed" (own $e)) (case "closed")))
        (export "stream-error" (type $failed (eq $failed')))
        (export "[method]output-stream.blocking-write-and-flush"
          (func (param "self" (borrow $o)) (param "contents" (list u8)) (result (result (error $failed)))))))
      (alias export $streams "output-stream" (type $output-stream))
      (alias export $streams "[method]output-stream.blocking-write-and-flush" (func $write-func))
      (core func $write (canon lower (func $write-func) (memory $memory)))
      ${output('stdout')} ${output('stderr')}
      (import "wasi:cli/exit@0.2.0" (instance $exit (export "exit" (func (param "status" (result))))))
      (alias export $exit "exit" (func $exit-func))
      (core func $exit (canon lower (func $exit-func)))`,
      imports: `(export "write" (func $write)) (export "out" (func $get-stdout)) (export "err" (func $get-stderr))
        (export "exit" (func $exit))`,
      core: `
      (import "host" "write" (func $write (param i32 i32 i32 i32)))
      (import "host" "out" (func $out (result i32)))
      (import "host" "err" (func $err (result i32)))
      (import "host" "exit" (func $exit (param i32)))
      (data (i32.const 64) "on outon err")
      (func (export "init") (param i32 i32)
        (call $write (call $out) (i32.const 64) (i32.const 6) (i32.const 16))
        (call $write (call $err) (i32.const 70) (i32.const 6) (i32.const 16))
        ${last})`,
    }),
  );
}

test('F8 exit is a trap, and a report has stderr but never stdout', async () => {
  for (const [last, message] of [
    ['(call $exit (i32.const 0))', /^the guest called exit\(0\)/],
    ['(call $exit (i32.const 1))', /^the guest called exit\(1\)/],
    ['(unreachable)', /^unreachable/],
  ] as const) {
    const end = await (await bench.start(await writer(last))).ended;
    expect(end).toMatchObject({
      kind: 'trapped',
      report: expect.stringMatching(message),
      stderr: 'on err',
    });
    expect(JSON.stringify(end)).not.toContain('on out');
  }
  await node.start('writer:face:sys', await writer('(unreachable)'));
  const report = (): string | undefined =>
    texts(node).find((text) => text.startsWith('writer:face:sys ended'));
  while (report() === undefined) await turns(1);
  expect(report()).toMatch(/unreachable[^]*\non err/);
  expect(report()).not.toContain('on out');
});

test('F9 a guest of utf16 strings prints what it means, and gets it', async () => {
  const host = new RecordingHost();
  // "zürich €" in UTF-16, then what `our` gives: its node.
  const text = String.raw`(data (i32.const 64) "z\00\fc\00r\00i\00c\00h\00 \00\ac\20")`;
  const bytes = await ofCore(
    `(module
      (import "hyperware:process/standard@1.0.0" "print-to-terminal" (func $print (param i32 i32 i32)))
      (import "hyperware:process/standard@1.0.0" "our" (func $our (param i32)))
      (memory (export "memory") 2) ${text}
      (global $next (mut i32) (i32.const 4096))
      (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
        (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
        (global.set $next (i32.add (local.get $at) (local.get 3)))
        (memory.copy (local.get $at) (local.get 0) (local.get 1))
        (local.get $at))
      (func (export "init") (param i32 i32)
        (call $print (i32.const 0) (i32.const 64) (i32.const 8))
        (call $our (i32.const 256))
        (call $print (i32.const 0) (i32.load (i32.const 256)) (i32.load (i32.const 260)))
        (call $print (i32.const 0) (local.get 0) (local.get 1))))`,
    { encoding: 'utf16' },
  );
  expect(await (await bench.start(bytes, host)).ended).toEqual({ kind: 'returned' });
  expect(host.printed).toEqual(['zürich €', 'test.os', 'test.os@guest:test:sys']);
});

test('F9 a module that looks like the contract is not the contract', async () => {
  const host = new RecordingHost();
  // The user module imports "print-to-terminal" of the contract's name, but is given a module of its own component.
  const text = component({
    before: `(core module $Fake (func (export "print-to-terminal") (param i32 i32 i32)))
      (core instance $fake (instantiate $Fake)) ${lowered('print-to-terminal')}`,
    imports: '(export "print" (func $print-to-terminal))',
    core: `
      (import "hyperware:process/standard@1.0.0" "print-to-terminal" (func $look-alike (param i32 i32 i32)))
      (import "host" "print" (func $print (param i32 i32 i32)))
      (data (i32.const 64) "fakereal")
      (func (export "init") (param i32 i32)
        (call $look-alike (i32.const 0) (i32.const 64) (i32.const 4))
        (call $print (i32.const 0) (i32.const 68) (i32.const 4)))`,
  }).replace(
    '(with "host" (instance $host))',
    '(with "host" (instance $host)) (with "hyperware:process/standard@1.0.0" (instance $fake))',
  );
  expect(await (await bench.start(await ofText(text), host)).ended).toEqual({ kind: 'returned' });
  expect(host.printed).toEqual(['real']);
});

test('F9 a contract function under any core name is bound all the same', async () => {
  const host = new RecordingHost();
  const text = component({
    before: lowered('print-to-terminal'),
    imports: '(export "quite another name" (func $print-to-terminal))',
    core: `(import "host" "quite another name" (func $print (param i32 i32 i32)))
      (data (i32.const 64) "bound")
      (func (export "init") (param i32 i32) (call $print (i32.const 0) (i32.const 64) (i32.const 5)))`,
  });
  expect(await (await bench.start(await ofText(text), host)).ended).toEqual({ kind: 'returned' });
  expect(host.printed).toEqual(['bound']);
});

test.each([
  'echo.wat',
  'echo.as.ts',
  'echo.ts',
  'echo-kinode-0.7.0.wat',
  'echo-kinode-0.8.0.wat',
  'echo-kinode-1.0.0.wat',
])('F13 %s runs from its link plan and answers with body and blob', async (file) => {
  const name = `${file.replaceAll(/[^a-z0-9]/g, '-')}:face:sys`;
  await node.start(name, await buildComponent(`test/guests/${file}`));
  const blob = { mime: undefined, bytes: Buffer.alloc(70_000, 'blob') };
  for (const body of ['""', '{"Echo":"x"}', '"zürich"']) {
    const reply = await node.ask(name, body, { blob });
    expect(reply.body.length).toBeGreaterThan(0);
  }
  expect(texts(node).filter((text) => text.startsWith(name) && text.includes('error'))).toEqual([]);
});

test(
  'F7 F13 a QuickJS guest of many modules under load, fuel running out inside its allocator',
  { timeout: 120_000 },
  async () => {
    await node.start('load:face:sys', await buildComponent('test/guests/echo.ts'));
    await node.start('hog:face:sys', await guest({ init: '(loop $l (br $l))' }));
    const body = JSON.stringify({ Echo: 'y'.repeat(20_000) });
    for (let round = 0; round < 10; round++)
      await Promise.all(Array.from({ length: 10 }, () => node.ask('load:face:sys', body)));
    expect(texts(node).filter((text) => text.startsWith('load:face:sys ended'))).toEqual([]);
    await node.kernel.kill('hog:face:sys' as never);
  },
);
