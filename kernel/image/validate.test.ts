import * as fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { ImageError } from '../engine.ts';
import { unsupportedGeneration } from './generation.ts';
import { COMPONENT_BYTES_MAX, MEMORY_PAGES_MAX, TABLE_ENTRIES_MAX, TABLES_MAX } from './limits.ts';
import { isSafeName, quoteName } from './names.ts';
import { assemble, echoComponent, processBytes, processText, quickJsComponent } from './testing.ts';
import { validateComponent, type ValidatedComponent } from './validate.ts';

const accept = async (
  parts: Parameters<typeof processBytes>[0] = {},
): Promise<ValidatedComponent> => validateComponent(await processBytes(parts));
const refuse = async (
  parts: Parameters<typeof processBytes>[0],
  code: ImageError['code'],
  message: RegExp,
): Promise<void> => {
  const file = await processBytes(parts);
  expect(() => validateComponent(file)).toThrow(refusal(code, message));
};
const refusal = (code: string, message: RegExp): unknown =>
  expect.objectContaining({ name: 'ImageError', code, message: expect.stringMatching(message) });

const importOf = (name: string, body = '(export "f" (func))'): { before: string } => ({
  before: `(import "${name}" (instance ${body}))`,
});

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

const NONE = '(core instance $none)';

describe('imports', () => {
  test('K119 every WASI interface is accepted at any 0.2 release', async () => {
    const names = [
      'io/error',
      'io/poll',
      'io/streams',
      'clocks/monotonic-clock',
      'clocks/wall-clock',
      'random/random',
      'random/insecure',
      'random/insecure-seed',
      'cli/environment',
      'cli/exit',
      'cli/stdin',
      'cli/stdout',
      'cli/stderr',
      'cli/terminal-input',
      'cli/terminal-output',
      'cli/terminal-stdin',
      'cli/terminal-stdout',
      'cli/terminal-stderr',
      'filesystem/types',
      'filesystem/preopens',
      'sockets/network',
      'sockets/instance-network',
      'sockets/ip-name-lookup',
      'sockets/tcp',
      'sockets/tcp-create-socket',
      'sockets/udp',
      'sockets/udp-create-socket',
    ];
    for (const version of ['0.2.0', '0.2.3', '0.2.12', '0.2.4000']) {
      const before = names.map((name) => importOf(`wasi:${name}@${version}`).before).join('\n');
      expect((await accept({ before })).imports).toEqual(
        names.map((name) => ({ name: `wasi:${name}@${version}`, provider: 'wasi' })),
      );
    }
  });

  test.for([
    'wasi:http/types@0.2.0',
    'wasi:http/outgoing-handler@0.2.3',
    'wasi:logging/logging',
    'wasi:io/poll@0.2.0-rc-2023-11-10',
    'wasi:io/poll@0.3.0',
    'wasi:io/poll@0.2.01',
    'wasi:io/poll@0.2',
    'wasi:io/poll',
    'wasi:io/nothing@0.2.0',
    'wasi:keyvalue/store@0.2.0',
    'evil:io/poll@0.2.0',
    'evil:process/standard@1.0.0',
    'hyperware:process/other@1.0.0',
    'chat:chat:alice.os/chat',
    'plain',
  ])('K119 an import of %s is refused by name', async (name) => {
    const escaped = name.replaceAll(/[.]/g, String.raw`\.`);
    await refuse(importOf(name), 'unsupported-import', new RegExp(`"${escaped}"`));
  });

  test('F1 only interfaces can be imported, whatever they are called', async () => {
    await refuse({ before: '(import "f" (func))' }, 'unsupported-import', /imports the func "f"/);
    await refuse(
      { before: '(import "wasi:io/poll@0.2.0" (func))' },
      'unsupported-import',
      /imports the func/,
    );
    await refuse(
      { before: '(import "t" (type (sub resource)))' },
      'unsupported-import',
      /the type/,
    );
    await refuse({ before: '(import "c" (component))' }, 'unsupported-feature', /components as/);
    await refuse(
      { before: '(import "m" (core module))' },
      'unsupported-feature',
      /core modules as/,
    );
  });

  test('an interface of nothing but value types needs no provider', async () => {
    const types = '(type (record (field "a" u8))) (export "r" (type (eq 0)))';
    expect((await accept(importOf('a:b/types@1.0.0', types))).imports).toEqual([
      { name: 'a:b/types@1.0.0', provider: 'types' },
    ]);
    const resource = '(export "r" (type (sub resource)))';
    await refuse(importOf('a:b/types@1.0.0', resource), 'unsupported-import', /a:b/);
  });
});

describe('generations', () => {
  test.for([
    ['hyperware:process/standard@1.0.0', 'hyperware', '1.0.0', 'hyperware:process@1'],
    ['hyperware:process/standard@1.7.2', 'hyperware', '1.7.2', 'hyperware:process@1'],
    ['kinode:process/standard@1.0.0', 'kinode', '1.0.0', 'kinode:process@1.0.0'],
    ['kinode:process/standard@0.8.0', 'kinode', '0.8.0', 'kinode:process@0.8.0'],
    ['kinode:process/standard@0.7.0', 'kinode', '0.7.0', 'kinode:process@0.7.0'],
  ])('%s is recognised', async ([name = '', packageName, version, generation]) => {
    const { standard, imports } = await accept(importOf(name));
    expect(standard).toEqual({ packageName, version, generation });
    expect(imports).toEqual([{ name, provider: 'standard' }]);
  });

  test.for([
    'hyperware:process/standard@2.0.0',
    'hyperware:process/standard@0.9.0',
    'hyperware:process/standard@1.0.0-rc.1',
    'hyperware:process/standard@1.0',
    'hyperware:process/standard',
    'kinode:process/standard@0.9.0',
    'kinode:process/standard@0.7.1',
    'uqbar:process/standard@0.5.0',
  ])('%s is refused by name, in the words used everywhere', async (name) => {
    const file = await processBytes(importOf(name));
    expect(() => validateComponent(file)).toThrow(
      expect.objectContaining({
        code: 'unsupported-generation',
        message: unsupportedGeneration(name),
      }),
    );
    expect(unsupportedGeneration(name)).toContain(name.replace('/standard', ''));
  });

  test('two at once are refused; none is a process that only computes', async () => {
    const both =
      importOf('kinode:process/standard@0.8.0').before +
      importOf('hyperware:process/standard@1.0.0').before;
    await refuse({ before: both }, 'unsupported-import', /two generations/);
    expect((await accept()).standard).toBeUndefined();
  });
});

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

describe('indices', () => {
  test.for([
    ['core-module', '(core instance (instantiate 9))'],
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

describe('bad input', () => {
  const real = new Map<string, Uint8Array>();
  beforeAll(async () => {
    real.set('echo', await echoComponent());
    real.set('QuickJS', await quickJsComponent(true));
  });
  const fileOf = (name: string): Uint8Array => real.get(name) ?? new Uint8Array();

  /** What a file comes to; anything that is not an `ImageError` is a failure. */
  function outcome(file: Uint8Array): string {
    try {
      validateComponent(file);
      return 'accepted';
    } catch (error) {
      if (error instanceof ImageError) {
        expect(error.message).toMatch(/^[ -~]+$/);
        return error.code;
      }
      throw error;
    }
  }

  test('real components: accepted; an init of another type is said to be that', () => {
    const { standard, imports } = validateComponent(fileOf('echo'));
    expect(standard?.generation).toBe('hyperware:process@1');
    expect(imports).toHaveLength(1);
    expect(() => validateComponent(fileOf('QuickJS'))).toThrow(
      refusal('unsupported-export', /init of another type/),
    );
  });

  test('files over the size limit are refused unread', () => {
    const file = new Uint8Array(COMPONENT_BYTES_MAX + 1);
    file.set(fileOf('echo'));
    expect(() => validateComponent(file)).toThrow(refusal('limit', /67108865 bytes/));
    // One byte less is read: what follows the component is no section.
    expect(outcome(file.subarray(0, COMPONENT_BYTES_MAX))).toBe('malformed');
  });

  test('truncated anywhere', () => {
    const file = fileOf('echo');
    const boundaries = new Set<string>();
    for (let length = 0; length < file.length; length++) {
      boundaries.add(outcome(file.subarray(0, length)));
    }
    // Cut between two sections a file is well formed: before the export of init it lacks that, after it only custom sections.
    expect(boundaries).toEqual(
      new Set(['not-a-component', 'malformed', 'unsupported-export', 'accepted']),
    );
  });

  test('random bytes behind a component head', () => {
    const head = [0x00, 0x61, 0x73, 0x6d, 0x0d, 0x00, 0x01, 0x00];
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 400 }),
        fc.integer({ min: 1, max: 11 }),
        (tail, id) => {
          outcome(Uint8Array.from([...head, ...tail]));
          const section = tail.subarray(0, 100);
          outcome(Uint8Array.from([...head, id, section.length, ...section]));
        },
      ),
      { numRuns: 3_000 },
    );
  });

  test.for([
    ['echo', 4_000],
    ['QuickJS', 250],
  ] as const)('bits flipped, ranges cut, copied and overwritten in %s', ([name, numRuns]) => {
    const file = fileOf(name);
    const place = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    const change = fc.record({
      kind: fc.constantFrom('flip', 'flip', 'set', 'cut', 'copy'),
      at: place,
      from: place,
      length: fc.integer({ min: 1, max: 40 }),
      byte: fc.constantFrom(0x00, 0x01, 0x7f, 0x80, 0xff, 0x40, 0x0b),
    });
    const codes = new Set<string>();
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
        let mutated = Uint8Array.from(file);
        for (const { kind, at, from, length, byte } of changes) {
          const i = Math.floor(at * mutated.length);
          if (kind === 'flip') mutated[i] = (mutated[i] ?? 0) ^ (1 << (length % 8));
          else if (kind === 'set') mutated[i] = byte;
          else if (kind === 'copy') {
            mutated.copyWithin(
              i,
              Math.floor(from * mutated.length),
              Math.floor(from * mutated.length) + length,
            );
          } else {
            const cut = new Uint8Array(Math.max(0, mutated.length - length));
            cut.set(mutated.subarray(0, Math.min(i, cut.length)));
            cut.set(mutated.subarray(i + length, cut.length + length), Math.min(i, cut.length));
            mutated = cut;
          }
        }
        codes.add(outcome(mutated));
      }),
      { numRuns },
    );
    // The mutations reach past the first check.
    expect(codes.size).toBeGreaterThanOrEqual(3);
  });
});
