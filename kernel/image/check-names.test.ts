import { describe, expect, test } from 'vitest';
import { isSafeName, quoteName } from './names.ts';
import { accept, importOf, processBytes, refusal, refuse } from './testing.ts';
import { validateComponent } from './validate.ts';

const NONE = '(core instance $none)';

describe('F1 names', () => {
  const hostile: readonly (readonly [string, string, string])[] = [
    ['a quote', "it's", "it's"],
    ['a double quote', 'a\\22b', 'a\\"b'],
    ['a newline', 'a\\0ab', 'a\\nb'],
    ['a backslash', 'a\\5cb', 'a\\\\b'],
    ['a backquote', 'a`b', 'a`b'],
    ['a brace', 'a{b', 'a{b'],
    ['a comma', 'a,b', 'a,b'],
    ['an accent', 'a\\c3\\a9', 'a\\u00e9'],
    ['a line separator', 'a\\e2\\80\\a8b', 'a\\u2028b'],
    ['a NUL', 'a\\00b', 'a\\u0000b'],
    ['the known injection', "a'],console.log(1),exports0['go", "a'],"],
    ['the name of a prototype', '__proto__', '__proto__'],
  ];

  test.for(hostile)('F1 %s is refused wherever a core name stands', async ([, wat, shown]) => {
    const message = new RegExp(shown.replaceAll(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`));
    const places: Record<string, Parameters<typeof processBytes>[0]> = {
      'core import module': { core: `(import "${wat}" "f" (func))` },
      'core import field': { core: `(import "env" "${wat}" (func))` },
      'core export': { core: `(func (export "${wat}"))` },
      'argument of a core instance': { args: `(with "${wat}" (instance $none))`, before: NONE },
      'export of a core instance': {
        after: `(alias core export $i "memory" (core memory $x))
          (core instance (export "${wat}" (memory $x)))`,
      },
      'alias of an export': { after: `(alias core export $i "${wat}" (core func))` },
    };
    for (const [place, parts] of Object.entries(places)) {
      const file = await processBytes(parts);
      expect(() => validateComponent(file), place).toThrow(refusal('unsafe-name', message));
      expect(() => validateComponent(file), place).toThrow(place);
    }
  });

  test('F1 the same inside a nested component, at any depth', async () => {
    const nested = `(component (component (core module (func (export "it's")))))`;
    await refuse({ before: nested }, 'unsafe-name', /it's/);
  });

  test('F1 component-level names are held to it too', async () => {
    // The text assembler takes any name; so does the binary.
    await refuse(importOf("a'b"), 'unsafe-name', /component import/);
    await refuse({ after: `(export "a'b" (func $init))` }, 'unsafe-name', /component export/);
    await refuse({ before: `(type (instance (export "a'b" (func))))` }, 'unsafe-name', /declared/);
    await refuse({ before: `(type (record (field "a'b" u8)))` }, 'unsafe-name', /field/);
    await refuse({ after: `(instance (export "a'b" (func $init)))` }, 'unsafe-name', /instance/);
    await refuse({ before: `(type (enum "a_b"))` }, 'malformed', /names no enum/);
  });

  test('F1 names of every real shape pass', async () => {
    const names = [
      '',
      '$root',
      'env',
      '[method]output-stream.check-write',
      'cabi_post_init',
      '[export]$root',
      'cm32p2|local:init/module-loader|resolve_post',
      'wasi:cli/environment@0.2.12#x',
      'a b',
      '_ZN4core3fmt9Formatter9write_str17h0a1b2cE',
      '_start',
      'lib<0>',
      '(x)',
    ];
    for (const name of names) expect([name, isSafeName(name)]).toEqual([name, name !== 'lib<0>']);
    await accept({
      core: '(func (export "cm32p2|a:b/c|d_post")) (func (export "[a]b.c#d=e>f@1"))',
    });
  });

  test('F1 a name in a message cannot pretend to be more of it', () => {
    expect(quoteName('a"\n\u001b[2Jb\u2028')).toBe(String.raw`"a\"\n\u001b[2Jb\u2028"`);
    expect(quoteName('x'.repeat(1_000)).length).toBeLessThan(80);
  });

  test('F1 duplicate exports and imports are refused', async () => {
    await refuse(
      { after: '(export "x" (func $init)) (export "x" (func $init))' },
      'malformed',
      /component export "x" twice/,
    );
    const twice = importOf('wasi:io/poll@0.2.0').before;
    await refuse({ before: twice + twice }, 'malformed', /component import .* twice/);
  });
});
