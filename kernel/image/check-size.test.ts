import { describe, expect, test } from 'vitest';
import { MEMORY_PAGES_MAX, TABLE_ENTRIES_MAX, TABLES_MAX } from './limits.ts';
import { accept, assemble, refuse } from './testing.ts';
import { validateComponent } from './validate.ts';

describe('F6 what a process holds at once', () => {
  test('F6 memory minimums, of one memory and of all', async () => {
    const memory = (pages: number): string => `(core module $big (memory ${pages}))
      (core instance (instantiate $big))`;
    // The smallest process has one page itself.
    await accept({ before: memory(MEMORY_PAGES_MAX - 1) });
    await refuse({ before: memory(MEMORY_PAGES_MAX) }, 'limit', /512\.0625 MiB .* at most 512 MiB/);
    await refuse({ before: memory(65_536) }, 'limit', /at most 512 MiB/);
    const each = `(core module $big (memory ${MEMORY_PAGES_MAX / 4}))
      ${'(core instance (instantiate $big))'.repeat(4)}`;
    await refuse({ before: each }, 'limit', /at most 512 MiB/);
  });

  test('F6 tables and their entries', async () => {
    const tables = (count: number, entries: number): { before: string } => ({
      before: `(core module $t ${`(table ${entries} funcref)`.repeat(count)})
        (core instance (instantiate $t))`,
    });
    await accept(tables(1, TABLE_ENTRIES_MAX));
    await refuse(tables(1, TABLE_ENTRIES_MAX + 1), 'limit', /1000001 entries/);
    await refuse(tables(2, TABLE_ENTRIES_MAX / 2 + 1), 'limit', /entries/);
    await accept(tables(TABLES_MAX, 0));
    await refuse(tables(TABLES_MAX + 1, 0), 'limit', /tables/);
  });

  test('F6 core instances are counted as often as nested components make them', async () => {
    const instances = (count: number): { before: string } => ({
      before: `(core module $e) ${'(core instance (instantiate $e))'.repeat(count)}`,
    });
    await accept(instances(63));
    await refuse(instances(64), 'limit', /64 core instances/);
    const nested = (count: number): { before: string } => ({
      before: `(component $c (core module $e) ${'(core instance (instantiate $e))'.repeat(9)})
        ${'(instance (instantiate $c))'.repeat(count)}`,
    });
    await accept(nested(7));
    await refuse(nested(8), 'limit', /64 core instances/);
  });

  test('F10 doubling at every level is refused, with and without modules', async () => {
    const doubling = (content: string): string => {
      let text = `(component $c0 ${content})`;
      for (let i = 1; i <= 15; i++) {
        text = `(component $c${i} ${text} ${`(instance (instantiate $c${i - 1}))`.repeat(12)})`;
      }
      return `${text} (instance (instantiate $c15))`;
    };
    await refuse({ before: doubling('') }, 'limit', /definitions/);
    const module = '(core module $m) (core instance (instantiate $m))';
    await refuse({ before: doubling(module) }, 'limit', /core instances/);
  });

  test('F6 an outer module or component counts where it is instantiated', async () => {
    await refuse(
      {
        before: `(core module $big (memory ${MEMORY_PAGES_MAX}))
          (component $c (alias outer 1 $big (core module $b)) (core instance (instantiate $b)))
          (instance (instantiate $c))`,
      },
      'limit',
      /at most 512 MiB/,
    );
    await refuse(
      {
        before: `(component $big (core module $m (memory ${MEMORY_PAGES_MAX})))
          (component $c (alias outer 1 $big (component $b)) (instance (instantiate $b))
            (core module $m (memory ${MEMORY_PAGES_MAX})) (core instance (instantiate $m)))
          (instance (instantiate $c))`,
      },
      'limit',
      /at most 512 MiB/,
    );
  });
});

describe('F11 what no part may use', () => {
  test.for([
    ['exception handling (the tag section)', '(tag)'],
    ['multi-memory', '(memory 1)'],
    ['memory64', '(import "env" "m" (memory i64 1))'],
    ['memory64 (a table', '(table i64 1 funcref)'],
    ['shared memory', '(import "env" "m" (memory 1 2 shared))'],
    ['(GC)', '(type (struct))'],
    ['(exnref)', '(func (param exnref))'],
  ])('F11 %s is refused by name', async ([name = '', core]) => {
    const file = await assemble(
      `(component (component (core module ${core} ${name === 'multi-memory' ? core : ''})))`,
    );
    expect(() => validateComponent(file)).toThrow(
      expect.objectContaining({
        code: 'unsupported-feature',
        message: expect.stringContaining(name),
      }),
    );
  });

  test('F11 components and modules are not passed around', async () => {
    const module = '(core module $p)';
    const component = '(component $q)';
    await refuse(
      { after: `${module} (export "m" (core module $p))` },
      'unsupported-feature',
      /core modules/,
    );
    await refuse(
      { after: `${component} (export "c" (component $q))` },
      'unsupported-feature',
      /components/,
    );
    await refuse(
      { after: `${component} (instance (export "c" (component $q)))` },
      'unsupported-feature',
      /components/,
    );
  });
});
