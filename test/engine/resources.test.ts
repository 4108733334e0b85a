/** Resources that components define for each other (findings.md F13): handles, borrows, destructors, all within one process. */
import { afterAll, expect, test } from 'vitest';
import type { GuestEnd } from '../../kernel/engine.ts';
import { refusal } from '../../kernel/image/testing.ts';
import { composed } from '../support/engine-components.ts';
import { ofText } from '../support/engine-guests.ts';
import { EngineBench, RecordingHost, turns } from '../support/engine-host.ts';

const bench = new EngineBench();
afterAll(() => bench[Symbol.dispose]());

async function run(
  steps: string,
  destructor?: string,
): Promise<{ printed: string; end: GuestEnd }> {
  const host = new RecordingHost();
  const end = await (await bench.start(await composed(steps, destructor), host)).ended;
  return { printed: host.printed.join(''), end };
}

test('F13 a composed component makes, lends, gives away and drops resources of its own', async () => {
  const { printed, end } = await run(`
    (local.set $h (call $make (i32.const 5)))
    (local.set $g (call $make (i32.const 6)))
    (call $print-digit (call $read (local.get $h)))
    (call $print-digit (call $read (local.get $g)))
    (call $print-digit (i32.const 0))
    (call $drop (local.get $h))
    (call $print-digit (i32.const 0))
    (call $print-digit (call $take (local.get $g)))`);
  expect(end).toEqual({ kind: 'returned' });
  // Read twice; dropped between two zeros, where its destructor prints 5; taken by its maker, which keeps it.
  expect(printed).toBe('560506');
});

test('F13 handles that are no longer, or never were, are a trap of that process', async () => {
  for (const [steps, message] of [
    [
      '(local.set $h (call $make (i32.const 5))) (call $drop (local.get $h)) (drop (call $read (local.get $h)))',
      /^unknown handle index 1/,
    ],
    [
      '(local.set $h (call $make (i32.const 5))) (drop (call $take (local.get $h))) (call $drop (local.get $h))',
      /^unknown handle index 1/,
    ],
    ['(call $drop (i32.const 77))', /^unknown handle index 77/],
    [
      '(loop $l (drop (call $make (i32.const 1))) (br $l))',
      /^a component may hold at most \d+ resource handles/,
    ],
  ] as const) {
    expect((await run(steps)).end).toMatchObject({
      kind: 'trapped',
      report: expect.stringMatching(message),
    });
  }
});

test('F2 F13 a destructor that traps or never ends is that process alone', async () => {
  const drop = '(call $drop (call $make (i32.const 5))) (call $print-digit (i32.const 9))';
  const trapping = await run(drop, '(unreachable)');
  expect(trapping.printed).toBe('');
  expect(trapping.end).toMatchObject({
    kind: 'trapped',
    report: expect.stringMatching(
      /^unreachable\n {2}at function \d+ of Destructor \(0x[0-9a-f]+\)\n {2}at function \d+ of Main /,
    ),
  });
  const host = new RecordingHost();
  const running = await bench.start(await composed(drop, '(loop $l (br $l))'), host);
  await turns(5);
  running.kill();
  expect(await running.ended).toEqual({ kind: 'killed' });
});

test("F13 two processes of one component do not see each other's handles", async () => {
  const steps = `(local.set $h (call $make (i32.const 3))) (call $print-digit (local.get $h)) (call $drop (local.get $h))`;
  expect((await run(steps)).printed).toBe('13');
  expect((await run(steps)).printed).toBe('13');
});

test('F13 resource.new outside the component that defines the type is refused', async () => {
  const text = await ofText(`(component
    (component $A (type $r (resource (rep i32))) (export "r" (type $r)))
    (instance $a (instantiate $A))
    (alias export $a "r" (type $r))
    (core func (canon resource.new $r))
    (core module $m (memory (export "memory") 1)
      (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
      (func (export "init") (param i32 i32)))
    (core instance $i (instantiate $m))
    (alias core export $i "memory" (core memory $memory))
    (alias core export $i "cabi_realloc" (core func $realloc))
    (func $init (param "our" string) (canon lift (core func $i "init") (memory $memory) (realloc $realloc)))
    (export "init" (func $init)))`);
  await expect(bench.engine.load(text)).rejects.toThrow(
    refusal('malformed', /resource-new outside/),
  );
});
