import { describe, expect, test } from 'vitest';
import type { Definition } from './component.ts';
import { CORE_MODULES_MAX, DEFINITIONS_MAX, ENTRIES_MAX, NESTING_MAX } from './limits.ts';
import { readComponent } from './read-component.ts';
import { assemble, bytes, HEAD, leb, MODULE_HEAD, refusal } from './testing.ts';

const read = async (text: string): Promise<readonly Definition[]> =>
  readComponent(await assemble(text)).definitions;

describe('F10 demands out of proportion', () => {
  test('F10 a few bytes cannot ask for four thousand million entries', () => {
    for (const id of [2, 3, 5, 6, 7, 8, 10, 11]) {
      const file = bytes(HEAD, [id, 5, 0xff, 0xff, 0xff, 0xff, 0x0f]);
      expect(() => readComponent(file), `section ${id}`).toThrow(refusal('malformed', /announced/));
    }
    // The same for what is inside: record fields, and a module's types, functions and bodies.
    expect(() => readComponent(bytes(HEAD, [7, 7, 1, 0x72, 0xff, 0xff, 0xff, 0xff, 0x0f]))).toThrow(
      /fields announced/,
    );
    for (const id of [1, 2, 3, 4, 5, 6, 7, 9, 10, 11]) {
      const section = [id, 5, 0xff, 0xff, 0xff, 0xff, 0x0f];
      const module = [...MODULE_HEAD, ...section];
      expect(() => readComponent(bytes(HEAD, [1, module.length], module))).toThrow(/announced/);
    }
  });

  test('F10 components nest to a limit', async () => {
    const nested = (depth: number): string =>
      depth === 0 ? '(component)' : `(component ${nested(depth - 1)})`;
    expect((await read(nested(NESTING_MAX))).length).toBe(1);
    await expect(read(nested(NESTING_MAX + 1))).rejects.toThrow(refusal('limit', /nested deeper/));
    // Far past it the reader's own stack must not be what ends it.
    let deep: number[] = [...HEAD];
    for (let i = 0; i < 2_000; i++) deep = [...HEAD, 4, ...leb(deep.length), ...deep];
    expect(() => readComponent(bytes(deep))).toThrow(refusal('limit', /nested deeper/));
  });

  test('F10 types nest to a limit', () => {
    const nested = (depth: number): number[] => {
      let type = [0x42, 0];
      for (let i = 0; i < depth; i++) type = [0x42, 1, 0x01, ...type];
      return [...HEAD, 7, ...leb(type.length + 1), 1, ...type];
    };
    expect(readComponent(bytes(nested(NESTING_MAX - 1))).definitions).toHaveLength(1);
    expect(() => readComponent(bytes(nested(NESTING_MAX)))).toThrow(
      refusal('limit', /types nested/),
    );
    expect(() => readComponent(bytes(nested(3_000)))).toThrow(refusal('limit', /types nested/));
  });

  test('F10 definitions are counted over all sections and nested types', () => {
    const many = (count: number): number[] => [...leb(count), ...Array(count).fill(0x7f)];
    const section = (content: readonly number[]): number[] => [
      7,
      ...leb(content.length),
      ...content,
    ];
    const half = section(many(DEFINITIONS_MAX / 2));
    expect(readComponent(bytes(HEAD, half, half)).definitions).toHaveLength(DEFINITIONS_MAX);
    expect(() => readComponent(bytes(HEAD, half, half, section(many(1))))).toThrow(
      refusal('limit', /definitions/),
    );
    const instance = (count: number): number[] => {
      const declarations = Array.from({ length: count }, () => [0x01, 0x7f]).flat();
      return section([1, 0x42, ...leb(count), ...declarations]);
    };
    expect(() => readComponent(bytes(HEAD, half, instance(DEFINITIONS_MAX / 2)))).toThrow(
      refusal('limit', /definitions/),
    );
  });

  test('F10 entries of lists are counted over the whole file', () => {
    // A field without a name takes two bytes here, and fifty times that once read.
    const record = (fields: number): number[] => {
      const type = [1, 0x72, ...leb(fields), ...Array(fields * 2).fill(0)];
      return [7, ...leb(type.length), ...type];
    };
    const half = record(ENTRIES_MAX / 2 - 2);
    expect(readComponent(bytes(HEAD, half, half)).definitions).toHaveLength(2);
    expect(() => readComponent(bytes(HEAD, half, half, record(2)))).toThrow(
      refusal('limit', /entries of lists/),
    );
  });

  test('F10 modules are counted over all nested components', () => {
    const module = [1, 8, ...MODULE_HEAD];
    const modules = (count: number): number[] => Array.from({ length: count }, () => module).flat();
    const inner = [...HEAD, ...modules(CORE_MODULES_MAX / 2)];
    const nested = [4, ...leb(inner.length), ...inner];
    expect(readComponent(bytes(HEAD, nested, nested)).definitions).toHaveLength(2);
    expect(() => readComponent(bytes(HEAD, nested, nested, module))).toThrow(
      refusal('limit', /core modules/),
    );
  });
});

describe('F11 what the component model has besides', () => {
  test.for([
    ['futures', [7, 3, 1, 0x65, 0x00]],
    ['streams', [7, 3, 1, 0x66, 0x00]],
    ['error-context', [7, 2, 1, 0x64]],
    ['async functions', [7, 5, 1, 0x43, 0, 1, 0]],
    ['fixed-length lists', [7, 4, 1, 0x67, 0x7f, 4]],
    ['a start function', [9, 3, 0, 0, 0]],
    ['values', [12, 4, 1, 0x7f, 1, 1]],
    ['values', [10, 6, 1, 0, 1, 0x61, 2, 0]],
    ['task.return', [8, 4, 1, 0x09, 0x01, 0x00]],
    ['stream', [8, 3, 1, 0x0e, 0]],
    ['thread', [8, 3, 1, 0x40, 0]],
    ['async lifting and lowering', [8, 6, 1, 0x01, 0x00, 0, 1, 0x06]],
    ['async callbacks', [8, 7, 1, 0x00, 0x00, 0, 1, 0x07, 0]],
    ['version suffix', [10, 7, 1, 2, 1, 0x61, 0, 1, 0]],
    ['GC types', [3, 4, 1, 0x5f, 0, 0]],
  ] as const)('F11 %s is refused by name', ([name, section]) => {
    expect(() => readComponent(bytes(HEAD, section))).toThrow(
      refusal('unsupported-feature', new RegExp(name)),
    );
  });
});
