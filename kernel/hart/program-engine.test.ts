/** Programs that are no processes: a WASI command runs once, within its limits, and reaches what its runner hands it. */
import { expect, test } from 'vitest';
import { ImageError } from '../engine.ts';
import { assemble } from '../image/fuel-harness.ts';
import { loadProgram, prepareProgram } from '../image/program.ts';
import { Trap } from '../process-host.ts';
import type { GuestLimits } from './guest.ts';
import type { HostInterfaces } from './link.ts';
import { ProgramEngine, type ProgramEnd, type RunningProgram } from './program-engine.ts';
import { PREVIEW1 } from './wasi/preview1.ts';

const engine = new ProgramEngine();
const WIDE: GuestLimits = { memoryPagesMax: 1_000, fuelMax: Infinity };

async function start(
  body: string,
  {
    imports = '',
    call = () => undefined,
    limits = WIDE,
  }: { imports?: string; call?: HostInterfaces; limits?: GuestLimits } = {},
): Promise<RunningProgram> {
  const bytes = await assemble(`(module ${imports}
    (memory (export "memory") 1)
    (func (export "_start") ${body}))`);
  return engine.start(loadProgram(bytes, await prepareProgram(bytes)), call, limits);
}

const LOOP = (times: number): string => `(local $i i32)
  (loop $l (local.set $i (i32.add (local.get $i) (i32.const 1))) (br_if $l (i32.lt_u (local.get $i) (i32.const ${times}))))`;
const WRITE = `(import "${PREVIEW1}" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))`;
const EXIT = `(import "${PREVIEW1}" "proc_exit" (func $exit (param i32)))`;
const report = (end: ProgramEnd): string => (end.kind === 'trapped' ? end.report : end.kind);

test('a program returns, and its fuel is the same each time', async () => {
  const fuel: number[] = [];
  for (let time = 0; time < 3; time++) {
    const { guest, ended } = await start(LOOP(1_000_000));
    expect(await ended).toEqual({ kind: 'returned', value: undefined });
    fuel.push(guest.usage().fuel);
  }
  expect(new Set(fuel).size).toBe(1);
  expect(fuel[0]).toBeGreaterThan(1_000_000);
});

test('fuel has an end', async () => {
  const limits = { ...WIDE, fuelMax: 2_000_000 };
  const enough = await start(LOOP(100_000), { limits });
  expect((await enough.ended).kind).toBe('returned');
  const { ended } = await start(LOOP(100_000_000), { limits });
  expect(report(await ended)).toContain('used its 2000000 units of fuel');
});

test('memory has an end that the program sees, and its peak is told', async () => {
  const grow = (pages: number): string =>
    `(if (i32.eq (memory.grow (i32.const ${pages})) (i32.const -1)) (then unreachable))`;
  const good = await start(grow(999));
  expect((await good.ended).kind).toBe('returned');
  expect(good.guest.memory()).toEqual({ peakBytes: 1_000 * 65_536, refused: false });
  const bad = await start(grow(1_000));
  expect((await bad.ended).kind).toBe('trapped');
  expect(bad.guest.memory()).toEqual({ peakBytes: 65_536, refused: true });
});

test('a program that waits for its host goes on, and others run meanwhile', async () => {
  const waiting = Promise.withResolvers<number>();
  const order: string[] = [];
  const slow = await start(
    '(if (call $write (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 8)) (then unreachable))',
    {
      imports: WRITE,
      call: (_, name) => (args) => {
        order.push(name);
        expect(args[0]).toBeInstanceOf(WebAssembly.Memory);
        expect(args.slice(1)).toEqual([1, 0, 0, 8]);
        return waiting.promise;
      },
    },
  );
  const quick = await start(LOOP(10));
  expect((await quick.ended).kind).toBe('returned');
  order.push('quick');
  waiting.resolve(0);
  expect((await slow.ended).kind).toBe('returned');
  expect(order).toEqual(['fd_write', 'quick']);
});

test('F2 what the host throws ends the program, and it can not catch it', async () => {
  const { ended } = await start('(call $exit (i32.const 7)) (loop $l (br $l))', {
    imports: EXIT,
    call: () => () => {
      throw new Trap('exit 7');
    },
  });
  expect(report(await ended)).toContain('exit 7');
});

test('F3 a kill ends it wherever it is', async () => {
  const running = await start('(loop $l (br $l))');
  setTimeout(() => running.guest.kill(), 20);
  expect((await running.ended).kind).toBe('killed');
  const waiting = await start(
    '(drop (call $write (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 8)))',
    {
      imports: WRITE,
      call: () => () => {
        setTimeout(() => waiting.guest.kill(), 5);
        return new Promise(() => {});
      },
    },
  );
  expect((await waiting.ended).kind).toBe('killed');
});

test.each([
  [
    '(module (memory (export "memory") 1) (func (export "_start") (result i32) (i32.const 1)))',
    'unsupported-export',
  ],
  ['(module (func (export "_start")))', 'unsupported-export'],
  [
    '(module (memory (export "memory") 1) (global (export "_start") i32 (i32.const 1)))',
    'unsupported-export',
  ],
  [
    '(module (import "hl" "fuel" (global (mut i32))) (memory (export "memory") 1) (func (export "_start")))',
    'unsupported-import',
  ],
  [
    `(module (import "${PREVIEW1}" "fd_write" (global i32)) (memory (export "memory") 1) (func (export "_start")))`,
    'unsupported-import',
  ],
  [
    `(module (import "${PREVIEW1}" "fd_wrote" (func)) (memory (export "memory") 1) (func (export "_start")))`,
    'unsupported-import',
  ],
  [
    `(module (import "${PREVIEW1}" "fd_sync" (func (param i32))) (memory (export "memory") 1) (func (export "_start")))`,
    'unsupported-import',
  ],
  ['(component)', 'unsupported-export'],
])('%s is refused', async (text, code) => {
  const error: unknown = await prepareProgram(await assemble(text)).catch(
    (refused: unknown) => refused,
  );
  expect(error).toBeInstanceOf(ImageError);
  expect(error).toMatchObject({ code });
});
