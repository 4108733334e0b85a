import { describe, expect, test } from 'vitest';
import { assemble, accept, processText, refusal, refuse } from './testing.ts';
import { validateComponent } from './validate.ts';

describe('exports', () => {
  test('F1 init must be there, with its type', async () => {
    const wrong = { code: 'unsupported-export', message: /init: func\(our: string\)/ } as const;
    const file = await assemble('(component)');
    expect(() => validateComponent(file)).toThrow(refusal(wrong.code, /does not export init/));
    for (const [init, coreInit] of [
      ['', ''],
      ['(param "our" u32)', '(param i32)'],
      ['(param "our" string) (param "b" u8)', '(param i32 i32 i32)'],
      ['(param "our" string) (result u32)', '(param i32 i32) (result i32)'],
      ['(param "our" (list u8))', '(param i32 i32)'],
    ] as const) {
      await refuse({ init, coreInit }, wrong.code, /another type/);
    }
    await accept({ init: '(param "us" string)' });
    await accept({ before: '(type $text string)', init: '(param "our" $text)' });
  });

  test('F1 init is found through nested components, instances, aliases and ascriptions', async () => {
    const inner = (type: string): string => `
      (component $inner
        (core module $m (memory (export "memory") 1)
          (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable)
          (func (export "go") (param i32 i32)))
        (core instance $i (instantiate $m))
        (alias core export $i "memory" (core memory $mem))
        (alias core export $i "realloc" (core func $realloc))
        (type $f (func (param "our" ${type})))
        (func $go (type $f) (canon lift (core func $i "go") (memory $mem) (realloc $realloc)))
        (instance $bag (export "go" (func $go)))
        (export "a:b/c" (instance $bag)))
      (component $outer
        (import "go" (func $go (param "our" ${type})))
        (export "init" (func $go)))
      (instance $a (instantiate $inner))
      (alias export $a "a:b/c" (instance $bag))
      (alias export $bag "go" (func $go))
      (instance $b (instantiate $outer (with "go" (func $go))))
      (alias export $b "init" (func $init))
      (export "init" (func $init))`;
    const good = await assemble(`(component ${inner('string')})`);
    expect(validateComponent(good).imports).toEqual([]);
    const bad = await assemble(`(component ${inner('(list u8)')})`);
    expect(() => validateComponent(bad)).toThrow(refusal('unsupported-export', /another type/));
  });

  test('F1 further functions are allowed under plain names, anything else is not', async () => {
    await accept({ after: '(export "qjs0" (func $init)) (export "other-one" (func $init))' });
    await refuse(
      { after: '(export "a:b/c@1.0.0" (func $init))' },
      'unsupported-export',
      /a:b\/c@1\.0\.0/,
    );
    await refuse(
      { after: '(instance $x) (export "a:b/c@1.0.0" (instance $x))' },
      'unsupported-export',
      /exports the instance "a:b\/c@1\.0\.0"/,
    );
    await refuse(
      { after: '(type $t u8) (export "t" (type $t))' },
      'unsupported-export',
      /exports the type "t"/,
    );
  });

  test('F10 a chain of exports of exports is followed to a limit', async () => {
    const chain = (length: number): string =>
      Array.from({ length }, (_, i) => `(export $e${i + 1} "e${i + 1}" (func $e${i}))`).join('\n');
    const text = (length: number): string =>
      processText({ after: chain(length) })
        .replaceAll('$init', '$e0')
        .replace('(export "init" (func $e0))', '')
        .replace(/\)$/, `(export "init" (func $e${length})))`);
    validateComponent(await assemble(text(200)));
    const long = await assemble(text(5_000));
    expect(() => validateComponent(long)).toThrow(refusal('limit', /steps away/));
  });
});

describe('indices', () => {
  test.for([
    ['core-module', '(core instance (instantiate 9))'],
    ['core-module', '(component (core instance (instantiate 9)))'],
    ['func', '(component (component (export "x" (func 0))))'],
    ['type', '(component (alias outer 1 99 (type)))'],
    ['core-instance', '(alias core export 9 "x" (core func))'],
    ['core-func', '(func (canon lift (core func 99)))'],
    ['func', '(core func (canon lower (func 99)))'],
    ['core-memory', '(core func (canon lower (func 0) (memory 99)))'],
    ['component', '(instance (instantiate 9))'],
    ['instance', '(alias export 9 "x" (func))'],
    ['type', '(type (list 99))'],
    ['type', '(type (record (field "a" 99)))'],
    ['type', '(type (instance (type (list 0))))'],
    ['type', '(type (instance (alias outer 1 99 (type))))'],
    ['type', '(type (own 99))'],
    ['type', '(core func (canon resource.drop 99))'],
    ['func', '(export "x" (func 99))'],
    ['core-memory', '(core instance (export "x" (memory 99)))'],
    ['func', '(instance (export "x" (func 99)))'],
  ])('of a %s that is not there yet are refused: %s', async ([sort, after = '']) => {
    await refuse({ after }, 'malformed', new RegExp(`${sort} \\d+ is used before it is defined`));
  });

  test('do not refer forward, nor out of the outermost component', async () => {
    await refuse({ before: '(type (list 1)) (type u8)' }, 'malformed', /type 1 is used before/);
    await refuse({ before: '(alias outer 1 0 (type))' }, 'malformed', /past the top/);
    await refuse({ before: '(alias outer 0 0 (type))' }, 'malformed', /type 0 is used before/);
  });
});
