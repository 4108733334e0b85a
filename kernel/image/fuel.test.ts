import { describe, expect, test } from 'vitest';
import { ImageError } from '../engine.ts';
import { assemble, callExport, Metered, plain, Stopped } from './fuel-harness.ts';
import { MEMORY_SLICE_BYTES, TABLE_SLICE_ENTRIES } from './fuel-helpers.ts';
import { instrument } from './fuel.ts';
import { MEMORY_PAGES_MAX, TABLE_ENTRIES_MAX } from './limits.ts';

const HEADER = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];

/** The refusal of a module, or a failure when it is taken. */
function refusal(module: Uint8Array): ImageError {
  try {
    instrument(module);
  } catch (error) {
    if (error instanceof ImageError) return error;
    throw error;
  }
  throw new Error('instrumented, not refused');
}

function importsOf(module: Uint8Array): string[] {
  const compiled = new WebAssembly.Module(instrument(module).slice());
  return WebAssembly.Module.imports(compiled).map(
    ({ module: from, name, kind }) => `${from}.${name} ${kind}`,
  );
}

const endless: Readonly<Record<string, string>> = {
  'an empty loop': '(func (export "run") (loop (br 0)))',
  'a loop by condition': '(func (export "run") (loop (br_if 0 (i32.const 1))))',
  'a loop by value':
    '(func (export "run") (drop (loop (result i32) (br_if 0 (i32.const 1)) (i32.const 1))))',
  'a loop in a loop': '(func (export "run") (loop (loop (br_if 1 (i32.const 1)))))',
  'a loop by table': '(func (export "run") (loop (br_table 0 0 (i32.const 5))))',
  recursion:
    '(func $run (export "run") (param i32) (call $run (i32.const 1)) (call $run (i32.const 2)))',
  'tail calls':
    '(func $a (return_call $b)) (func $b (return_call $a)) (func (export "run") (call $a))',
  'indirect calls':
    '(table funcref (elem $f)) (func $f) (func (export "run") (loop (call_indirect (i32.const 0)) (br 0)))',
  'indirect tail calls':
    '(table funcref (elem $f)) (func $f (export "run") (return_call_indirect (i32.const 0)))',
  'calls of a tiny function': '(func $f) (func (export "run") (loop (call $f) (br 0)))',
  'memory.fill of nothing':
    '(memory 1) (func (export "run") (loop (memory.fill (i32.const 0) (i32.const 0) (i32.const 0)) (br 0)))',
  'memory.fill of much':
    '(memory 64) (func (export "run") (loop (memory.fill (i32.const 0) (i32.const 0) (i32.const 4194304)) (br 0)))',
  'growing that fails':
    '(memory 1 1) (func (export "run") (loop (drop (memory.grow (i32.const 1))) (br 0)))',
};

describe('F4 endless code keeps yielding', () => {
  test.each(Object.entries(endless))('F4 %s', async (_, wat) => {
    const guest = new Metered(await assemble(`(module ${wat})`), { quantum: 1000, yieldsMax: 40 });
    expect(() => guest.call('run', 0)).toThrow(Stopped);
    expect(guest.yields).toBe(40);
  });
});

test('F4 a body of 20,000 instructions yields inside it, loop or no loop', async () => {
  const step = '(local.set 0 (f64.sqrt (local.get 0)))'.repeat(6_700);
  const straight = new Metered(
    await assemble(`(module (func (export "run") (local f64) ${step}))`),
    { quantum: 1 },
  );
  straight.call('run');
  // 6,700 square roots at 4 units and two moves each.
  expect(straight.charged).toBeGreaterThanOrEqual(6_700 * 6);
  expect(straight.yields).toBeGreaterThanOrEqual(9);
  const loop = new Metered(
    await assemble(`(module (func (export "run") (local f64) (loop ${step} (br 0))))`),
    { quantum: 1000, yieldsMax: 100 },
  );
  expect(() => loop.call('run')).toThrow(Stopped);
});

test('F4 a tiny function is paid for by whoever calls it', async () => {
  const body = '(i32.add (i32.mul (local.get 0) (i32.const 3)) (i32.const 5))';
  const calls = (callee: string): string =>
    `(module (func $tiny (param i32) (result i32) ${callee})
      (func (export "run") (result i32) (call $tiny (call $tiny (i32.const 1)))))`;
  const cheap = new Metered(await assemble(calls('(local.get 0)')));
  const dear = new Metered(await assemble(calls(body)));
  expect(cheap.call('run')).toBe(1);
  expect(dear.call('run')).toBe(29);
  expect(dear.charged - cheap.charged).toBe(2 * 4);
});

describe('F4 bulk operations pay by length and run in slices', () => {
  test('F4 memory.fill', async () => {
    const module = await assemble(`(module (memory (export "m") 200)
      (func (export "run") (param i32 i32 i32) (memory.fill (local.get 0) (local.get 1) (local.get 2))))`);
    const guest = new Metered(module, { quantum: 10_000 });
    const length = 10 * MEMORY_SLICE_BYTES + 77;
    guest.call('run', 3, 0xab, length);
    expect(guest.yields).toBeGreaterThanOrEqual(10);
    expect(guest.charged).toBeGreaterThanOrEqual(length >> 4);
    const bytes = bytesOf(guest.exports['m']);
    expect(bytes.subarray(0, 4)).toEqual(new Uint8Array([0, 0, 0, 0xab]));
    expect(bytes.indexOf(0, 3)).toBe(3 + length);
    // Nothing is written when the end is out of bounds, nor when it overflows 32 bits.
    expect(() => guest.call('run', bytes.length - 5_000_000, 1, 5_000_001)).toThrow(
      /out of bounds/,
    );
    expect(() => guest.call('run', 16, 1, -1)).toThrow(/out of bounds/);
    expect(bytes.indexOf(1)).toBe(-1);
    guest.call('run', bytes.length - 5_000_000, 1, 5_000_000);
    expect(bytes.indexOf(1)).toBe(bytes.length - 5_000_000);
    expect(bytes[bytes.length - 1]).toBe(1);
  });

  test('F4 memory.copy keeps its meaning where ranges overlap', async () => {
    const module = await assemble(`(module (memory (export "m") 100)
      (func (export "run") (param i32 i32 i32) (memory.copy (local.get 0) (local.get 1) (local.get 2))))`);
    const guest = new Metered(module, { quantum: 1000 });
    const bytes = bytesOf(guest.exports['m']);
    for (let i = 0; i < bytes.length; i++) bytes[i] = (i * 2_654_435_761) >>> 24;
    const length = 3 * MEMORY_SLICE_BYTES + 12_345;
    for (const [to, from] of [
      [1000, 0],
      [0, 1000],
      [MEMORY_SLICE_BYTES + 3, 5],
      [5, MEMORY_SLICE_BYTES + 3],
      [9, 9],
    ] as const) {
      const expected = bytes.slice().copyWithin(to, from, from + length);
      guest.call('run', to, from, length);
      expect(Buffer.compare(bytes, expected)).toBe(0);
    }
    const before = bytes.slice();
    expect(() => guest.call('run', 0, bytes.length - length + 1, length)).toThrow(/out of bounds/);
    expect(() => guest.call('run', bytes.length - length + 1, 0, length)).toThrow(/out of bounds/);
    expect(Buffer.compare(bytes, before)).toBe(0);
    expect(guest.yields).toBeGreaterThan(15);
  });

  test('F4 memory.init', async () => {
    const length = MEMORY_SLICE_BYTES + 999;
    const module =
      await assemble(`(module (memory (export "m") 40) (data $d "${'abcdefg'.repeat(200_000)}")
      (func (export "run") (param i32 i32 i32) (memory.init $d (local.get 0) (local.get 1) (local.get 2)))
      (func (export "drop") (data.drop $d)))`);
    const guest = new Metered(module, { quantum: 1000 });
    const bytes = bytesOf(guest.exports['m']);
    expect(() => guest.call('run', 0, 1_400_000 - length + 1, length)).toThrow(/out of bounds/);
    expect(() => guest.call('run', bytes.length - length + 1, 0, length)).toThrow(/out of bounds/);
    expect(bytes.every((byte) => byte === 0)).toBe(true);
    guest.call('run', 10, 7, length);
    const expected = Buffer.from('abcdefg'.repeat(200_000)).subarray(7, 7 + length);
    expect(Buffer.compare(bytes.subarray(10, 10 + length), expected)).toBe(0);
    guest.call('drop');
    expect(() => guest.call('run', 0, 0, length)).toThrow(/out of bounds/);
    guest.call('run', 0, 0, 0);
  });

  test('F4 table.fill, table.copy and table.init', async () => {
    const entries = TABLE_SLICE_ENTRIES * 3 + 5;
    const module =
      await assemble(`(module (table $t (export "t") 400000 funcref) (table $x (export "x") 400000 externref)
      (func $f) (func $g) (elem $e func ${'$f $g '.repeat(40_000)})
      (func (export "init") (param i32 i32 i32) (table.init $t $e (local.get 0) (local.get 1) (local.get 2)))
      (func (export "fill") (param i32 externref i32) (table.fill $x (local.get 0) (local.get 1) (local.get 2)))
      (func (export "copy") (param i32 i32 i32) (table.copy $x $x (local.get 0) (local.get 1) (local.get 2))))`);
    const guest = new Metered(module, { quantum: 10_000 });
    const table = tableOf(guest.exports['x']);
    guest.call('fill', 1, 'a', entries);
    expect([table.get(0), table.get(1), table.get(entries), table.get(entries + 1)]).toEqual([
      null,
      'a',
      'a',
      null,
    ]);
    expect(guest.yields).toBeGreaterThanOrEqual(4);
    expect(guest.charged).toBeGreaterThanOrEqual(entries);
    expect(() => guest.call('fill', 400_000 - entries + 1, 'b', entries)).toThrow(/out of bounds/);
    expect(table.get(399_999)).toBe(null);
    guest.call('fill', 0, 'z', 1);
    guest.call('copy', 7, 0, entries + 1);
    expect([table.get(6), table.get(7), table.get(8), table.get(entries + 7)]).toEqual([
      'a',
      'z',
      'a',
      'a',
    ]);
    guest.call('init', 2, 1, 79_999);
    expect(tableOf(guest.exports['t']).get(2)).toBe(tableOf(guest.exports['t']).get(80_000));
    expect(() => guest.call('init', 0, 1, 80_000)).toThrow(/out of bounds/);
  });
});

function bytesOf(value: WebAssembly.ExportValue | undefined): Uint8Array {
  if (!(value instanceof WebAssembly.Memory)) throw new TypeError('no memory');
  return new Uint8Array(value.buffer);
}

function tableOf(value: WebAssembly.ExportValue | undefined): WebAssembly.Table {
  if (!(value instanceof WebAssembly.Table)) throw new TypeError('no table');
  return value;
}

describe('F6 memories and tables are capped, and the host is asked before they grow', () => {
  const growers = `(func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
    (func (export "table") (param i32) (result i32) (table.grow 0 (ref.null func) (local.get 0)))`;

  test('F6 growth up to the cap', async () => {
    const guest = new Metered(await assemble(`(module (memory 1) (table 1 funcref) ${growers})`));
    expect(guest.call('grow', MEMORY_PAGES_MAX)).toBe(-1);
    expect(guest.call('grow', -1)).toBe(-1);
    expect(guest.grown).toEqual([]);
    expect(guest.call('grow', 2)).toBe(1);
    expect(guest.call('table', TABLE_ENTRIES_MAX)).toBe(-1);
    expect(guest.call('table', TABLE_ENTRIES_MAX - 1)).toBe(1);
    expect(guest.call('table', 1)).toBe(-1);
    expect(guest.grown).toEqual([2, TABLE_ENTRIES_MAX - 1]);
    expect(guest.charged).toBeGreaterThan(TABLE_ENTRIES_MAX);
  });

  test('F6 the host refuses', async () => {
    const guest = new Metered(await assemble(`(module (memory 1) (table 1 funcref) ${growers})`), {
      mayGrow: () => 0,
    });
    expect(guest.call('grow', 1)).toBe(-1);
    expect(guest.call('table', 1)).toBe(-1);
    expect(guest.grown).toEqual([1, 1]);
  });

  test('F6 a lower maximum stays, a minimum over the cap is refused', async () => {
    const guest = new Metered(
      await assemble(`(module (memory 1 3) (table 1 2 funcref) ${growers})`),
    );
    expect(guest.call('grow', 3)).toBe(-1);
    expect(guest.call('grow', 2)).toBe(1);
    expect(guest.call('table', 1)).toBe(1);
    expect(guest.call('table', 1)).toBe(-1);
    for (const wat of [
      `(memory ${MEMORY_PAGES_MAX + 1})`,
      `(table ${TABLE_ENTRIES_MAX + 1} funcref)`,
      `(table ${TABLE_ENTRIES_MAX} funcref) (table 1 funcref)`,
      `(import "a" "b" (memory ${MEMORY_PAGES_MAX + 1}))`,
    ]) {
      expect(refusal(await assemble(`(module ${wat})`))).toMatchObject({ code: 'limit' });
    }
    instrument(
      await assemble(`(module (memory ${MEMORY_PAGES_MAX}) (table ${TABLE_ENTRIES_MAX} funcref))`),
    );
  });

  test('F6 the host is asked only where the guest grows something', async () => {
    const fuel = ['hl.fuel global', 'hl.yield function'];
    expect(importsOf(await assemble('(module (memory 1) (func (block)))'))).toEqual(fuel);
    expect(importsOf(await assemble(`(module (memory 1) (table 1 funcref) ${growers})`))).toEqual([
      ...fuel,
      'hl.memory_grow function',
      'hl.table_grow function',
    ]);
    // `block` and `unreachable` spell memory.grow, without meaning it.
    const lookalike = await assemble('(module (memory 1) (func (block (unreachable))))');
    expect(Buffer.from(lookalike).includes(Buffer.from([0x40, 0x00]))).toBe(true);
    expect(importsOf(lookalike)).toEqual(fuel);
  });
});

test('F7 modules that call each other burn one counter', async () => {
  const callee = await assemble(
    '(module (func (export "f") (local i32) (loop (br_if 0 (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 100))))))',
  );
  const caller = await assemble(
    '(module (import "m" "f" (func $f)) (func (export "run") (loop (call $f) (br 0))))',
  );
  const first = new Metered(callee, { quantum: 5_000, yieldsMax: 20 });
  const second = new Metered(caller, {
    share: first,
    imports: { m: { f: first.exports['f'] as WebAssembly.ExportValue } },
  });
  expect(() => second.call('run')).toThrow(Stopped);
  expect(first.yields + second.yields).toBe(20);
});

describe('F11 proposals that a node does not run are refused by name', () => {
  test.each([
    ['(tag)', /exceptions/],
    ['(import "a" "b" (tag))', /exceptions/],
    ['(func (try_table (nop)))', /exceptions \(try_table\)/],
    ['(tag $t) (func (throw $t))', /exceptions/],
    ['(func (param exnref))', /exnref/],
    ['(memory 1) (memory 1)', /multiple memories/],
    ['(memory i64 1)', /memory64/],
    ['(memory 1 1 shared)', /threads/],
    ['(memory 1) (func (drop (i32.atomic.load (i32.const 0))))', /threads/],
    ['(type (struct))', /garbage collection/],
    ['(func (result i31ref) (ref.i31 (i32.const 1)))', /garbage collection/],
    ['(func (drop (ref.eq (ref.null eq) (ref.null eq))))', /garbage collection/],
    ['(type $f (func)) (func (call_ref $f (ref.null $f)))', /typed function references|type/],
    ['(type $f (func)) (func (param (ref $f)))', /typed function references/],
    ['(type $f (func)) (type $c (cont $f))', /stack switching/],
  ])('F11 %s', async (wat, name) => {
    const error = refusal(await assemble(`(module ${wat})`));
    expect(error.code).toBe('unsupported-feature');
    expect(error.message).toMatch(name);
  });

  test('F11 what toolchains emit today is carried', async () => {
    const module =
      await assemble(`(module (memory 1) (global $g i32 (i32.add (i32.const 2) (i32.mul (i32.const 3) (i32.const 4))))
      (func $two (param i32) (result i32 i64) (local.get 0) (i64.extend32_s (i64.const 0x80000000)))
      (func $last (param i32) (result i32) (i32.add (local.get 0) (global.get $g)))
      (func (export "run") (param f32) (result i32)
        (i32x4.extract_lane 2 (i32x4.relaxed_trunc_f32x4_s (f32x4.splat (local.get 0))))
        (drop (call $two (i32.trunc_sat_f32_s (local.get 0)))) (i32.add)
        (v128.store offset=4 (i32.const 0) (i8x16.shuffle 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 (v128.const i32x4 1 2 3 4) (v128.const i32x4 1 2 3 4)))
        (i32.add (i32.load offset=12 (i32.const 0)))
        (select (result i32) (i32.const 100) (i32.const 7))
        (return_call $last)))`);
    expect(new Metered(module).call('run', 20.5)).toBe(callExport(plain(module), 'run', 20.5));
  });
});

describe('F4 a guest cannot reach its own counter', () => {
  test("F4 imports from 'hl' are refused", async () => {
    const module = await assemble('(module (import "hl" "fuel" (global (mut i32))))');
    expect(refusal(module).code).toBe('unsupported-import');
  });

  // Each reaches one past what the guest has: where the rewrite puts the counter or its helpers.
  test.each([
    ['the local', [0x41, 0x00, 0x21, 0x00]],
    ['the global', [0x41, 0x00, 0x24, 0x00]],
    ['a helper', [0x10, 0x01]],
    ['a label outside', [0x0c, 0x01]],
  ])('F4 %s', (_, code) => {
    const body = [0x00, ...code, 0x0b];
    const module = new Uint8Array([
      ...HEADER,
      ...[0x01, 0x04, 0x01, 0x60, 0x00, 0x00, 0x03, 0x02, 0x01, 0x00],
      ...[0x0a, body.length + 2, 0x01, body.length],
      ...body,
    ]);
    expect(WebAssembly.validate(module)).toBe(false);
    expect(refusal(module).code).toBe('malformed');
  });
});

test('names, exports, start, elements and data keep their meaning', async () => {
  const module = await assemble(`(module (import "env" "log" (func $log (param i32)))
    (memory (export "m") 1) (global $g (export "g") (mut i32) (i32.const 5)) (global $r funcref (ref.func $answer))
    (table (export "t") 4 funcref) (elem (i32.const 1) $answer $guest_fault) (elem (i32.const 3) funcref (ref.func $answer))
    (data (i32.const 8) "hello") (start $begin)
    (func $begin (global.set $g (i32.const 9)) (call $log (global.get $g)))
    (func $answer (export "answer") (result i32) (i32.const 42))
    (func $guest_fault (export "fault") (loop (call $answer) (drop) (memory.fill (i32.const -1) (i32.const 0) (i32.const 1)))))`);
  const logged: number[] = [];
  const guest = new Metered(module, {
    imports: { env: { log: (value: number) => logged.push(value) } },
  });
  expect(logged).toEqual([9]);
  expect(guest.exports['g']).toMatchObject({ value: 9 });
  expect(guest.call('answer')).toBe(42);
  expect(tableOf(guest.exports['t']).get(3)).toBe(guest.exports['answer']);
  expect(Buffer.from(bytesOf(guest.exports['m'])).toString('utf8', 8, 13)).toBe('hello');
  let stack = '';
  try {
    guest.call('fault');
  } catch (error) {
    stack = String((error as Error).stack);
  }
  expect(stack).toContain('guest_fault');
  expect(stack).toContain('hl.memory.fill');
  expect(stack).not.toContain('answer');
});

test('output is deterministic and bounded', async () => {
  const module = await assemble(`(module (func (export "run") ${'(loop)'.repeat(40_000)}))`);
  expect(refusal(module).code).toBe('limit');
  const small = await assemble(`(module ${Object.values(endless)[3]})`);
  expect(instrument(small)).toEqual(instrument(small));
});
