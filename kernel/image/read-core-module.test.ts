import { describe, expect, test } from 'vitest';
import type { CoreModule } from './component.ts';
import { readComponent } from './read-component.ts';
import { assemble, bytes, HEAD, MODULE_HEAD } from './testing.ts';

const moduleOf = async (text: string): Promise<CoreModule> => {
  const [only] = readComponent(await assemble(`(component (core module ${text}))`)).definitions;
  if (only?.kind !== 'core-module') throw new Error('no module');
  return only.module;
};

describe('core modules', () => {
  test('are summed up with their limits, types and counts', async () => {
    const module = await moduleOf(`
      (type (func (param i32 f64) (result i64)))
      (import "env" "memory" (memory 2 3))
      (import "env" "t" (table 4 externref))
      (import "env" "f" (func (type 0)))
      (import "env" "g" (global (mut i64)))
      (func (type 0) i64.const 1)
      (func)
      (table (export "table") 5 6 funcref)
      (global (export "global") f32 (f32.const 1.5))
      (global i32 (i32.add (i32.const -1) (i32.const 2)))
      (export "f" (func 1))
      (start 2)
      (elem (i32.const 0) func 0) (data "abc") (data (i32.const 0) "d")`);
    expect(module).toMatchObject({
      types: [
        { params: ['i32', 'f64'], results: ['i64'] },
        { params: [], results: [] },
      ],
      imports: [
        {
          module: 'env',
          field: 'memory',
          type: { kind: 'memory', limits: { minimum: 2, maximum: 3 } },
        },
        {
          field: 't',
          type: { kind: 'table', table: { element: 'externref', limits: { minimum: 4 } } },
        },
        { field: 'f', type: { kind: 'func', type: 0 } },
        { field: 'g', type: { kind: 'global', global: { type: 'i64', mutable: true } } },
      ],
      functions: [0, 1],
      memories: [],
      tables: [
        { element: 'funcref', limits: { minimum: 5, maximum: 6, shared: false, wide: false } },
      ],
      globals: [
        { type: 'f32', mutable: false },
        { type: 'i32', mutable: false },
      ],
      exports: [
        { name: 'table', kind: 'table', index: 1 },
        { name: 'global', kind: 'global', index: 1 },
        { name: 'f', kind: 'func', index: 1 },
      ],
      hasStart: true,
      dataCount: 2,
      elementCount: 1,
      features: [],
    });
  });

  test.for([
    ['tags', '(tag)'],
    ['tags', '(import "a" "b" (tag))'],
    ['multi-memory', '(memory 1) (memory 1)'],
    ['multi-memory', '(import "a" "b" (memory 1)) (memory 1)'],
    ['memory64', '(memory i64 1)'],
    ['table64', '(table i64 1 funcref)'],
    ['shared-memory', '(memory 1 2 shared)'],
    ['gc', '(type (struct (field i32)))'],
    ['gc', '(type (array i8))'],
    ['gc', '(rec (type (func)))'],
    ['gc', '(type (sub (func)))'],
    ['gc', '(func (param anyref))'],
    ['gc', '(table 1 eqref)'],
    ['gc', '(global (ref null i31) (ref.null i31))'],
    ['exception-references', '(func (param exnref))'],
  ] as const)('F11 %s is noticed in %s', async ([feature, text]) => {
    expect((await moduleOf(text)).features).toEqual([feature]);
  });

  test('with sections out of order, twice, unknown or ragged are refused', () => {
    const module = (...sections: number[][]): Uint8Array => {
      const content = [...MODULE_HEAD, ...sections.flat()];
      return bytes(HEAD, [0x01, content.length], content);
    };
    const type = [1, 4, 1, 0x60, 0, 0];
    const func = [3, 2, 1, 0];
    const code = [10, 4, 1, 2, 0, 0x0b];
    expect(readComponent(module(type, func, code)).definitions).toHaveLength(1);
    expect(() => readComponent(module(func, type, code))).toThrow(/out of order/);
    expect(() => readComponent(module(type, type, func, code))).toThrow(/out of order/);
    expect(() => readComponent(module(type, func, [77, 0]))).toThrow(/core section 77 is unknown/);
    expect(() => readComponent(module(type, func))).toThrow(/1 functions declared, 0 bodies/);
    expect(() => readComponent(module([1, 5, 1, 0x60, 0, 0, 0]))).toThrow(/1 bytes too long/);
  });
});
