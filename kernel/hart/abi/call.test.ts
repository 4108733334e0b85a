import { expect, test } from 'vitest';
import { Trap } from '../../process-host.ts';
import { liftedBytesMax } from './context.ts';
import type { AbiContext, StringEncoding } from './context.ts';
import { fuse, liftExport, lowerImport } from './call.ts';
import { flatten, layoutOf } from './layout.ts';
import { ResourceTable } from './resource-table.ts';
import { camelCase, hostResource } from './types.ts';
import type { CoreValue, FuncType, ResourceType, ValueType } from './types.ts';

interface TestContext extends AbiContext {
  readonly memoryObject: WebAssembly.Memory;
  readonly allocations: [align: number, bytes: number][];
}

/** A guest's side without a guest: real memory and a bump allocator. */
function context(encoding: StringEncoding = 'utf8', realloc?: () => number): TestContext {
  const memoryObject = new WebAssembly.Memory({ initial: 1 });
  const allocations: [number, number][] = [];
  let next = 1024;
  return {
    memoryObject,
    allocations,
    memory: () => memoryObject.buffer,
    realloc:
      realloc ??
      ((_old, _oldBytes, align, bytes) => {
        allocations.push([align, bytes]);
        next = Math.ceil(next / align) * align;
        const pointer = next;
        next += bytes;
        while (next > memoryObject.buffer.byteLength) memoryObject.grow(1);
        return pointer;
      }),
    encoding,
    resources: new ResourceTable(),
    instance: { mayLeave: true, entered: false },
    trap(message) {
      throw new Trap(message);
    },
  };
}

const func = (params: ValueType[], result?: ValueType): FuncType => ({
  params: params.map((type, i) => ({ name: `p${i}`, type })),
  result,
});
const u8 = { kind: 'u8' } as const;
const u32 = { kind: 'u32' } as const;
const string = { kind: 'string' } as const;
const bytesType = { kind: 'list', element: u8 } as const;

/** What a host function is given when the guest passes these core values. */
function lift(type: ValueType, flat: CoreValue[], ctx = context()): unknown {
  let seen: unknown;
  const core = lowerImport(func([type]), ctx, ([value]) => {
    seen = value;
  });
  void core(...flat);
  return seen;
}

test('integers wrap to their width, bool is any nonzero, floats keep', () => {
  expect(lift(u8, [0x1ff])).toBe(255);
  expect(lift({ kind: 's8' }, [0x80])).toBe(-128);
  expect(lift({ kind: 'u16' }, [-1])).toBe(65_535);
  expect(lift(u32, [-1])).toBe(4_294_967_295);
  expect(lift({ kind: 's32' }, [-1])).toBe(-1);
  expect(lift({ kind: 'u64' }, [-1n])).toBe(18_446_744_073_709_551_615n);
  expect(lift({ kind: 's64' }, [-1n])).toBe(-1n);
  expect(lift({ kind: 'bool' }, [256])).toBe(true);
  expect(lift({ kind: 'f64' }, [0.1])).toBe(0.1);
});

test('char refuses surrogates and what lies beyond Unicode', () => {
  const char = { kind: 'char' } as const;
  expect(lift(char, [0x10ffff])).toBe('\u{10ffff}');
  for (const bad of [0xd800, 0xdfff, 0x110000, -1]) expect(() => lift(char, [bad])).toThrow(Trap);
});

test('discriminants beyond the last case trap, flat and in memory', () => {
  const type: ValueType = { kind: 'enum', names: ['a', 'b'] };
  expect(lift(type, [1])).toBe('b');
  expect(() => lift(type, [2])).toThrow(Trap);
  const ctx = context();
  new Uint8Array(ctx.memory()).set([1, 2], 8);
  expect(() => lift({ kind: 'list', element: type }, [8, 2], ctx)).toThrow(Trap);
  expect(lift({ kind: 'list', element: type }, [8, 1], ctx)).toEqual(['b']);
});

test('pointers out of bounds and misaligned trap; the last byte is in', () => {
  const list = { kind: 'list', element: u32 } as const;
  expect(lift(bytesType, [65_535, 1])).toEqual(new Uint8Array(1));
  expect(lift(bytesType, [65_536, 0])).toEqual(new Uint8Array(0));
  expect(() => lift(bytesType, [65_536, 1])).toThrow(/out of bounds/);
  expect(() => lift(bytesType, [-1, 2])).toThrow(/out of bounds/);
  expect(() => lift(list, [2, 1])).toThrow(/aligned/);
  // 2^30 + 1 elements of 4 bytes: the product must not wrap around to 4.
  expect(() => lift(list, [0, 0x4000_0001])).toThrow(/out of bounds/);
});

test('strings: bad UTF-8, lone surrogates and misaligned UTF-16 trap; a BOM is kept', () => {
  const ctx = context();
  new Uint8Array(ctx.memory()).set([0xef, 0xbb, 0xbf, 0x41, 0xff]);
  expect(lift(string, [0, 4], ctx)).toBe('\ufeffA');
  expect(() => lift(string, [0, 5], ctx)).toThrow(/not valid/);
  // The decoder's path, beyond short strings.
  new Uint8Array(ctx.memory()).fill(0x61, 100, 200);
  expect(lift(string, [100, 100], ctx)).toBe('a'.repeat(100));
  new Uint8Array(ctx.memory())[150] = 0x80;
  expect(() => lift(string, [100, 100], ctx)).toThrow(/not valid/);
  const wide = context('utf16');
  new Uint16Array(wide.memory()).set([0xd83d, 0xde00, 0xd800]);
  expect(lift(string, [0, 2], wide)).toBe('😀');
  expect(() => lift(string, [0, 3], wide)).toThrow(/not valid/);
  expect(() => lift(string, [1, 1], wide)).toThrow(/aligned/);
});

test('F9 strings are the same after lowering and lifting in each encoding', () => {
  for (const encoding of ['utf8', 'utf16', 'latin1+utf16'] as const) {
    for (const text of ['', 'abc', 'é', 'ÿ€', '😀'.repeat(40)]) {
      const ctx = context(encoding);
      const core = liftExport({ type: func([string], string), ctx, coreFn: echoPair(ctx) });
      expect(core([text])).toBe(text);
    }
  }
  const ctx = context();
  const core = liftExport({ type: func([string], string), ctx, coreFn: echoPair(ctx) });
  expect(core(['\ud800x'])).toBe('\ufffdx');
});

/** A core function that stores its two parameters and returns a pointer to them. */
function echoPair(ctx: TestContext) {
  return (a?: CoreValue, b?: CoreValue): number => {
    new DataView(ctx.memory()).setUint32(16, Number(a), true);
    new DataView(ctx.memory()).setUint32(20, Number(b), true);
    return 16;
  };
}

test('realloc that answers misaligned or out of bounds traps', () => {
  const list = { kind: 'list', element: u32 } as const;
  for (const [pointer, message] of [
    [2, /aligned/],
    [65_536, /out of bounds/],
    [-4, /out of bounds/],
  ] as const) {
    const ctx = context('utf8', () => pointer);
    const call = liftExport({ type: func([list]), ctx, coreFn: () => undefined });
    expect(() => call([[1, 2]])).toThrow(message);
  }
});

test('realloc and post-return may call no import', () => {
  const ctx = context();
  const imported = lowerImport(func([]), ctx, () => undefined);
  const type = func([], u32);
  const call = liftExport({ type, ctx, coreFn: () => 1, postReturn: () => void imported() });
  expect(() => call([])).toThrow(/post-return/);
  expect(context().instance).toEqual({ mayLeave: true, entered: false });
});

test('a component cannot be entered while it runs', () => {
  const ctx = context();
  const inner = liftExport({ type: func([]), ctx, coreFn: () => undefined });
  const outer = liftExport({ type: func([]), ctx, coreFn: () => void inner([]) });
  expect(() => outer([])).toThrow(/second time/);
});

test('overlapping lists cannot make the host allocate without bound', () => {
  const ctx = context();
  const data = new DataView(ctx.memory());
  for (let i = 0; i < 4096; i += 1) {
    data.setUint32(i * 8, 0, true);
    data.setUint32(i * 8 + 4, 65_536, true);
  }
  // 4,096 x 64 KiB is twice the limit.
  expect(4096 * 65_536).toBeGreaterThan(liftedBytesMax);
  expect(() => lift({ kind: 'list', element: bytesType }, [0, 4096], ctx)).toThrow(/at most/);
});

test('signatures: 16 flat parameters pass, 17 go through memory; one flat result', () => {
  const many = (n: number) => func(Array.from({ length: n }, () => u32));
  expect(flatten(many(16), 'lower').params).toHaveLength(16);
  expect(flatten(many(17), 'lower')).toMatchObject({ params: ['i32'], indirectParams: true });
  expect(flatten(func([u8], string), 'lower')).toMatchObject({
    params: ['i32', 'i32'],
    results: [],
  });
  expect(flatten(func([u8], string), 'lift')).toMatchObject({ params: ['i32'], results: ['i32'] });
  const ctx = context();
  for (let i = 0; i < 17; i += 1) new DataView(ctx.memory()).setUint32(8 + 4 * i, i, true);
  let seen: readonly unknown[] = [];
  void lowerImport(many(17), ctx, (args) => void (seen = args))(8);
  expect(seen).toEqual(Array.from({ length: 17 }, (_, i) => i));
});

test('layouts: alignment, padding, wide discriminants, joined payloads', () => {
  const record: ValueType = {
    kind: 'record',
    fields: [
      { name: 'a', type: u8 },
      { name: 'b', type: { kind: 'u64' } },
      { name: 'c', type: u8 },
    ],
  };
  expect(layoutOf(record)).toMatchObject({ size: 24, align: 8, offsets: [0, 8, 16] });
  const wide: ValueType = { kind: 'enum', names: Array.from({ length: 257 }, (_, i) => `n${i}`) };
  expect(layoutOf(wide).size).toBe(2);
  const variant: ValueType = {
    kind: 'variant',
    cases: [
      { name: 'f', type: { kind: 'f32' } },
      { name: 'd', type: { kind: 'f64' } },
      { name: 's', type: string },
    ],
  };
  expect(layoutOf(variant)).toMatchObject({ size: 16, align: 8, flat: ['i32', 'i64', 'i32'] });
});

test('a promise comes back only when the host function returned one', async () => {
  const ctx = context();
  expect(lowerImport(func([], u32), ctx, () => 7)()).toBe(7);
  const later = lowerImport(func([], u32), ctx, () => Promise.resolve(7))();
  expect(later).toBeInstanceOf(Promise);
  expect(await later).toBe(7);
});

test('handles: own moves, borrow lends, unknown, wrong and lent ones trap', async () => {
  const dropped: unknown[] = [];
  const thing: ResourceType = { name: 'thing', destructor: (value) => void dropped.push(value) };
  const other = hostResource('other');
  const own = { kind: 'own', resource: thing } as const;
  const borrow = { kind: 'borrow', resource: thing } as const;
  const ctx = context();
  const object = { name: 'object' };
  expect(lowerImport(func([], own), ctx, () => object)()).toBe(1);
  expect(lift(borrow, [1], ctx)).toBe(object);
  expect(() => lift({ kind: 'borrow', resource: other }, [1], ctx)).toThrow(/not a other/);
  // Lent for as long as the host function runs.
  const { promise, resolve } = Promise.withResolvers<void>();
  const waiting = lowerImport(func([borrow]), ctx, () => promise)(1);
  expect(() => ctx.resources.resourceDrop(thing, 1)).toThrow(/borrowed/);
  expect(() => lift(own, [1], ctx)).toThrow(/borrowed/);
  resolve();
  await waiting;
  expect(lift(own, [1], ctx)).toBe(object);
  expect(() => lift(own, [1], ctx)).toThrow(/unknown handle/);
  expect(() => lift(borrow, [0], ctx)).toThrow(/unknown handle/);
  const index = ctx.resources.add(thing, 'x');
  expect(index).toBe(1);
  void ctx.resources.resourceDrop(thing, index);
  expect(dropped).toEqual(['x']);
});

test('a guest must drop the borrows it was lent before it returns', () => {
  const thing = hostResource('thing');
  const type = func([{ kind: 'borrow', resource: thing }]);
  const ctx = context();
  const good = liftExport({
    type,
    ctx,
    coreFn: (index) => void ctx.resources.resourceDrop(thing, Number(index)),
  });
  good([{}]);
  expect(ctx.resources.size).toBe(0);
  expect(() => liftExport({ type, ctx, coreFn: () => undefined })([{}])).toThrow(/kept/);
});

test('a guest cannot give away what it was lent', () => {
  const resource = hostResource('thing');
  const ctx = context();
  const keep = lowerImport(func([{ kind: 'own', resource }]), ctx, () => undefined);
  const type = func([{ kind: 'borrow', resource }]);
  const lend = liftExport({ type, ctx, coreFn: (index) => void keep(index ?? 0) });
  expect(() => lend([{}])).toThrow(/borrowed thing 1/);
});

test('the handle table is bounded and reuses indices; its end disposes host resources once', () => {
  let disposed = 0;
  const thing = hostResource('thing');
  const table = new ResourceTable({ handlesMax: 3 });
  const object = { [Symbol.dispose]: () => void (disposed += 1) };
  expect([table.add(thing, object), table.add(thing, object), table.add(thing, object)]).toEqual([
    1, 2, 3,
  ]);
  expect(() => table.add(thing, object)).toThrow(/at most 3/);
  void table.resourceDrop(thing, 2);
  expect(table.add(thing, object)).toBe(2);
  table[Symbol.dispose]();
  table[Symbol.dispose]();
  expect(disposed).toBe(4);
});

test('fuse: strings change encoding, own handles change table, the implementer gets its rep', () => {
  const exporter = context('utf8');
  const importer = context('utf16');
  const resource: ResourceType = { name: 'r', implementer: exporter.resources };
  const type = func([{ kind: 'borrow', resource }, string], { kind: 'own', resource });
  const seen: CoreValue[] = [];
  const core = fuse(
    {
      type,
      ctx: exporter,
      coreFn: (rep, pointer, length) => {
        seen.push(rep ?? -1);
        const text = Buffer.from(exporter.memory(), Number(pointer), Number(length)).toString();
        return exporter.resources.resourceNew(resource, text.length);
      },
    },
    type,
    importer,
  );
  const handle = importer.resources.add(resource, 42);
  new Uint16Array(importer.memory()).set([0x20ac, 0x61]);
  const made = core(handle, 0, 2);
  expect(seen).toEqual([42]);
  expect(exporter.resources.size).toBe(0);
  expect(importer.resources.resourceRep(resource, Number(made))).toBe(2);
});

test('host values of the wrong type never reach a guest', () => {
  const ctx = context();
  const cases: [ValueType, unknown][] = [
    [u32, 'x'],
    [{ kind: 'enum', names: ['a'] }, 'b'],
    [{ kind: 'result' }, { tag: 'maybe' }],
    [{ kind: 'char' }, 'ab'],
    [{ kind: 'own', resource: hostResource('r') }, undefined],
  ];
  for (const [type, value] of cases)
    expect(() => lowerImport(func([], type), ctx, () => value)(), type.kind).toThrow(Trap);
});

test('names become camelCase as jco spells them', () => {
  expect(['a', 'expects-response', 'HTTP-x-y2'].map(camelCase)).toEqual([
    'a',
    'expectsResponse',
    'httpXY2',
  ]);
});
